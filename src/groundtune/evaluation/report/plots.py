"""Small drawings of figures with their intervals, as inline SVG; each says in words what it shows.

Base is a ring, base with passages a square, tuned with passages a dot, so that no reader needs the colours. What this
module does not do: curves over steps (:mod:`groundtune.evaluation.report.charts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from groundtune.evaluation.asking.systems import LABELS
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.retrieval_scores import RetrievalScores
from groundtune.evaluation.report.charts import nice_ticks
from groundtune.evaluation.verdict.labels import KINDS
from groundtune.evaluation.verdict.verdict import read_difference
from groundtune.evaluation.verdict.wording import percent

SPAN_WIDTH, ROW = 200, 13
EDGE = 7
MOST_BARS = 400


def interval_plot(figures: Mapping[str, Figure], label: str) -> Markup:
    """Every system on a line of its own, on a scale from 0 to 1, or to a round number that holds the largest edge."""
    rows = {name: figure for name, figure in figures.items() if _whole(figure)}
    top = scale_top(list(rows.values()))
    height = ROW * len(figures) + 4
    told = (f"{LABELS[name]} {_spoken(figure)}" for name, figure in rows.items())
    marks = Markup("").join(
        _marked(KINDS[name], figure, _across(figure, top), ROW * place + ROW / 2 + 2)
        for place, (name, figure) in enumerate(figures.items())
        if name in rows
    )
    grid = Markup("").join(
        Markup('<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(_place(top * tick / 4, top), height)
        for tick in range(5)
    )
    return Markup('<svg class="span" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>').format(
        SPAN_WIDTH, height, f"{label}: {'; '.join(told) or 'not measured'}", grid, marks
    )


def scale_top(figures: Sequence[Figure]) -> float:
    """
    >>> scale_top([Figure(0.4, 9, 0.2, 0.6)]), scale_top([Figure(1.4, 9, 1.2, 1.6)])
    (1.0, 2.0)
    """
    highest = max((figure.high for figure in figures if figure.high is not None), default=1.0)
    return 1.0 if highest <= 1 else nice_ticks(0, highest, 2)[-1]


def difference_plot(change: Figure, reading: str, label: str) -> Markup:
    """A difference with its interval beside zero, on a scale from -1 to 1."""
    if not _whole(change):
        return Markup("")
    edges = (change.low or 0.0, change.value or 0.0, change.high or 0.0)
    across = [_place((min(max(edge, -1.0), 1.0) + 1) / 2, 1.0) for edge in edges]
    zero = _place(0.5, 1.0)
    return Markup(
        '<svg class="span" viewBox="0 0 {} 16" role="img" aria-label="{}"><line class="zero" x1="{}" x2="{}" y1="0" y2="16"/>{}</svg>'
    ).format(SPAN_WIDTH, f"{label}: difference {_spoken(change)}", zero, zero, _marked(reading, change, across, 8))


def change_plot(change: Figure, label: str) -> Markup:
    """As `difference_plot`, of a share of which more is better."""
    return difference_plot(change, read_difference(change, higher_is_better=True), label)


def trade_off(false_answers: Mapping[str, Figure], over_refusals: Mapping[str, Figure], identity: str) -> Markup | None:
    """False answers up, over-refusals to the right, both from 0 to 100%; None where no system has both."""
    there = [name for name in false_answers if _whole(false_answers[name]) and _whole(over_refusals[name])]
    if not there:
        return None
    side, left, top = 230, 56, 30

    def across(value: float) -> float:
        return round(left + side * value, 1)

    def down(value: float) -> float:
        return round(top + side * (1 - value), 1)

    grid = Markup("").join(
        Markup(
            '<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/><line class="grid" x1="{3}" x2="{4}" y1="{5}" y2="{5}"/>'
            '<text class="tick" x="{0}" y="{6}" text-anchor="middle">{8}</text>'
            '<text class="tick" x="{7}" y="{9}" text-anchor="end">{8}</text>'
        ).format(
            across(tick),
            top,
            down(0),
            across(0),
            across(1),
            down(tick),
            down(0) + 17,
            left - 8,
            percent(tick),
            down(tick) + 4,
        )
        for tick in (0, 0.25, 0.5, 0.75, 1)
    )
    marks = Markup("").join(
        _cross(KINDS[name], over_refusals[name], false_answers[name], across, down) for name in there
    )
    told = "; ".join(
        f"{LABELS[name]}: false answers {percent(false_answers[name].value)}, over-refusals "
        f"{percent(over_refusals[name].value)}"
        for name in there
    )
    return Markup(
        '<svg class="chart small" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-t {id}-d">'
        '<title id="{id}-t">False answers against over-refusals</title><desc id="{id}-d">{told}.</desc>{grid}{marks}'
        '<text class="label" x="{right}" y="{low}" text-anchor="end">over-refusals</text>'
        '<text class="label" x="{left}" y="{upper}" text-anchor="start">false answers</text></svg>'
    ).format(
        width=left + side + 16, height=top + side + 42, id=identity, told=told, grid=grid, marks=marks,
        right=across(1), low=down(0) + 35, left=across(0), upper=top - 14,
    )  # fmt: skip


def recall_chart(scores: RetrievalScores, identity: str) -> Markup | None:
    """Recall and the share of questions with all evidence, by depth; None where nothing was searched."""
    series = {"passages": scores.complete, "tuned": scores.recall}
    if not any(_whole(figure) for curve in series.values() for figure in curve.values()):
        return None
    width, height, left, top, bottom = 480, 240, 48, 12, 40
    depths = sorted(int(depth) for depth in scores.recall)

    def across(depth: int) -> float:
        place = depths.index(depth) / max(len(depths) - 1, 1)
        return round(left + 24 + (width - left - 64) * place, 1)

    def down(value: float) -> float:
        return round(top + (height - top - bottom) * (1 - value), 1)

    grid = Markup("").join(
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
        ).format(left, width - 14, down(tick), down(tick), left - 8, down(tick) + 4, percent(tick))
        for tick in (0, 0.25, 0.5, 0.75, 1)
    )
    ticks = Markup("").join(
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            across(depth), down(0) + 18, depth
        )
        for depth in depths
    )
    lines = Markup("")
    for nudge, (kind, curve) in zip((-3, 3), series.items(), strict=True):
        points = [(across(int(depth)) + nudge, figure) for depth, figure in curve.items() if _whole(figure)]
        path = "M" + "L".join(f"{x:g} {down(figure.value or 0):g}" for x, figure in points) if len(points) > 1 else ""
        lines += Markup('<path class="{} line" d="{}"/>').format(kind, path)
        for x, figure in points:
            lines += Markup('<line class="{0} whisker" x1="{1}" x2="{1}" y1="{2}" y2="{3}"/>{4}').format(
                kind, x, down(figure.low or 0), down(figure.high or 0), _mark(kind, x, down(figure.value or 0))
            )
    told = "; ".join(f"at {depth}: {percent(scores.recall[str(depth)].value)}" for depth in depths)
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-t {id}-d">'
        '<title id="{id}-t">Evidence found by search</title><desc id="{id}-d">Recall {told}.</desc>{grid}{ticks}{lines}'
        '<text class="label" x="{right}" y="{low}" text-anchor="end">passages looked at</text></svg>'
    ).format(
        width=width, height=height, id=identity, told=told, grid=grid, ticks=ticks, lines=lines,
        right=width - 14, low=height - 4,
    )  # fmt: skip


def gains_plot(gains: Sequence[float], identity: str) -> Markup | None:
    """One bar a question, the largest gain first: how many won and lost, and by how much.

    Of more than `MOST_BARS` questions every so many-th is drawn.
    """
    if not gains:
        return None
    width, height, middle = 960, 130, 65
    best_first = sorted(gains, reverse=True)
    bars = min(len(best_first), MOST_BARS)
    ordered = [best_first[place * len(best_first) // bars] for place in range(bars)]
    step = width / bars
    path = Markup("").join(
        Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
            "better" if gain > 0 else "worse",
            round(step * place, 2),
            round(middle - max(gain, 0) * 60, 1),
            round(max(step * 0.8, 0.4), 2),
            round(abs(gain) * 60, 1),
        )
        for place, gain in enumerate(ordered)
        if gain
    )
    return Markup(
        '<svg class="gains" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-labelledby="{}-t"><title id="{}-t">Change of quality, '
        'question by question, from {:+.2f} to {:+.2f}</title>{}<line class="axis" x1="0" x2="{}" y1="{}" y2="{}"/></svg>'
    ).format(width, height, identity, identity, best_first[0], best_first[-1], path, width, middle, middle)


def _whole(figure: Figure) -> bool:
    return figure.value is not None and figure.low is not None and figure.high is not None


def _spoken(figure: Figure) -> str:
    return f"{figure.value:.2f}, interval {figure.low:.2f} to {figure.high:.2f}, n {figure.n}"


def _place(value: float, top: float) -> float:
    return round(EDGE + (SPAN_WIDTH - 2 * EDGE) * min(max(value / top, 0.0), 1.0), 1)


def _across(figure: Figure, top: float) -> list[float]:
    return [_place(edge or 0.0, top) for edge in (figure.low, figure.value, figure.high)]


def _marked(kind: str, figure: Figure, across: Sequence[float], y: float) -> Markup:
    low, middle, high = across
    return Markup(
        '<g class="{}"><title>{}</title><line class="{} whisker" x1="{}" x2="{}" y1="{}" y2="{}"/>{}</g>'
    ).format(f"row-{kind}", _spoken(figure), kind, low, high, y, y, _mark(kind, middle, y))


def _cross(
    kind: str, right: Figure, up: Figure, across: Callable[[float], float], down: Callable[[float], float]
) -> Markup:
    """A mark with a whisker each way."""
    x, y = across(right.value or 0.0), down(up.value or 0.0)
    return Markup(
        '<line class="{0} whisker" x1="{1}" x2="{2}" y1="{3}" y2="{3}"/><line class="{0} whisker" x1="{4}" x2="{4}" y1="{5}" y2="{6}"/>{7}'
    ).format(
        kind, across(right.low or 0.0), across(right.high or 0.0), y, x, down(up.low or 0.0), down(up.high or 0.0), _mark(kind, x, y)
    )  # fmt: skip


def _mark(kind: str, x: float, y: float) -> Markup:
    if kind == "passages":
        return Markup('<rect class="{} dot" x="{}" y="{}" width="8" height="8"/>').format(
            kind, round(x - 4, 1), round(y - 4, 1)
        )
    return Markup('<circle class="{} dot" cx="{}" cy="{}" r="4.5"/>').format(kind, x, y)
