"""A curve in one line of text."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-=+*#%"


def sparkline(values: Sequence[float], width: int, *, ascii_only: bool = False) -> str:
    """At most `width` characters, each the mean of as many values, the lowest to the highest of these means.

    >>> sparkline([8.0, 6.0, 4.0, 2.0, 1.0, 1.0], 3), sparkline([1.0], 5), sparkline([], 5)
    ('█▃▁', '▁', '')
    """
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    means = _means(values, width)
    if not means:
        return ""
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(blocks[min(int((value - low) / span * len(blocks)), len(blocks) - 1)] for value in means)


def _means(values: Sequence[float], width: int) -> list[float]:
    count = min(len(values), max(width, 0))
    borders = [place * len(values) // count for place in range(count + 1)] if count else []
    return [sum(values[start:end]) / (end - start) for start, end in itertools.pairwise(borders)]
