"""Conversations to a folder of token ids and weights: in blocks, on all cores, and never the same block twice.

What this module does not do: read sources, split or mix (the conversations come as they are to be trained on), or train.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from groundtune.config import DataConfig
from groundtune.dataset.prepared.rendering import Rows, render_block
from groundtune.dataset.prepared.shards import Shard, write_shard
from groundtune.dataset.prepared.store import (
    LAYOUT,
    Block,
    Index,
    Prepared,
    clear,
    is_whole,
    left_out_path,
    read_index,
    shard_path,
    write_index,
)
from groundtune.dataset.prepared.taking import Taken, rows_of
from groundtune.dataset.prepared.workers import count_processes, work_in_blocks
from groundtune.errors import DataError
from groundtune.files import make_folder, write_records
from groundtune.progress import ProgressBar
from groundtune.types import Conversation, LeftOut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BLOCK_CONVERSATIONS = 16384
BLOCK_CHARACTERS = 1 << 24
"""A block ends with the conversation that reaches either: what one process holds in memory, and what a kill can cost."""

LEAST_BLOCKS = 8
LEAST_CONVERSATIONS = 2048
"""Smaller sets are cut into so many blocks, of so many conversations at least, so that every core has some."""


@dataclass(frozen=True, slots=True)
class _Task:
    number: int
    first: int
    taken: Taken


def prepare(
    conversations: Iterable[Conversation],
    tokenizer: PreTrainedTokenizerBase,
    config: DataConfig,
    *,
    folder: Path,
    key: str,
    processes: int = 0,
    total: int | None = None,
) -> Prepared:
    """Render and tokenise `conversations` into `folder`; what is there under the same `key` is not done again.

    The conversations are read once, as they come, a block at a time; those of a `ConversationFile` by the processes that
    render them, which is what makes several of them worth while. They are the same for one `key`
    (:func:`prepared_key`); another key empties the folder first. `processes` of 0 uses every core; the examples do not
    depend on it. `total` is the number of conversations, for the time left, where they have no length.

    Raises:
        DataError: as :func:`groundtune.dataset.prepared.rendering.render_block`; or conversations that are not those the
            folder was begun with.
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    index = read_index(folder)
    total = _total(conversations, total)
    if index is None or index.key != key:
        clear(folder)
        index = Index(LAYOUT, key, complete=False, block_conversations=block_size(total), blocks=())
    known = {block.number: block for block in index.blocks if is_whole(folder, block)}
    if index.complete and len(known) == len(index.blocks):
        return Prepared(folder, key, index.blocks)
    done = dict(known)

    def work(task: _Task) -> Block:
        return prepare_block(task, tokenizer, config, folder)

    rate = _Rate()
    tasks = _missing(conversations, known, index.block_conversations)
    with ProgressBar("preparing", total=total, unit="rows") as bar:
        bar.advance(sum(block.conversations for block in known.values()))
        for block in work_in_blocks(work, tasks, count_processes(processes)):
            done[block.number] = block
            index = replace(index, complete=False, blocks=_in_order(done))
            write_index(folder, index)
            bar.advance(block.conversations, note=rate.note(block.conversations))
    write_index(folder, replace(index, complete=True, blocks=_in_order(done)))
    return Prepared(folder, key, _in_order(done))


def block_size(total: int) -> int:
    """Conversations of a block; it depends on the data alone, so that every machine writes the same files.

    >>> block_size(1_000_000), block_size(52_000), block_size(300), block_size(0)
    (16384, 6500, 2048, 16384)
    """
    if not total:
        return BLOCK_CONVERSATIONS
    return min(BLOCK_CONVERSATIONS, max(LEAST_CONVERSATIONS, -(-total // LEAST_BLOCKS)))


def _in_order(done: dict[int, Block]) -> tuple[Block, ...]:
    return tuple(done[number] for number in sorted(done))


def _total(conversations: Iterable[Conversation], total: int | None) -> int:
    if total is not None:
        return total
    return len(conversations) if isinstance(conversations, Sized) else 0


def _missing(conversations: Iterable[Conversation], known: dict[int, Block], size: int) -> Iterator[_Task]:
    """The blocks that are not done; those that are must be of the same conversations."""
    rest = rows_of(conversations)
    first = 0
    number = 0
    while True:
        block = known.get(number)
        taken = rest.take(size, BLOCK_CHARACTERS) if block is None else rest.take(block.conversations)
        if block is None:
            if not taken.rows:
                return
            yield _Task(number, first, taken)
        elif taken.rows != block.conversations or taken.ends() != (block.first_id, block.last_id):
            raise DataError(
                f"conversations {first + 1} to {first + block.conversations} are not those that this folder was begun with "
                f"(found {taken.ends()[0]!r}, expected {block.first_id!r}); delete the folder and prepare again"
            )
        first += taken.rows
        number += 1


def prepare_block(task: _Task, tokenizer: PreTrainedTokenizerBase, config: DataConfig, folder: Path) -> Block:
    """Render one block and write its files, the examples last."""
    conversations = task.taken.read()
    kept: list[tuple[int, Rows]] = []
    left_out: list[LeftOut] = []
    for place, found in enumerate(render_block(tokenizer, conversations, config)):
        if isinstance(found, LeftOut):
            left_out.append(found)
        else:
            kept.append((place, found))
    shard = _shard(task.first, conversations, kept)
    if left_out:
        write_records(left_out_path(folder, task.number), left_out)
    write_shard(shard_path(folder, task.number), shard)
    chosen = sum(conversations[place].kind == "preference" for place, _ in kept)
    return Block(
        number=task.number,
        first=task.first,
        conversations=len(conversations),
        first_id=conversations[0].conversation_id,
        last_id=conversations[-1].conversation_id,
        kept=len(kept),
        examples=len(shard),
        tokens=len(shard.token_ids),
        trained_tokens=int(np.count_nonzero(shard.weights)),
        shortened=sum(rows.shortened for _, rows in kept),
        chosen_only=chosen,
        left_out=dict(sorted(Counter(each.reason for each in left_out).items())),
    )


def _shard(first: int, conversations: Sequence[Conversation], kept: Sequence[tuple[int, Rows]]) -> Shard:
    counts = [len(rows.sizes) for _, rows in kept]
    places = np.repeat(np.array([place for place, _ in kept], np.int64), counts)
    sizes = [size for _, rows in kept for size in rows.sizes]
    return Shard(
        [conversations[place].conversation_id for place in places.tolist()],
        places + first,
        np.repeat(np.array([rows.shortened for _, rows in kept], np.bool_), counts),
        np.concatenate([np.zeros(0, np.int32), *(rows.token_ids for _, rows in kept)]),
        np.concatenate([np.zeros(0, np.float32), *(rows.weights for _, rows in kept)]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(sizes, np.int64))]),
    )


class _Rate:
    """Rows a second since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._done = 0

    def note(self, rows: int) -> str:
        self._done += rows
        return f"{self._done / max(time.monotonic() - self._began, 1e-3):,.0f} rows/s"
