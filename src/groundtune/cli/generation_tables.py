"""What a person sees of a generation, its coverage and a pilot: tables with bars in a terminal, the same as plain text elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from groundtune.cli.display import Sheet, output, show_labelled
from groundtune.evaluation.verdict import wording

if TYPE_CHECKING:
    from groundtune.generation.pilot import Interval, Measure, ModelResult, PilotReport
    from groundtune.generation.statistics import RunRecord

BAR_WIDTH = 24
MOST_MODULES = 40
MOST_REASONS = 12


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
    console = output()
    sheet = Sheet("Generation", "", "")
    for label, value in _run_rows(counts, details, record):
        sheet.row(label, value)
    sheet.show(console)
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
    return "" if acceptance is None else f" (accepted: {wording.percent(acceptance, 1)})"


def _money_rows(details: Mapping[str, Any], record: RunRecord | None) -> list[tuple[str, str]]:
    rows = []
    if details.get("dollars") is not None:
        unpriced = details.get("unpriced_answers", 0)
        beside = f", and {wording.plural(unpriced, 'answer')} without a known price" if unpriced else ""
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
        ("time", wording.seconds(record.seconds)),
    ]
    if record.pairs_per_minute is not None:
        rows.append(("pairs a minute", wording.decimal(record.pairs_per_minute, 1)))
    if record.tries_again:
        retries = ", ".join(f"{count:,} × {reason}" for reason, count in record.tries_again.items())
        rows.append(("sent once more", f"{sum(record.tries_again.values()):,} ({retries})"))
    return rows


def _show_rules(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    priced = any("dollars" in row for row in rows)
    sheet = Sheet("By rule", "", "groups", "pairs", "average", "not accepted", *(["cost"] if priced else []))
    for row in rows:
        cells = [f"{row['groups']:,}", f"{row['pairs']:,}", _number(row["average"]), f"{row.get('rejected', 0):,}"]
        sheet.row(wording.words(row["rule"]), *cells, *([_dollars(row.get("dollars"))] if priced else []))
    sheet.show(console)


def _show_tally(console: Console, title: str, counts: Mapping[str, int]) -> None:
    total = sum(counts.values())
    if total:
        sheet = Sheet(title, "", "pairs", "share")
        for name, count in counts.items():
            sheet.row(wording.words(name), f"{count:,}", wording.percent(count / total))
        sheet.show(console)


def _show_reasons(console: Console, title: str, counts: Mapping[str, int]) -> None:
    sheet = Sheet(title, "", "")
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for reason, count in ranked[:MOST_REASONS]:
        sheet.row(reason, f"{count:,}")
    more = len(ranked) - MOST_REASONS
    sheet.show(console, *([f"and {wording.plural(more, 'more reason')}"] if more > 0 else []))


def show_coverage(details: Mapping[str, Any]) -> None:
    """A bar for each module, from the details of the stage's manifest."""
    console = output()
    rows = details.get("coverage_by_module", [])
    kinds = ("sentences", "table rows", "code", "chunks")
    sheet = Sheet("What accepted pairs rest on", "", "", "covered", *kinds, left=(0, 1))
    every = {"module": "all"} | details["coverage_units"]
    for row in [*rows[:MOST_MODULES], every]:
        share = row["share"]
        sheet.row(
            Text(row["module"], style="bold" if row is every else ""),
            Text(bar(share, plain=not console.is_terminal), style="green"),
            "–" if share is None else wording.percent(share),
            *(f"{row[f'{kind}_covered']:,}/{row[kind]:,}" for kind in ("sentences", "rows", "code", "chunks")),
        )
    notes = []
    if len(rows) > MOST_MODULES:
        notes.append(f"and {wording.plural(len(rows) - MOST_MODULES, 'more module')}; coverage.json has all")
    if unasked := ", ".join(f"{count:,} × {what}" for what, count in details.get("not_worth_asking", {}).items()):
        notes.append(f"not worth a question: {unasked}")
    sheet.show(console, *notes)


