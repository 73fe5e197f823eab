"""How far any number of raters agree beyond chance, each having rated any part of the things: Krippendorff's alpha.

Source: Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability" (University of Pennsylvania, ASC departmental paper
43). 1 is full agreement, 0 what chance gives. Marks are compared by the square of their distance, names by being equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from groundtune.evaluation.figures.agreement import FEW_RATED, LEAST, NOT_DEFINED
from groundtune.evaluation.figures.intervals import FEW, Figure, Floats, clustered_share, resampled_interval
from groundtune.evaluation.figures.joining import fewer


def alpha(things: Sequence[Sequence[str | int]], *, seed: str, clusters: Sequence[Hashable] | None = None) -> Figure:
    """The ratings of each thing, whole numbers or names, with a bootstrap interval over the things, or over whole
    `clusters` of them (a name for each).

    n is the number of things with two ratings or more; the others say nothing. The value is None where there are none, or, with a
    caution, where all ratings are one and the same. From fewer clusters than `FEW` there is no interval, and a caution says so.
    Resamples in which alpha is not defined are left out, and with more than half of them the interval.

    Marks (1, 1), (2, 3), (3, 3): squared distances of pairs within a thing 0, 1, 0, each thing's pair twice over one other
    rating, so 2 over the 6 ratings; among all 30 ordered pairs of ratings they sum to 2 · (6 · 33 - 13²) = 58, a mean of
    58/30; alpha is 1 - (2/6) / (58/30).

    >>> round(alpha([(1, 1), (2, 3), (3, 3)], seed="").value, 4)
    0.8276
    >>> 1 - (2 / 6) / (58 / 30) == alpha([(1, 1), (2, 3), (3, 3), (5,)], seed="").value
    True
    >>> alpha([("a", "b"), ("a", "b")], seed="").value
    -0.5
    """
    named = zip(things, clusters if clusters is not None else range(len(things)), strict=True)
    compared = [(thing, cluster) for thing, cluster in named if len(thing) > 1]
    if not compared:
        return Figure(None, 0)
    sums = _sums([thing for thing, _ in compared], [cluster for _, cluster in compared])
    value = float(_alpha(sums.sum(axis=0, keepdims=True))[0])
    n, of_clusters = len(compared), [cluster for _, cluster in compared]
    groups = fewer(of_clusters)
    if np.isnan(value):
        return Figure(None, n, caution=NOT_DEFINED, groups=groups)
    if len(sums) < FEW:
        return Figure(value, n, caution=FEW_RATED, groups=groups)
    if value == 1:
        low = _least(compared, float(_among(sums.sum(axis=0, keepdims=True))[0]))
        return Figure(value, n, low, value, groups=groups)
    sizes = list(Counter(of_clusters).values())
    interval = resampled_interval(value, sums, _alpha, seed, sizes=sizes)
    if interval is None:
        return Figure(value, n, caution=FEW_RATED, groups=groups)
    return Figure(value, n, max(interval[0], LEAST), interval[1], groups=groups)


def _least(compared: Sequence[tuple[Sequence[str | int], Hashable]], among: float) -> float:
    """Of ratings that are equal within every thing, which resamples cannot see beyond: alpha, were as many things rated unequally
    as Wilson's interval of the share of equal ones allows, and as nearly as unequal ratings can be."""
    low = clustered_share([True] * len(compared), [cluster for _, cluster in compared]).low or 0.0
    # as `_sums` has it, two marks next to each other are 1 apart and two names √2
    nearest = 2.0 if any(isinstance(rating, str) for thing, _ in compared for rating in thing) else 1.0
    return max(1 - (1 - low) * nearest / among, LEAST)


def _sums(things: Sequence[Sequence[str | int]], clusters: Sequence[Hashable]) -> Floats:
    """A row for each cluster: disagreement within its things, ratings, sum of squares, and the sum on each axis.

    A name is a unit vector of its own, so that two names are √2 apart and a common factor cancels out.
    """
    names = sorted({str(rating) for thing in things for rating in thing if isinstance(rating, str)})
    rows: dict[Hashable, Floats] = {}
    for thing, cluster in zip(things, clusters, strict=True):
        points = np.array([[float(str(rating) == name) for name in names] if names else [rating] for rating in thing])
        total, squares, count = points.sum(axis=0), float((points**2).sum()), len(thing)
        # Σ |x - y|² over ordered pairs is 2 (n Σ|x|² - |Σx|²)
        within = 2 * (count * squares - float(total @ total)) / (count - 1)
        row = np.array([within, count, squares, *total.tolist()])
        rows[cluster] = rows[cluster] + row if cluster in rows else row
    return np.stack(list(rows.values()))


def _alpha(sums: Floats) -> Floats:
    """Of each row of sums over things; not a number where all ratings are the same."""
    within, count = sums[:, 0], sums[:, 1]
    result: Floats = 1 - (within / count) / _among(sums)
    return result


def _among(sums: Floats) -> Floats:
    """Mean squared distance of two ratings of any things; not a number where all are the same."""
    count, squares, total = sums[:, 1], sums[:, 2], sums[:, 3:]
    among = 2 * (count * squares - (total**2).sum(axis=1))
    # whole numbers and thirds: what should be nothing may be off by rounding
    distances: Floats = np.where(among < 1e-9, np.nan, among) / (count * (count - 1))
    return distances
