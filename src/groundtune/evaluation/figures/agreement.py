"""How far two raters agree beyond chance: Cohen's kappa, plain and with quadratic weights, with bootstrap intervals.

Sources: Cohen 1960 (Educational and Psychological Measurement 20, 37-46) and Cohen 1968 (Psychological Bulletin 70,
213-220). 1 is full agreement, 0 what chance gives, below 0 less than that. What this module does not do: know who rated.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundtune.evaluation.figures.intervals import Figure, share

RESAMPLES = 2000

Scale = Literal["names", "marks"]
"""``names``: labels without an order, such as who is preferred; ``marks``: whole numbers of which neighbours nearly agree."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of two raters on what both have rated."""

    of: str
    """What was rated: a criterion, or ``preference``."""
    raters: tuple[str, str]
    kappa: Figure
    """n is the number of things both rated. The value is None where nothing was, or where each gave one and the same
    rating throughout: chance alone would agree then."""
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
) -> Agreement:
    """Both raters' ratings of the same things, in the same order, and a percentile bootstrap interval over the things.

    Args:
        scale: of ``marks`` both sequences hold whole numbers.
    """
    value = _kappa(first, second, scale)
    equal = share(sum(a == b for a, b in zip(first, second, strict=True)), len(first))
    if value is None:
        return Agreement(of, raters, Figure(None, len(first)), equal)
    low, high = _interval(first, second, scale, f"{seed}:{of}:{raters[0]}:{raters[1]}")
    return Agreement(of, raters, Figure(value, len(first), low, high), equal)


def _kappa(first: Sequence[str | int], second: Sequence[str | int], scale: Scale) -> float | None:
    if scale == "names":
        return cohen_kappa(first, second)
    return weighted_kappa([int(mark) for mark in first], [int(mark) for mark in second])


def _interval(
    first: Sequence[str | int], second: Sequence[str | int], scale: Scale, seed: str
) -> tuple[float | None, float | None]:
    """Resamples in which kappa is not defined are left out; None where that is more than half of them."""
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    found = []
    for places in random.integers(0, len(first), size=(RESAMPLES, len(first))).tolist():
        value = _kappa([first[place] for place in places], [second[place] for place in places], scale)
        if value is not None:
            found.append(value)
    if len(found) * 2 < RESAMPLES:
        return None, None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
