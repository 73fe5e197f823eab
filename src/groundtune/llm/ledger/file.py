"""The SQLite file below the ledger: opened by several processes at once, made once, transactions, errors that name it.

What this module does not do: know what the tables mean.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from groundtune.errors import DataError
from groundtune.files import make_folder, storage_error

SCHEMA_VERSION = 2

Result = TypeVar("Result")

_WAIT_SECONDS = 30.0
"""For another process that holds the file, as one that opens it in the same moment does."""

_TABLES_OF_VERSION = {
    1: frozenset({"texts", "answers"}),
    2: frozenset({"texts", "answers", "failures", "reservations", "notes"}),
}

_REFUSALS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
}
"""What SQLite says, as the operating system says it."""

_TABLES = """
CREATE TABLE texts (
    sha256 TEXT PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE answers (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    parameters TEXT NOT NULL,
    tags TEXT NOT NULL,
    system_sha256 TEXT NOT NULL REFERENCES texts,
    schema_sha256 TEXT NOT NULL REFERENCES texts,
    state TEXT NOT NULL,
    answered_by TEXT NOT NULL,
    stop_reason TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    dollars REAL,
    -- long texts stand last: what is before them is read without touching the pages they fill
    prompt TEXT NOT NULL,
    raw TEXT NOT NULL
);
CREATE TABLE failures (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    tags TEXT NOT NULL,
    prompt TEXT NOT NULL,
    reason TEXT NOT NULL,
    raw TEXT NOT NULL
);
CREATE TABLE reservations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    dollars REAL NOT NULL,
    lost INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE notes (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
"""


class LedgerFile:
    """An open file with the tables in it.

    Raises:
        DataError: the file is not a ledger, is damaged, or was written by a newer groundtune.
        StorageError: the file system refuses, or another process holds the file for long.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path.parent)
        with self.guard():
            # no implicit transactions: each begins and ends where the caller says
            self.connection = sqlite3.connect(path, isolation_level=None, timeout=_WAIT_SECONDS)
        try:
            self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing."""
        with self.guard():
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # a full disk may have ended the transaction already
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what SQLite says into errors that name the file."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # a closed ledger, or the wrong thread: nothing is wrong with the file
        except sqlite3.DatabaseError as error:
            raise _explain(self.path, error) from error

    def _prepare(self) -> None:
        # looked at before anything is changed: a file that is no ledger stays as it is
        with self.guard():
            version = self._patiently(self._checked_version)
            self._patiently(lambda: self.connection.execute("PRAGMA journal_mode = WAL"))
            # NORMAL: a killed process loses nothing; a power cut can lose the last answers but not damage the file
            self.connection.execute("PRAGMA synchronous = NORMAL")
        if version == SCHEMA_VERSION:
            return
        with self.transaction() as connection:
            # asked again under the lock: another process may have made the tables meanwhile
            version = self._version()
            if version == 1:
                # version 1 held answers of the offline writer alone, which cost nothing to ask again
                connection.execute("ALTER TABLE answers RENAME TO answers_of_version_1")
                connection.execute("ALTER TABLE texts RENAME TO texts_of_version_1")
            if version != SCHEMA_VERSION:
                for statement in _TABLES.split(";"):
                    if statement.strip():
                        connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _patiently(self, action: Callable[[], Result]) -> Result:
        """SQLite's own waiting does not cover the switch to the write-ahead log: of two processes that open a new file one is
        told 'locked'."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _version(self) -> int:
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def _checked_version(self) -> int:
        """0 for a new file. Raises `DataError` for one that is not a ledger, or is of a version not known here."""
        # one read transaction: the version and the tables of the same moment
        self.connection.execute("BEGIN")
        try:
            version = self._version()
            rows = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        finally:
            if self.connection.in_transaction:
                self.connection.execute("COMMIT")
        tables = {name for (name,) in rows}
        # of a newer ledger only this much is known
        missing = _TABLES_OF_VERSION.get(version, frozenset({"answers"} if version else ())) - tables
        if missing or version < 0 or (version == 0 and tables):
            raise DataError(
                f"{self.path}: found an SQLite file that is not a groundtune ledger; move it away or set another workdir"
            )
        if version not in (0, *_TABLES_OF_VERSION):
            raise DataError(
                f"{self.path}: written by a newer groundtune (ledger version {version}, this one reads up to "
                f"{SCHEMA_VERSION}); update groundtune, or move the file away to start a new ledger"
            )
        return version


def _explain(path: Path, error: sqlite3.DatabaseError) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        reason = (
            f"another process has held the file for {_WAIT_SECONDS:.0f} s; let it end and run the same command again"
        )
        return storage_error(path, OSError(reason))
    if code in _REFUSALS:
        number = _REFUSALS[code]
        return storage_error(path, OSError(number, os.strerror(number)))
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        return storage_error(path, OSError(str(error)))
    return DataError(
        f"{path}: not a readable ledger ({error}); move it away to start a new one, its answers are asked again"
    )
