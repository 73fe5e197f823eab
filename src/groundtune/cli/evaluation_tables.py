"""The end of an evaluation in the terminal: what tuning did, measure by measure, in no more than 80 columns.

What this module does not do: decide what a difference means (the report's verdict does, and the same words are said here).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from groundtune.cli.display import Sheet, show_labelled
from groundtune.evaluation.verdict import wording
from groundtune.types import SPLITS

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord, EvaluationSummary, Figure, Measure, Speed
    from groundtune.evaluation.forgetting import GeneralSummary
    from groundtune.evaluation.verdict.verdict import Reading

MOST_CHARACTERS_SHOWN = 300
"""Of each answer."""

STYLES = {"better": "green", "worse": "red"}

SHORT = {"unclear": "unclear", "few": "too few", "missing": "–"}
"""Readings in fewer letters than the report has room for."""

Labelled = list[tuple[str, str]]


def show_figures(console: Console, summary: EvaluationSummary, speed: Mapping[str, Speed]) -> None:
    """Measures of all systems, losses, search and speed."""
    from groundtune.evaluation.report.tables import unmeasured

    if summary.questions.asked:
        notes = [
            "intervals of 95%; better and worse only where they leave out zero, over 10 independent questions or more"
        ]
        f1 = summary.comparisons[0].differences["token_f1"]
        if f1.groups:
            answerable = wording.plural(f1.n, "answerable question")
            notes.append(f"{answerable} in {wording.plural(f1.groups, 'group')} that share evidence")
        if missing := unmeasured(summary):
            notes.append(f"not measured: {', '.join(missing)}")
        measures_table(summary).show(console, *notes)
    show_labelled(console, *_losses(summary), *_search(summary), *_speed(speed))


def measures_table(summary: EvaluationSummary) -> Sheet:
    """Each measure that applied to anything, with the n of the difference by tuning, over which both of its systems are told."""
    from groundtune.evaluation import MEASURES
    from groundtune.evaluation.asking.systems import LABELS

    asked = summary.questions.asked
    whose = f"on {wording.plural(asked, 'held-out test question')}"
    if summary.questions_file:
        whose = f"on {wording.plural(asked, 'question')} of {summary.questions_file}"
    systems = [LABELS[name].replace(" + ", " +\n") for name in summary.figures]
    sheet = Sheet(f"Results {whose}", "", *systems, "n", "change by tuning", "", left=(0, len(systems) + 3))
    for measure in MEASURES:
        if any(figures[measure.key].n for figures in summary.figures.values()):
            sheet.row(*_cells(summary, measure))
    return sheet


def _cells(summary: EvaluationSummary, measure: Measure) -> list[Text | str]:
    from groundtune.evaluation.verdict.verdict import read

    compared = summary.comparisons[0]
    change = compared.differences[measure.key]
    values = {system: figures[measure.key].value for system, figures in summary.figures.items()}
    if change.n:
        # over the questions of the difference, so that the one is the other's difference
        values |= zip((compared.first, compared.second), summary.paired(measure.key), strict=True)
    return [
        measure.label,
        *("–" if value is None else wording.shown(value, measure) for value in values.values()),
        f"{change.n:,}",
        _change(change, measure),
        reading_of(read(measure, change)),
    ]


def _change(change: Figure, measure: Measure) -> str:
    if change.value is None:
        return "–"
    return wording.told(wording.difference(change, measure), wording.difference_interval(change, measure))


def reading_of(reading: Reading) -> Text:
    """What a difference allows to be said, in a word."""
    return Text(SHORT.get(reading, reading), style=STYLES.get(reading, "dim"))


def _losses(summary: EvaluationSummary) -> Labelled:
    told = []
    for split in SPLITS:
        base, tuned = (summary.losses.get(model, {}).get(split) for model in ("base", "tuned"))
        if base is not None and tuned is not None:
            change = tuned.whole.change
            both = f"{split} {wording.decimal(base.whole.mean, 3)} → {wording.decimal(tuned.whole.mean, 3)}"
            if change is not None and change.value is not None:
                both += f", {wording.told(wording.signed_decimal(change.value, 3), wording.signed_span(change, 3))}"
            told.append(both)
    return [("" if place else "loss", each) for place, each in enumerate(told)]


def _search(summary: EvaluationSummary) -> Labelled:
    scores = summary.retrieval
    if not scores.mrr.n:
        return []
    found = ", ".join(f"{wording.percent(figure.value)} in {depth}" for depth, figure in scores.recall.items())
    rank = wording.told(wording.decimal(scores.mrr.value), wording.span(scores.mrr))
    return [
        ("search", f"share of the evidence among the first so many found: {found}"),
        ("", f"mean reciprocal rank {rank}, n = {scores.mrr.n:,}"),
    ]


def _speed(speed: Mapping[str, Speed]) -> Labelled:
    told = []
    for model, each in speed.items():
        if each.tokens_per_second is not None and each.first_token_seconds is not None:
            first = wording.short_seconds(each.first_token_seconds)
            told.append(f"{model} {wording.number(each.tokens_per_second)} tokens/s, first after {first}")
    if tuned := speed.get("tuned"):
        told.append(wording.size(tuned.weights_bytes))
    return [("speed", "; ".join(told))] if told else []


def show_forgotten(console: Console, general: GeneralSummary) -> None:
    """What tuning did to what the model could do before, a line for each kind of figure."""
    from groundtune.evaluation.verdict.costs import forgotten

    told = [f"{cost.label.lower()} {wording.told(cost.value, cost.note)}" for cost in forgotten(general)]
    show_labelled(console, *(("" if place else "kept", each) for place, each in enumerate(told)))


def show_answers(console: Console, records: Sequence[AnswerRecord], summary: EvaluationSummary) -> None:
    """A few questions with the answers of the two systems that tuning tells apart."""
    from groundtune.evaluation.asking.systems import LABELS

    compared = summary.comparisons[0]
    for record in records:
        console.print()
        console.print(Text(record.question, style="bold"))
        show_labelled(
            console,
            (LABELS[compared.first], Text(_cut(record.answers[compared.first].text))),
            (LABELS[compared.second], Text(_cut(record.answers[compared.second].text), "green")),
            ("reference", Text(_cut(record.reference), "dim")),
            indent=2,
        )


def _cut(answer: str) -> str:
    shown = " ".join(answer.split())
    if len(shown) > MOST_CHARACTERS_SHOWN:
        shown = shown[:MOST_CHARACTERS_SHOWN].rstrip() + " …"
    return shown or "(nothing)"


def show_verdict(console: Console, summary: EvaluationSummary, checklist: str) -> None:
    """The headline of the report, and what the checklist says; empty where it was not made."""
    from groundtune.evaluation.verdict.verdict import headline

    console.print()
    told = headline(summary) if summary.questions.asked else "No question was asked, so nothing is known"
    console.print(Text(f"{told}.", style="bold"))
    if checklist:
        console.print(Text(checklist))
