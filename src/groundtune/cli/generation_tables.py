"""What a person sees of a generation, its coverage and a pilot: tables with bars in a terminal, the same as plain text elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundtune.progress import format_seconds

if TYPE_CHECKING:
    from groundtune.generation.pilot import Interval, Measure, ModelResult, PilotReport
    from groundtune.generation.statistics import RunRecord

BAR_WIDTH = 24
PLAIN_WIDTH = 200
"""Columns where there is no terminal: lines are not broken for a reader that is a program."""
LABEL_WIDTH, COLUMN_WIDTH = 38, 28
"""Of the first and of each other column of a pilot, with intervals."""
MOST_MODULES = 40
MOST_REASONS = 12


def _console() -> Console:
    console = Console(highlight=False, emoji=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, width=PLAIN_WIDTH)


def _table(title: str, *columns: str) -> Table:
    """The first column holds words, the others figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", overflow="fold")
    return table


def bar(share: float | None, *, plain: bool) -> str:
    """
    >>> bar(0.5, plain=True), bar(None, plain=True)
    ('############............', '')
    """
    if share is None:
        return ""
    filled = round(share * BAR_WIDTH)
    full, empty = ("#", ".") if plain else ("█", "░")
    return full * filled + empty * (BAR_WIDTH - filled)


def show_generation(counts: Mapping[str, int], details: Mapping[str, Any], record: RunRecord | None = None) -> None:
    """The tables of a run, from the stage's manifest, and from `record` what the clock saw."""
    console = _console()
    table = _table("Generation", "", "")
    for label, value in _run_rows(counts, details, record):
        table.add_row(label, value)
    console.print(table)
    _show_rules(console, details.get("by_rule", []))
    for title, key in (("By type", "by_type"), ("By difficulty", "by_difficulty"), ("By language", "by_language")):
        _show_tally(console, title, details.get(key, {}))
    _show_reasons(console, "Pairs not accepted", details.get("rejections", {}))
    _show_reasons(console, "Groups without an answer", details.get("unanswered", {}))
    if details.get("coverage_units"):
        show_coverage(details)


def _run_rows(counts: Mapping[str, int], details: Mapping[str, Any], record: RunRecord | None) -> list[tuple[str, str]]:
    per_group = details.get("pairs_per_group", {})
    rows = [
        ("groups processed", f"{details.get('groups_answered', counts['groups']):,} of {counts['groups']:,}"),
        ("pairs", f"{counts['pairs']:,} ({counts['answerable']:,} answerable, {counts['unanswerable']:,} not)"),
        ("not accepted", f"{details.get('rejected', 0):,}{_of_handed_in(details.get('acceptance'))}"),
        ("asked again, answer unreadable", f"{details.get('asked_again', 0):,}"),
        ("asked for the rest, answer cut", f"{details.get('asked_for_rest', 0):,}"),
        (
            "pairs a group: average, least, most",
            " / ".join(_number(per_group.get(key)) for key in ("average", "min", "max")),
        ),
        ("tokens read, not cached", f"{details.get('input_tokens', 0) + details.get('cache_write_tokens', 0):,}"),
        ("tokens read from the cache", f"{details.get('cache_read_tokens', 0):,}"),
        ("tokens written", f"{details.get('output_tokens', 0):,}"),
    ]
    return rows + _money_rows(details, record) + (_clock_rows(record) if record is not None else [])


def _of_handed_in(acceptance: float | None) -> str:
    return "" if acceptance is None else f" (accepted: {acceptance:.1%})"


def _money_rows(details: Mapping[str, Any], record: RunRecord | None) -> list[tuple[str, str]]:
    rows = []
    if details.get("dollars") is not None:
        unpriced = details.get("unpriced_answers", 0)
        beside = f", and {unpriced:,} answers without a known price" if unpriced else ""
        rows.append(("cost of the answers in use", _dollars(details["dollars"]) + beside))
        for name, dollars in details.get("dollars_beside", {}).items():
            rows.append((f"cost of answers for: {name}", _dollars(dollars)))
        rows.append(("cost of an accepted pair", _dollars(details.get("dollars_per_accepted_pair"))))
    if record is not None and record.spent_dollars is not None:
        rows.append(("spent, whole ledger", _dollars(record.spent_dollars)))
        rows.append(("possibly lost, at most", _dollars(record.lost_dollars)))
    return rows


