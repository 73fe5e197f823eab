"""Figures over many answers: of each system, and of the difference between two, question by question.

What this module does not do: ask questions (:mod:`groundtune.evaluation.comparison`) or put figures into words
(:mod:`groundtune.evaluation.verdict`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from groundtune.evaluation.figures.intervals import Figure, clustered_share, mean, mean_of_two, share_difference
from groundtune.evaluation.figures.records import AnswerRecord, Outcome
from groundtune.evaluation.measures import BY_KEY, MEASURES, Measure

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
    paired: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By measure, the figures of both systems over the questions behind the difference, which is the second less the first; each
    system's own figure may be over more."""


FIELDS = ("type", "difficulty", "language", "rule")


def score(records: Sequence[AnswerRecord], system: str, *, seed: int) -> Figures:
    """Every measure of one system."""
    return {measure.key: _figure(records, system, measure, seed) for measure in MEASURES}


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
        {measure.key: both for measure in MEASURES if (both := _both(records, first, second, measure)) is not None},
    )


def _both(records: Sequence[AnswerRecord], first: str, second: str, measure: Measure) -> tuple[float, float] | None:
    """Of both systems over the questions where the measure applies to both answers; None where there is none."""
    if measure.balanced:
        halves = [_both(some, first, second, replace(measure, balanced=False)) for some in _by_kind(records)]
        known = [half for half in halves if half is not None]
        return (fmean(one for one, _ in known), fmean(two for _, two in known)) if len(known) == len(halves) else None
    pairs = _pairs(records, first, second, measure)
    if not pairs:
        return None
    return fmean(_counted(before, measure) for before, _, _ in pairs), fmean(
        _counted(after, measure) for _, after, _ in pairs
    )


def _counted(value: float, measure: Measure) -> float:
    return float(value > 0) if measure.is_rate else value


def _pairs(
    records: Sequence[AnswerRecord], first: str, second: str, measure: Measure
) -> list[tuple[float, float, str]]:
    """Values of both systems and the cluster of each question where the measure applies to both answers."""
    return [
        (before, after, record.cluster)
        for record in records
        if (before := _value(record, first, measure)) is not None
        and (after := _value(record, second, measure)) is not None
    ]


def difference(records: Sequence[AnswerRecord], first: str, second: str, measure: Measure, *, seed: int) -> Figure:
    """Second minus first over the questions where the measure applies to both answers."""
    if measure.balanced:
        alone, halves = replace(measure, balanced=False), _by_kind(records)
        one, other = (difference(some, first, second, alone, seed=seed) for some in halves)
        return mean_of_two(one, other, _clusters(halves))
    pairs = _pairs(records, first, second, measure)
    clusters = [cluster for _, _, cluster in pairs]
    if measure.is_rate:
        yes = [before > 0 for before, _, _ in pairs], [after > 0 for _, after, _ in pairs]
        return share_difference(*yes, clusters=clusters)
    return mean([after - before for before, after, _ in pairs], seed=str(seed), clusters=clusters, bounds=(-1.0, 1.0))


def _figure(records: Sequence[AnswerRecord], system: str, measure: Measure, seed: int) -> Figure:
    if measure.balanced:
        alone, halves = replace(measure, balanced=False), _by_kind(records)
        one, other = (_figure(some, system, alone, seed) for some in halves)
        return mean_of_two(one, other, _clusters(halves))
    found = [(value, record.cluster) for record in records if (value := _value(record, system, measure)) is not None]
    values, clusters = [value for value, _ in found], [cluster for _, cluster in found]
    if measure.is_rate:
        return clustered_share([value > 0 for value in values], clusters)
    return mean(values, seed=str(seed), clusters=clusters, bounds=(0.0, 1.0))


def _value(record: AnswerRecord, system: str, measure: Measure) -> float | None:
    """None also where the record was written before there was such a measure."""
    return record.answers[system].measures.get(measure.key)


def _by_kind(records: Sequence[AnswerRecord]) -> tuple[list[AnswerRecord], list[AnswerRecord]]:
    return [each for each in records if each.answerable], [each for each in records if not each.answerable]


def _clusters(halves: tuple[list[AnswerRecord], list[AnswerRecord]]) -> tuple[list[str], list[str]]:
    one, other = ([each.cluster for each in half] for half in halves)
    return one, other


def _slices(records: Sequence[AnswerRecord], first: str, second: str, seed: int) -> tuple[Slice, ...]:
    f1 = BY_KEY["token_f1"]
    slices = []
    for kind in FIELDS:
        for name in sorted({str(getattr(record, kind)) for record in records if record.answerable} - {""}):
            some = [record for record in records if str(getattr(record, kind)) == name]
            before, after = (_figure(some, each, f1, seed) for each in (first, second))
            slices.append(Slice(kind, name, before, after, difference(some, first, second, f1, seed=seed)))
    return tuple(slices)
