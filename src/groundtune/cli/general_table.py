"""What tuning did to what the model could do before, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from groundtune.files import parse_record, read_json

if TYPE_CHECKING:
    from groundtune.evaluation import Figure
    from groundtune.evaluation.forgetting import GeneralSummary
    from groundtune.pipeline import Workspace


def general_table(workspace: Workspace) -> Table:
    """Each figure before and after with its n; a difference is marked only where its interval leaves out zero, over ten or more."""
    from groundtune.evaluation.forgetting import GeneralSummary

    path = workspace.general_summary
    summary = parse_record(read_json(path), GeneralSummary, where=str(path))
    table = Table(
        title="What the model could do before",
        title_justify="left",
        title_style="bold",
        box=None,
        header_style="dim",
        pad_edge=False,
    )
    for column in ("", "base", "tuned", "n", "change, 95% interval"):
        table.add_column(column, justify="left" if not column else "right")
    for row in _rows(summary):
        table.add_row(*row)
    return table


def _rows(summary: GeneralSummary) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if texts := summary.texts:
        perplexities = (_value(each.perplexity, 1) for each in (texts.before, texts.after))
        rows.append(
            ("perplexity on general text", *perplexities, f"{texts.tokens:,} tokens", _change(texts.rise, share=True))
        )
        bits = (_value(each.bits_per_byte) for each in (texts.before, texts.after))
        rows.append(("bits per byte", *bits, f"{texts.bytes:,} bytes", _change(texts.bits_per_byte_difference)))
    if tasks := summary.tasks:
        names = [f"general tasks (by chance {tasks.chance})", *(f"  {each.name}" for each in tasks.slices)]
        rows += [
            (name, _value(each.before), _value(each.after), str(each.after.n), _change(each.difference))
            for name, each in zip(names, (tasks.whole, *tasks.slices), strict=True)
        ]
    rows += [
        (
            f"{each.task} ({each.metric})",
            _value(each.before),
            _value(each.after),
            str(each.after.n),
            _change(each.difference),
        )
        for each in summary.benchmarks
    ]
    return rows


def _value(figure: Figure, places: int = 3) -> str:
    return "not measured" if figure.value is None else f"{figure.value:,.{places}f}"


def _change(figure: Figure, *, share: bool = False) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "–"
    from groundtune.evaluation.verdict.verdict import read_difference

    form = "+.1%" if share else "+.3f"
    sure = " ●" if read_difference(figure, higher_is_better=True) in ("better", "worse") else ""
    return f"{figure.value:{form}} [{figure.low:{form}}, {figure.high:{form}}]{sure}"
