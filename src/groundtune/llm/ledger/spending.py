"""Money in the ledger: what answers cost, what is reserved for requests in flight, what lost answers may have cost.

A request is paid for in three steps: its highest possible cost is reserved before it is sent; then either its answer is
recorded with its real cost and the reservation goes, in one transaction, or the server said no and it is released, or the
answer was lost (time-out, dropped connection, killed process) and the whole reservation stays, as money that may be gone.
So `Spending.at_most` never says less than the provider's bill. The sums are kept in memory, and added up again from the file
whenever another process has written to it. What this module does not do: know prices.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from groundtune.llm.ledger.file import LedgerFile

_UNITS = 10**12
"""Sums are whole numbers of a millionth of a millionth of a dollar, so that what is added and taken away again leaves nothing, and
a budget of 0.3 has room for three times 0.1."""

_SUM = f"coalesce(sum(CAST(dollars * {_UNITS} + 0.5 AS INTEGER)), 0)"
"""In SQL what `_units` is in Python, bit for bit."""


@dataclass(frozen=True, slots=True)
class Spending:
    """In dollars, over the whole life of the ledger."""

    answered: float
    """For answers in the ledger."""
    lost: float
    """At most, for requests whose answer never arrived."""
    in_flight: float
    """Reserved for requests that are out now."""

    @property
    def at_most(self) -> float:
        return self.answered + self.lost + self.in_flight


@dataclass(frozen=True, slots=True)
class _Sums:
    """Like `Spending`, in units."""

    answered: int = 0
    lost: int = 0
    in_flight: int = 0

    def plus(self, *, answered: int = 0, lost: int = 0, in_flight: int = 0) -> _Sums:
        return _Sums(self.answered + answered, self.lost + lost, self.in_flight + in_flight)


class Entry:
    """What one transaction does to the money: rows are written at once, the sums follow when it is committed."""

    def __init__(self, connection: sqlite3.Connection, sums: _Sums) -> None:
        self.connection = connection
        self.sums = sums

    def fits(self, dollars: float, budget: float) -> bool:
        """Whether `budget` has room for so much more."""
        return self.sums.answered + self.sums.lost + self.sums.in_flight + _units(dollars) <= _units(budget)

    def reserve(self, key: str, dollars: float) -> int:
        """The number of the reservation."""
        self.sums = self.sums.plus(in_flight=_units(dollars))
        cursor = self.connection.execute("INSERT INTO reservations (key, dollars) VALUES (?, ?)", (key, dollars))
        return int(cursor.lastrowid or 0)

    def end(self, number: int) -> None:
        """Take a reservation off the book, also one that was counted as lost meanwhile."""
        row = self.connection.execute("SELECT dollars, lost FROM reservations WHERE number = ?", (number,)).fetchone()
        if row is None:
            return
        self.connection.execute("DELETE FROM reservations WHERE number = ?", (number,))
        units = _units(row[0])
        self.sums = self.sums.plus(lost=-units) if row[1] else self.sums.plus(in_flight=-units)

    def lose(self, number: int) -> None:
        """Keep a reservation, as spent."""
        row = self.connection.execute("SELECT dollars, lost FROM reservations WHERE number = ?", (number,)).fetchone()
        if row is None or row[1]:
            return
        self.connection.execute("UPDATE reservations SET lost = 1 WHERE number = ?", (number,))
        self.sums = self.sums.plus(in_flight=-_units(row[0]), lost=_units(row[0]))

    def lose_more(self, key: str, dollars: float) -> None:
        """Count money that bought nothing, such as a second answer to the same request."""
        self.sums = self.sums.plus(lost=_units(dollars))
        self.connection.execute("INSERT INTO reservations (key, dollars, lost) VALUES (?, ?, 1)", (key, dollars))

    def pay(self, dollars: float) -> None:
        """Add what an answer cost that is written in the same transaction."""
        self.sums = self.sums.plus(answered=_units(dollars))


class Purse:
    """The sums of an open ledger."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self._sums = _Sums()
        self._version: int | None = None

    def read(self) -> Spending:
        with self._file.guard():
            sums = self._read()
        return Spending(sums.answered / _UNITS, sums.lost / _UNITS, sums.in_flight / _UNITS)

    @contextmanager
    def transaction(self) -> Iterator[Entry]:
        """All of the rows and the sums, or nothing."""
        try:
            with self._file.transaction() as connection:
                entry = Entry(connection, self._read())
                yield entry
            self._sums = entry.sums
        except BaseException:
            self._version = None  # whatever was interrupted, and where: the file knows
            raise

    def reserve_within(self, key: str, dollars: float, budget: float) -> int | None:
        with self.transaction() as entry:
            # under the write lock, so that two processes cannot both take the last of it
            return entry.reserve(key, dollars) if entry.fits(dollars, budget) else None

    def lose_left(self, kept: frozenset[int]) -> int:
        with self.transaction() as entry:
            rows = entry.connection.execute("SELECT number FROM reservations WHERE lost = 0 ORDER BY number").fetchall()
            left = [number for (number,) in rows if number not in kept]
            for number in left:
                entry.lose(number)
        return len(left)

    def _read(self) -> _Sums:
        connection = self._file.connection
        # changes when another connection has committed, never by what this one does
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            answered = connection.execute(f"SELECT {_SUM} FROM answers").fetchone()[0]
            held = dict(connection.execute(f"SELECT lost, {_SUM} FROM reservations GROUP BY lost").fetchall())
            self._sums = _Sums(answered, held.get(1, 0), held.get(0, 0))
            self._version = version
        return self._sums


def _units(dollars: float) -> int:
    """
    >>> _units(0.25)
    250000000000
    """
    if not math.isfinite(dollars) or dollars < 0:
        # a NaN would pass every comparison with a budget
        raise ValueError(f"found {dollars!r} dollars; expected a finite amount that is not negative")
    return int(dollars * _UNITS + 0.5)
