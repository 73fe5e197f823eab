"""95% intervals for shares, means and paired differences. Closed forms where they exist, else a seeded bootstrap.

Questions over the same evidence are right and wrong together, and an interval that takes them for independent is too narrow.
Every interval here therefore takes `clusters`, a name for each value; values of one name may hang together in any way, and
only different names are taken for independent. Without `clusters` every value stands by itself.

- Means: whole clusters are drawn with replacement (cluster bootstrap; Davison and Hinkley 1997, section 3.8; Field and Welsh 2007).
- Means over units of unequal size (the loss over tokens): a ratio estimator over clusters, in closed form.
- Shares: the number of questions in the closed forms is divided by the design effect, that is by how much more the share varies over
  clusters than it would over as many independent questions (Kish 1965; used with Wilson's interval by Dean and Pagano 2015),
  and is made smaller for few clusters as by Korn and Graubard 1998. A design effect below 1 is taken for 1. Where all values are
  equal nothing can be seen of it, and every cluster is taken for one witness.

With a handful of clusters all of these promise more than they keep; the report claims nothing from under ten of them.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from groundtune.evaluation.figures.joining import cluster_codes, fewer, worth
from groundtune.types import OMIT_DEFAULT

Z95 = 1.959963984540054
"""Two-sided 95% point of the normal distribution."""

FEW = 10
"""With fewer independent questions than this no difference is claimed, whatever the interval says."""

RESAMPLES = 2000
TAIL = 0.025
"""Of resamples outside an interval, on either side."""

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
    caution: str = field(default="", metadata=OMIT_DEFAULT)
    """Why there is no interval, or no value although something was looked at, where that is to be said: "too few to tell"."""
    groups: int = field(default=0, metadata=OMIT_DEFAULT)
    """Clusters that the n values are of, where there are fewer of them; 0 where each stands by itself."""

    @property
    def witnesses(self) -> int:
        """How many of the n are independent of one another.

        >>> Figure(0.5, 12).witnesses, Figure(0.5, 12, groups=1).witnesses
        (12, 1)
        """
        return self.groups or self.n

    @property
    def is_wide(self) -> bool:
        """Whether there is an interval, and it has a width: one without says nothing of how far others lie."""
        return self.low is not None and self.high is not None and self.low < self.high


def share(successes: int, n: int) -> Figure:
    """A proportion of independent values with Wilson's score interval (Wilson 1927).

    >>> figure = share(0, 10)
    >>> figure.value, figure.low, round(figure.high, 3)
    (0.0, 0.0, 0.278)
    >>> share(0, 0) == Figure(None, 0)
    True
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
    return Figure(yes / n, n, low, high, groups=fewer(clusters))


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
    down, up = _side(p1 - low1, high2 - p2, phi), _side(high1 - p1, p2 - low2, phi)
    return Figure(p1 - p2, n, p1 - p2 - down, p1 - p2 + up, groups=fewer(clusters or range(n)))


def _side(one: float, other: float, phi: float) -> float:
    """In an order of operations that does not mind which is which, so that swapping two systems flips the interval to the bit."""
    return math.sqrt(max(one**2 + other**2 - 2 * phi * (one * other), 0.0))


def _phi(both: float, only_second: float, only_first: float, n: float) -> float:
    """Newcombe's phi: the correlation of the pairs, with his continuity correction of a positive one."""
    neither = n - both - (only_second + only_first)
    product = ((both + only_second) * (both + only_first)) * ((only_first + neither) * (only_second + neither))
    if product <= 0:
        return 0.0
    crossed: float = both * neither - only_second * only_first
    if crossed > 0:
        crossed = max(crossed - n / 2, 0.0)
    return crossed / math.sqrt(product)


def mean_of_two(one: Figure, other: Figure, clusters: tuple[Sequence[Hashable], Sequence[Hashable]]) -> Figure:
    """The mean of two figures over different questions; its interval from theirs, squared and added.

    The method of variance estimates recovery (Zou and Donner 2008). Where the two share a cluster they may err together, and the
    errors are added as they are. Not measured where one of them is not.

    Args:
        clusters: of the questions of either.

    >>> one, other = Figure(1.0, 2, 0.6, 1.0), Figure(0.5, 2, 0.2, 0.8)
    >>> mean_of_two(one, other, ("ab", "cd")) == Figure(0.75, 4, 0.5, 0.9)
    True
    >>> round(mean_of_two(one, other, ("ab", "bc")).low, 2), mean_of_two(one, other, ("ab", "bc")).witnesses
    (0.4, 3)
    """
    if one.value is None or other.value is None or one.low is None or other.low is None:
        return Figure(None, 0)
    if one.high is None or other.high is None:
        return Figure(None, 0)
    value = (one.value + other.value) / 2
    added = math.hypot if set(clusters[0]).isdisjoint(clusters[1]) else operator.add
    down = added(one.value - one.low, other.value - other.low) / 2
    up = added(one.high - one.value, other.high - other.value) / 2
    n, witnesses = one.n + other.n, len({*clusters[0], *clusters[1]})
    return Figure(value, n, value - down, value + up, groups=witnesses if witnesses < n else 0)


