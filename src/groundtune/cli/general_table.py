"""What tuning did to what the model could do before, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from groundtune.cli.display import Sheet
from groundtune.cli.evaluation_tables import reading_of
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.verdict import read_difference
from groundtune.files import read_record

if TYPE_CHECKING:
    from groundtune.evaluation import Figure
    from groundtune.evaluation.forgetting import GeneralSummary
    from groundtune.evaluation.forgetting.summary import TaskSlice
    from groundtune.pipeline import Workspace

Row = tuple[str | Text, ...]


def general_table(workspace: Workspace) -> Sheet:
    """Each figure before and after; a difference is called better or worse only where its interval leaves out zero, over ten or
    more."""
    from groundtune.evaluation.forgetting import GeneralSummary

    path = workspace.general_summary
    summary = read_record(path, GeneralSummary)
    sheet = Sheet("What the model could do before", "", "base", "tuned", "n", "change by tuning", "", left=(0, 5))
    for row in (*_texts(summary), *_tasks(summary), *_benchmarks(summary)):
        sheet.row(*row)
    return sheet


def _texts(summary: GeneralSummary) -> list[Row]:
    if (texts := summary.texts) is None:
        return []
    perplexities = [wording.decimal(each.perplexity.value, 1) for each in (texts.before, texts.after)]
    bits = [wording.decimal(each.bits_per_byte.value, 3) for each in (texts.before, texts.after)]
    rise, more = texts.rise, texts.bits_per_byte_difference
    n = f"{rise.n:,} {texts.unit}"
    return [
        (
            "perplexity on general text",
            *perplexities,
            n,
            "–" if rise.value is None else wording.told(wording.signed_percent(rise.value), wording.percent_span(rise)),
            _reading(rise, higher_is_better=False),
        ),
        ("bits per byte", *bits, n, _change(more), _reading(more, higher_is_better=False)),
    ]


def _tasks(summary: GeneralSummary) -> list[Row]:
    if (tasks := summary.tasks) is None:
        return []
    name = f"general tasks (by chance {wording.percent(tasks.chance)})"
    return [_task(name, tasks.whole), *(_task(f"  {wording.words(each.name)}", each) for each in tasks.slices)]


def _task(name: str, task: TaskSlice) -> Row:
    change = task.difference
    return (
        name,
        wording.percent(task.before.value),
        wording.percent(task.after.value),
        f"{task.after.n:,}",
        "–" if change.value is None else wording.told(wording.signed_points(change.value), wording.points_span(change)),
        _reading(change, higher_is_better=True),
    )


def _benchmarks(summary: GeneralSummary) -> list[Row]:
    return [
        (
            f"{each.task} ({each.metric})",
            wording.decimal(each.before.value, 3),
            wording.decimal(each.after.value, 3),
            f"{each.after.n:,}",
            _change(each.difference),
            _reading(each.difference, higher_is_better=each.higher_is_better),
        )
        for each in summary.benchmarks
    ]


def _change(figure: Figure) -> str:
    if figure.value is None:
        return "–"
    return wording.told(wording.signed_decimal(figure.value, 3), wording.signed_span(figure, 3))


def _reading(figure: Figure, *, higher_is_better: bool) -> Text:
    return reading_of(read_difference(figure, higher_is_better=higher_is_better))
