"""Whether 95% intervals of the verdict are what they say, and how often it claims a difference where there is none.

    python benchmarks/coverage.py [--trials 2000] [--correlation 0.33] [--right 0.4]

Simulated questions come in groups that share evidence; answers of a group hang together. Two kinds of
figure: a share (exact match) and a mean (token F1). Coverage is how often the interval holds the true value; false claims are
how often the paired difference of two equally good models leaves out zero and is not told as too few to tell. Standard error
of a figure near 5%: 0.5 points with 2,000 trials.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from groundtune.evaluation.figures.intervals import FEW, Figure, clustered_share, mean, share_difference

SHAPES = ((2, 6), (5, 3), (10, 3), (10, 12), (20, 3), (15, 8), (60, 2), (120, 1))
"""Groups, and questions of each."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Two equally good models, to which the same questions are hard."""

    correlation: float
    """Share of the variance of an answer's worth that its group has in common."""
    right: float
    """Share of right answers, and mean F1."""

    def shares(self, chance: np.random.Generator, groups: int, size: int) -> tuple[Values, Values]:
        """[questions] of either model: 1 where it is right, else 0."""
        border = ndtri(self.right)
        first, second = self._worths(chance, groups, size)
        return np.where(first < border, 1.0, 0.0), np.where(second < border, 1.0, 0.0)

    def means(self, chance: np.random.Generator, groups: int, size: int) -> tuple[Values, Values]:
        """[questions] of either model: even over 0 to twice the mean, for a score is bounded as F1 is."""
        first, second = self._worths(chance, groups, size)
        return ndtr(first) * 2 * self.right, ndtr(second) * 2 * self.right

    def _worths(self, chance: np.random.Generator, groups: int, size: int) -> tuple[Values, Values]:
        hard = self._worth(chance, groups, size)
        first, second = (self._worth(chance, groups, size) for _ in range(2))
        return (hard + first) / np.sqrt(2), (hard + second) / np.sqrt(2)

    def _worth(self, chance: np.random.Generator, groups: int, size: int) -> Values:
        """Standard normal, those of a group correlated."""
        common = np.repeat(chance.standard_normal(groups), size)
        own = chance.standard_normal(groups * size)
        found: Values = np.sqrt(self.correlation) * common + np.sqrt(1 - self.correlation) * own
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--correlation", type=float, default=0.33)
    parser.add_argument("--right", type=float, default=0.4)
    given = parser.parse_args()
    world = World(given.correlation, given.right)
    _tell("| groups x questions | share: coverage | false claims | mean: coverage | false claims |")
    _tell("|---|---|---|---|---|")
    for number, (groups, size) in enumerate(SHAPES):
        chance = np.random.default_rng(number)
        found = [_told(world, kind, chance, groups, size, given.trials) for kind in ("shares", "means")]
        _tell(f"| {groups} x {size} | " + " | ".join(found) + " |")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _told(world: World, kind: str, chance: np.random.Generator, groups: int, size: int, trials: int) -> str:
    """How often one system's interval holds what is true of it, and how often a difference is claimed."""
    clusters = list(np.repeat(np.arange(groups), size))
    covered = claimed = 0
    for trial in range(trials):
        if kind == "shares":
            first, second = world.shares(chance, groups, size)
            alone = clustered_share(list(first > 0), clusters)
            difference = share_difference(list(first > 0), list(second > 0), clusters=clusters)
        else:
            first, second = world.means(chance, groups, size)
            alone = mean(list(first), seed=str(trial), clusters=clusters)
            difference = mean(list(second - first), seed=str(trial), clusters=clusters)
        covered += _holds(alone, world.right)
        claimed += difference.witnesses >= FEW and not _holds(difference, 0)
    return f"{covered / trials:.1%} | " + (f"{claimed / trials:.1%}" if groups >= FEW else "too few to tell")


def _holds(figure: Figure, value: float) -> bool:
    return figure.low is not None and figure.high is not None and figure.low <= value <= figure.high


if __name__ == "__main__":
    main()
