"""95% intervals for shares, means and paired differences. Closed forms where they exist, else a seeded bootstrap.

Questions are treated as independent. Questions over the same context are not quite, so the intervals are somewhat
narrower than the truth.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z95 = 1.959963984540054
"""Two-sided 95% point of the normal distribution."""

RESAMPLES = 2000
_RESAMPLE_CELLS = 1_000_000
"""Drawn indices held at once (8 MB)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its sample size and 95% interval. ``value`` is None where nothing was measured (n = 0)."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


def share(successes: int, n: int) -> Figure:
    """A proportion with Wilson's score interval (Wilson 1927).

    >>> figure = share(0, 10)
    >>> figure.value, figure.low, round(figure.high, 3)
    (0.0, 0.0, 0.278)
    >>> share(0, 0)
    Figure(value=None, n=0, low=None, high=None)
    """
    if n == 0:
        return Figure(None, 0)
    low, high = _wilson(successes, n)
    return Figure(successes / n, n, low, high)


def _wilson(successes: int, n: int) -> tuple[float, float]:
    p = successes / n
    centre = p + Z95**2 / (2 * n)
    margin = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    scale = 1 + Z95**2 / n
    low = 0.0 if successes == 0 else (centre - margin) / scale
    high = 1.0 if successes == n else (centre + margin) / scale
    return low, high


def share_difference(first: Sequence[bool], second: Sequence[bool]) -> Figure:
    """Share of `second` minus share of `first` over the same questions, Newcombe's square-and-add interval for pairs.

    Method 10 of Newcombe 1998 (Statistics in Medicine 17, 2635-2650), which unlike a bootstrap is not fooled into a
    zero-width interval when all of a few questions agree.
    """
    n = len(first)
    if n == 0:
        return Figure(None, 0)
    both = sum(a and b for a, b in zip(first, second, strict=True))
    yes_first, yes_second = sum(first), sum(second)
    p1, p2 = yes_second / n, yes_first / n
    (low1, high1), (low2, high2) = _wilson(yes_second, n), _wilson(yes_first, n)
    phi = _phi(both, yes_second - both, yes_first - both, n)
    down = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    up = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    return Figure(p1 - p2, n, p1 - p2 - math.sqrt(max(down, 0.0)), p1 - p2 + math.sqrt(max(up, 0.0)))


def _phi(both: int, only_second: int, only_first: int, n: int) -> float:
    """Newcombe's phi: the correlation of the pairs, with his continuity correction of a positive one."""
    neither = n - both - only_second - only_first
    product = (both + only_second) * (only_first + neither) * (both + only_first) * (only_second + neither)
    if product == 0:
        return 0.0
    crossed: float = both * neither - only_second * only_first
    if crossed > 0:
        crossed = max(crossed - n / 2, 0.0)
    return crossed / math.sqrt(product)


def mean(values: Sequence[float], *, seed: str) -> Figure:
    """The mean with a percentile bootstrap interval of 2,000 resamples, the same for the same `seed`.

    Of paired differences this is the paired bootstrap.
    """
    if not values:
        return Figure(None, 0)
    array = np.asarray(values, dtype=np.float64)
    means = _resampled_means(array, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(float(array.mean()), len(array), float(low), float(high))


def _resampled_means(
    array: np.ndarray[tuple[int], np.dtype[np.float64]], seed: str
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    at_once = max(1, _RESAMPLE_CELLS // len(array))
    parts = []
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        parts.append(array[random.integers(0, len(array), size=(rows, len(array)))].mean(axis=1))
    return np.concatenate(parts)
