"""Conversations taken a block at a time; from a file they are not even parsed where the block is only passed on.

Reading a row costs about a third of preparing it. A block of a file is therefore named by its place, and whoever works on it
reads it. What this module does not do: decide how large a block is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from groundtune.errors import DataError
from groundtune.files import parse_record
from groundtune.types import Conversation


class Taken(Protocol):
    """A block of conversations."""

    @property
    def rows(self) -> int: ...

    def read(self) -> list[Conversation]: ...

    def ends(self) -> tuple[str, str]:
        """Ids of its first and last conversation."""
        ...


@dataclass(frozen=True, slots=True)
class InMemory:
    conversations: list[Conversation]

    @property
    def rows(self) -> int:
        return len(self.conversations)

    def read(self) -> list[Conversation]:
        return self.conversations

    def ends(self) -> tuple[str, str]:
        if not self.conversations:
            return "", ""
        return self.conversations[0].conversation_id, self.conversations[-1].conversation_id


@dataclass(frozen=True, slots=True)
class InFile:
    """`rows` lines of a JSON Lines file, from line `first_line` (from 1), which begins at byte `begin`."""

    path: Path
    begin: int
    size: int
    first_line: int
    rows: int

    def read(self) -> list[Conversation]:
        """Raises `DataError` with file, line and field."""
        return [self._parsed(number, line) for number, line in enumerate(self._lines(), start=self.first_line)]

    def ends(self) -> tuple[str, str]:
        if not self.rows:
            return "", ""
        lines = self._lines()
        last_line = self.first_line + self.rows - 1
        first, last = self._parsed(self.first_line, lines[0]), self._parsed(last_line, lines[-1])
        return first.conversation_id, last.conversation_id

    def _lines(self) -> list[bytes]:
        with self.path.open("rb") as stream:
            stream.seek(self.begin)
            return stream.read(self.size).removesuffix(b"\n").split(b"\n") if self.rows else []

    def _parsed(self, number: int, line: bytes) -> Conversation:
        where = f"{self.path}:{number}"
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not valid JSON ({error.msg})") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{where}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
        return parse_record(value, Conversation, where=where)


@dataclass(frozen=True, slots=True)
class ConversationFile:
    """The conversations of a JSON Lines file, as `files.write_records` writes it: a row a line, none of them empty."""

    path: Path

    def __iter__(self) -> Iterator[Conversation]:
        rows = FileRows(self.path)
        while (taken := rows.take(1024)).rows:
            yield from taken.read()


class Rows(Protocol):
    """What is left of some conversations."""

    def take(self, count: int, characters: int | None = None) -> Taken:
        """The next `count`, fewer at the end, and none behind the one that reaches so many `characters`."""
        ...


class StreamedRows:
    """Of anything that can be iterated."""

    def __init__(self, conversations: Iterable[Conversation]) -> None:
        self._rest = iter(conversations)

    def take(self, count: int, characters: int | None = None) -> InMemory:
        taken: list[Conversation] = []
        seen = 0
        while len(taken) < count and (characters is None or seen < characters):
            conversation = next(self._rest, None)
            if conversation is None:
                break
            taken.append(conversation)
            seen += len(conversation.text) + sum(len(message.content) for message in conversation.messages)
        return InMemory(taken)


class FileRows:
    """Of a file; characters are counted as bytes. Raises `DataError` where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = 0
        self._line = 1

    def take(self, count: int, characters: int | None = None) -> InFile:
        size = rows = 0
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._begin)
                while rows < count and (characters is None or size < characters):
                    line = stream.readline()
                    if not line:
                        break
                    size += len(line)
                    rows += 1
        except OSError as error:
            raise DataError(f"{self._path}: cannot be read ({error.strerror})") from error
        taken = InFile(self._path, self._begin, size, self._line, rows)
        self._begin += size
        self._line += rows
        return taken


def rows_of(conversations: Iterable[Conversation]) -> Rows:
    return FileRows(conversations.path) if isinstance(conversations, ConversationFile) else StreamedRows(conversations)
