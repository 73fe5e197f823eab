"""The figures of a dataset as plain records, and how lengths become a few numbers and a histogram.

What this module does not do: look at rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from groundtune.types import Language, Split

BINS = 12
"""Of a histogram; the last one holds everything longer."""

_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Bin:
    """How many values lie from `first` to `last`, both included."""

    first: int
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """In tokens."""

    total: int
    min: int
    median: float
    p95: float
    max: int
    histogram: tuple[Bin, ...]

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Lengths | None:
        """None where there are no values.

        >>> lengths = Lengths.of([3, 4, 4, 29])
        >>> lengths.median, lengths.max, [(each.first, each.count) for each in lengths.histogram if each.count]
        (4.0, 29, [(0, 3), (25, 1)])
        """
        lengths = np.asarray(values, np.int64)
        if not len(lengths):
            return None
        median, p95 = (float(round(each, 1)) for each in np.percentile(lengths, [50, 95]))
        return cls(int(lengths.sum()), int(lengths.min()), median, p95, int(lengths.max()), _histogram(lengths))

    @property
    def bars(self) -> str:
        """The histogram in one line; what there is at all, however little, shows."""
        most = max(each.count for each in self.histogram)
        return "".join(_BARS[math.ceil(each.count / most * (len(_BARS) - 1))] for each in self.histogram)


def _histogram(lengths: npt.NDArray[np.int64]) -> tuple[Bin, ...]:
    """Bins of one round width, as wide as most of the lengths need; the last reaches to the longest."""
    shortest, longest = int(lengths.min()), int(lengths.max())
    width = _round_up(max(1.0, (float(np.percentile(lengths, 99)) - shortest) / (BINS - 1)))
    start = shortest // width * width
    counts = np.bincount(np.minimum((lengths - start) // width, BINS - 1)).tolist()
    firsts = [start + place * width for place in range(len(counts))]
    lasts = [*(first - 1 for first in firsts[1:]), max(longest, firsts[-1] + width - 1)]
    return tuple(map(Bin, firsts, lasts, counts))


def _round_up(width: float) -> int:
    """
    >>> [_round_up(each) for each in (1, 3, 21, 170)]
    [1, 5, 50, 200]
    """
    power = 10 ** math.floor(math.log10(width))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= width))


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Conversations that an earlier one of the same split agrees with, but for white space and Unicode form."""

    conversations: int
    prompts: int
    """The same prompt; the answer may be another."""
    repeated_by_mixing: int
    """Of the conversations, those that the mixture repeats on purpose."""


@dataclass(frozen=True, slots=True)
class Saving:
    """What shared prefixes save when all examples stand in one tree; steps of a training share a little less."""

    dataset_tokens: int
    unique_tokens: int
    ratio: float
    """Dataset tokens for each computed one."""


@dataclass(frozen=True, slots=True)
class SourceStats:
    """One source's part of a split."""

    conversations: int
    examples: int
    tokens: int
    trained_tokens: int
    trained_share: float


@dataclass(frozen=True, slots=True)
class SplitStats:
    conversations: int
    examples: int
    """More than conversations where one has to be told turn by turn, or a text was cut into windows."""
    tokens: int
    trained_tokens: int
    trained_share: float
    lengths: Lengths | None
    trained_lengths: Lengths | None
    """Trained tokens of each example."""
    kinds: Mapping[str, Mapping[str, int]]
    """Conversations by kind, number of answers, and whatever else they are told apart by; most frequent first."""
    languages: Mapping[Language, int]
    """As the rows or their source say; those that say nothing are under ``""``."""
    languages_found: Mapping[Language, int]
    """As found in a sample of those that say nothing; ``"?"``: too short to tell."""
    duplicates: Duplicates
    saving: Saving | None
    sources: Mapping[str, SourceStats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataStats:
    splits: Mapping[Split, SplitStats]


def share_of(part: int, whole: int) -> float:
    """
    >>> share_of(1, 3), share_of(0, 0)
    (0.3333, 0.0)
    """
    return round(part / whole, 4) if whole else 0.0
