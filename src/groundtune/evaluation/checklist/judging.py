"""One figure against one threshold: passed, failed or not measured, and in words.

The rule: a threshold is held against the figure itself, so that an item always passes or fails. It is sure only where the whole
95% interval says the same. Its doubt is told by name: where the interval lies on both sides of the threshold it is too close to
call; where fewer than `FEW` independent things stand behind it they are too few to be sure; and it may be without an interval, or
with one of no width. Two exceptions: a difference that may be chance is no better than the base and fails; and of something that
must never happen the interval of a sample always reaches above zero, so that none among `FEW` or more is sure.
"""

from __future__ import annotations

import math

from groundtune.evaluation.checklist.records import Bound, Doubt, Item, State, Unit
from groundtune.evaluation.figures.digits import MOST_DIGITS, further_digits
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
    phrase: str = "",
    things: str = "",
    clearly: bool = False,
) -> Item:
    """The item of one figure.

    Args:
        missing: why nothing was measured and what to do, for the figure that is not there.
        note: behind the figures, a half-sentence that begins with its semicolon.
        phrase: says a rise, with a place for its size and one for "above" or "below".
        things: what n counts, where that is not plain.
        clearly: an interval on both sides of the threshold fails: what may be chance is not enough.
    """
    if figure.value is None:
        return Item(
            key, name, "not measured", True, figure, unit, threshold, bound, source, f"Not measured: {missing}."
        )
    doubt = "" if unit in COUNTED else _doubt(figure, threshold, bound)
    state: State = "pass" if _holds(figure.value, threshold, bound) and not (doubt and clearly) else "fail"
    told = _told(figure, figure.value, threshold, bound, unit, phrase=phrase, things=things)
    sentence = f"{told}{_because(doubt, clearly=clearly)}{note}."
    return Item(key, name, state, not doubt, figure, unit, threshold, bound, source, sentence, doubt)


def _told(figure: Figure, value: float, threshold: float, bound: Bound, unit: Unit, *, phrase: str, things: str) -> str:
    n = f"{figure.n:,}{things and f' {things}'}{f' in {figure.groups:,} groups' if figure.groups else ''}"
    if _is_none(figure, threshold, bound) and unit == "share" and figure.high is not None:
        return (
            f"None in {n}; up to {show_value(figure.high, unit)} cannot be ruled out; {_asked(threshold, bound, unit)}"
        )
    more = _telling_digits(value, threshold, unit)
    if phrase:
        shown = phrase.format(show_value(abs(value), unit, more), "below" if value < 0 else "above")
    else:
        shown = show_value(value, unit, more)
    return f"{shown}; {_asked(threshold, bound, unit, more)}{_interval(figure, unit, n, more)}"


def _asked(threshold: float, bound: Bound, unit: Unit, more: int = 0) -> str:
    if unit == "difference":
        return "more than chance is asked"
    return f"{bound} {show_value(threshold, unit, more)} is asked"


def _telling_digits(value: float, threshold: float, unit: Unit) -> int:
    """How many more digits it takes for a figure that is not its threshold to be seen to differ from it."""
    if unit == "difference" or _is_close(value, threshold):
        return 0
    shown = ((show_value(value, unit, more), show_value(threshold, unit, more)) for more in range(MOST_DIGITS))
    return next((more for more, (one, other) in enumerate(shown) if one != other), MOST_DIGITS)


def _interval(figure: Figure, unit: Unit, n: str, more: int) -> str:
    if figure.low is None or figure.high is None:
        return f" (n = {n})"
    if figure.low == figure.high == figure.value:
        return "" if unit in COUNTED else f" (all alike, n = {n})"
    more = further_digits(figure, 3) if unit == "difference" else more
    low, high = (show_value(edge, unit, more) for edge in (figure.low, figure.high))
    return f" (95% interval {low} to {high}, n = {n})"


def _doubt(figure: Figure, threshold: float, bound: Bound) -> Doubt:
    if not figure.is_wide:
        return "without an interval"
    if figure.witnesses < FEW:
        return "too few to be sure"
    if _is_sure(figure, threshold, bound) or _is_none(figure, threshold, bound):
        return ""
    return "too close to call"


def _because(doubt: Doubt, *, clearly: bool) -> str:
    if doubt == "too close to call":
        return "; it may be chance" if clearly else "; too close to call: the interval holds the threshold"
    if doubt == "too few to be sure":
        return f"; too few to be sure: fewer than {FEW} are independent of one another"
    return "; it is without an interval, so not sure" if doubt else ""


def _is_none(figure: Figure, threshold: float, bound: Bound) -> bool:
    """Whether nothing was found of what must never happen. The interval of a share then begins at zero, that of a rise below it."""
    return bound == "at most" and threshold == 0 and figure.value == figure.low == 0


def _holds(value: float, threshold: float, bound: Bound) -> bool:
    """A figure that differs from its threshold by the rounding of arithmetic alone is as large as it.

    >>> _holds(1.1 / 1.0 - 1, 0.1, "at most"), _holds(0.1 + 0.2, 0.3, "above")
    (True, False)
    """
    if _is_close(value, threshold):
        return bound != "above"
    return value < threshold if bound == "at most" else value > threshold


def _is_close(value: float, threshold: float) -> bool:
    return math.isclose(value, threshold, rel_tol=1e-9, abs_tol=1e-12)


def _is_sure(figure: Figure, threshold: float, bound: Bound) -> bool:
    """Whether both ends of the interval say the same as the figure."""
    if figure.low is None or figure.high is None or figure.value is None:
        return False
    return _holds(figure.low, threshold, bound) == _holds(figure.high, threshold, bound)


def show_value(value: float, unit: Unit, more: int = 0) -> str:
    """A figure in its unit, with `more` digits.

    >>> show_value(0.0512, "share"), show_value(4.0, "mark"), show_value(12, "number"), show_value(0.1, "difference")
    ('5.1%', '4.00', '12', '+0.100')
    """
    if unit == "share":
        return f"{100 * value:.{1 + more}f}%"
    if unit == "difference":
        return f"{value:+.{3 + more}f}"
    if unit in ("mark", "gigabytes", "seconds"):
        return f"{value:.{2 + more}f}" + {"gigabytes": " GB", "seconds": " s"}.get(unit, "")
    if unit == "score":
        return f"{value:.{3 + more}f}"
    return f"{value:.{1 + more}f} tokens/s" if unit == "tokens per second" else f"{value:,.{more}f}"