def mean(
    values: Sequence[float],
    *,
    seed: str,
    clusters: Sequence[Hashable] | None = None,
    bounds: tuple[float, float] | None = None,
) -> Figure:
    """The mean with a bootstrap interval of 2,000 resamples, the same for the same `seed`; of paired differences the paired bootstrap.

    Percentiles at 2.5 and 97.5 are moved away from the mean for few clusters, by as much as Student's t lies further out than
    the normal distribution and a resample of few varies too little, or the interval would be too narrow (both corrections:
    Hesterberg 2015, "What teachers should know about the bootstrap"). Negated values give the negated interval, to the bit.

    Args:
        bounds: beyond which no mean can lie; the interval is cut there. Where all values are equal it reaches towards them; without
            bounds it then has no width, and says nothing of how far other values lie.
    """
    if not values:
        return Figure(None, 0)
    array = np.asarray(values, dtype=np.float64)
    codes = cluster_codes(clusters if clusters is not None else range(len(array)), len(array))
    sums = np.bincount(codes, weights=array).astype(np.float64)
    sizes = np.bincount(codes).astype(np.float64)
    value = float(array.mean())
    if len(sums) == 1:
        # one cluster alone says nothing of how far others lie
        low, high = bounds or (float(array.min()), float(array.max()))
    elif float(array.min()) == float(array.max()):
        value = float(array[0])
        low, high = _all_equal(value, worth(sizes), bounds)
    else:
        low, high = _spread(value, _resampled_means(sums, sizes, seed), worth(sizes))
    if bounds is not None:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return Figure(value, len(array), low, high, groups=len(sums) if len(sums) < len(array) else 0)


def _all_equal(value: float, groups: float, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """The mean, were as many values at either bound as Wilson's interval allows of a kind that was not seen among `groups`.

    >>> [round(end, 2) for end in _all_equal(0.5, 10, (-1.0, 1.0))]
    [0.08, 0.64]
    """
    if bounds is None:
        return value, value
    unseen = 1 - _wilson(groups, groups)[0]
    return value - unseen * (value - bounds[0]), value + unseen * (bounds[1] - value)


def _design_effect(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How many values of a cluster are worth one independent value; at least 1. Of values that are all equal: the most that it
    can be, for whether they hang together cannot be seen."""
    array, n = np.asarray(values, dtype=np.float64), len(values)
    codes = cluster_codes(clusters, n)
    groups = int(codes.max()) + 1
    if groups == n:
        return 1.0
    if groups == 1:
        return float(n)
    if not (spread := float(((array - array.mean()) ** 2).sum())):
        return float((np.bincount(codes) ** 2).sum()) / n
    of_groups = float((np.bincount(codes, weights=array - array.mean()) ** 2).sum())
    effect = (of_groups * groups / (groups - 1)) / (spread * n / (n - 1))
    few = (student(worth(np.bincount(codes)) - 1) / student(n - 1)) ** 2
    return min(max(effect, 1.0) * few, float(n))


def student(freedom: int) -> float:
    """Two-sided 95% point of Student's t: closed forms for 1 and 2 degrees of freedom, from there on its expansion in 1/freedom
    (Abramowitz and Stegun 26.7.5), less than 1% off.

    >>> [round(student(freedom), 2) for freedom in (1, 2, 9)], round(student(99), 3)  # tables: 12.71, 4.30, 2.262, 1.984
    ([12.71, 4.3, 2.26], 1.984)
    """
    if freedom == 1:
        return math.tan(0.475 * math.pi)
    if freedom == 2:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / float(freedom) ** power for power, term in enumerate(terms, start=1))


def resampled_interval(
    value: float, rows: Floats, statistic: Callable[[Floats], Floats], seed: str, *, sizes: npt.ArrayLike
) -> tuple[float, float] | None:
    """The bootstrap interval of a `value` that is no mean: of a `statistic` of sums over rows, one row for each of two clusters or
    more.

    Args:
        statistic: of each of many sums of rows; not a number where it is not defined. Those are left out, and with more than half
            of them the interval.
        sizes: how many things each cluster holds; few large ones among small ones widen the interval as few clusters do.

    Returns:
        Low and high, within -1 and 1, as agreement lies. None where there is none.
    """
    times = _drawn(len(rows), seed).astype(np.float64)
    # not the matrix product of a linear algebra library, whose order of adding varies with its threads
    found = statistic(np.einsum("rc,c...->r...", times, rows))
    found = found[~np.isnan(found)]
    if len(found) * 2 < RESAMPLES:
        return None
    low, high = _spread(value, found, worth(sizes))
    return max(low, -1.0), min(high, 1.0)


def _spread(value: float, resampled: Floats, groups: int) -> tuple[float, float]:
    """The middle 95% of resamples, moved away from `value` for few groups."""
    reach = math.sqrt(groups / (groups - 1)) * student(groups - 1) / Z95
    # the upper edge as the lower one of what is negated, so that it is the same to the bit the other way round
    down, up = value - float(np.quantile(resampled, TAIL)), -float(np.quantile(-resampled, TAIL)) - value
    return value - reach * down, value + reach * up


def _resampled_means(sums: Floats, sizes: Floats, seed: str) -> Floats:
    times = _drawn(len(sums), seed)
    at_once = max(1, _RESAMPLE_CELLS // len(sums))
    parts = []
    for start in range(0, RESAMPLES, at_once):
        part = times[start : start + at_once].astype(np.float64)
        # not the matrix product of a linear algebra library, whose order of adding varies with its threads
        parts.append(np.einsum("rg,g->r", part, sums) / np.einsum("rg,g->r", part, sizes))
    return np.concatenate(parts)


@lru_cache(maxsize=2)
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
