"""Figures that are ratios, such as a loss over the tokens of examples, with 95% intervals in closed form.

What this module does not do: shares, means and differences (:mod:`groundtune.evaluation.figures.intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from groundtune.evaluation.figures.intervals import Figure, Floats, student
from groundtune.evaluation.figures.joining import cluster_codes, worth


def weighted_mean(sums: Sequence[float], sizes: Sequence[float], clusters: Sequence[Hashable]) -> Figure:
    """The sum of `sums` over that of `sizes`, such as a loss over all tokens of examples; n counts those with a size above zero.

    The interval is that of a ratio estimator over clusters (Taylor's linearisation; Cochran 1977, "Sampling Techniques", section
    6.4) on the scale of logarithms, where what cannot be negative is less lopsided, with Student's t for few clusters. There is none
    over fewer than three clusters, where it would be boundless, or of what is not above zero.

    >>> figure = weighted_mean([2.0, 9.0, 4.0, 0.0], [2, 2, 1, 0], "abcd")
    >>> figure.value, figure.n, figure.low < figure.value < figure.high
    (3.0, 3, True)
    """
    codes = cluster_codes(clusters, len(sums))
    counted = float(math.fsum(sizes))
    n = sum(size > 0 for size in sizes)
    if not counted:
        return Figure(None, 0)
    value = math.fsum(sums) / counted
    reach, groups = _reach(value, sums, sizes, codes)
    fewer = groups if groups < n else 0
    if reach is None or value <= 0:
        return Figure(value, n, groups=fewer)
    return Figure(value, n, value * math.exp(-reach / value), value * math.exp(reach / value), groups=fewer)


def weighted_change(
    before: Sequence[float], after: Sequence[float], sizes: Sequence[float], clusters: Sequence[Hashable]
) -> Figure:
    """The sum of `after` less that of `before`, over that of `sizes`: the change of a loss over the tokens of the same examples.

    The interval is paired, that of the same ratio estimator over clusters; none over fewer than three clusters. Swapping the
    two flips it to the bit.

    >>> figure = weighted_change([4.0, 9.0, 4.0], [2.0, 4.0, 3.0], [2, 2, 1], "abc")
    >>> figure.value, figure.n, figure.low < figure.value < figure.high
    (-1.6, 3, True)
    """
    counted = float(math.fsum(sizes))
    n = sum(size > 0 for size in sizes)
    if not counted:
        return Figure(None, 0)
    changes = [second - first for first, second in zip(before, after, strict=True)]
    value = math.fsum(changes) / counted
    reach, groups = _reach(value, changes, sizes, cluster_codes(clusters, len(changes)))
    fewer = groups if groups < n else 0
    if reach is None:
        return Figure(value, n, groups=fewer)
    return Figure(value, n, value - reach, value + reach, groups=fewer)


def _reach(
    value: float, sums: Sequence[float], sizes: Sequence[float], codes: npt.NDArray[np.int64]
) -> tuple[float | None, int]:
    """Half the width of the interval of a ratio, None over fewer than three clusters; and how many clusters there are."""
    weights: Floats = np.asarray(sizes, dtype=np.float64)
    of_clusters = np.bincount(codes, weights=weights)
    groups = int((of_clusters > 0).sum())
    if groups < 3:
        return None, groups
    residuals = np.asarray(sums, dtype=np.float64) - value * weights
    squares = float((np.bincount(codes, weights=residuals) ** 2).sum())
    error = math.sqrt(squares * groups / (groups - 1)) / float(math.fsum(sizes))
    return student(worth(of_clusters) - 1) * error, groups


def relative_rise(before: Figure, after: Figure) -> Figure:
    """`after` over `before`, less one: by how much more it is. Both are above zero and over different things.

    The interval is from theirs, squared and added on the scale of logarithms (the method of variance estimates recovery, as
    `mean_of_two`); none where one of them has none. n is that of the smaller.

    >>> rise = relative_rise(Figure(2.0, 9, 1.9, 2.1), Figure(2.2, 8, 2.0, 2.42))
    >>> round(rise.value, 9), rise.n, round(rise.low, 3), round(rise.high, 3)
    (0.1, 8, -0.012, 0.226)
    """
    if before.value is None or after.value is None or before.value <= 0:
        return Figure(None, 0)
    value, n = after.value / before.value, min(before.n, after.n)
    witnesses = min(before.witnesses, after.witnesses)
    groups = witnesses if witnesses < n else 0
    edges = (before.low, before.high, after.low, after.high)
    if after.value <= 0 or any(edge is None or edge <= 0 for edge in edges):
        return Figure(value - 1, n, groups=groups)
    log = [math.log(edge or 1.0) for edge in edges]
    was, now = math.log(before.value), math.log(after.value)
    down, up = math.hypot(now - log[2], log[1] - was), math.hypot(log[3] - now, was - log[0])
    return Figure(value - 1, n, value * math.exp(-down) - 1, value * math.exp(up) - 1, groups=groups)
