"""What a person sees of a dataset: examples with their tokens, figures, an audit's verdicts and its ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from groundtune.dataset.audit import AuditReport, Ledger
    from groundtune.dataset.formats import Loss
    from groundtune.dataset.stats import DataStats, SplitStats
    from groundtune.types import LeftOut

MOST_SHOWN = 8
"""Values of a kind, sources, failures: --json has all of them."""

_SHADES = ("on grey11", "on grey23")


def _console() -> Console:
    return Console(highlight=False, emoji=False)


def _table(title: str, *columns: str) -> Table:
    """The first column holds words, the others figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold", no_wrap=bool(place))
    return table


def show_preview(previews: Sequence[Mapping[str, Any]], *, ids: bool = False) -> None:
    """Trained tokens in green, neighbours told apart by their shade; without colours trained text stands between ⟦ and ⟧."""
    console = _console()
    for preview in previews:
        part = f" ({preview['part']} of {preview['parts']})" if preview.get("parts", 1) > 1 else ""
        console.rule(f"{preview['example_id']}{part}", style="dim")
        shaded = console.is_terminal and "tokens" in preview
        text = _shaded(preview["tokens"]) if shaded else _segments(preview["segments"], colours=console.is_terminal)
        console.print(text, soft_wrap=not console.is_terminal)
        for weight, pieces in sorted(Counter(each.get("weight", 1.0) for each in preview["segments"]).items()):
            if weight != 1.0:
                console.print(Text(f"weight {weight:g}: {pieces} stretch{'es' if pieces > 1 else ''}", style="yellow"))
        if ids and "tokens" in preview:
            for token in preview["tokens"]:
                style = "green" if token["weight"] > 0 else "dim"
                line = f"{token['id']:>8}  {token['weight']:<4g} {token['text']!r}"
                console.print(Text(line, style=style), soft_wrap=True)


def _shaded(tokens: Sequence[Mapping[str, Any]]) -> Text:
    text = Text()
    for place, token in enumerate(tokens):
        colour = "bold green" if token["weight"] > 0 else "grey62"
        text.append(token["text"], style=f"{colour} {_SHADES[place % len(_SHADES)]}")
    return text


def _segments(segments: Sequence[Mapping[str, Any]], *, colours: bool) -> Text:
    text = Text()
    for segment in segments:
        if not segment["trained"]:
            text.append(segment["text"], style="dim")
        elif colours:
            text.append(segment["text"], style="bold green")
        else:
            text.append(f"⟦{segment['text']}⟧")
    return text


def show_audit(reports: Mapping[str, AuditReport]) -> None:
    """Every check with its rows, the rows that fail, and the ledger."""
    console = _console()
    for name, report in reports.items():
        table = _table(f"Audit of {name}", "", "rows", "failed")
        for check in report.checks:
            mark = ("✓ ", "green") if check.passed else ("✗ ", "bold red")
            failed = Text(f"{check.failed:,}", style="dim" if check.passed else "bold red")
            table.add_row(Text.assemble(mark, check.name), f"{check.rows:,}", failed)
        console.print(table)
        for check in report.checks:
            for failure in check.failures[:MOST_SHOWN]:
                where = " ".join(filter(None, (failure.place, failure.conversation_id)))
                line = Text.assemble(("  ✗ ", "red"), (f"{where}: " if where else "", "bold"), failure.what)
                console.print(line, soft_wrap=True)
            if check.failed > MOST_SHOWN and check.failures:
                console.print(Text(f"    and {check.failed - MOST_SHOWN:,} more of: {check.name}", style="dim"))
        console.print(_ledger_table(report.ledger))
        console.print()


def _ledger_table(ledger: Ledger) -> Table:
    table = _table("Ledger", "", "rows")
    table.add_row("read", f"{ledger.read:,}")
    table.add_row("kept", f"{ledger.kept:,}")
    for reason in ledger.left_out:
        table.add_row(Text(f"left out: {reason.reason}"), f"{reason.count:,}")
        for place in reason.places:
            table.add_row(Text(f"    {place}", style="dim"), "")
    if ledger.missing:
        table.add_row(Text("unaccounted for", style="bold red"), Text(f"{ledger.missing:,}", style="bold red"))
    if ledger.copies:
        table.add_row(Text("seen again, by mixing", style="dim"), Text(f"{ledger.copies:,}", style="dim"))
    return table


