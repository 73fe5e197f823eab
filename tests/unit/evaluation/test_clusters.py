"""Intervals over questions that hang together: what they promise is tried on simulated data."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.evaluation.figures.intervals import (
    Figure,
    clustered_share,
    mean,
    mean_of_two,
    share,
    share_difference,
)

TRIALS = 240
SIZES = [1, 1, 2, 2, 3, 3, 4, 5, 6, 8] * 4
"""Questions of each of 40 chunks."""
CLUSTERS = [chunk for chunk, size in enumerate(SIZES) for _ in range(size)]

VALUES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=40)
PAIRS = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 5)), min_size=1, max_size=60)


def coverage(truth: float, interval: Callable[[random.Random], Figure]) -> float:
    """Share of simulated evaluations whose interval holds the truth."""
    covered = 0
    for trial in range(TRIALS):
        figure = interval(random.Random(f"trial {trial}"))
        assert figure.low is not None
        assert figure.high is not None
        covered += figure.low <= truth <= figure.high
    return covered / TRIALS


def draw_scores(lot: random.Random) -> list[float]:
    """Mean 0.5; half of the variance is the chunk's."""
    chunks = [lot.gauss(0.5, 0.2) for _ in SIZES]
    return [chunks[chunk] + lot.gauss(0, 0.2) for chunk in CLUSTERS]


def draw_answers(lot: random.Random) -> list[bool]:
    """Right with 0.7; the chance of a chunk varies as Beta(1.4, 0.6), a correlation of a third within it."""
    chunks = [lot.betavariate(1.4, 0.6) for _ in SIZES]
    return [lot.random() < chunks[chunk] for chunk in CLUSTERS]


# of 240 trials at 95% one standard error is 1.4 points; 0.92 to 0.98 is two of them


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says() -> None:
    assert 0.92 <= coverage(0.5, lambda lot: mean(draw_scores(lot), seed="7", clusters=CLUSTERS)) <= 0.98


def test_taking_questions_of_one_chunk_for_independent_promises_too_much() -> None:
    assert coverage(0.5, lambda lot: mean(draw_scores(lot), seed="7")) < 0.89
    assert coverage(0.7, lambda lot: share(sum(answers := draw_answers(lot)), len(answers))) < 0.89


def test_the_interval_of_a_share_holds_the_truth_as_often_as_it_says() -> None:
    assert 0.92 <= coverage(0.7, lambda lot: clustered_share(draw_answers(lot), CLUSTERS)) <= 0.98


def test_the_interval_of_a_difference_of_shares_holds_the_truth_as_often_as_it_says() -> None:
    def changed(lot: random.Random) -> Figure:
        """The second system repairs the wrong answers of every second chunk, by lot: 0.3 / 2 more are right."""
        before = draw_answers(lot)
        repaired = [lot.random() < 0.5 for _ in SIZES]
        after = [right or repaired[chunk] for right, chunk in zip(before, CLUSTERS, strict=True)]
        return share_difference(before, after, clusters=CLUSTERS)

    assert 0.91 <= coverage(0.15, changed) <= 0.99


def test_few_independent_values_are_held_too() -> None:
    # ten values of a normal distribution: the plain percentile bootstrap holds about 0.90
    assert 0.92 <= coverage(0.0, lambda lot: mean([lot.gauss(0, 1) for _ in range(10)], seed="7")) <= 0.98


def test_questions_that_stand_by_themselves_have_the_plain_intervals() -> None:
    first, second = [True, False, True, True] * 5, [True, True, False, True] * 5
    apart = range(20)
    assert clustered_share(first, apart) == share(15, 20)
    assert share_difference(first, second, clusters=apart) == share_difference(first, second)
    values = [float(number % 7) for number in range(20)]
    assert mean(values, seed="7", clusters=apart) == mean(values, seed="7")


@given(VALUES)
def test_swapping_flips_a_difference_of_means_and_its_interval(values: list[tuple[float, int]]) -> None:
    clusters = [cluster for _, cluster in values]
    there = mean([value for value, _ in values], seed="7", clusters=clusters)
    back = mean([-value for value, _ in values], seed="7", clusters=clusters)
    assert back.value == pytest.approx(-there.value)  # type: ignore[operator]
    assert (back.low, back.high) == (pytest.approx(-there.high), pytest.approx(-there.low))  # type: ignore[operator]


@given(PAIRS)
def test_swapping_flips_a_difference_of_shares_and_its_interval(pairs: list[tuple[bool, bool, int]]) -> None:
    first, second, clusters = ([pair[place] for pair in pairs] for place in range(3))
    there, back = (share_difference(one, other, clusters=clusters) for one, other in ((first, second), (second, first)))
    assert there.value == pytest.approx(-back.value)  # type: ignore[operator]
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))  # type: ignore[operator]


@given(PAIRS)
def test_the_same_answers_twice_differ_by_exactly_nothing(pairs: list[tuple[bool, bool, int]]) -> None:
    answers, clusters = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
    figure = share_difference(answers, answers, clusters=clusters)
    assert figure.value == 0.0
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= 0.0 <= figure.high
    assert mean([0.0] * len(pairs), seed="7", clusters=clusters) == Figure(0.0, len(pairs), 0.0, 0.0)


@given(PAIRS)
def test_a_clustered_share_lies_in_an_interval_no_narrower_than_that_of_independent_values(
    pairs: list[tuple[bool, bool, int]],
) -> None:
    answers, clusters = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
    figure, plain = clustered_share(answers, clusters), share(sum(answers), len(answers))
    assert None not in (figure.low, figure.high, plain.low, plain.high)
    assert 0 <= figure.low <= figure.value + 1e-12  # type: ignore[operator]
    assert figure.value - 1e-12 <= figure.high <= 1  # type: ignore[operator]
    assert figure.high - figure.low >= plain.high - plain.low - 1e-12  # type: ignore[operator]


def test_a_mean_of_two_figures_is_not_measured_where_one_is_not() -> None:
    assert mean_of_two(Figure(None, 0), share(3, 4)) == Figure(None, 0)


def test_a_value_without_a_cluster_is_an_error() -> None:
    with pytest.raises(ValueError, match="found 1, expected one for each of 2 values"):
        mean([0.1, 0.2], seed="7", clusters=["a"])
