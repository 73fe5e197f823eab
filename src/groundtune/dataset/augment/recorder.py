"""The memory of augmentation: what was asked and answered, so that nothing paid for is asked again.

Rooms never import one another, so this is not the ledger of :mod:`groundtune.generation`; anything with the two methods of
`Recorder` will do. `SqliteRecorder` writes one transaction an answer in write-ahead mode: a process killed at any moment
leaves every finished answer whole. What this module does not do: judge answers; they are checked anew on every run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol

from groundtune.errors import DataError
from groundtune.files import make_folder, storage_error
from groundtune.llm import LLMRequest, LLMResponse

FORMAT = 1
_APPLICATION = 0x67746175
"""``gtau``: tells our files from any other SQLite file."""

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    text TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    stop_reason TEXT NOT NULL,
    answered_by TEXT NOT NULL
)
"""


class Recorder(Protocol):
    """Keeps answers by the key of their request."""

    def get(self, key: str) -> LLMResponse | None:
        """The answer to the request with this key, if there ever was one."""
        ...

    def put(self, request: LLMRequest, response: LLMResponse) -> None:
        """Keep a finished answer, whole or not at all; a second one to the same request changes nothing."""
        ...


class SqliteRecorder:
    """A `Recorder` in one file. Use it as a context manager.

    Raises:
        DataError: the file is something else, damaged, or of a newer groundtune.
        StorageError: the file system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        with self._guard():
            self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            with self._guard():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> SqliteRecorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def __len__(self) -> int:
        with self._guard():
            return int(self._connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def get(self, key: str) -> LLMResponse | None:
        with self._guard():
            row = self._connection.execute(
                "SELECT text, input_tokens, output_tokens, stop_reason, answered_by FROM answers WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else LLMResponse(*row)

    def put(self, request: LLMRequest, response: LLMResponse) -> None:
        asked = {
            "system": request.system,
            "prompt": request.prompt,
            "schema": request.schema,
            "model": request.model,
            "parameters": request.parameters,
        }
        with self._guard():
            self._connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    request.key,
                    json.dumps(asked, ensure_ascii=False, sort_keys=True),
                    response.text,
                    response.input_tokens,
                    response.output_tokens,
                    response.stop_reason,
                    response.model,
                ),
            )

    def _prepare(self) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        mark = int(self._connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if tables and mark != _APPLICATION:
            raise DataError(f"{self.path}: found an SQLite file that is not one of augmentation; give another path")
        if version > FORMAT:
            raise DataError(f"{self.path}: written by a newer groundtune (version {version}); update groundtune")
        # NORMAL: a killed process loses nothing; a power cut can lose the last answers but not damage the file
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_TABLE)
        self._connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        self._connection.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn what SQLite says into errors that name the file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise storage_error(self.path, OSError(str(error))) from error
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path}: not a readable record of answers ({error}); move it away") from error
