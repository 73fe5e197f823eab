"""95% intervals for shares, means and paired differences. Closed forms where they exist, else a seeded bootstrap.

Questions over the same evidence are right and wrong together, and an interval that takes them for independent is too narrow.
Every interval here therefore takes `clusters`, a name for each value; values of one name may hang together in any way, and
only different names are taken for independent. Without `clusters` every value stands by itself.

- Means: whole clusters are drawn with replacement (cluster bootstrap; Davison and Hinkley 1997, section 3.8; Field and Welsh 2007).
- Shares: the number of questions in the closed forms is divided by the design effect, that is by how much more the share varies over
  clusters than it would over as many independent questions (Kish 1965; used with Wilson's interval by Dean and Pagano 2015),
  and is made smaller for few clusters as by Korn and Graubard 1998. A design effect below 1 is taken for 1. Where all values are
  equal nothing can be seen of it, and it is taken for 1 too.

With a handful of clusters all of these promise more than they keep; the report claims nothing from under ten questions.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Z95 = 1.959963984540054
"""Two-sided 95% point of the normal distribution."""

FEW = 10
"""With fewer questions than this no difference is claimed, whatever the interval says."""

RESAMPLES = 2000
_RESAMPLE_CELLS = 1_000_000
"""Drawn indices held at once (8 MB)."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its sample size and 95% interval. ``value`` is None where nothing was measured (n = 0)."""

    value: float | None
    n: int
    low: float | None = None
    high: float | None = None


def share(successes: int, n: int) -> Figure:
    """A proportion of independent values with Wilson's score interval (Wilson 1927).

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


def clustered_share(values: Sequence[bool], clusters: Sequence[Hashable]) -> Figure:
    """A proportion with Wilson's interval at the effective number of values.

    >>> figure = clustered_share([True] * 5 + [False] * 5, "aaaaabbbbb")  # two witnesses, not ten
    >>> figure.value, figure.n, round(figure.low, 2), round(figure.high, 2)
    (0.5, 10, 0.05, 0.95)
    """
    n = len(values)
    if n == 0:
        return Figure(None, 0)
    yes, effect = sum(values), _design_effect(values, clusters)
    low, high = _wilson(yes / effect, n / effect)
    return Figure(yes / n, n, low, high)


def _wilson(successes: float, n: float) -> tuple[float, float]:
    p = successes / n
    centre = p + Z95**2 / (2 * n)
    margin = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    scale = 1 + Z95**2 / n
    low = 0.0 if successes == 0 else (centre - margin) / scale
    high = 1.0 if successes == n else (centre + margin) / scale
    return low, high


def share_difference(
    first: Sequence[bool], second: Sequence[bool], *, clusters: Sequence[Hashable] | None = None
) -> Figure:
    """Share of `second` minus share of `first` over the same questions, Newcombe's square-and-add interval for pairs.

    Method 10 of Newcombe 1998 (Statistics in Medicine 17, 2635-2650), which unlike a bootstrap is not fooled into a
    zero-width interval when all of a few questions agree. With `clusters` at the effective number of questions.
    """
    n = len(first)
    if n == 0:
        return Figure(None, 0)
    changes = [int(b) - int(a) for a, b in zip(first, second, strict=True)]
    effect = _design_effect(changes, clusters) if clusters is not None else 1.0
    size = n / effect
    both = sum(a and b for a, b in zip(first, second, strict=True)) / effect
    yes_first, yes_second = sum(first) / effect, sum(second) / effect
    p1, p2 = sum(second) / n, sum(first) / n
    (low1, high1), (low2, high2) = _wilson(yes_second, size), _wilson(yes_first, size)
    phi = _phi(both, yes_second - both, yes_first - both, size)
    down = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    up = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    return Figure(p1 - p2, n, p1 - p2 - math.sqrt(max(down, 0.0)), p1 - p2 + math.sqrt(max(up, 0.0)))


def _phi(both: float, only_second: float, only_first: float, n: float) -> float:
    """Newcombe's phi: the correlation of the pairs, with his continuity correction of a positive one."""
    neither = n - both - only_second - only_first
    product = (both + only_second) * (only_first + neither) * (both + only_first) * (only_second + neither)
    if product <= 0:
        return 0.0
    crossed: float = both * neither - only_second * only_first
    if crossed > 0:
        crossed = max(crossed - n / 2, 0.0)
    return crossed / math.sqrt(product)


