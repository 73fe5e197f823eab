"""Robust figures of a few rows: a single bad batch, or a trend, must not look like what is searched for."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise
from statistics import fmean, median

import numpy as np

MEDIAN_PENALTY = 1.2533
"""Standard error of a median over that of a mean of as many normal values: sqrt(pi / 2)."""


def noise_of(values: Collection[float]) -> float:
    """Standard deviation of what changes from row to row, from the median difference of neighbours: neither outliers nor a
    trend count. 0.0 for fewer than three values.

    >>> noise_of([5.0, 4.0, 3.0, 2.0, 100.0, 1.0]) < 2
    True
    """
    if len(values) < 3:
        return 0.0
    differences = [abs(after - before) for before, after in pairwise(values)]
    # of a normal distribution, 0.6745 standard deviations are the median deviation; a difference of two varies sqrt(2) as much
    return median(differences) / (0.6745 * math.sqrt(2))


def standard_error(values: Sequence[float], count: int) -> float:
    """Of the difference of the medians of twice `count` rows that vary as `values` do."""
    return MEDIAN_PENALTY * noise_of(values) * math.sqrt(2 / count)


def straightened(values: Sequence[float]) -> list[float]:
    """What is left of `values` without their line of least squares.

    >>> [round(each, 6) + 0.0 for each in straightened([1.0, 2.0, 3.0])]
    [0.0, 0.0, 0.0]
    """
    centre, mean = (len(values) - 1) / 2, fmean(values)
    spread = sum((place - centre) ** 2 for place in range(len(values)))
    slope = sum((place - centre) * value for place, value in enumerate(values)) / spread if spread else 0.0
    return [value - mean - slope * (place - centre) for place, value in enumerate(values)]


def strongest_period(values: Sequence[float], *, longest: float) -> tuple[float, float]:
    """The period, in values and of at most `longest`, that most of the variance of `values` (whose mean is 0) belongs to,
    and its share of it. A period between two frequencies of the transform shows in both, so two neighbours are taken
    together.

    Of 48 values of pure noise the share passes 0.6 about once in a million times: the powers of its 24 frequencies are as
    parts of a broken stick (Fisher 1929, "Tests of significance in harmonic analysis"), here of the longest two neighbours.

    >>> period, share = strongest_period([1.0, -1.0] * 24, longest=16)
    >>> period, round(share, 3)
    (2.0, 1.0)
    """
    count = len(values)
    powers = np.abs(np.fft.rfft(np.asarray(values))) ** 2
    powers[1 : (count + 1) // 2] *= 2
    total = float(powers.sum())
    first = math.ceil(count / longest)
    pairs = powers[first:-1] + powers[first + 1 :]
    if total <= 0 or not len(pairs):
        return 0.0, 0.0
    place = int(pairs.argmax())
    stronger = first + place + int(powers[first + place + 1] > powers[first + place])
    return count / stronger, float(pairs[place]) / total
