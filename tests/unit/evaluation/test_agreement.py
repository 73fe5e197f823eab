"""Cohen's kappa against values worked out by hand and against the definition; agreement of the judge with people."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.evaluation.figures.agreement import agree, cohen_kappa, weighted_kappa
from groundtune.evaluation.judge import Judgement, agreement_with_people
from groundtune.evaluation.people import Rating

marks = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=30)


def test_a_table_of_fifty_worked_out_by_hand():
    # both yes 20, first yes alone 5, second yes alone 10, both no 15: observed 0.70, chance 0.5 * 0.6 + 0.5 * 0.4 = 0.50
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    found = agree("preference", ("a", "b"), first, second, "names", seed=1)
    assert found.same.value == 0.7
    assert found.kappa.low < 0.4 < found.kappa.high
    assert found == agree("preference", ("a", "b"), first, second, "names", seed=1)


def test_neighbouring_marks_agree_more_than_distant_ones():
    first = [1, 2, 3, 4, 5]
    near, far = [2, 3, 4, 5, 4], [5, 4, 1, 2, 1]
    assert weighted_kappa(first, near) > 0.5 > 0 > weighted_kappa(first, far)


@given(marks)
def test_weighted_kappa_is_what_the_definition_says(pairs):
    """Σ w·observed against Σ w·expected over the table of all marks."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    n = len(pairs)
    cells = [(i, j) for i in range(1, 6) for j in range(1, 6)]
    observed = sum((i - j) ** 2 * pairs.count((i, j)) / n for i, j in cells)
    expected = sum((i - j) ** 2 * first.count(i) * second.count(j) / n**2 for i, j in cells)
    found = weighted_kappa(first, second)
    assert found is None if expected == 0 else found == pytest.approx(1 - observed / expected)


@given(marks)
def test_kappa_does_not_mind_who_is_called_first_and_is_one_only_where_all_is_equal(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    for kappa in (cohen_kappa, weighted_kappa):
        value = kappa(first, second)
        assert value == kappa(second, first)
        assert value is None or (value <= 1 and (value == 1) == (first == second))


def test_nothing_rated_and_one_rating_throughout_have_no_kappa():
    assert agree("safety", ("judge", "a"), [], [], "marks", seed=1).kappa.n == 0
    constant = agree("safety", ("judge", "a"), [5, 5, 5], [5, 5, 5], "marks", seed=1)
    assert (constant.kappa.value, constant.kappa.n, constant.same.value) == (None, 3, 1.0)


def test_the_judge_is_held_against_each_rater_on_what_both_have_rated():
    systems = ("base_context", "tuned_context")
    judged, ratings = [], []
    for number in range(6):
        base = Judgement(f"q{number}", "documents", "rubric", "tr", "", systems[:1], marks=_marks(1 + number % 3))
        tuned = replace(base, systems=systems[1:], marks=_marks(5 - number % 2))
        pair = replace(base, kind="pair", systems=systems, marks={}, preferred=systems[number > 1])
        judged += [base, tuned, pair, replace(pair, systems=systems[::-1])]
        rating = Rating(
            "Ayşe", f"q{number}", systems[::-1], ("", ""), (tuned.marks, base.marks), "b" if number < 2 else "a"
        )
        ratings.append(rating)
        if number < 3:
            ratings.append(replace(rating, rater="Bora", preferred="tie"))
    found = {(each.raters[1], each.of): each for each in agreement_with_people(judged, ratings, seed=1)}
    assert found["Ayşe", "accuracy"].kappa.value == 1
    assert found["Ayşe", "accuracy"].kappa.n == 12
    assert found["Ayşe", "preference"].kappa.value == 1
    assert found["Bora", "preference"].same.value == 0
    assert found["Bora", "safety"].kappa.n == 6
    assert {each.raters[0] for each in found.values()} == {"judge"}
    assert agreement_with_people(judged, [], seed=1) == ()


def _marks(mark: int) -> dict[str, int]:
    return dict.fromkeys(("helpfulness", "accuracy", "clarity", "safety"), mark)
