"""The end of an evaluation in the terminal: what tuning did, measure by measure, in no more than 80 columns.

What this module does not do: decide what a difference means (the report's verdict does, and the same words are said here).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

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


def show_figures(console: Console, summary: EvaluationSummary, speed: Mapping[str, Speed]) -> None:
    """Measures of all systems, losses, search and speed."""
    from groundtune.evaluation.report.tables import unmeasured

    if summary.questions.asked:
        console.print(measures_table(summary))
        console.print(
            Text("intervals of 95%; better and worse only where they leave out zero, over 10 questions or more", "dim"),
            soft_wrap=True,
        )
        if missing := unmeasured(summary):
            console.print(Text(f"not measured: {', '.join(missing)}", "dim"))
    for line in (*_losses(summary), *_search(summary), *_speed(speed)):
        console.print(line, soft_wrap=True)


def measures_table(summary: EvaluationSummary) -> Table:
    """Each measure that applied to anything, with the n of the difference by tuning: a figure by itself may have a larger one."""
    from groundtune.evaluation import MEASURES
    from groundtune.evaluation.verdict.labels import LABELS

    whose = f"questions of {summary.questions_file}" if summary.questions_file else "held-out test questions"
    table = Table(
        title=f"Results on {summary.questions.asked:,} {whose}",
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("")
    for name in summary.figures:
        table.add_column(LABELS[name].replace(" + ", " +\n"), justify="right")
    table.add_column("n", justify="right")
    table.add_column("change by tuning", justify="right", no_wrap=True)
    table.add_column("")
    for measure in MEASURES:
        if any(figures[measure.key].n for figures in summary.figures.values()):
            table.add_row(*_cells(summary, measure))
    return table


def _cells(summary: EvaluationSummary, measure: Measure) -> list[Text | str]:
    from groundtune.evaluation.verdict.verdict import read
    from groundtune.evaluation.verdict.wording import figure

    compared = summary.comparisons[0]
    change = compared.differences[measure.key]
    reading = read(measure, change)
    values = (figures[measure.key] for figures in summary.figures.values())
    return [
        measure.label,
        *("–" if value.value is None else figure(value, measure) for value in values),
        f"{change.n:,}",
        _change(change, measure),
        _reading(reading),
    ]


def _change(change: Figure, measure: Measure) -> str:
    from groundtune.evaluation.verdict.wording import THIN, difference, difference_interval

    if change.value is None:
        return "–"
    interval = difference_interval(change, measure)
    # a terminal has one width of space
    return f"{difference(change, measure)} ({interval})".replace(THIN, " ") if interval else difference(change, measure)


def _reading(reading: Reading) -> Text:
    return Text(SHORT.get(reading, reading), style=STYLES.get(reading, "dim"))


def _losses(summary: EvaluationSummary) -> list[Text]:
    told = []
    for split in SPLITS:
        base, tuned = (summary.losses.get(model, {}).get(split) for model in ("base", "tuned"))
        if base is not None and tuned is not None:
            told.append(f"{split} {base.whole.mean:.3f} → {tuned.whole.mean:.3f}")
    return [_line("loss", ", ".join(told))] if told else []


def _search(summary: EvaluationSummary) -> list[Text]:
    from groundtune.evaluation.verdict.wording import percent, span

    scores = summary.retrieval
    if not scores.mrr.n:
        return []
    found = ", ".join(f"{percent(figure.value)} in {depth}" for depth, figure in scores.recall.items())
    return [
        _line("search", f"share of the evidence among the first so many found: {found}"),
        _line("", f"mean reciprocal rank {scores.mrr.value:.2f} ({span(scores.mrr)}), n = {scores.mrr.n:,}"),
    ]


def _speed(speed: Mapping[str, Speed]) -> list[Text]:
    from groundtune.evaluation.verdict.wording import short_seconds, size

    told = []
    for model, each in speed.items():
        if each.tokens_per_second is not None and each.first_token_seconds is not None:
            told.append(
                f"{model} {each.tokens_per_second:,.0f} tokens/s, first after {short_seconds(each.first_token_seconds)}"
            )
    if tuned := speed.get("tuned"):
        told.append(size(tuned.weights_bytes))
    return [_line("speed", "; ".join(told))] if told else []


def show_forgotten(console: Console, general: GeneralSummary) -> None:
    """What tuning did to what the model could do before, a line for each kind of figure."""
    from groundtune.evaluation.verdict.costs import forgotten
    from groundtune.evaluation.verdict.wording import THIN

    for place, cost in enumerate(forgotten(general)):
        told = f"{cost.label.lower()} {cost.value} ({cost.note})".replace(THIN, " ")
        console.print(_line("" if place else "before", told), soft_wrap=True)


def _line(name: str, told: str) -> Text:
    return Text.assemble((f"{name:<8}", "dim"), told)


def show_answers(console: Console, records: Sequence[AnswerRecord], summary: EvaluationSummary) -> None:
    """A few questions with the answers of the two systems that tuning tells apart."""
    from groundtune.evaluation.verdict.labels import LABELS

    compared = summary.comparisons[0]
    width = max(len("reference"), *(len(LABELS[name]) for name in (compared.first, compared.second)))
    for record in records:
        console.print()
        console.print(Text(record.question, style="bold"), soft_wrap=True)
        for name, text, style in (
            (LABELS[compared.first], record.answers[compared.first].text, ""),
            (LABELS[compared.second], record.answers[compared.second].text, "green"),
            ("reference", record.reference, "dim"),
        ):
            shown = " ".join(text.split())
            if len(shown) > MOST_CHARACTERS_SHOWN:
                shown = shown[:MOST_CHARACTERS_SHOWN].rstrip() + " …"
            row = Table.grid(padding=(0, 1, 0, 0))
            row.add_column(width=width + 2, no_wrap=True)
            row.add_column(overflow="fold")
            row.add_row(Text(f"  {name}", "dim"), Text(shown or "(nothing)", style))
            console.print(row)


def show_verdict(console: Console, summary: EvaluationSummary, checklist: str) -> None:
    """The headline of the report, and what the checklist says; empty where it was not made."""
    from groundtune.evaluation.verdict.verdict import headline

    console.print()
    told = headline(summary) if summary.questions.asked else "No question was asked, so nothing is known"
    console.print(Text(f"{told}.", style="bold"), soft_wrap=True)
    if checklist:
        console.print(Text(checklist), soft_wrap=True)
