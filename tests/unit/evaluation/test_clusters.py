"""Intervals over questions that hang together: what they promise is tried on simulated data."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.evaluation.figures.intervals import (
    FEW,
    Figure,
    clustered_share,
    mean,
    mean_of_two,
    share,
    share_difference,
)
from groundtune.evaluation.figures.joining import fewer, joined
from groundtune.evaluation.figures.ratios import relative_rise, weighted_change, weighted_mean
from groundtune.evaluation.verdict.verdict import read_difference

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


def test_equal_answers_over_a_few_chunks_are_as_many_witnesses_as_there_are_chunks() -> None:
    clusters = [number // 8 for number in range(40)]
    assert clustered_share([True] * 40, clusters) == replace(share(5, 5), n=40, groups=5)
    assert clustered_share([False] * 40, clusters) == replace(share(0, 5), n=40, groups=5)
    assert mean([0.3] * 40, seed="7", clusters=clusters) == Figure(0.3, 40, 0.3, 0.3, groups=5)


def test_values_of_one_chunk_alone_may_be_anything() -> None:
    figure = mean([0.2, 0.4], seed="7", clusters="aa", bounds=(-1.0, 1.0))
    assert figure == Figure(pytest.approx(0.3), 2, -1.0, 1.0, groups=1)


@pytest.mark.parametrize("chunks", [1, 2, 3, 5, 10, 20])
def test_a_difference_that_is_none_is_hardly_ever_claimed_however_few_the_chunks(chunks: int) -> None:
    """About twelve questions; of each chunk's chance and of the questions' own."""
    clusters = [chunk for chunk in range(chunks) for _ in range(max(1, 12 // chunks))]

    def claims(lot: random.Random) -> list[bool]:
        by_chunk = [lot.gauss(0, 0.2) for _ in range(chunks)]
        gains = mean([by_chunk[chunk] + lot.gauss(0, 0.1) for chunk in clusters], seed="7", clusters=clusters)
        flips = [[lot.random() < 0.5 for _ in range(chunks)] for _ in range(2)]
        noisy = [[flip[chunk] != (lot.random() < 0.1) for chunk in clusters] for flip in flips]
        changed = share_difference(noisy[0], noisy[1], clusters=clusters)
        readings = [read_difference(figure, higher_is_better=True) for figure in (gains, changed)]
        return [reading in ("better", "worse") for reading in readings]

    found = [claims(random.Random(f"trial {trial}")) for trial in range(2 * TRIALS)]
    # of 480 trials at 5% one standard error is one point
    assert all(sum(kind) / len(found) <= (0.07 if chunks >= FEW else 0.0) for kind in zip(*found, strict=True))


@given(st.lists(st.lists(st.integers(0, 12), max_size=3), max_size=30))
def test_what_shares_anything_hangs_together_and_nothing_else_does(keys: list[list[int]]) -> None:
    firsts = joined(keys)
    for one, other in combinations(range(len(keys)), 2):
        if set(keys[one]) & set(keys[other]):
            assert firsts[one] == firsts[other]
    # as many as a search from each finds
    unseen, groups = set(range(len(keys))), 0
    while unseen:
        groups += 1
        queue = [unseen.pop()]
        while queue:
            place = queue.pop()
            near = {other for other in unseen if set(keys[other]) & set(keys[place])}
            unseen -= near
            queue += near
    assert len(set(firsts)) == groups
    assert all(firsts[first] == first <= place for place, first in enumerate(firsts))


def test_four_chunks_of_eight_are_held_too() -> None:
    sizes = [8, 8, 8, 6]
    clusters = [chunk for chunk, size in enumerate(sizes) for _ in range(size)]

    def drawn(lot: random.Random) -> Figure:
        chunks = [lot.gauss(0.5, 0.2) for _ in sizes]
        return mean([chunks[chunk] + lot.gauss(0, 0.2) for chunk in clusters], seed="7", clusters=clusters)

    # percentiles of resamples of four reach no further than their extremes, and hold 0.85
    assert 0.92 <= coverage(0.5, drawn) <= 0.99


def test_the_interval_of_a_loss_over_tokens_holds_the_truth_as_often_as_it_says() -> None:
    def drawn(lot: random.Random) -> Figure:
        """Nats to a token about 1.5 (exp of a normal with mean log 1.5 - 0.25), a third of the variance the chunk's."""
        chunks = [lot.gauss(0, 0.4) for _ in SIZES]
        tokens = [lot.randint(5, 60) for _ in CLUSTERS]
        nats = [
            size * 1.5 * math.exp(chunks[chunk] + lot.gauss(0, 0.5745) - 0.245)
            for chunk, size in zip(CLUSTERS, tokens, strict=True)
        ]
        return weighted_mean(nats, tokens, CLUSTERS)

    assert 0.92 <= coverage(1.5, drawn) <= 0.98


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(1, 50), st.integers(0, 5)), min_size=1, max_size=30))
def test_a_loss_lies_in_its_interval_and_counting_in_other_units_scales_both(
    rows: list[tuple[float, int, int]],
) -> None:
    sums, sizes, clusters = ([row[place] for row in rows] for place in range(3))
    figure = weighted_mean(sums, sizes, clusters)
    twice = weighted_mean([2 * value for value in sums], sizes, clusters)
    assert figure.value == pytest.approx(math.fsum(sums) / sum(sizes))
    assert twice.value == pytest.approx(2 * figure.value)  # type: ignore[operator]
    if len(set(clusters)) < 3:
        assert figure.low is figure.high is None
    else:
        assert 0 <= figure.low <= figure.value * (1 + 1e-12)  # type: ignore[operator]
        assert figure.high >= figure.value * (1 - 1e-12)  # type: ignore[operator]
        assert twice.low == pytest.approx(2 * figure.low)  # type: ignore[operator]


