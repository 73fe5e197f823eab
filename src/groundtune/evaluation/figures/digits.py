"""How many digits an interval is told with, so that one which leaves out zero does not seem to hold it."""

from __future__ import annotations

from groundtune.evaluation.figures.intervals import Figure

MOST_DIGITS = 6
"""More than other differences are told with."""


def further_digits(value: Figure, digits: int, unit: float = 1.0) -> int:
    """How many digits after the point more than `digits` it takes for an interval that leaves out zero to be seen to.

    >>> further_digits(Figure(0.02, 200, 0.003, 0.04), 2), further_digits(Figure(0.02, 200, -0.003, 0.04), 2)
    (1, 0)
    >>> further_digits(Figure(-0.04, 200, -0.07, -0.004), 0, 100.0)
    1
    """
    low, high = value.low, value.high
    if low is None or high is None or low <= 0 <= high:
        return 0
    nearest = min(abs(low), abs(high)) * unit
    return next((more for more in range(MOST_DIGITS) if float(f"{nearest:.{digits + more}f}")), MOST_DIGITS)
