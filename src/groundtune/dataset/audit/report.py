"""What an audit found: checks with the rows that fail them, and the ledger of rows that must add up.

What this module does not do: look at a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from groundtune.files import as_plain

MOST_FAILURES = 20
"""Rows named for each check; all of them are counted."""

MOST_PLACES = 5
"""Rows named for each reason in the ledger."""

LEDGER = "every row read is kept or left out with a reason"


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that a check does not hold for."""

    conversation_id: str
    place: str
    """``file:line``."""
    what: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold for every row."""

    name: str
    rows: int
    """That it was asked of."""
    failed: int
    failures: tuple[Failure, ...]
    """The first of them, at most ``MOST_FAILURES``."""

    @property
    def passed(self) -> bool:
        return self.failed == 0


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows were left out."""

    reason: str
    count: int
    places: tuple[str, ...] = ()
    """The first of them, ``file:line field: what was found``."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """``read == kept + sum of left_out``; copies made by mixing are none of these rows."""

    read: int
    kept: int
    left_out: tuple[Reason, ...] = ()
    """The most frequent first."""
    copies: int = 0
    """Times that a kept row is seen again, because a source is drawn from more often than it has rows."""

    @property
    def missing(self) -> int:
        """Rows read that are neither kept nor left out; below 0: more are accounted for than were read."""
        return self.read - self.kept - sum(reason.count for reason in self.left_out)


@dataclass(frozen=True, slots=True)
class AuditReport:
    checks: tuple[Check, ...]
    ledger: Ledger

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """JSON-able, with the verdicts that a reader would otherwise have to work out."""
        record: dict[str, Any] = as_plain(self)
        for written, check in zip(record["checks"], self.checks, strict=True):
            written["passed"] = check.passed
        return {"passed": self.passed, **record}


@dataclass(slots=True)
class Tally:
    """Checks as they are counted; tallies of several blocks add up."""

    rows: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[Failure]] = field(default_factory=dict)

    def ask(self, name: str, rows: int = 1) -> None:
        """Count `rows` that `name` was asked of."""
        self.rows[name] = self.rows.get(name, 0) + rows

    def fail(self, name: str, failure: Failure) -> None:
        self.failed[name] = self.failed.get(name, 0) + 1
        known = self.failures.setdefault(name, [])
        if len(known) < MOST_FAILURES:
            known.append(failure)

    def add(self, other: Tally) -> None:
        for name, rows in other.rows.items():
            self.ask(name, rows)
        for name, count in other.failed.items():
            self.failed[name] = self.failed.get(name, 0) + count
        for name, failures in other.failures.items():
            known = self.failures.setdefault(name, [])
            known += failures[: MOST_FAILURES - len(known)]

    def checks(self, names: Iterable[str]) -> tuple[Check, ...]:
        """`names` in that order, those that no row was asked of too."""
        return tuple(
            Check(name, self.rows.get(name, 0), self.failed.get(name, 0), tuple(self.failures.get(name, ())))
            for name in names
        )


def check_ledger(ledger: Ledger) -> Check:
    """Whether the ledger adds up, as a check of its own."""
    if ledger.missing == 0:
        return Check(LEDGER, ledger.read, 0, ())
    told = f"{ledger.kept:,} kept and {sum(each.count for each in ledger.left_out):,} left out"
    wrong = f"{ledger.missing:,} are unaccounted for" if ledger.missing > 0 else f"{-ledger.missing:,} too many"
    failure = Failure("", "", f"{ledger.read:,} rows read, but {told}: {wrong}")
    return Check(LEDGER, ledger.read, abs(ledger.missing), (failure,))


def reasons(counts: Mapping[str, int], places: Mapping[str, Iterable[str]]) -> tuple[Reason, ...]:
    """The most frequent first, then by name; reasons without rows are left away."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Reason(reason, count, tuple(places.get(reason, ()))[:MOST_PLACES]) for reason, count in ordered if count
    )
