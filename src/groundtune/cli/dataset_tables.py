"""What a person sees of a dataset: examples with their tokens, figures, an audit's verdicts and its ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from groundtune.cli.display import Sheet, has_colours, left_out, output, show_labelled
from groundtune.evaluation.verdict import wording

if TYPE_CHECKING:
    from groundtune.dataset.audit import AuditReport, Ledger
    from groundtune.dataset.formats import Loss
    from groundtune.dataset.stats import DataStats, SplitStats
    from groundtune.types import LeftOut

MOST_SHOWN = 8
"""Values of a kind, sources, failures: --json has all of them."""

_SHADES = ("on grey11", "on grey23")


def show_preview(previews: Sequence[Mapping[str, Any]], *, ids: bool = False) -> None:
    """Trained tokens in green, neighbours told apart by their shade; without colours trained text stands between ⟦ and ⟧."""
    console = output()
    colours = has_colours(console)
    for preview in previews:
        part = f" ({preview['part']} of {preview['parts']})" if preview.get("parts", 1) > 1 else ""
        console.print(Text(f"── {preview['example_id']}{part} ──", "dim"))
        shaded = colours and "tokens" in preview
        text = _shaded(preview["tokens"]) if shaded else _segments(preview["segments"], colours=colours)
        console.print(text, soft_wrap=not console.is_terminal)
        for weight, pieces in sorted(Counter(each.get("weight", 1.0) for each in preview["segments"]).items()):
            if weight != 1.0:
                console.print(
                    Text(f"weight {weight:g}: {wording.plural(pieces, 'stretch', 'stretches')}", style="yellow")
                )
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
    console = output()
    for name, report in reports.items():
        sheet = Sheet(f"Audit of {name}", "", "rows", "failed")
        for check in report.checks:
            mark = ("✓ ", "green") if check.passed else ("✗ ", "bold red")
            failed = Text(f"{check.failed:,}", style="dim" if check.passed else "bold red")
            sheet.row(Text.assemble(mark, check.name), f"{check.rows:,}", failed)
        sheet.show(console)
        for check in report.checks:
            for failure in check.failures[:MOST_SHOWN]:
                where = " ".join(filter(None, (failure.place, failure.conversation_id)))
                line = Text.assemble(("  ✗ ", "red"), (f"{where}: " if where else "", "bold"), failure.what)
                console.print(line)
            if check.failed > MOST_SHOWN and check.failures:
                console.print(Text(f"    and {check.failed - MOST_SHOWN:,} more of: {check.name}", style="dim"))
        _ledger(report.ledger).show(console)


def _ledger(ledger: Ledger) -> Sheet:
    sheet = Sheet("Ledger", "", "rows")
    sheet.row("read", f"{ledger.read:,}")
    sheet.row("kept", f"{ledger.kept:,}")
    for reason in ledger.left_out:
        sheet.row(Text(f"left out: {reason.reason}"), f"{reason.count:,}")
        for place in reason.places:
            sheet.row(Text(f"    {place}", style="dim"), "")
    if ledger.missing:
        sheet.row(Text("unaccounted for", style="bold red"), Text(f"{ledger.missing:,}", style="bold red"))
    if ledger.copies:
        sheet.row(Text("seen again, by mixing", style="dim"), Text(f"{ledger.copies:,}", style="dim"))
    return sheet


def show_stats(found: Mapping[str, DataStats]) -> None:
    """The figures of each split side by side, then what they are made of."""
    console = output()
    for name, stats in found.items():
        sheet = Sheet(name.capitalize(), "", *stats.splits)
        for label, *figures in _figures(list(stats.splits.values())):
            sheet.row(label, *figures)
        sheet.show(console, "each: least / median / 95% / most")
        for split, each in stats.splits.items():
            show_labelled(console, *((f"{split} {kind}", told) for kind, told in _parts(each)))
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
        row("trained", *(wording.percent(each.trained_share, 1) for each in splits)),
        row("tokens each", *(_spread(each) for each in lengths)),
        row("trained each", *(_spread(each) for each in answers)),
        row("copies of an earlier row", *(f"{each.duplicates.conversations:,}" for each in splits)),
        row("prompts said before", *(f"{each.duplicates.prompts:,}" for each in splits)),
        row("repeated by mixing", *(f"{each.duplicates.repeated_by_mixing:,}" for each in splits)),
        row("saved by shared prefixes", *(f"{each.saving.ratio:.2f} times" if each.saving else "–" for each in splits)),
    ]


def _spread(lengths: Any) -> str:
    return f"{lengths.min:,} / {lengths.median:,.0f} / {lengths.p95:,.0f} / {lengths.max:,}" if lengths else "–"


def _parts(stats: SplitStats) -> Iterator[tuple[str, Text]]:
    """What the split is made of, by kind."""
    if stats.lengths:
        bins = stats.lengths.histogram
        yield "tokens", Text.assemble(f"{bins[0].first:,} ", (stats.lengths.bars, "green"), f" {bins[-1].last:,}")
    said = {language or "not said": count for language, count in stats.languages.items()}
    kinds = dict(stats.kinds) | {"language": said}
    if stats.languages_found:
        kinds["language found"] = stats.languages_found
    kinds["source"] = {name: each.conversations for name, each in stats.sources.items()}
    for kind, counts in kinds.items():
        named = wording.words if kind in ("rule", "language", "language found") else str
        shown = ", ".join(f"{count:,} × {named(value)}" for value, count in list(counts.items())[:MOST_SHOWN])
        more = f", and {len(counts) - MOST_SHOWN} more" if len(counts) > MOST_SHOWN else ""
        yield kind, Text(shown + more)


def show_conversion(out: Path, read: int, unread: Sequence[LeftOut], losses: Sequence[Loss]) -> None:
    """What was written, what was left out and what the format could not hold."""
    console = output()
    console.print(f"{wording.plural(read, 'row')} read from the source; written to {out}", soft_wrap=True)
    for reason, count in Counter(row.reason for row in unread).most_common():
        first = next(row for row in unread if row.reason == reason)
        place = f"first {first.origin.file}:{first.origin.row} {first.field}".rstrip()
        console.print(f"  {left_out(count, reason, [place])}", style="yellow", soft_wrap=True)
    for loss in losses:
        rows = wording.plural(loss.count, "row")
        console.print(f"  not held: {loss.what} ({rows}, first {loss.first})", style="yellow", soft_wrap=True)
