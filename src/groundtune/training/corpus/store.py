"""Texts as token files: written once, read piece by piece, never held in memory.

A store is a folder of ``train.tokens`` and ``valid.tokens`` (ids of 16 bits, or 32 where the tokenizer has more entries, little
end first), ``*.ends`` (where each text ends, 64 bits each) and ``store.json``. It is whole or absent, and holds a hash of what
it is made of: asked for again it is taken as it is, and made anew of other texts. Each text is written with what stands
around it (`Separators`).

What this module does not do: cut tokens into sequences (:mod:`.sequences`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from groundtune.errors import DataError
from groundtune.files import atomic_folder, parse_record, read_json, sha256_file, write_json
from groundtune.progress import ProgressBar
from groundtune.training.corpus.sources import LeftOut, Pieces, Source, in_memory, read_texts
from groundtune.training.documents import Separators

STORE_NAME = "store.json"
LAYOUT = "1"
"""Part of the hash: stores of another layout are made anew."""

BATCH_PIECES = 64
"""Tokenised together, by as many threads as the tokenizer takes."""

Side = Literal["train", "valid"]
SIDES: tuple[Side, Side] = ("train", "valid")

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """What is in a store, and what is not."""

    texts: dict[str, int]
    """By side."""
    tokens: dict[str, int]
    """Likewise, separators included."""
    skips: dict[str, int]
    places: dict[str, list[str]]
    """The first ones of each reason."""


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Token ids of texts, one after the other. Read by place: nothing of it stays in memory."""

    path: Path
    tokens: int
    texts: int
    dtype: str

    def read(self, start: int, stop: int) -> Ids:
        """[stop - start]"""
        return self._read(self.path, self.dtype, start, stop)

    def first_texts(self, count: int) -> list[Ids]:
        """The first `count` texts, or all where there are fewer, with what stands around them."""
        ends = self._read(self.path.with_suffix(".ends"), "<u8", 0, min(count, self.texts)).tolist()
        return [self.read(start, stop) for start, stop in pairwise([0, *ends])]

    @staticmethod
    def _read(path: Path, dtype: str, start: int, stop: int) -> Ids:
        size = np.dtype(dtype).itemsize
        try:
            return np.fromfile(path, dtype, stop - start, offset=start * size).astype(np.int64)
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read ({error.strerror or error}); run the same command again"
            ) from error


@dataclass(frozen=True, slots=True)
class TokenStore:
    """A store that stands."""

    key: str
    """A hash of the texts and the tokenizer."""
    counts: StoreCounts
    train: TokenFile
    valid: TokenFile


def store_texts(
    texts: Sequence[Source] | Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    valid_share: float = 0.0,
    label: str = "tokenising",
) -> TokenStore:
    """The store of `texts` in `folder`: the one that stands there, or a new one.

    Args:
        texts: files, or texts themselves.
        valid_share: of the texts, by the hash of what they say: equal texts are always on the same side, whatever file they
            stand in.

    Raises:
        DataError: a file that cannot be read.
        StorageError: the folder cannot be written.
    """
    key = _key(texts, tokenizer, valid_share)
    found = open_store(folder)
    if found is None or found.key != key:
        with atomic_folder(folder) as temporary:
            _write(texts, tokenizer, temporary, key, valid_share, label)
        found = open_store(folder)
    assert found is not None, "it has just been written"
    return found


def open_store(folder: Path) -> TokenStore | None:
    """The store of a folder; None where there is none that is whole."""
    try:
        value = read_json(folder / STORE_NAME)
        counts = parse_record(value["counts"], StoreCounts, where=str(folder / STORE_NAME))
        dtype, key = np.dtype(value["dtype"]), str(value["key"])
        files = {}
        for side in SIDES:
            path = folder / f"{side}.tokens"
            files[side] = TokenFile(path, counts.tokens[side], counts.texts[side], dtype.str)
            sizes = (path.stat().st_size, path.with_suffix(".ends").stat().st_size)
            if sizes != (counts.tokens[side] * dtype.itemsize, counts.texts[side] * 8):
                return None
    except (DataError, OSError, KeyError, TypeError):
        return None
    return TokenStore(key, counts, files["train"], files["valid"])


def _key(texts: Sequence[Source] | Sequence[str], tokenizer: PreTrainedTokenizerBase, valid_share: float) -> str:
    digest = hashlib.sha256(f"{LAYOUT} {valid_share} {len(texts)} {Separators.of(tokenizer)}".encode())
    for text in texts:
        told = f"{text.name} {sha256_file(text.path)}" if isinstance(text, Source) else _hash([text])
        digest.update(told.encode())
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items())) if backend is None else backend.to_str()
    digest.update(f"{type(tokenizer).__name__} {vocabulary}".encode())
    return digest.hexdigest()


