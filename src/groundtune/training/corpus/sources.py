"""The files of text that patterns name, and their texts as a stream of short pieces.

One file of ``.txt`` or ``.md`` is one text; a line of ``.jsonl`` and a row of ``.parquet`` is one, in its column ``text``. All but
parquet may be packed by gzip. Text becomes what ingestion makes of documents: UTF-8 without a byte order mark, LF, NFC.
What cannot be read is left out, counted by reason and named by file and line; of a damaged
file all is read that stands before the damage. What this module does not do: tokenise.
"""

from __future__ import annotations

import glob
import io
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundtune.errors import ConfigError, DataError
from groundtune.unpacking import ByteSource

PLAIN, LINES, PARQUET = (".txt", ".md"), (".jsonl",), (".parquet",)
ENDINGS = (*PLAIN, *LINES, *PARQUET, *(f"{ending}.gz" for ending in (*PLAIN, *LINES)))

PIECE_CHARACTERS = 1 << 16
"""A longer text is tokenised in pieces, cut at line ends: one file then keeps all cores busy, and none is ever held whole."""

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 26
"""A longer line of JSON is left out."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PARQUET_ROWS = 512

MOST_PLACES = 20
"""Named for each reason."""

EMPTY = "text is empty"
NOT_UTF8 = "line is not UTF-8"
HAS_NUL = "line holds a NUL character"
NOT_JSON = "line is not JSON"
NO_TEXT = "row has no column text that is a string"
TOO_LONG = f"line is longer than {MAX_LINE_BYTES >> 20} MiB"
DAMAGED = "file is damaged, and the rest of it is not read"

Pieces = Callable[[], Iterator[str]]
"""The pieces of one text, in order; to be asked for more than once."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file of text."""

    name: str
    """As it is told: from the folder of the configuration."""
    path: Path


