"""One figure against one threshold: passed, failed or not measured, and in words.

An item is judged by its figure; where the figure's interval lies on both sides of the threshold, the item says that it is not
sure.
"""

from __future__ import annotations

from groundtune.evaluation.checklist.records import Bound, Item, State, Unit
from groundtune.evaluation.figures.intervals import Figure


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
    sure = _is_sure(figure, threshold, bound)
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
        return "" if unit in ("number", "gigabytes") else f" (all alike, n = {figure.n:,})"
    return f" (95% interval {show_value(figure.low, unit)} to {show_value(figure.high, unit)}, n = {figure.n:,})"


def _doubt(figure: Figure, *, sure: bool, clearly: bool) -> str:
    if sure:
        return ""
    if figure.low is None or figure.high is None:
        return "; unsure: there is no interval"
    return "; it may be chance" if clearly else "; unsure: the interval holds the threshold"


def _holds(value: float, threshold: float, bound: str) -> bool:
    if bound == "at most":
        return value <= threshold
    return value >= threshold if bound == "at least" else value > threshold


def _is_sure(figure: Figure, threshold: float, bound: str) -> bool:
    """Whether both ends of the interval say the same as the figure."""
    if figure.low is None or figure.high is None or figure.value is None:
        return False
    return _holds(figure.low, threshold, bound) == _holds(figure.high, threshold, bound)


def show_value(value: float, unit: Unit) -> str:
    """
    >>> show_value(0.0512, "share"), show_value(4.0, "mark"), show_value(12, "number"), show_value(0.1, "difference")
    ('5.1%', '4.00', '12', '+0.100')
    """
    if unit == "share":
        return f"{100 * value:.1f}%"
    if unit == "difference":
        return f"{value:+.3f}"
    if unit in ("mark", "gigabytes", "seconds"):
        return f"{value:.2f}" + {"gigabytes": " GB", "seconds": " s"}.get(unit, "")
    if unit == "score":
        return f"{value:.3f}"
    return f"{value:.1f} tokens/s" if unit == "tokens per second" else f"{value:,.0f}"
