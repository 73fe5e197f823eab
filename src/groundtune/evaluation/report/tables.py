"""Rows of the report's tables of figures, every number already as it is shown.

What this module does not do: decide what a difference means (:mod:`groundtune.evaluation.verdict.verdict`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.losses import Loss
from groundtune.evaluation.measures import BY_KEY, MEASURES, Measure
from groundtune.evaluation.report.plots import difference_plot, interval_plot, scale_top
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.verdict import READINGS, Reading, read, read_difference
from groundtune.types import Split

GROUPS = {
    "answers": "Nearness to the reference",
    "evidence": "Support by the passages",
    "unknown": "Knowing what it does not know",
    "behaviour": "Behaviour",
}
"""Of `Measure.group`, in the order they are told in."""

KEY_MEASURES = ("token_f1", "exact_match", "false_answer_rate", "over_refusal_rate")
"""Those that stand at the top of the page."""

NOTHING = Figure(None, 0)

SPLITS: Mapping[Split, str] = {"train": "Training", "valid": "Validation", "test": "Test"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure: its value, its interval, and its n where that is not the row's."""

    value: str
    interval: str = ""
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A difference as it is shown."""

    value: str
    interval: str
    n: int
    reading: Reading
    told: str
    groups: int = 0
    """As `Figure.groups`."""


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One measure of all systems; `changes` are those of the comparisons, in their order."""

    measure: Measure
    n: int
    cells: dict[str, Cell]
    changes: tuple[Change, ...]
    plot: Markup
    top: str
    """Where the scale of the plot ends."""


@dataclass(frozen=True, slots=True)
class SliceRow:
    """Token F1 over the questions of one kind."""

    field: str
    name: str
    first: Cell
    second: Cell
    change: Change
    plot: Markup


@dataclass(frozen=True, slots=True)
class LossRow:
    """A loss before and after tuning, over a split or one kind of example in it."""

    split: str
    field: str
    name: str
    examples: int | None
    base: Loss | None
    tuned: Loss | None

    @property
    def groups(self) -> int:
        """As `Figure.groups`."""
        loss = self.tuned or self.base
        return loss.groups if loss is not None else 0

    @property
    def change(self) -> Change | None:
        """Paired; None where it was not measured."""
        change = self.tuned.change if self.tuned is not None else None
        return None if change is None else loss_change(change, 3)


def measure_groups(summary: EvaluationSummary | None) -> list[tuple[str, list[MeasureRow]]]:
    """Measures by group, in the order of `MEASURES`; those that applied to nothing, and groups without any, are left out."""
    if summary is None:
        return []
    missing = unmeasured(summary)
    rows = [_measure_row(summary, measure) for measure in MEASURES if measure.label not in missing]
    named = [(title, [row for row in rows if row.measure.group == group]) for group, title in GROUPS.items()]
    return [(title, some) for title, some in named if some]


def unmeasured(summary: EvaluationSummary | None) -> list[str]:
    """Labels of the measures that applied to no answer of any system."""
    if summary is None:
        return []
    return [
        measure.label
        for measure in MEASURES
        if not any(figures.get(measure.key, NOTHING).n for figures in summary.figures.values())
    ]


def key_rows(summary: EvaluationSummary | None) -> list[MeasureRow]:
    """The few that stand beside the verdict; none where nothing was asked."""
    if summary is None or not summary.questions.asked:
        return []
    rows = [_measure_row(summary, BY_KEY[key]) for key in KEY_MEASURES]
    return [row for row in rows if row.n]


def _measure_row(summary: EvaluationSummary, measure: Measure) -> MeasureRow:
    figures = {name: of_system.get(measure.key, NOTHING) for name, of_system in summary.figures.items()}
    changes = tuple(change_of(each.differences.get(measure.key, NOTHING), measure) for each in summary.comparisons)
    n = changes[0].n
    return MeasureRow(
        measure,
        n,
        {name: _cell(figure, measure, n) for name, figure in figures.items()},
        changes,
        interval_plot(figures, measure.label),
        f"{scale_top(list(figures.values())):g}",
    )


def _cell(figure: Figure, measure: Measure, n: int) -> Cell:
    if figure.value is None:
        return Cell("–")
    shown = wording.figure(figure, measure)
    return Cell(shown, wording.interval(figure, measure), None if figure.n == n else figure.n)


def change_of(difference: Figure, measure: Measure) -> Change:
    reading = read(measure, difference)
    shown = "–" if difference.value is None else wording.difference(difference, measure)
    across = wording.difference_interval(difference, measure)
    return Change(shown, across, difference.n, reading, READINGS[reading], difference.groups)


def mark_change(difference: Figure) -> Change:
    """Of a plain number of which more is better."""
    return _plain(difference, higher_is_better=True)


def loss_change(difference: Figure, digits: int = 2) -> Change:
    """Of a plain number of which less is better."""
    return _plain(difference, digits, higher_is_better=False)


def _plain(difference: Figure, digits: int = 2, *, higher_is_better: bool) -> Change:
    reading = read_difference(difference, higher_is_better=higher_is_better)
    shown = "–" if difference.value is None else wording.signed_decimal(difference.value, digits)
    across = wording.signed_span(difference, digits)
    return Change(shown, across, difference.n, reading, READINGS[reading], difference.groups)


def slice_rows(summary: EvaluationSummary | None) -> list[SliceRow]:
    """Of the first comparison: what tuning did."""
    if summary is None:
        return []
    f1 = BY_KEY["token_f1"]
    rows = []
    for part in summary.comparisons[0].slices:
        change = change_of(part.difference, f1)
        first, second = (_cell(figure, f1, part.difference.n) for figure in (part.first, part.second))
        plot = difference_plot(part.difference, change.reading, wording.words(part.name))
        rows.append(SliceRow(part.field, part.name, first, second, change, plot))
    return rows


def loss_rows(summary: EvaluationSummary | None) -> list[LossRow]:
    """Each split as a whole; a model that was not measured has None."""
    if summary is None:
        return []
    rows = []
    for split, name in SPLITS.items():
        found = {model: summary.losses.get(model, {}).get(split) for model in ("base", "tuned")}
        base, tuned = (each.whole if each is not None else None for each in found.values())
        if split != "train" or base is not None or tuned is not None:
            measured = tuned if tuned is not None else base
            rows.append(LossRow(name, "", name, measured.examples if measured is not None else None, base, tuned))
    return rows


def loss_slices(summary: EvaluationSummary | None) -> list[LossRow]:
    """Of each split by kind of example."""
    if summary is None:
        return []
    rows = []
    for split, title in SPLITS.items():
        base, tuned = (summary.losses.get(model, {}).get(split) for model in ("base", "tuned"))
        before = {(part.field, part.name): part.loss for part in base.slices} if base is not None else {}
        for part in tuned.slices if tuned is not None else ():
            found = before.get((part.field, part.name))
            rows.append(LossRow(title, part.field, part.name, part.loss.examples, found, part.loss))
    return rows
