"""Charts as inline SVG: no library, no script, colours from the page's stylesheet by class.

Text goes through `Markup.format`, which escapes it. Drawing units are about one CSS pixel at 480 px of width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from groundtune.evaluation.verdict.data import TrainingPhase
from groundtune.evaluation.verdict.wording import compact, decimal

WIDTH, HEIGHT = 480, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 40
MOST_POINTS = 240
"""A curve with more points is averaged over equal runs of steps: more could not be told apart."""

Point = tuple[float, float]


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) that cover `low` to `high`.

    >>> nice_ticks(0.3, 4.2)
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    if not high > low:
        high = low + 1
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where data stand on the drawing."""

    x_ticks: list[float]
    y_ticks: list[float]
    x_max: float

    def x(self, value: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * value / max(self.x_max, 1e-9), 1)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low), 1)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a chart. `kind` is its class in the stylesheet."""

    kind: Literal["train", "valid", "rate", "norm"]
    name: str
    """As it is spoken: "training loss"."""
    points: list[Point]
    dots: bool = False


def training_charts(phase: TrainingPhase, identity: str) -> list[tuple[str, Markup]]:
    """Title and drawing of every chart that there are two points for: loss, learning rate and gradient norm by step."""
    steps = phase.steps
    rates = Curve("rate", "learning rate", _thin([(point.step, point.learning_rate) for point in steps]))
    norms = Curve("norm", "gradient norm", _thin([(point.step, point.grad_norm) for point in steps]))
    clipped = phase.max_grad_norm if norms.points else None
    title = "Gradient norm before clipping" if clipped is None else f"Gradient norm, clipped to {clipped:g}"
    charts = [
        ("Loss", loss_chart(phase, f"{identity}-loss")),
        ("Learning rate", _chart(f"Learning rate during {phase.name.lower()}", [rates], f"{identity}-rate")),
        (title, _chart(f"{title}, during {phase.name.lower()}", [norms], f"{identity}-norm", rule=clipped)),
    ]
    return [(name, chart) for name, chart in charts if chart is not None]


def loss_chart(phase: TrainingPhase, identity: str) -> Markup | None:
    """Training and validation loss by optimizer step; None where there are not two points to draw."""
    train = _thin([(point.step, point.train_loss) for point in phase.steps])
    valid = _finite([(point.step, point.valid_loss) for point in phase.steps])
    curves = [Curve("train", "training loss", train), Curve("valid", "validation loss", valid, dots=True)]
    return _chart(f"Loss during {phase.name.lower()}", curves, identity, from_zero=False)


def _chart(
    title: str, curves: Sequence[Curve], identity: str, *, from_zero: bool = True, rule: float | None = None
) -> Markup | None:
    """`rule`: a value with a dashed line across. None where there are not two points to draw."""
    points = [point for curve in curves for point in curve.points]
    if len(points) < 2:
        return None
    values = [value for _, value in points] + ([] if rule is None else [rule])
    x_max = max(step for step, _ in points)
    low = min(values) if not from_zero and min(values) > max(values) / 2 else 0
    frame = Frame(
        x_ticks=[tick for tick in nice_ticks(0, x_max, 4) if tick <= x_max],
        y_ticks=nice_ticks(low, max(values), 4),
        x_max=x_max,
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-t {id}-d">'
        '<title id="{id}-t">{title}</title><desc id="{id}-d">{description}</desc>{axes}{rule}{lines}</svg>'
    ).format(
        width=WIDTH,
        height=HEIGHT,
        id=identity,
        title=title,
        description=_describe(curves),
        axes=_axes(frame),
        rule="" if rule is None else _rule(frame, rule),
        lines=Markup("").join(_line(frame, curve.points, curve.kind, dots=curve.dots) for curve in curves),
    )


def _rule(frame: Frame, value: float) -> Markup:
    y = frame.y(value)
    return Markup('<line class="rule" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH - RIGHT, y, y)


def _finite(points: Sequence[tuple[int, float | None]]) -> list[Point]:
    return [(float(step), value) for step, value in points if value is not None and math.isfinite(value)]


def _thin(points: Sequence[tuple[int, float | None]]) -> list[Point]:
    """At most `MOST_POINTS` points, each the mean of a run of steps, at its last step."""
    finite = _finite(points)
    size = max(1, math.ceil(len(finite) / MOST_POINTS))
    runs = [finite[start : start + size] for start in range(0, len(finite), size)]
    return [(run[-1][0], sum(value for _, value in run) / len(run)) for run in runs]


def _describe(curves: Sequence[Curve]) -> str:
    told = [
        f"{curve.name} goes from {_spoken(curve.points[0][1])} at step {curve.points[0][0]:.0f} to "
        f"{_spoken(curve.points[-1][1])} at step {curve.points[-1][0]:.0f}"
        for curve in curves
        if curve.points
    ]
    return "; ".join(told) + "."


def _spoken(value: float) -> str:
    return decimal(value) if abs(value) >= 0.1 else f"{value:.2g}"


def _axes(frame: Frame) -> Markup:
    left, right, bottom = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    grid = Markup("").join(
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
        ).format(left, right, frame.y(tick), frame.y(tick), left - 8, frame.y(tick) + 4, f"{tick:g}")
        for tick in frame.y_ticks
    )
    ticks = Markup("").join(
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            frame.x(tick), bottom + 18, compact(tick)
        )
        for tick in frame.x_ticks
    )
    labels = Markup(
        '<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text class="label" x="{}" y="{}" text-anchor="end">optimizer step</text>'
    ).format(left, right, bottom, bottom, right, HEIGHT - 4)
    return grid + ticks + labels


def _line(frame: Frame, points: Sequence[Point], kind: str, *, dots: bool = False) -> Markup:
    drawn = [(frame.x(step), frame.y(value)) for step, value in points]
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in drawn) if len(drawn) > 1 else ""
    marks = Markup("").join(
        Markup('<circle class="{} dot" cx="{}" cy="{}" r="3.5"><title>step {:.0f}: {}</title></circle>').format(
            kind, x, y, step, decimal(value, 3)
        )
        for (x, y), (step, value) in zip(drawn, points, strict=True)
        if dots or len(drawn) == 1
    )
    return Markup('<path class="{} line" d="{}"/>{}').format(kind, path, marks)
