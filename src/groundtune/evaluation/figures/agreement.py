"""How far two raters agree beyond chance: Cohen's kappa, plain and with quadratic weights, with bootstrap intervals.

Things over the same evidence are rated alike, so the bootstrap draws clusters of them. Sources: Cohen 1960 (Educational and
Psychological Measurement 20, 37-46) and Cohen 1968 (Psychological Bulletin 70, 213-220). 1 is full agreement, 0 what chance
gives, below 0 less than that. What this module does not do: know who rated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundtune.evaluation.figures.intervals import (
    FEW,
    Figure,
    Floats,
    clustered_share,
    resampled_interval,
)
from groundtune.evaluation.figures.joining import cluster_codes, fewer

LEAST = -1.0
"""No agreement is told to be less: as far below chance as two raters can be."""

FEW_RATED = "too few to tell"
"""Said in place of an interval over fewer clusters of things than `FEW`."""

NOT_DEFINED = "not defined"
"""Said where all ratings are one and the same: chance alone would agree as well, so agreement beyond chance has no meaning."""

ONE_RATING = "one rater gave the same throughout"
"""Said in place of an interval: kappa is then 0 whatever the other said, and so in every resample."""

Scale = Literal["names", "marks"]
"""``names``: labels without an order, such as who is preferred; ``marks``: whole numbers of which neighbours nearly agree."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two raters on what both have rated."""

    of: str
    """What was rated: a criterion, or ``preference``."""
    raters: tuple[str, str]
    kappa: Figure
    """n is the number of things both rated. The value is None where nothing was, or, with a caution, where each gave one and the
    same rating throughout: chance alone would agree then. There is no interval, but a caution, from fewer than `FEW`
    clusters, and where one of the two gave one and the same."""
    same: Figure
    """Share of equal ratings."""


def cohen_kappa(first: Sequence[str | int], second: Sequence[str | int]) -> float | None:
    """Cohen's kappa of two raters' labels for the same things, in the same order.

    Of four things three are equal (0.75); chance gives ½·¾ + ½·¼ = 0.5; kappa is (0.75 - 0.5) / (1 - 0.5):

    >>> cohen_kappa(["yes", "yes", "no", "no"], ["yes", "no", "no", "no"])
    0.5
    >>> cohen_kappa(["a", "b"], ["b", "a"])
    -1.0

    None where it is not defined: nothing was rated, or both gave one and the same label throughout.

    >>> cohen_kappa(["a", "a"], ["a", "a"]) is None
    True
    """
    n = len(first)
    equal = sum(a == b for a, b in zip(first, second, strict=True))
    of_first, of_second = Counter(first), Counter(second)
    chance = sum(count * of_second[label] for label, count in of_first.items())
    # in whole numbers: (equal/n - chance/n²) / (1 - chance/n²)
    return None if n * n == chance else (equal * n - chance) / (n * n - chance)