def _clock_rows(record: RunRecord) -> list[tuple[str, str]]:
    rows = [
        ("asked now, from the ledger", f"{record.groups_asked:,}, {record.groups_reused:,}"),
        ("time", format_seconds(record.seconds)),
    ]
    if record.pairs_per_minute is not None:
        rows.append(("pairs a minute", f"{record.pairs_per_minute:,.1f}"))
    if record.tries_again:
        retries = ", ".join(f"{count:,} × {reason}" for reason, count in record.tries_again.items())
        rows.append(("sent once more", f"{sum(record.tries_again.values()):,} ({retries})"))
    return rows


def _show_rules(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    priced = any("dollars" in row for row in rows)
    table = _table("By rule", "", "groups", "pairs", "average", "not accepted", *(["cost"] if priced else []))
    for row in rows:
        cells = [f"{row['groups']:,}", f"{row['pairs']:,}", _number(row["average"]), f"{row.get('rejected', 0):,}"]
        table.add_row(row["rule"], *cells, *([_dollars(row.get("dollars"))] if priced else []))
    console.print(table)


def _show_tally(console: Console, title: str, counts: Mapping[str, int]) -> None:
    total = sum(counts.values())
    if total:
        table = _table(title, "", "pairs", "share")
        for name, count in counts.items():
            table.add_row(name, f"{count:,}", f"{count / total:.0%}")
        console.print(table)


def _show_reasons(console: Console, title: str, counts: Mapping[str, int]) -> None:
    if not counts:
        return
    table = _table(title, "", "")
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for reason, count in ranked[:MOST_REASONS]:
        table.add_row(Text(reason), f"{count:,}")
    if len(ranked) > MOST_REASONS:
        table.add_row(Text(f"{len(ranked) - MOST_REASONS} more reasons", style="dim"), "")
    console.print(table)


def show_coverage(details: Mapping[str, Any]) -> None:
    """A bar for each module, from the details of the stage's manifest."""
    console = _console()
    rows = details.get("coverage_by_module", [])
    table = _table("What accepted pairs rest on", "", "", "covered", "sentences", "table rows", "code", "chunks")
    table.columns[1].justify = "left"
    every = {"module": "all"} | details["coverage_units"]
    for row in [*rows[:MOST_MODULES], every]:
        share = row["share"]
        table.add_row(
            Text(row["module"], style="bold" if row is every else ""),
            Text(bar(share, plain=not console.is_terminal), style="green"),
            "–" if share is None else f"{share:.0%}",
            *(f"{row[f'{kind}_covered']:,}/{row[kind]:,}" for kind in ("sentences", "rows", "code", "chunks")),
        )
    if len(rows) > MOST_MODULES:
        table.caption = f"and {len(rows) - MOST_MODULES} more modules; coverage.json has all"
    console.print(table)
    left_out = ", ".join(f"{count:,} × {reason}" for reason, count in details.get("not_worth_asking", {}).items())
    if left_out:
        console.print(Text(f"not worth a question: {left_out}", style="dim"), soft_wrap=True)


def show_pilot(report: PilotReport) -> None:
    """Every figure of every model with its interval; ``*`` behind a figure that is surely worse than the best."""
    from groundtune.generation.pilot import MEASURES

    console = _console()
    compact = console.width < LABEL_WIDTH + COLUMN_WIDTH * len(report.models)
    sections = {"yield": "What came of it", "depth": "Depth", "variety": "Variety", "price": "Price and pace"}
    for section, title in sections.items():
        table = _table(title, "", *(each.model for each in report.models))
        for measure in MEASURES:
            if measure.section == section:
                cells = [_cell(measure, each, compact=compact) for each in report.models]
                if any(cell != "–" for cell in cells):
                    table.add_row(measure.label, *cells)
        if section == "yield":
            table.add_row(
                "accepted pairs", *(f"{each.pairs:,} of {each.pairs + each.rejected:,}" for each in report.models)
            )
        console.print(table)
    for title, key in (("Types", "types"), ("Difficulty", "difficulties"), ("Not accepted", "rejections")):
        _show_side_by_side(console, title, report.models, key)
    where = "the terminal is too narrow for the 95% intervals" if compact else "in brackets 95% intervals over groups"
    console.print(
        Text(
            f"{len(report.groups)} groups; {where}; * surely worse than the best of the row",
            style="dim",
        ),
        soft_wrap=True,
    )
    mark = "Recommended" if report.recommendation.sure else "Recommended, not sure"
    console.print(Text.assemble((f"{mark}: ", "bold"), report.recommendation.reason), soft_wrap=True)


def _show_side_by_side(console: Console, title: str, models: Sequence[ModelResult], key: str) -> None:
    counts: list[Mapping[str, int]] = [getattr(each, key) for each in models]
    names = dict.fromkeys(name for each in counts for name in each)
    if any(sum(each.values()) for each in counts):
        table = _table(title, "", *(each.model for each in models))
        for name in names:
            table.add_row(Text(name), *(f"{each.get(name, 0):,}" for each in counts))
        console.print(table)


def _cell(measure: Measure, model: ModelResult, *, compact: bool) -> str:
    figure: Interval = model.figures[measure.key]
    if figure.value is None:
        return "–"
    text = _shown(figure.value, measure.unit)
    if figure.low is not None and figure.high is not None and not compact:
        text += f" [{_shown(figure.low, measure.unit)}, {_shown(figure.high, measure.unit)}]"
    gap = model.differences.get(measure.key)
    if gap is None or gap.low is None or gap.high is None:
        return text
    worse = gap.high < 0 if measure.better == "higher" else gap.low > 0
    return f"{text}*" if worse else text


def _shown(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.0%}"
    if unit == "dollars":
        return _dollars(value)
    if unit == "seconds":
        return f"{value:.1f} s"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _dollars(value: float | None) -> str:
    from groundtune.generation.statistics import format_dollars

    return "–" if value is None else format_dollars(value)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def show_estimate(found: Mapping[str, Any]) -> None:
    """What `groundtune generate --estimate` found: requests, tokens, dollars and minutes, by rule and model."""
    console = _console()
    documents = found["documents"]
    console.print(
        f"{documents['unchanged']:,} groups are answered, {documents['changed']:,} changed and {documents['new']:,} new ones are asked; "
        f"{documents['pairs_kept']:,} earlier pairs are kept, {documents['pairs_retired']:,} retired",
        soft_wrap=True,
    )
    table = _table(
        "Before anything is sent", "", "requests", "answered", "tokens in", "of them cached", "tokens out", "dollars"
    )
    for title, lines in (("", [found["total"]]), ("by rule", found["by_rule"]), ("by model", found["by_model"])):
        if title:
            table.add_row(Text(title, style="dim"), *[""] * 6)
        for line in lines:
            spans = (_span(line[key]) for key in ("input_tokens", "cached_tokens", "output_tokens"))
            name = Text(line["name"] or "all", style="" if title else "bold")
            table.add_row(
                name, f"{line['requests']:,}", f"{line['answered']:,}", *spans, _dollar_span(line["microdollars"])
            )
    console.print(table)
    minutes = found["minutes"]
    console.print(f"minutes: {minutes['low']:,.1f} to {minutes['high']:,.1f}")
    for sentence in found["assumptions"]:
        console.print(Text(f"- {sentence}", style="dim"), soft_wrap=True)


def _span(span: Mapping[str, int]) -> str:
    low, high = span["low"], span["high"]
    return f"{low:,}" if low == high else f"{low:,} – {high:,}"


def _dollar_span(span: Mapping[str, int] | None) -> str:
    if span is None:
        return "price not known"
    low, high = (_dollars(span[key] / 1_000_000) for key in ("low", "high"))
    return low if low == high else f"{low} – {high}"