def _hash(pieces: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def side_of(pieces: Iterable[str], valid_share: float) -> Side:
    """On which side a text is. Surrounding blanks do not count.

    >>> side_of(["anything"], 0.0)
    'train'
    """
    if not valid_share:
        return "train"
    return "valid" if int(_hash(_bare(pieces))[:12], 16) < valid_share * 16**12 else "train"


def _bare(pieces: Iterable[str]) -> Iterator[str]:
    """Without blanks at both ends, in whatever pieces it comes."""
    held = ""
    begun = False
    for piece in pieces:
        text = held + (piece if begun else piece.lstrip())
        begun = begun or bool(text)
        bare = text.rstrip()
        held = text[len(bare) :]
        yield bare


@dataclass(frozen=True, slots=True)
class _Piece:
    side: Side
    text: str
    begins: bool
    ends: bool


def _pieces(texts: Iterable[Pieces], valid_share: float) -> Iterator[_Piece]:
    for text in texts:
        side = side_of(text(), valid_share) if valid_share else "train"
        begins, held = True, None
        for piece in text():
            if held is not None:
                yield _Piece(side, held, begins, ends=False)
                begins = False
            held = piece
        if held is not None:
            yield _Piece(side, held, begins, ends=True)


def _write(
    texts: Sequence[Source] | Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    key: str,
    valid_share: float,
    label: str,
) -> None:
    left_out = LeftOut()
    encode = _encoder(tokenizer)
    dtype = np.dtype("<u2" if len(tokenizer) <= 1 << 16 else "<u4")
    separators = Separators.of(tokenizer)
    with ExitStack() as stack:
        bar = stack.enter_context(ProgressBar(label, total=_size(texts), unit="characters"))
        sides = {side: _Writer.opened(folder / f"{side}.tokens", dtype, stack) for side in SIDES}
        pieces = _pieces(_read(texts, left_out), valid_share)
        while batch := list(islice(pieces, BATCH_PIECES)):
            # what was packed is larger than its file
            bar.advance(min(sum(len(piece.text) for piece in batch), bar.total - bar.done))
            for piece, ids in zip(batch, encode([piece.text for piece in batch]), strict=True):
                sides[piece.side].add(ids, separators, begins=piece.begins, ends=piece.ends)
        counts = StoreCounts(
            texts={side: writer.texts for side, writer in sides.items()},
            tokens={side: writer.tokens for side, writer in sides.items()},
            skips=dict(left_out.skips.most_common()),
            places=left_out.places,
        )
    write_json(folder / STORE_NAME, {"key": key, "dtype": dtype.str, "counts": asdict(counts)})


def _size(texts: Sequence[Source] | Sequence[str]) -> int:
    return sum(text.path.stat().st_size if isinstance(text, Source) else len(text) for text in texts)


def _read(texts: Sequence[Source] | Sequence[str], left_out: LeftOut) -> Iterator[Pieces]:
    for text in texts:
        yield from read_texts(text, left_out) if isinstance(text, Source) else in_memory([text])


@dataclass(slots=True)
class _Writer:
    ids: BinaryIO
    ends: BinaryIO
    dtype: np.dtype[Any]
    texts: int = 0
    tokens: int = 0

    @classmethod
    def opened(cls, path: Path, dtype: np.dtype[Any], stack: ExitStack) -> _Writer:
        ids, ends = (stack.enter_context(each.open("wb")) for each in (path, path.with_suffix(".ends")))
        return cls(ids, ends, dtype)

    def add(self, ids: Sequence[int], separators: Separators, *, begins: bool, ends: bool) -> None:
        whole = [*(separators.before if begins else ()), *ids, *(separators.after if ends else ())]
        self.ids.write(np.asarray(whole, self.dtype).tobytes())
        self.tokens += len(whole)
        if ends:
            self.texts += 1
            self.ends.write(np.uint64(self.tokens).astype("<u8").tobytes())


def _encoder(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[str]], list[list[int]]]:
    """Many texts at once, as text: a special token's name in one of them stays a name."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        return lambda texts: tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    # a copy, since how it cuts and pads is part of it; asked directly, because around it are lists that nobody needs
    own: Any = Tokenizer.from_str(backend.to_str())
    own.no_truncation()
    own.no_padding()
    own.encode_special_tokens = True
    return lambda texts: [each.ids for each in own.encode_batch_fast(texts, add_special_tokens=False)]