def test_the_paired_change_of_a_loss_holds_the_truth_as_often_as_it_says_and_is_narrower() -> None:
    def drawn(lot: random.Random) -> tuple[list[float], list[float], list[int]]:
        tokens = [lot.randint(5, 60) for _ in CLUSTERS]
        hard = [lot.gauss(2.0, 0.6) for _ in SIZES]
        helped = [lot.gauss(-0.5, 0.3) for _ in SIZES]
        before = [count * (hard[chunk] + lot.gauss(0, 0.1)) for count, chunk in zip(tokens, CLUSTERS, strict=True)]
        return (
            before,
            [was + count * helped[at] for was, count, at in zip(before, tokens, CLUSTERS, strict=True)],
            tokens,
        )

    def change(lot: random.Random) -> Figure:
        return weighted_change(*drawn(lot), CLUSTERS)

    assert 0.91 <= coverage(-0.5, change) <= 0.98
    before, after, tokens = drawn(random.Random("one"))
    paired, plain = weighted_change(before, after, tokens, CLUSTERS), weighted_mean(before, tokens, CLUSTERS)
    assert paired.high - paired.low < plain.high - plain.low  # type: ignore[operator]
    assert (paired.n, paired.groups) == (len(CLUSTERS), len(SIZES))
    back = weighted_change(after, before, tokens, CLUSTERS)
    assert (back.value, back.low, back.high) == (-paired.value, -paired.high, -paired.low)  # type: ignore[operator]


def test_a_rise_over_two_samples_is_no_surer_than_either() -> None:
    before, after = Figure(2.0, 50, 1.8, 2.25), Figure(2.2, 40, 2.1, 2.31)
    rise = relative_rise(before, after)
    assert (rise.value, rise.n) == (pytest.approx(0.1), 40)
    assert rise.low < 2.1 / 2.0 - 1  # type: ignore[operator]
    assert rise.low < 2.2 / 2.25 - 1 < 2.2 / 1.8 - 1 < rise.high  # type: ignore[operator]
    assert relative_rise(before, Figure(2.2, 1)) == Figure(rise.value, 1)
    assert relative_rise(Figure(0.0, 5), after) == Figure(None, 0)


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
    assert (back.value, back.low, back.high) == (-there.value, -there.high, -there.low)  # type: ignore[operator]


@given(PAIRS)
def test_swapping_flips_a_difference_of_shares_and_its_interval(pairs: list[tuple[bool, bool, int]]) -> None:
    first, second, clusters = ([pair[place] for pair in pairs] for place in range(3))
    there, back = (share_difference(one, other, clusters=clusters) for one, other in ((first, second), (second, first)))
    assert (there.value, there.low, there.high) == (-back.value, -back.high, -back.low)  # type: ignore[operator]


@given(PAIRS)
def test_the_same_answers_twice_differ_by_exactly_nothing(pairs: list[tuple[bool, bool, int]]) -> None:
    answers, clusters = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
    figure = share_difference(answers, answers, clusters=clusters)
    assert figure.value == 0.0
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= 0.0 <= figure.high
    assert mean([0.0] * len(pairs), seed="7", clusters=clusters) == Figure(
        0.0, len(pairs), 0.0, 0.0, groups=fewer(clusters)
    )


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
    assert mean_of_two(Figure(None, 0), share(3, 4), ("", "abcd")) == Figure(None, 0)


def test_halves_that_share_their_passages_are_no_more_witnesses_than_passages() -> None:
    one, other = share(6, 12), share(6, 12)
    apart = mean_of_two(one, other, (range(12), range(12, 24)))
    together = mean_of_two(one, other, (range(12), range(12)))
    assert (apart.witnesses, together.witnesses) == (24, 12)
    assert together.low < apart.low < apart.high < together.high


def test_equal_values_have_an_interval_towards_both_bounds_that_flips_with_them() -> None:
    gain = mean([0.5] * 20, seed="7", bounds=(-1.0, 1.0))
    assert 0 < gain.low < 0.5 < gain.high < 1
    loss = mean([-0.5] * 20, seed="7", bounds=(-1.0, 1.0))
    assert (loss.low, loss.high) == (-gain.high, -gain.low)
    assert not mean([0.5] * 20, seed="7").is_wide


def test_a_value_without_a_cluster_is_an_error() -> None:
    with pytest.raises(ValueError, match="found 1, expected one for each of 2 values"):
        mean([0.1, 0.2], seed="7", clusters=["a"])