def weighted_kappa(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Cohen's kappa with quadratic weights: a disagreement weighs as the square of its distance.

    Squared distances 0, 1, 0 sum to 1 over three things; the nine pairs of a mark of one with a mark of the other
    give 4 + 4 + 1 + 1 + 1 + 4 = 15, a third of which is what chance gives over three things; kappa is 1 - 1/5:

    >>> weighted_kappa([1, 2, 3], [1, 3, 3])
    0.8
    >>> weighted_kappa([1, 5], [5, 1])
    -1.0
    >>> weighted_kappa([4, 4], [4, 4]) is None
    True
    """
    n = len(first)
    seen = sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
    # Σ (a - b)² over all pairs of a mark of one with a mark of the other
    expected = n * sum(a * a for a in first) + n * sum(b * b for b in second) - 2 * sum(first) * sum(second)
    return None if expected == 0 else 1 - n * seen / expected


def agree(
    of: str,
    raters: tuple[str, str],
    first: Sequence[str | int],
    second: Sequence[str | int],
    scale: Scale,
    *,
    seed: int,
    clusters: Sequence[Hashable] | None = None,
) -> Agreement:
    """Both raters' ratings of the same things, in the same order, and a bootstrap interval over the things, or over whole
    `clusters` of them (a name for each), which are rated alike together.

    From fewer clusters than `FEW` kappa has no interval, and a caution says so: of so few no interval keeps its promise.

    Args:
        scale: of ``marks`` both sequences hold whole numbers.
    """
    n = len(first)
    named = range(n) if clusters is None else clusters
    equal = [a == b for a, b in zip(first, second, strict=True)]
    return Agreement(
        of,
        raters,
        _figure(first, second, scale, equal, named, f"{seed}:{of}:{':'.join(raters)}"),
        clustered_share(equal, named),
    )


def _figure(
    first: Sequence[str | int],
    second: Sequence[str | int],
    scale: Scale,
    equal: Sequence[bool],
    clusters: Sequence[Hashable],
    seed: str,
) -> Figure:
    n = len(first)
    if not n:
        return Figure(None, 0)
    value = cohen_kappa(first, second) if scale == "names" else weighted_kappa(_marks(first), _marks(second))
    groups = fewer(clusters)
    if value is None:
        return Figure(None, n, caution=NOT_DEFINED, groups=groups)
    if len(set(clusters)) < FEW:
        return Figure(value, n, caution=FEW_RATED, groups=groups)
    if len(set(first)) == 1 or len(set(second)) == 1:
        return Figure(value, n, caution=ONE_RATING, groups=groups)
    if all(equal):
        return Figure(value, n, _least(first, second, scale, clusters), value, groups=groups)
    labels = sorted({*first, *second}, key=str)
    codes = cluster_codes(clusters, n)
    tables = np.zeros((int(codes.max()) + 1, len(labels), len(labels)))
    places = {label: place for place, label in enumerate(labels)}
    for code, one, other in zip(codes.tolist(), first, second, strict=True):
        tables[code, places[one], places[other]] += 1
    sizes, weights = tables.sum(axis=(1, 2)), _weights(labels, scale)
    interval = resampled_interval(value, tables, lambda drawn: _kappas(drawn, weights), seed, sizes=sizes)
    if interval is None:
        return Figure(value, n, caution=FEW_RATED, groups=groups)
    return Figure(value, n, max(interval[0], LEAST), interval[1], groups=groups)


def _marks(ratings: Sequence[str | int]) -> list[int]:
    return [int(mark) for mark in ratings]


def _least(
    first: Sequence[str | int], second: Sequence[str | int], scale: Scale, clusters: Sequence[Hashable]
) -> float:
    """Of ratings that are all equal, which resamples cannot see beyond: kappa, were as many unequal as Wilson's interval of the
    share of equal ones allows, and of marks as near as unequal ones can be."""
    low = clustered_share([True] * len(first), clusters).low or 0.0
    labels = sorted({*first, *second}, key=str)
    weights = _weights(labels, scale)
    shares = np.array([first.count(label) / len(first) for label in labels])
    return max(1 - (1 - low) / float(shares @ weights @ shares), LEAST)


def _weights(labels: Sequence[str | int], scale: Scale) -> Floats:
    """How far apart each two labels are."""
    if scale == "names":
        return 1.0 - np.eye(len(labels))
    marks = np.array(_marks(labels), dtype=np.float64)
    distances: Floats = (marks[:, None] - marks[None, :]) ** 2
    return distances


def _kappas(tables: Floats, weights: Floats) -> Floats:
    """Of each table of counts; not a number where both gave one and the same label throughout."""
    seen = (tables * weights).sum(axis=(1, 2))
    chance = np.einsum("ri,rj,ij->r", tables.sum(axis=2), tables.sum(axis=1), weights)
    counted = tables.sum(axis=(1, 2))
    kappas: Floats = 1 - counted * seen / np.where(chance == 0, np.nan, chance)
    return kappas
