"""Bootstrap over groups: how much a figure would move if other groups had been asked.

Groups are drawn, not pairs, because the pairs of a group are of one text and one mood of the model. All models are measured on the
same draws, so that a difference between two is measured group by group. With few groups the plain percentile interval is too
narrow; its ends are moved outwards as Hesterberg does ("What Teachers Should Know About the Bootstrap", 2015, expanded percentile
interval). Where every resample says the same, as when all pairs were accepted, there is no interval: the
bootstrap knows nothing of what it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import atan, cos, pi, sin, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
FEWEST_GROUPS = 3
"""With fewer there is no interval."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95% interval; ``value`` None: nothing to measure; ``low`` and ``high`` None: too few groups."""

    value: float | None
    low: float | None = None
    high: float | None = None


def draw_weights(num_groups: int, *, seed: int) -> Floats:
    """How often each group is drawn, ``(RESAMPLES, groups)``; every row sums to the number of groups."""
    chance = np.random.default_rng([seed, 5])
    drawn = chance.integers(0, num_groups, size=(RESAMPLES, num_groups))
    offsets = drawn + np.arange(RESAMPLES)[:, None] * num_groups
    return np.bincount(offsets.ravel(), minlength=RESAMPLES * num_groups).reshape(RESAMPLES, num_groups).astype(float)


def interval(value: float, samples: Floats, num_groups: int) -> Interval:
    """Of the figure `value` and what it was in each resample; nan: it is undefined."""
    if np.isnan(value):
        return Interval(None)
    found = bounds(samples, num_groups)
    if found is None or np.isclose(*found, rtol=1e-12, atol=0):
        return Interval(value)
    return Interval(value, *found)


def bounds(samples: Floats, num_groups: int, *, comparisons: int = 1) -> tuple[float, float] | None:
    """The ends of an interval, resamples in which the figure is undefined (nan) passed over; None: too few are left to tell.

    Args:
        comparisons: how many intervals are to hold together at 95% (Bonferroni).
    """
    known = samples[~np.isnan(samples)]
    if num_groups < FEWEST_GROUPS or len(known) < RESAMPLES / 2:
        return None
    tail = expanded_tail(num_groups, comparisons)
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


@lru_cache(maxsize=64)
def expanded_tail(num_groups: int, comparisons: int = 1) -> float:
    """The share to cut off on each side for 95%, or for so many intervals together.

    Hesterberg (2015): the normal probability below ``-sqrt(n / (n - 1)) * t(0.975, n - 1)``. For 10 groups t is 2.262, so
    2.262 * 1.054 = 2.384, which leaves 0.0086 in place of 0.025.

    >>> round(expanded_tail(10), 4), round(expanded_tail(1000), 3)
    (0.0086, 0.025)
    """
    t = t_quantile(0.05 / comparisons, num_groups - 1)
    return NormalDist().cdf(-sqrt(num_groups / (num_groups - 1)) * t)


def t_quantile(outside: float, degrees: int) -> float:
    """What the size of Student's t passes with the probability `outside`.

    By halving, on the closed forms of Abramowitz and Stegun 26.7.3 and 26.7.4.

    >>> round(t_quantile(0.05, 1), 3), round(t_quantile(0.05, 2), 3), round(t_quantile(0.05, 9), 3)
    (12.706, 4.303, 2.262)
    """
    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, degrees) < 1 - outside else (low, middle)
    return (low + high) / 2


def _inside(t: float, degrees: int) -> float:
    """The probability that Student's t lies between -t and t."""
    angle = atan(t / sqrt(degrees))
    odd = degrees % 2
    term = cos(angle) if odd else 1.0
    series = term if degrees > 1 else 0.0
    for place in range(2 + odd, degrees - 1, 2):
        term *= (place - 1) / place * cos(angle) ** 2
        series += term
    return 2 / pi * (angle + sin(angle) * series) if odd else sin(angle) * series
