"""Whether 95% intervals of the verdict are what they say, and how often it claims a difference where there is none.

    python benchmarks/coverage.py [--trials 2000]

Simulated questions come in groups that share evidence; answers of a group hang together (intraclass correlation 0.33). Two kinds of
figure: a share (exact match) and a mean (token F1). Coverage is how often the interval holds the true value; false claims are
how often the paired difference of two equally good models leaves out zero and is not told as too few to tell. Standard error
of a figure near 5%: 0.5 points with 2,000 trials.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from groundtune.evaluation.figures.intervals import FEW, Figure, clustered_share, mean, share_difference

SHARED = 0.33
"""Of the variance of an answer's worth."""

RIGHT = 0.4
"""Share of right answers, and mean F1."""

SHAPES = ((2, 6), (5, 3), (10, 3), (10, 12), (20, 3), (60, 2), (120, 1))
"""Groups, and questions of each."""

Values = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], tuple[Values, Values]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    _tell(
        "| groups x questions | share: coverage | false claims | mean: coverage | false claims |\n|---|---|---|---|---|"
    )
    for number, (groups, size) in enumerate(SHAPES):
        chance = np.random.default_rng(number)
        told = [
            _percent(kind(chance, groups, size, trials))
            for kind in (partial(_simulate, _shares), partial(_simulate, _means))
        ]
        _tell(f"| {groups} x {size} | " + " | ".join(told) + " |")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _percent(found: tuple[float, float | None]) -> str:
    coverage, claims = found
    return f"{coverage:.1%} | " + ("too few to tell" if claims is None else f"{claims:.1%}")


def _simulate(
    draw: Draw, chance: np.random.Generator, groups: int, size: int, trials: int
) -> tuple[float, float | None]:
    """Coverage of one system's figure, and the share of false claims of a difference; None where none is ever claimed."""
    clusters = list(np.repeat(np.arange(groups), size))
    covered = claimed = 0
    for trial in range(trials):
        first, second = draw(chance, groups, size)
        if draw is _shares:
            alone = clustered_share(list(first > 0), clusters)
            difference = share_difference(list(first > 0), list(second > 0), clusters=clusters)
        else:
            alone = mean(list(first), seed=str(trial), clusters=clusters)
            difference = mean(list(second - first), seed=str(trial), clusters=clusters)
        covered += _holds(alone, RIGHT)
        claimed += difference.witnesses >= FEW and not _holds(difference, 0)
    return covered / trials, claimed / trials if groups >= FEW else None


def _holds(figure: Figure, value: float) -> bool:
    return figure.low is not None and figure.high is not None and figure.low <= value <= figure.high


def _worth(chance: np.random.Generator, groups: int, size: int) -> Values:
    """[questions] standard normal, those of a group correlated."""
    common = np.repeat(chance.standard_normal(groups), size)
    return np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * chance.standard_normal(groups * size)


def _two(chance: np.random.Generator, groups: int, size: int) -> tuple[Values, Values]:
    """Of two models, to which the same questions are hard."""
    hard = _worth(chance, groups, size)
    return tuple((hard + _worth(chance, groups, size)) / np.sqrt(2) for _ in range(2))  # type: ignore[return-value]


def _shares(chance: np.random.Generator, groups: int, size: int) -> tuple[Values, Values]:
    border = -0.2533471031357997  # 60% of a standard normal lies above: the wrong ones
    first, second = _two(chance, groups, size)
    return np.where(first < border, 1.0, 0.0), np.where(second < border, 1.0, 0.0)


def _means(chance: np.random.Generator, groups: int, size: int) -> tuple[Values, Values]:
    """Uniform in 0 to 2 * `RIGHT`, as F1 is bounded."""
    first, second = _two(chance, groups, size)
    return _uniform(first), _uniform(second)


def _uniform(normal: Values) -> Values:
    from scipy.special import ndtr

    found: Values = ndtr(normal) * 2 * RIGHT
    return found


if __name__ == "__main__":
    main()
