"""Which questions and examples hang together: those that share anything, and those that share something with one of them; and how
much the clusters that they make have to say.

What this module does not do: intervals (:mod:`groundtune.evaluation.figures.intervals` takes what is found here).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt


def joined(keys: Sequence[Sequence[Hashable]]) -> list[int]:
    """For each thing, by what it rests on, the place of the first that it hangs together with, directly or through others.

    >>> joined([["a"], ["b"], ["b", "c"], ["a", "d"], []])
    [0, 1, 1, 0, 4]
    """
    roots = list(range(len(keys)))

    def root(place: int) -> int:
        while roots[place] != place:
            roots[place] = roots[roots[place]]
            place = roots[place]
        return place

    first: dict[Hashable, int] = {}
    for place, shared in enumerate(keys):
        for key in shared:
            one, other = root(first.setdefault(key, place)), root(place)
            roots[max(one, other)] = min(one, other)
    return [root(place) for place in range(len(keys))]


def fewer(clusters: Sequence[Hashable]) -> int:
    """The number of different clusters where it is less than that of values, as `Figure.groups` has it.

    >>> fewer("aab"), fewer("abc")
    (2, 0)
    """
    different = len(set(clusters))
    return different if different < len(clusters) else 0


def cluster_codes(clusters: Sequence[Hashable], n: int) -> npt.NDArray[np.int64]:
    """A number for each value: that of its cluster, in order of first mention."""
    if len(clusters) != n:
        raise ValueError(f"clusters: found {len(clusters)}, expected one for each of {n} values")
    numbers: dict[Hashable, int] = {}
    return np.asarray([numbers.setdefault(cluster, len(numbers)) for cluster in clusters], dtype=np.int64)


def worth(sizes: npt.ArrayLike) -> int:
    """As how many clusters of one size those of `sizes` count, two at least: a large one has more to say than others.

    >>> worth([4, 4, 4, 4]), worth([13, 1, 1, 1])
    (4, 2)
    """
    array = np.asarray(sizes, dtype=np.float64)
    return max(2, round(float(array.sum() ** 2 / (array**2).sum())))