def mean_of_two(one: Figure, other: Figure) -> Figure:
    """The mean of two figures over different questions; its interval from theirs, squared and added.

    The method of variance estimates recovery (Zou and Donner 2008). Not measured where one of them is not.

    >>> mean_of_two(Figure(1.0, 10, 0.6, 1.0), Figure(0.5, 30, 0.2, 0.8))
    Figure(value=0.75, n=40, low=0.5, high=0.9)
    """
    if one.value is None or other.value is None or one.low is None or other.low is None:
        return Figure(None, 0)
    if one.high is None or other.high is None:
        return Figure(None, 0)
    value = (one.value + other.value) / 2
    down = math.hypot(one.value - one.low, other.value - other.low) / 2
    up = math.hypot(one.high - one.value, other.high - other.value) / 2
    return Figure(value, one.n + other.n, value - down, value + up)


def mean(values: Sequence[float], *, seed: str, clusters: Sequence[Hashable] | None = None) -> Figure:
    """The mean with a bootstrap interval of 2,000 resamples, the same for the same `seed`; of paired differences the paired bootstrap.

    Percentiles lie further out than at 2.5 and 97.5 for few clusters, as Student's t does, or the interval would be too narrow
    (Hesterberg 2015, "What teachers should know about the bootstrap", expanded percentile interval).
    """
    if not values:
        return Figure(None, 0)
    array = np.asarray(values, dtype=np.float64)
    codes = _codes(clusters if clusters is not None else range(len(array)), len(array))
    sums = np.bincount(codes, weights=array).astype(np.float64)
    sizes = np.bincount(codes).astype(np.float64)
    if len(sums) == 1:
        # one cluster alone says nothing of how far others lie
        low, high = float(array.min()), float(array.max())
    else:
        means = _resampled_means(sums, sizes, seed)
        tail = _expanded_tail(len(sums))
        low, high = (float(edge) for edge in np.quantile(means, [tail, 1 - tail]))
    return Figure(float(array.mean()), len(array), low, high)


def _codes(clusters: Sequence[Hashable], n: int) -> npt.NDArray[np.int64]:
    """A number for each value: that of its cluster, in order of first mention."""
    if len(clusters) != n:
        raise ValueError(f"clusters: found {len(clusters)}, expected one for each of {n} values")
    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=np.int64)


def _design_effect(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How many values of a cluster are worth one independent value; at least 1."""
    array, n = np.asarray(values, dtype=np.float64), len(values)
    codes = _codes(clusters, n)
    groups = int(codes.max()) + 1
    if groups == n or not (spread := float(((array - array.mean()) ** 2).sum())):
        return 1.0
    if groups == 1:
        return float(n)
    of_groups = float((np.bincount(codes, weights=array - array.mean()) ** 2).sum())
    effect = (of_groups * groups / (groups - 1)) / (spread * n / (n - 1))
    few = (_student(groups - 1) / _student(n - 1)) ** 2
    return min(max(effect, 1.0) * few, float(n))


def _student(freedom: int) -> float:
    """Two-sided 95% point of Student's t, by its expansion in 1/freedom (Abramowitz and Stegun 26.7.5); 1% off at 3.

    >>> round(_student(9), 2), round(_student(99), 3)  # tables: 2.262, 1.984
    (2.26, 1.984)
    """
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def _expanded_tail(groups: int) -> float:
    reach = math.sqrt(groups / (groups - 1)) * _student(groups - 1)
    return math.erfc(reach / math.sqrt(2)) / 2


def _resampled_means(sums: Floats, sizes: Floats, seed: str) -> Floats:
    times = _drawn(len(sums), seed)
    at_once = max(1, _RESAMPLE_CELLS // len(sums))
    parts = []
    for start in range(0, RESAMPLES, at_once):
        part = times[start : start + at_once].astype(np.float64)
        # not the matrix product of a linear algebra library, whose order of adding varies with its threads
        parts.append(np.einsum("rg,g->r", part, sums) / np.einsum("rg,g->r", part, sizes))
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def _drawn(groups: int, seed: str) -> npt.NDArray[np.uint16]:
    """How often each cluster is in each resample; kept, for many measures are taken over the same questions."""
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    at_once = max(1, _RESAMPLE_CELLS // groups)
    parts = []
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        drawn = random.integers(0, groups, size=(rows, groups)) + np.arange(rows)[:, None] * groups
        parts.append(np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.uint16))
    return np.concatenate(parts)
