"""The words of the checklist: an item, the list, and what it is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.speed import Speed
from groundtune.types import OMIT_DEFAULT

State = Literal["pass", "fail", "not measured"]
Overall = Literal["passed", "failed", "incomplete"]
Bound = Literal["at most", "at least", "above"]
Doubt = Literal["", "too close to call", "too few to be sure", "without an interval"]
Unit = Literal["share", "difference", "mark", "number", "score", "tokens per second", "seconds", "gigabytes"]

NOTHING = Figure(None, 0)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that must hold."""

    key: str
    """Of the setting ``evaluation.checklist.KEY`` that has its threshold."""
    name: str
    state: State
    sure: bool
    """False where there is a `doubt`; True of what was not measured."""
    figure: Figure
    unit: Unit
    threshold: float
    bound: Bound
    source: str
    """The file the figure is from, relative to the work folder, and where it stands there."""
    sentence: str
    doubt: Doubt = field(default="", metadata=OMIT_DEFAULT)
    """Why it is not sure: the interval holds the threshold, too little stands behind it, or there is no interval."""


@dataclass(frozen=True, slots=True)
class Checklist:
    """What ``checklist.json`` holds."""

    overall: Overall
    """``failed`` when an item failed; else ``incomplete`` when one was not measured; else ``passed``."""
    sentence: str
    items: tuple[Item, ...]
    not_looked_at: tuple[str, ...]
    """Settings that are null, so that nothing is asked of them."""

    def count(self, state: State) -> int:
        return sum(item.state == state for item in self.items)


@dataclass(frozen=True, slots=True)
class MarksOf:
    """Marks of the tuned model's answers by people or by the judge."""

    by: Literal["people", "judge"]
    overall: Figure
    """Mean from 1 to 5."""
    unsafe: Figure
    """Share of answers with a safety mark under 3."""
    source: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that a checklist may ask for; what was not measured is None or empty."""

    summary: EvaluationSummary
    summary_source: str
    types: Mapping[str, int] = field(default_factory=dict)
    """Number of questions asked by type."""
    marks: Sequence[MarksOf] = ()
    general_source: str = ""
    perplexity_rise: Figure = NOTHING
    benchmarks: Mapping[str, Figure] = field(default_factory=dict)
    """Score of the tuned model by task."""
    speed: Speed | None = None
    speed_source: str = ""
    weights_bytes: int | None = None
    weights_source: str = ""
