"""The folder of a prepared dataset: which blocks are done, what each holds, and all of them read back as one.

``index.json`` names the key (a hash of everything the tokens depend on) and the blocks that are done;
``block-00000.arrow`` and so on hold the examples, ``block-00000.left-out.jsonl`` the rows that did not become one.
``columns/`` holds all tokens in two flat files, made when they are first asked for as a whole: a memory map must be of
one piece.

Legend: n examples, N tokens of all of them together.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from groundtune.config import DataConfig
from groundtune.dataset.prepared.shards import Row, Shard, read_shard
from groundtune.errors import DataError
from groundtune.files import (
    TEMPORARY_PREFIX,
    atomic_folder,
    parse_record,
    read_json,
    read_records,
    sha256_text,
    write_json,
)
from groundtune.types import LeftOut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.prefix import TokenisedExamples

LAYOUT = 1
"""Raised when the files, or what is computed for them, change their meaning: older ones are then made again."""

INDEX_NAME = "index.json"
COLUMNS_NAME = "columns"
CHOSEN_ONLY = "preferences trained on the chosen answer"
"""Name of a count."""


@dataclass(frozen=True)
class Block:
    """Conversations that were prepared together."""

    number: int
    first: int
    """Number of its first conversation, from 0."""
    conversations: int
    first_id: str
    last_id: str
    kept: int
    """Conversations with at least one example."""
    examples: int
    tokens: int
    trained_tokens: int
    shortened: int
    """Conversations that something was taken out of, so that they fit."""
    chosen_only: int
    """Preference rows, of which the chosen answers are trained."""
    left_out: dict[str, int]
    """Conversations without an example, by reason."""


@dataclass(frozen=True)
class Index:
    layout: int
    key: str
    complete: bool
    block_conversations: int
    """Of a block that does not end earlier, for its characters or as the last."""
    blocks: tuple[Block, ...]
    """By number. Until it is complete, some may be missing."""


@dataclass(frozen=True)
class Prepared:
    """A dataset as token ids and weights, on disk."""

    folder: Path
    key: str
    blocks: tuple[Block, ...]

    def __len__(self) -> int:
        """Examples."""
        return sum(block.examples for block in self.blocks)

    @property
    def conversations(self) -> int:
        """That were read; each is kept or left out."""
        return sum(block.conversations for block in self.blocks)

    @property
    def kept(self) -> int:
        return sum(block.kept for block in self.blocks)

    @property
    def tokens(self) -> int:
        return sum(block.tokens for block in self.blocks)

    @property
    def trained_tokens(self) -> int:
        return sum(block.trained_tokens for block in self.blocks)

    @property
    def counts(self) -> dict[str, int]:
        """For a manifest."""
        counts = {
            "conversations": self.conversations,
            "examples": len(self),
            "tokens": self.tokens,
            "trained tokens": self.trained_tokens,
            "conversations shortened": sum(block.shortened for block in self.blocks),
            CHOSEN_ONLY: sum(block.chosen_only for block in self.blocks),
        }
        return {name: count for name, count in counts.items() if count or name in ("conversations", "examples")}

    @property
    def skips(self) -> dict[str, int]:
        """Conversations without an example, by reason, the most frequent first."""
        total: Counter[str] = Counter()
        for block in self.blocks:
            total.update(block.left_out)
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def left_out(self) -> Iterator[LeftOut]:
        """The conversations without an example, in order."""
        for block in self.blocks:
            if block.left_out:
                yield from read_records(left_out_path(self.folder, block.number), LeftOut)

    def shards(self) -> Iterator[Shard]:
        for block in self.blocks:
            yield read_shard(shard_path(self.folder, block.number))

    def rows(self) -> Iterator[Row]:
        """Every example with the id of its conversation, in order, a block in view at a time."""
        for shard in self.shards():
            yield from shard

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """[n] the number of the conversation, from 0, that each example is of."""
        return np.concatenate([np.zeros(0, np.int64), *(shard.conversations for shard in self.shards())])

    def examples(self) -> TokenisedExamples:
        """All of them as memory maps: no token is read until it is looked at, and memory can be given back.

        Raises:
            StorageError: the flat files cannot be written.
        """
        from groundtune.prefix import TokenisedExamples

        if len(self.blocks) == 1:
            [shard] = self.shards()
            return TokenisedExamples(shard.token_ids, shard.weights, shard.offsets)
        folder = self.folder / COLUMNS_NAME
        if not folder.exists():
            self._write_columns(folder)
        ids = np.memmap(folder / "token_ids.int32", np.int32, "r") if self.tokens else np.zeros(0, np.int32)
        weights = np.memmap(folder / "weights.float32", np.float32, "r") if self.tokens else np.zeros(0, np.float32)
        sizes = [np.diff(shard.offsets) for shard in self.shards()]
        offsets = np.concatenate([np.zeros(1, np.int64), *sizes]).cumsum()
        if len(ids) != offsets[-1] or len(weights) != offsets[-1]:
            raise DataError(f"{folder}: holds {len(ids)} tokens, expected {offsets[-1]}; delete this folder")
        return TokenisedExamples(ids, weights, offsets)

    def _write_columns(self, folder: Path) -> None:
        with (
            atomic_folder(folder) as temporary,
            (temporary / "token_ids.int32").open("wb") as ids,
            (temporary / "weights.float32").open("wb") as weights,
        ):
            for shard in self.shards():
                ids.write(shard.token_ids.data)
                weights.write(shard.weights.data)


def prepared_key(source: str, tokenizer: PreTrainedTokenizerBase, config: DataConfig) -> str:
    """A hash of what the tokens depend on; `source` is a hash of the conversations.

    Of the tokenizer its whole definition and chat template; of the settings those that change tokens or weights.
    """
    settings = config.model_dump(
        mode="json", include={"train_on", "no_think_share", "max_tokens", "overlong", "strict"}
    )
    parts = [LAYOUT, source, _fingerprint(tokenizer), tokenizer.chat_template, settings]
    return sha256_text(json.dumps(parts, sort_keys=True, ensure_ascii=False))


def _fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend is not None else json.dumps(sorted(tokenizer.get_vocab().items()))
    special = {name: str(value) for name, value in sorted(tokenizer.special_tokens_map.items())}
    return sha256_text(f"{type(tokenizer).__name__}\x1f{vocabulary}\x1f{json.dumps(special, sort_keys=True)}")


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"block-{number:05d}.arrow"


def left_out_path(folder: Path, number: int) -> Path:
    return folder / f"block-{number:05d}.left-out.jsonl"


def is_whole(folder: Path, block: Block) -> bool:
    """Whether the files of `block` are there; somebody may have deleted one."""
    there = not block.left_out or left_out_path(folder, block.number).is_file()
    return there and shard_path(folder, block.number).is_file()


def open_prepared(folder: Path) -> Prepared:
    """What :func:`groundtune.dataset.prepare` left in `folder`. Raises `DataError` where that is nothing, or unfinished."""
    index = read_index(folder)
    if index is None or not index.complete:
        raise DataError(f"{folder}: found no finished index.json; expected a prepared dataset, so prepare it (again)")
    return Prepared(folder, index.key, index.blocks)


def read_index(folder: Path) -> Index | None:
    """None where there is none, or one of another layout."""
    path = folder / INDEX_NAME
    if not path.exists():
        return None
    value = read_json(path)
    if isinstance(value, dict) and value.get("layout") != LAYOUT:
        return None
    return parse_record(value, Index, where=str(path))


def write_index(folder: Path, index: Index) -> None:
    write_json(folder / INDEX_NAME, asdict(index))


def clear(folder: Path) -> None:
    """Take away what an earlier preparation left; the index first, so that nothing vouches for what is going."""
    (folder / INDEX_NAME).unlink(missing_ok=True)
    for path in [*folder.glob("block-*"), *folder.glob(f"{TEMPORARY_PREFIX}*")]:
        if path.is_file():
            path.unlink(missing_ok=True)
    shutil.rmtree(folder / COLUMNS_NAME, ignore_errors=True)
