"""Figures over many answers: of each system, and of the difference between two, question by question.

What this module does not do: ask questions (:mod:`groundtune.evaluation.comparison`) or put figures into words
(:mod:`groundtune.evaluation.report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.evaluation.intervals import Figure, mean, share, share_difference
from groundtune.evaluation.measures import MEASURES, Measure
from groundtune.evaluation.records import AnswerRecord, Outcome

Figures = dict[str, Figure]
"""By `Measure.key`. A measure that applied to nothing has n = 0 and the value None."""

MOST_CHANGED = 10


@dataclass(frozen=True, slots=True)
class Slice:
    """Token F1 over the answerable questions of one kind: ``field="type"``, ``name="list"``."""

    field: str
    name: str
    first: Figure
    second: Figure
    difference: Figure


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second of two systems against the first, over the same questions; intervals of differences are paired."""

    first: str
    second: str
    differences: Figures
    """Second minus first."""
    outcomes: dict[Outcome, int]
    slices: tuple[Slice, ...]
    most_changed: tuple[str, ...]
    """Ids of at most ten questions, the largest change first, gains and losses alike."""


FIELDS = ("type", "difficulty", "language", "rule")


def score(records: Sequence[AnswerRecord], system: str, *, seed: int) -> Figures:
    """Every measure of one system."""
    return {
        measure.key: _figure(_values(records, system, measure), measure, f"{seed}:{measure.key}")
        for measure in MEASURES
    }


def compare(records: Sequence[AnswerRecord], first: str, second: str, *, seed: int) -> Comparison:
    """`second` against `first`."""
    outcomes: dict[Outcome, int] = {"better": 0, "same": 0, "worse": 0}
    for record in records:
        outcomes[record.outcome(first, second)] += 1
    changed = [record for record in records if record.outcome(first, second) != "same"]
    changed.sort(key=lambda record: (-abs(record.gain(first, second)), record.question_id))
    return Comparison(
        first,
        second,
        {measure.key: difference(records, first, second, measure, seed=seed) for measure in MEASURES},
        outcomes,
        _slices(records, first, second, seed),
        tuple(record.question_id for record in changed[:MOST_CHANGED]),
    )


def difference(records: Sequence[AnswerRecord], first: str, second: str, measure: Measure, *, seed: int) -> Figure:
    """Second minus first over the questions where the measure applies to both answers."""
    pairs = [
        (before, after)
        for record in records
        if (before := record.answers[first].measures[measure.key]) is not None
        and (after := record.answers[second].measures[measure.key]) is not None
    ]
    if measure.is_rate:
        return share_difference([before > 0 for before, _ in pairs], [after > 0 for _, after in pairs])
    return mean([after - before for before, after in pairs], seed=f"{seed}:{measure.key}")


def _values(records: Sequence[AnswerRecord], system: str, measure: Measure) -> list[float]:
    values = (record.answers[system].measures[measure.key] for record in records)
    return [value for value in values if value is not None]


def _figure(values: Sequence[float], measure: Measure, seed: str) -> Figure:
    return share(round(sum(values)), len(values)) if measure.is_rate else mean(values, seed=seed)


def _slices(records: Sequence[AnswerRecord], first: str, second: str, seed: int) -> tuple[Slice, ...]:
    f1 = next(measure for measure in MEASURES if measure.key == "token_f1")
    slices = []
    for field in FIELDS:
        for name in sorted({str(getattr(record, field)) for record in records if record.answerable} - {""}):
            some = [record for record in records if str(getattr(record, field)) == name]
            before, after = (_figure(_values(some, each, f1), f1, f"{seed}:{f1.key}") for each in (first, second))
            slices.append(Slice(field, name, before, after, difference(some, first, second, f1, seed=seed)))
    return tuple(slices)
