"""What one run saw and no other run will: minutes, tries, money that may be lost. Never part of a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunRecord:
    """Of the last run that asked something; `groundtune.files.parse_record` reads it back."""

    seconds: float
    groups_asked: int = 0
    groups_reused: int = 0
    """Answered from the ledger."""
    groups_unanswered: int = 0
    pairs: int = 0
    """Accepted from the groups asked now."""
    requests: int = 0
    """Answered in this run."""
    tries_again: Mapping[str, int] = field(default_factory=dict)
    """Requests sent once more after a temporary failure, by reason."""
    dollars: float | None = None
    """Spent in this run."""
    spent_dollars: float | None = None
    """On all answers of the ledger."""
    lost_dollars: float | None = None
    """At most, on requests of the ledger whose answer never arrived."""

    @property
    def pairs_per_minute(self) -> float | None:
        """Accepted pairs of this run.

        >>> RunRecord(90.0, groups_asked=4, pairs=30).pairs_per_minute
        20.0
        >>> RunRecord(0.2).pairs_per_minute is None
        True
        """
        if not self.groups_asked or self.seconds <= 0:
            return None
        return self.pairs * 60 / self.seconds

    def as_json(self) -> dict[str, Any]:
        """With pairs per minute, for ``--json``."""
        rate = self.pairs_per_minute
        return asdict(self) | {"pairs_per_minute": None if rate is None else round(rate, 1)}
