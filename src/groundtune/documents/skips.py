"""The record of what reading left out: reason, file, line. Nothing is dropped without an entry here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Skip:
    """One thing left out. `line` is 1-based; 0 means the whole file."""

    reason: str
    file: str
    line: int = 0
    what: str = ""


@dataclass(slots=True)
class ReadingLog:
    """Collects skips and counts while files are read."""

    skips: list[Skip] = field(default_factory=list)
    notes: list[Skip] = field(default_factory=list)
    """Oddities that cost nothing, such as a comment that never ends and so is kept as text."""
    counts: Counter[str] = field(default_factory=Counter)
    _seen: set[Skip] = field(default_factory=set)

    def skip(self, reason: str, file: str, *, line: int = 0, what: str = "") -> None:
        """Record one loss; a page that is read twice (alone, and included elsewhere) is recorded once."""
        one = Skip(reason, file, line, what)
        if not line or one not in self._seen:
            self._seen.add(one)
            self.skips.append(one)

    def note(self, reason: str, file: str, *, line: int, what: str = "") -> None:
        """Record something worth a look that is no loss."""
        self.notes.append(Skip(reason, file, line, what))

    def by_reason(self) -> dict[str, int]:
        """Number of skips by reason, reasons in alphabetical order."""
        return dict(sorted(Counter(skip.reason for skip in self.skips).items()))


def skip_rows(skips: list[Skip]) -> list[dict[str, Any]]:
    """JSON-able rows, by file and line."""
    ordered = sorted(skips, key=lambda skip: (skip.file, skip.line, skip.reason, skip.what))
    return [{"reason": one.reason, "file": one.file, "line": one.line, "what": one.what} for one in ordered]
