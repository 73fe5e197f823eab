"""One figure against one threshold: passed, failed or not measured, and in words.

The rule: a threshold is held against the figure itself, so that an item always passes or fails. It is sure only where the whole
95% interval says the same; where the interval lies on both sides of the threshold, where there is none or it has no width, or
where fewer than `FEW` independent things stand behind it, the item is too close to call, and its sentence and the list's say so. The one exception is
being better than the base: a difference that may be chance fails.
"""

from __future__ import annotations

from groundtune.evaluation.checklist.records import Bound, Item, State, Unit
from groundtune.evaluation.figures.digits import further_digits
from groundtune.evaluation.figures.intervals import FEW, Figure

COUNTED: tuple[Unit, ...] = ("number", "gigabytes")
"""What is counted and no sample of anything."""


def judge_figure(
    key: str,
    name: str,
    figure: Figure,
    threshold: float,
    bound: Bound,
    *,
    unit: Unit,
    source: str,
    missing: str,
    note: str = "",
    clearly: bool = False,
) -> Item:
    """The item of one figure.

    Args:
        missing: why nothing was measured and what to do, for the figure that is not there.
        note: behind the figures, a half-sentence that begins with its semicolon.
        clearly: an interval on both sides of the threshold fails: what may be chance is not enough.
    """
    if figure.value is None:
        return Item(
            key, name, "not measured", True, figure, unit, threshold, bound, source, f"Not measured: {missing}."
        )
    counted = unit in COUNTED
    sure = counted or (figure.is_wide and figure.witnesses >= FEW and _is_sure(figure, threshold, bound))
    state: State = "pass" if _holds(figure.value, threshold, bound) and (sure or not clearly) else "fail"
    told = f"{show_value(figure.value, unit)}; {_asked(threshold, bound, unit)}"
    sentence = f"{told}{_interval(figure, unit)}{_doubt(figure, sure=sure, clearly=clearly)}{note}."
    return Item(key, name, state, sure, figure, unit, threshold, bound, source, sentence)


def _asked(threshold: float, bound: Bound, unit: Unit) -> str:
    return "more than chance is asked" if unit == "difference" else f"{bound} {show_value(threshold, unit)} is asked"


def _interval(figure: Figure, unit: Unit) -> str:
    if figure.low is None or figure.high is None:
        return f" (n = {figure.n:,})"
    if figure.low == figure.high == figure.value:
        return "" if unit in COUNTED else f" (all alike, n = {figure.n:,})"
    more = further_digits(figure, 3) if unit == "difference" else 0
    low, high = (show_value(edge, unit, more) for edge in (figure.low, figure.high))
    return f" (95% interval {low} to {high}, n = {figure.n:,})"


def _doubt(figure: Figure, *, sure: bool, clearly: bool) -> str:
    if sure:
        return ""
    if not figure.is_wide:
        return "; too close to call, having no interval"
    if clearly:
        return "; it may be chance"
    if figure.witnesses < FEW:
        groups = f", n in {figure.groups:,} groups" if figure.groups else ""
        return f"; too close to call, being over fewer than {FEW} independent of one another{groups}"
    return "; too close to call: the interval holds the threshold"


def _holds(value: float, threshold: float, bound: str) -> bool:
    if bound == "at most":
        return value <= threshold
    return value >= threshold if bound == "at least" else value > threshold


def _is_sure(figure: Figure, threshold: float, bound: str) -> bool:
    """Whether both ends of the interval say the same as the figure."""
    if figure.low is None or figure.high is None or figure.value is None:
        return False
    return _holds(figure.low, threshold, bound) == _holds(figure.high, threshold, bound)


def show_value(value: float, unit: Unit, more: int = 0) -> str:
    """A figure in its unit; of a difference with `more` digits.

    >>> show_value(0.0512, "share"), show_value(4.0, "mark"), show_value(12, "number"), show_value(0.1, "difference")
    ('5.1%', '4.00', '12', '+0.100')
    """
    if unit == "share":
        return f"{100 * value:.1f}%"
    if unit == "difference":
        return f"{value:+.{3 + more}f}"
    if unit in ("mark", "gigabytes", "seconds"):
        return f"{value:.2f}" + {"gigabytes": " GB", "seconds": " s"}.get(unit, "")
    if unit == "score":
        return f"{value:.3f}"
    return f"{value:.1f} tokens/s" if unit == "tokens per second" else f"{value:,.0f}"