def show_pilot(report: PilotReport) -> None:
    """Every figure of every model with its interval; ``*`` behind a figure that is surely worse than the best."""
    from groundtune.generation.pilot import MEASURES

    console = output()
    sections = {"yield": "What came of it", "depth": "Depth", "variety": "Variety", "price": "Price and pace"}
    for section, title in sections.items():
        sheet = Sheet(title, "", *(each.model for each in report.models))
        for measure in MEASURES:
            if measure.section == section:
                cells = [_cell(measure, each) for each in report.models]
                if any(cell != "–" for cell in cells):
                    sheet.row(measure.label, *cells)
        if section == "yield":
            sheet.row(
                "accepted pairs", *(f"{each.pairs:,} of {each.pairs + each.rejected:,}" for each in report.models)
            )
        sheet.show(console)
    for title, key in (("Types", "types"), ("Difficulty", "difficulties"), ("Not accepted", "rejections")):
        _show_side_by_side(console, title, report.models, key)
    groups = wording.plural(len(report.groups), "group")
    told = f"{groups}; in brackets 95% intervals over groups; * surely worse than the best of the row"
    console.print(Text(told, style="dim"))
    mark = "Recommended" if report.recommendation.sure else "Recommended, not sure"
    console.print(Text.assemble((f"{mark}: ", "bold"), report.recommendation.reason))


def _show_side_by_side(console: Console, title: str, models: Sequence[ModelResult], key: str) -> None:
    counts: list[Mapping[str, int]] = [getattr(each, key) for each in models]
    names = dict.fromkeys(name for each in counts for name in each)
    if any(sum(each.values()) for each in counts):
        sheet = Sheet(title, "", *(each.model for each in models))
        for name in names:
            sheet.row(wording.words(name), *(f"{each.get(name, 0):,}" for each in counts))
        sheet.show(console)


def _cell(measure: Measure, model: ModelResult) -> str:
    figure: Interval = model.figures[measure.key]
    if figure.value is None:
        return "–"
    text = wording.told(_shown(figure.value, measure.unit), _span_of(figure, measure.unit))
    gap = model.differences.get(measure.key)
    if gap is None or gap.low is None or gap.high is None:
        return text
    worse = gap.high < 0 if measure.better == "higher" else gap.low > 0
    return f"{text}*" if worse else text


def _span_of(figure: Interval, unit: str) -> str:
    if figure.low is None or figure.high is None:
        return ""
    if figure.low == figure.high:
        return wording.ALIKE
    low, high = _shown(figure.low, unit), _shown(figure.high, unit)
    return f"{low.removesuffix('%') if high.endswith('%') else low} to {high}"


def _shown(value: float, unit: str) -> str:
    if unit == "share":
        return wording.percent(value)
    if unit == "dollars":
        return _dollars(value)
    if unit == "seconds":
        return wording.short_seconds(value)
    return wording.number(value) if value >= 100 else wording.decimal(value)


def _dollars(value: float | None) -> str:
    from groundtune.generation.statistics import format_dollars

    return "–" if value is None else format_dollars(value)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return wording.decimal(value) if isinstance(value, float) else wording.number(value)


def show_estimate(found: Mapping[str, Any]) -> None:
    """What `groundtune generate --estimate` found: requests, tokens, dollars and minutes, by rule and model."""
    console = output()
    documents = found["documents"]
    console.print(
        f"of the groups {documents['unchanged']:,} are answered, {documents['changed']:,} changed and {documents['new']:,} new are asked; "
        f"of earlier pairs {documents['pairs_kept']:,} are kept, {documents['pairs_retired']:,} retired",
    )
    sheet = Sheet(
        "Before anything is sent", "", "requests", "answered", "tokens in", "of them cached", "tokens out", "dollars"
    )
    for title, lines in (("", [found["total"]]), ("by rule", found["by_rule"]), ("by model", found["by_model"])):
        if title:
            sheet.row(title, *[""] * 6, style="dim")
        for line in lines:
            spans = (_span(line[key]) for key in ("input_tokens", "cached_tokens", "output_tokens"))
            named = {"": "all", "by rule": wording.words(line["name"]), "by model": line["name"]}[title]
            name = Text(named, style="" if title else "bold")
            sheet.row(
                name, f"{line['requests']:,}", f"{line['answered']:,}", *spans, _dollar_span(line["microdollars"])
            )
    minutes = found["minutes"]
    low, high = (wording.seconds(60 * minutes[key]) for key in ("low", "high"))
    sheet.show(console)
    show_labelled(console, ("time", low if low == high else f"{low} to {high}"))
    show_labelled(console, *(("-", Text(sentence, "dim")) for sentence in found["assumptions"]))


def _span(span: Mapping[str, int]) -> str:
    low, high = span["low"], span["high"]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _dollar_span(span: Mapping[str, int] | None) -> str:
    if span is None:
        return "price not known"
    low, high = (_dollars(span[key] / 1_000_000) for key in ("low", "high"))
    return low if low == high else f"{low} to {high}"
