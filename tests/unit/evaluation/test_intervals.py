"""Intervals against published or hand-worked values, and the laws they keep."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.evaluation.figures.intervals import Figure, mean, share, share_difference

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


def test_wilson_interval_equals_the_published_example() -> None:
    figure = share(81, 263)  # Newcombe 1998, Statistics in Medicine 17, 857-872, table I: 0.2553 to 0.3662
    assert (figure.low, figure.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_paired_difference_equals_the_published_example() -> None:
    # Newcombe 1998, 2635-2650, table II method 10: 36, 12, 2, 0 gives 0.2 with 0.0569 to 0.3404
    first = [True] * 36 + [False] * 12 + [True] * 2
    second = [True] * 36 + [True] * 12 + [False] * 2
    figure = share_difference(first, second)
    assert figure.value == pytest.approx(0.2)
    assert (figure.low, figure.high) == (pytest.approx(0.0569, abs=5e-5), pytest.approx(0.3404, abs=5e-5))


def test_few_agreeing_questions_do_not_give_certainty() -> None:
    figure = share_difference([False] * 3, [True] * 3)
    assert figure.low is not None
    assert figure.low < 0.4  # three of three, not proof


@given(PAIRS)
def test_swapping_the_models_flips_the_difference(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    there, back = share_difference(first, second), share_difference(second, first)
    assert (there.value, there.low, there.high) == (-back.value, -back.high, -back.low)  # type: ignore[operator]


@given(PAIRS)
def test_equal_answers_never_exclude_zero(pairs: list[tuple[bool, bool]]) -> None:
    answers = [a for a, _ in pairs]
    figure = share_difference(answers, answers)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= 0 <= figure.high


@given(st.integers(0, 60), st.integers(1, 60))
def test_a_share_lies_inside_its_interval(successes: int, n: int) -> None:
    figure = share(min(successes, n), n)
    assert figure.value is not None
    assert figure.low is not None
    assert figure.high is not None
    assert 0 <= figure.low <= figure.value + 1e-12
    assert figure.value - 1e-12 <= figure.high <= 1


def test_the_bootstrap_is_the_same_for_the_same_seed_and_covers_the_mean() -> None:
    values = [0.0, 0.2, 0.4, 0.9, 1.0] * 20  # mean 0.5, standard error about 0.04
    figure = mean(values, seed="7")
    assert figure == mean(values, seed="7")
    assert figure != mean(values, seed="8")
    assert figure.value == pytest.approx(0.5)
    assert figure.low == pytest.approx(0.5 - 1.96 * 0.0402, abs=0.01)
    assert figure.high == pytest.approx(0.5 + 1.96 * 0.0402, abs=0.01)


def test_nothing_measured_has_no_value() -> None:
    assert mean([], seed="7") == share(0, 0) == share_difference([], []) == Figure(None, 0)
