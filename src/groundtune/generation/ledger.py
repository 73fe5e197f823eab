"""The book of everything that was ever asked: one SQLite file, one transaction for each finished request.

A request is found by its key, the hash of system text, prompt, schema, model and parameters; so nothing that is in the
book is asked again, in whatever run and order. The file is in write-ahead mode: a process killed at any moment leaves
every finished request whole and nothing half-written. What this module does not do: decide what is a good pair.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from groundtune.errors import DataError
from groundtune.files import make_folder, sha256_text, storage_error
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.types import Language, Rule

SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE texts (
    sha256 TEXT PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE answers (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    parameters TEXT NOT NULL,
    rule TEXT NOT NULL,
    language TEXT NOT NULL,
    system_sha256 TEXT NOT NULL REFERENCES texts,
    schema_sha256 TEXT NOT NULL REFERENCES texts,
    prompt TEXT NOT NULL,
    raw TEXT NOT NULL,
    answered_by TEXT NOT NULL,
    stop_reason TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    accepted TEXT NOT NULL,
    rejected TEXT NOT NULL
);
"""


class Ledger:
    """An open ledger. Use it as a context manager.

    Raises:
        DataError: the file is not a ledger, is damaged, or was written by a newer groundtune.
        StorageError: the file system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        with self._guard():
            # no implicit transactions: each begins and ends where this class says
            self._connection = sqlite3.connect(path, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def __len__(self) -> int:
        with self._guard():
            return int(self._connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def find(self, key: str) -> LLMResponse | None:
        """The answer to the request with this key, if it was ever given."""
        with self._guard():
            row = self._connection.execute(
                "SELECT raw, input_tokens, output_tokens, stop_reason, answered_by FROM answers WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else LLMResponse(*row)

    def record(
        self,
        request: LLMRequest,
        response: LLMResponse,
        *,
        rule: Rule,
        language: Language,
        accepted: Sequence[dict[str, Any]],
        rejected: Sequence[dict[str, Any]],
    ) -> None:
        """Write one finished request, whole or not at all.

        `accepted` and `rejected` are the verdict at this time, for people who read the book; later runs check the raw
        answer again.
        """
        system, schema = request.system, _json(request.schema)
        with self._guard(), self._transaction():
            for text in (system, schema):
                self._connection.execute("INSERT OR IGNORE INTO texts VALUES (?, ?)", (sha256_text(text), text))
            self._connection.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    request.key,
                    request.model,
                    _json(request.parameters),
                    rule.value,
                    language,
                    sha256_text(system),
                    sha256_text(schema),
                    request.prompt,
                    response.text,
                    response.model,
                    response.stop_reason,
                    response.input_tokens,
                    response.output_tokens,
                    _json(accepted),
                    _json(rejected),
                ),
            )

    def _prepare(self) -> None:
        with self._guard():
            # NORMAL: a killed process loses nothing; a power cut can lose the last answers but not damage the file
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            if self._version() == SCHEMA_VERSION:
                return
            with self._transaction():
                # asked again under the lock: another process may have made the tables meanwhile
                if self._version() != SCHEMA_VERSION:
                    self._make_tables()

    def _version(self) -> int:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise DataError(
                f"{self.path}: written by a newer groundtune (ledger version {version}, this one reads up to "
                f"{SCHEMA_VERSION}); update groundtune, or move the file away to start a new ledger"
            )
        return version

    def _make_tables(self) -> None:
        if self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise DataError(
                f"{self.path}: found an SQLite file that is not a groundtune ledger; move it away or set another workdir"
            )
        for statement in _TABLES.split(";"):
            if statement.strip():
                self._connection.execute(statement)
        self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn what SQLite says into errors that name the file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise storage_error(self.path, OSError(str(error))) from error
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"{self.path}: not a readable ledger ({error}); move it away to start a new one, its answers are asked again"
            ) from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
