"""What a pilot found of each model: plain figures, ready for a file."""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.generation.pilot.resampling import Interval
from groundtune.generation.statistics import Usage


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a figure to that of the best model, over the same groups."""

    best: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What one model wrote."""

    model: str
    groups_answered: int
    pairs: int
    """Accepted."""
    rejected: int
    rejections: dict[str, int]
    unanswered: dict[str, int]
    """Groups, by reason."""
    types: dict[str, int]
    difficulties: dict[str, int]
    usage: Usage
    figures: dict[str, Interval]
    """By `Measure.key`."""
    differences: dict[str, Difference]
    """By `Measure.key`; the best model has none, and so have measures of which neither end is better."""