def show_stats(found: Mapping[str, DataStats]) -> None:
    """The figures of each split side by side, then what they are made of."""
    console = _console()
    for name, stats in found.items():
        table = _table(name.capitalize(), "", *stats.splits)
        for label, *figures in _figures(list(stats.splits.values())):
            table.add_row(label, *figures)
        console.print(table)
        console.print("each: least / median / 95% / most", style="dim")
        for split, each in stats.splits.items():
            if each.lengths:
                bins = each.lengths.histogram
                console.print(
                    Text.assemble(
                        (f"{split} tokens ", "dim"),
                        f"{bins[0].first} ",
                        (each.lengths.bars, "green"),
                        f" {bins[-1].last}",
                    )
                )
        for split, each in stats.splits.items():
            _show_parts(console, split, each)
        console.print()


def _figures(splits: Sequence[SplitStats]) -> list[tuple[str, ...]]:
    def row(label: str, *figures: str) -> tuple[str, ...]:
        return (label, *figures)

    lengths = [each.lengths for each in splits]
    answers = [each.trained_lengths for each in splits]
    return [
        row("conversations", *(f"{each.conversations:,}" for each in splits)),
        row("examples", *(f"{each.examples:,}" for each in splits)),
        row("tokens", *(f"{each.tokens:,}" for each in splits)),
        row("trained", *(f"{each.trained_share:.1%}" for each in splits)),
        row("tokens each", *(_spread(each) for each in lengths)),
        row("trained each", *(_spread(each) for each in answers)),
        row("copies of an earlier row", *(f"{each.duplicates.conversations:,}" for each in splits)),
        row("prompts said before", *(f"{each.duplicates.prompts:,}" for each in splits)),
        row("repeated by mixing", *(f"{each.duplicates.repeated_by_mixing:,}" for each in splits)),
        row("saved by shared prefixes", *(f"{each.saving.ratio:.2f} times" if each.saving else "–" for each in splits)),
    ]


def _spread(lengths: Any) -> str:
    return f"{lengths.min:,} / {lengths.median:,.0f} / {lengths.p95:,.0f} / {lengths.max:,}" if lengths else "–"


def _show_parts(console: Console, split: str, stats: SplitStats) -> None:
    """What the split is made of, a line a kind."""
    said = {language or "not said": count for language, count in stats.languages.items()}
    kinds = dict(stats.kinds) | {"language": said}
    if stats.languages_found:
        kinds["language found"] = stats.languages_found
    kinds["source"] = {name: each.conversations for name, each in stats.sources.items()}
    for kind, counts in kinds.items():
        shown = ", ".join(f"{value} {count:,}" for value, count in list(counts.items())[:MOST_SHOWN])
        more = f", and {len(counts) - MOST_SHOWN} more" if len(counts) > MOST_SHOWN else ""
        console.print(Text.assemble((f"{split} {kind}: ", "dim"), shown + more), soft_wrap=True)


def show_conversion(out: Path, read: int, left_out: Sequence[LeftOut], losses: Sequence[Loss]) -> None:
    """What was written, what was left out and what the format could not hold."""
    console = _console()
    console.print(f"{read:,} rows read from the source; written to {out}", markup=False, soft_wrap=True)
    for reason, count in Counter(row.reason for row in left_out).most_common():
        first = next(row for row in left_out if row.reason == reason)
        place = f"{first.origin.file}:{first.origin.row} {first.field}".rstrip()
        console.print(f"  left out: {count:,} × {reason}, first {place}", style="yellow", markup=False, soft_wrap=True)
    for loss in losses:
        console.print(
            f"  not held: {loss.what} ({loss.count:,} rows, first {loss.first})",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