@dataclass(slots=True)
class LeftOut:
    """What was not read, by reason, with the first places of each."""

    skips: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        self.skips[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < MOST_PLACES:
            places.append(place)


def find_sources(patterns: Sequence[str], folder: Path, *, setting: str) -> list[Source]:
    """The files that `patterns` name (files, folders, globs; relative to `folder`), each once, in a fixed order.

    Args:
        setting: what the patterns are the value of, for messages.

    Raises:
        ConfigError: a pattern that names no file, or a file of another kind.
    """
    found: dict[Path, Source] = {}
    for pattern in patterns:
        for path in _matching(pattern, folder, setting):
            name = Path(os.path.relpath(path, folder)).as_posix()
            found.setdefault(path, Source(name, path))
    return list(found.values())


def _matching(pattern: str, folder: Path, setting: str) -> list[Path]:
    place = Path(os.path.normpath(folder.absolute() / Path(pattern).expanduser()))
    if place.is_file():
        if not place.name.endswith(ENDINGS):
            raise ConfigError(f"{setting}: {pattern} is none of {', '.join(ENDINGS)}; convert it, or take it out")
        return [place]
    inside = place.rglob("*") if place.is_dir() else map(Path, glob.iglob(str(place), recursive=True))
    files = [path for path in inside if path.name.endswith(ENDINGS) and path.is_file() and path.name[0] != "."]
    if not files:
        what = "the folder holds" if place.is_dir() else "it matches"
        raise ConfigError(f"{setting}: {pattern}: {what} no file of {', '.join(ENDINGS)}; correct it, or take it out")
    return sorted(files)


def read_texts(source: Source, left_out: LeftOut) -> Iterator[Pieces]:
    """The texts of a file that are not empty, in order.

    Raises:
        DataError: the file cannot be read, or a parquet file has no column ``text``.
    """
    name = source.path.name.removesuffix(".gz")
    if name.endswith(PLAIN):
        pieces = _counting_once(source, left_out)
        if any(piece.strip() for piece in _file_pieces(source, LeftOut())):
            yield pieces
        else:
            for _ in pieces():
                pass
            left_out.add(EMPTY, source.name)
        return
    rows = _parquet_rows(source) if name.endswith(PARQUET) else _json_rows(source, left_out)
    for number, value in rows:
        if not isinstance(value, str):
            left_out.add(NO_TEXT, f"{source.name}:{number}")
        elif not value.strip():
            left_out.add(EMPTY, f"{source.name}:{number}")
        else:
            yield _in_memory(value)


def in_memory(texts: Iterable[str]) -> Iterator[Pieces]:
    """Texts that are there already; empty ones are passed over."""
    return (_in_memory(text) for text in texts if text.strip())


def _in_memory(text: str) -> Pieces:
    return lambda: _cut(normalised(text))


def normalised(text: str) -> str:
    r"""LF and NFC, as ingestion leaves documents; a half of a surrogate pair is no character and becomes U+FFFD.

    >>> normalised("I\u0307s\r\nx")
    'İs\nx'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return text


def _cut(text: str) -> Iterator[str]:
    """Behind the last line end, or else the last blank, that keeps a piece short enough."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        end = start + PIECE_CHARACTERS
        cut = text.rfind("\n", start, end) + 1 or text.rfind(" ", start, end) or end
        if cut <= start:
            cut = end
        yield text[start:cut]
        start = cut
    if start < len(text):
        yield text[start:]


def _counting_once(source: Source, left_out: LeftOut) -> Pieces:
    """Asked for anew, a file does not count its bad lines anew."""
    counts = iter([left_out])
    return lambda: _file_pieces(source, next(counts, LeftOut()))


def _file_pieces(source: Source, left_out: LeftOut) -> Iterator[str]:
    """A file as one text, without its bad lines, block by block."""
    for number, block in _blocks(source, left_out):
        try:
            text = block.decode()
        except UnicodeDecodeError:
            text = None
        if text is None or "\0" in text:
            text = _good_lines(block, number, source, left_out)
        yield from _cut(normalised(text))


def _good_lines(block: bytes, number: int, source: Source, left_out: LeftOut) -> str:
    good = []
    for place, line in enumerate(block.split(b"\n"), number):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            left_out.add(NOT_UTF8, f"{source.name}:{place}")
            continue
        if "\0" in text:
            left_out.add(HAS_NUL, f"{source.name}:{place}")
        else:
            good.append(text)
    return "\n".join(good)


def _blocks(source: Source, left_out: LeftOut) -> Iterator[tuple[int, bytes]]:
    """Whole lines of about a block, and the number of the first one."""
    number = 1
    with _opened(source) as stream:
        while block := stream.read(BLOCK_BYTES):
            if not block.endswith(b"\n"):
                # a file without line ends is cut between two characters
                block += stream.readline(BLOCK_BYTES)
                block += stream.read(_lacking_bytes(block))
            if _is_damaged(stream) and _lacking_bytes(block):
                # the first bytes of a character, whose others are behind the damage
                block = block[: -next(back for back in (1, 2, 3) if block[-back] >= 0xC0)]
            yield number, block.removeprefix(BYTE_ORDER_MARK) if number == 1 else block
            number += block.count(b"\n")
        if _is_damaged(stream):
            left_out.add(DAMAGED, f"{source.name}:{number}")


def _lacking_bytes(block: bytes) -> int:
    """How many bytes the UTF-8 character at the end of `block` is short of.

    >>> _lacking_bytes("ş".encode()[:1]), _lacking_bytes("ş".encode())
    (1, 0)
    """
    for back, byte in enumerate(reversed(block[-3:]), 1):
        if byte >= 0xC0:
            return max(0, (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4) - back)
        if byte < 0x80:
            break
    return 0


def _json_rows(source: Source, left_out: LeftOut) -> Iterator[tuple[int, Any]]:
    """Line number, and what stands in the column ``text``; None where there is no such column."""
    number, ended = 0, True
    with _opened(source) as stream:
        while line := stream.readline(MAX_LINE_BYTES):
            number, ended = number + 1, line.endswith(b"\n")
            if len(line) == MAX_LINE_BYTES and not ended:
                left_out.add(TOO_LONG, f"{source.name}:{number}")
                while (rest := stream.readline(BLOCK_BYTES)) and not rest.endswith(b"\n"):
                    pass
                ended = bool(rest)
                continue
            row = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            # the damage is told of, not what it left of a line
            reasons = LeftOut() if _is_damaged(stream) and not ended else left_out
            if not row.isspace() and (found := _json_object(row, reasons, f"{source.name}:{number}")) is not None:
                yield number, found.get("text")
        if _is_damaged(stream):
            left_out.add(DAMAGED, f"{source.name}:{number + ended}")


def _json_object(line: bytes, left_out: LeftOut, place: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError:
        left_out.add(NOT_UTF8, place)
    except (ValueError, RecursionError):
        left_out.add(NOT_JSON, place)
    else:
        if isinstance(row, dict):
            return row
        left_out.add(NO_TEXT, place)
    return None


def _parquet_rows(source: Source) -> Iterator[tuple[int, Any]]:
    """Row number from 1, and the column ``text``."""
    import pyarrow  # a tenth of a second to load: only where asked for
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(source.path) as file:
            if "text" not in file.schema_arrow.names:
                raise DataError(
                    f"{source.name}: has no column text (it has {', '.join(file.schema_arrow.names[:8])}); rename one, or take the file out"
                )
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=["text"]):
                for value in batch.column(0).to_pylist():
                    number += 1
                    yield number, value
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{source.name}: cannot be read as parquet ({error}); write it again, or take it out"
        ) from error


@contextmanager
def _opened(source: Source) -> Iterator[io.BufferedReader]:
    try:
        with source.path.open("rb") as stream:
            yield ByteSource(stream, packed=True).buffered() if source.name.endswith(".gz") else stream
    except OSError as error:
        raise DataError(f"{source.name}: cannot be read ({error.strerror or error})") from error


def _is_damaged(stream: io.BufferedReader) -> bool:
    """Whether a packed file ends before its end, as far as it has been read."""
    return isinstance(stream.raw, ByteSource) and bool(stream.raw.damage)
