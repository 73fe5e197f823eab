"""A block's examples as an Arrow file, read back by memory map.

What this module does not do: know which blocks there are (:mod:`groundtune.dataset.prepared.store`).

Legend: n examples, N tokens of all of them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from groundtune.errors import DataError
from groundtune.files import atomic_file

SCHEMA = pa.schema(
    [
        ("conversation_id", pa.string()),
        ("conversation", pa.int64()),  # its number in the whole, from 0
        ("shortened", pa.bool_()),  # whether something was taken out to make it fit
        ("token_ids", pa.list_(pa.int32())),
        ("weights", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True, slots=True)
class Row:
    """One example."""

    conversation_id: str
    token_ids: NDArray[np.int32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shard:
    """The examples of a block, one after the other; the arrays of a shard read from disk are views of the file."""

    conversation_ids: list[str]
    """[n]"""
    conversations: NDArray[np.int64]
    """[n]"""
    shortened: NDArray[np.bool_]
    """[n]"""
    token_ids: NDArray[np.int32]
    """[N]"""
    weights: NDArray[np.float32]
    """[N]"""
    offsets: NDArray[np.int64]
    """[n + 1]"""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Row]:
        borders = self.offsets.tolist()
        for index, conversation_id in enumerate(self.conversation_ids):
            place = slice(borders[index], borders[index + 1])
            yield Row(conversation_id, self.token_ids[place], self.weights[place])


def write_shard(path: Path, shard: Shard) -> None:
    """The whole file or none. Raises `StorageError`."""
    # a block has far fewer tokens than 32 bits can count (preparing.BLOCK_CHARACTERS)
    offsets = pa.array(shard.offsets.astype(np.int32), pa.int32())
    columns = [
        pa.array(shard.conversation_ids, pa.string()),
        pa.array(shard.conversations, pa.int64()),
        pa.array(shard.shortened, pa.bool_()),
        pa.ListArray.from_arrays(offsets, pa.array(shard.token_ids, pa.int32())),
        pa.ListArray.from_arrays(offsets, pa.array(shard.weights, pa.float32())),
    ]
    with atomic_file(path) as temporary, pa.ipc.new_file(str(temporary), SCHEMA) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))


def read_shard(path: Path) -> Shard:
    """Raises `DataError` for a file that is not there or is damaged."""
    try:
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path}: cannot be read as an Arrow file ({error}); delete the folder and prepare again"
        ) from error
    ids, weights = batch.column("token_ids"), batch.column("weights")
    return Shard(
        batch.column("conversation_id").to_pylist(),
        batch.column("conversation").to_numpy(),
        batch.column("shortened").to_numpy(zero_copy_only=False),
        ids.values.to_numpy(),
        weights.values.to_numpy(),
        ids.offsets.to_numpy().astype(np.int64),
    )
