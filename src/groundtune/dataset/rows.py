"""Conversations on disk that can be asked for by number: a million rows cost their offsets, not their objects.

What this module does not do: choose rows, or keep a file that outlives the stage.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, overload

from groundtune.files import parse_record, storage_error, to_json
from groundtune.types import Conversation


class Rows(Sequence[Conversation]):
    """A JSON Lines file of conversations, written once by `append` and then read in any order.

    A context manager; leaving it closes the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stream = path.open("w+b")
        except OSError as error:
            raise storage_error(path, error) from error
        self._starts = array("q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def append(self, conversation: Conversation) -> None:
        """Raises `StorageError`."""
        line = (to_json(conversation) + "\n").encode()
        try:
            self._stream.seek(self._starts[-1])
            self._stream.write(line)
        except OSError as error:
            raise storage_error(self.path, error) from error
        self._starts.append(self._starts[-1] + len(line))

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Conversation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Conversation]: ...
    def __getitem__(self, index: int | slice) -> Conversation | list[Conversation]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        number = range(len(self))[index]
        self._stream.seek(self._starts[number])
        line = self._stream.read(self._starts[number + 1] - self._starts[number])
        return parse_record(json.loads(line), Conversation, where=f"{self.path}:{number + 1}")

    def __iter__(self) -> Iterator[Conversation]:
        return (self[number] for number in range(len(self)))
