"""What became of one group: what statistics and pilot count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from groundtune.generation.statistics.usage import Usage
from groundtune.types import Group, Pair


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """A group after its conversation with one model."""

    group: Group
    pairs: tuple[Pair, ...] = ()
    """Accepted and answerable."""
    rejections: Mapping[str, int] = field(default_factory=dict)
    """Pairs that were handed in and not accepted, by reason; a whole answer that could not be read counts one."""
    usage: Usage = field(default_factory=Usage)
    unanswered: str = ""
    """Why there is no answer, such as ``"budget reached"``; empty where there is one."""
    seconds: float | None = None
    """Spent waiting for answers; None where that was not measured, as for answers out of the ledger."""

    @property
    def rejected(self) -> int:
        return sum(self.rejections.values())
