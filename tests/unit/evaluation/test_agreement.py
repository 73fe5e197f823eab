"""Cohen's kappa against values worked out by hand and against the definition; agreement of the judge with people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.evaluation import Figure
from groundtune.evaluation.figures.agreement import agree, cohen_kappa, weighted_kappa
from groundtune.evaluation.figures.alpha import alpha
from groundtune.evaluation.figures.marks import PREFERENCE
from groundtune.evaluation.judge import Judgement, agreement_with_people
from groundtune.evaluation.people import Rating
from groundtune.evaluation.verdict.wording import span
from groundtune.files import to_json

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
    assert constant.kappa == Figure(None, 3, caution="not defined")
    assert constant.same.value == 1.0
    assert alpha([(5, 5), (5, 5)], seed="1") == Figure(None, 2, caution="not defined")


@pytest.mark.parametrize("n", [2, 9])
def test_a_handful_of_ratings_that_agree_is_no_certainty(n):
    first = [1 + number % 5 for number in range(n)]
    kappa = agree("clarity", ("a", "b"), first, first, "marks", seed=1).kappa
    assert kappa == Figure(1.0, n, caution="too few to tell")
    assert alpha([(mark, mark) for mark in first], seed="1") == kappa
    assert json.loads(to_json(kappa))["caution"] == "too few to tell"
    assert span(kappa) == "too few to tell"
    assert "caution" not in json.loads(to_json(Figure(0.5, 12, 0.1, 0.9)))


def test_one_who_always_gives_the_same_is_told_rather_than_given_an_interval_without_width():
    kappa = agree("clarity", ("a", "b"), [3] * 12, [1, 2, 3, 4] * 3, "marks", seed=1).kappa
    assert kappa == Figure(0.0, 12, caution="one rater gave the same throughout")


def test_full_agreement_on_a_dozen_leaves_room_for_disagreement_that_was_not_seen():
    """Of 12 equal ratings Wilson's interval begins at 12 / (12 + 1.96²) = 0.757; chance alone gives half."""
    labels = ["x", "y"] * 6
    names = agree(PREFERENCE, ("a", "b"), labels, labels, "names", seed=1).kappa
    assert (names.value, names.high) == (1.0, 1.0)
    assert names.low == pytest.approx(1 - (1 - 12 / (12 + 1.96**2)) / 0.5, abs=1e-3)
    marks = agree("clarity", ("a", "b"), [1, 5] * 6, [1, 5] * 6, "marks", seed=1).kappa
    assert marks.low > names.low  # one mark beside is little among marks four apart
    among = alpha([(label, label) for label in labels], seed="1")
    assert (among.value, among.high) == (1.0, 1.0)
    assert among.low == pytest.approx(names.low, abs=0.05)


def test_ratings_over_the_same_evidence_are_drawn_together():
    first, second = [1, 2, 3, 4, 5] * 8, [1, 3, 3, 5, 4] * 8
    apart = agree("clarity", ("a", "b"), first, second, "marks", seed=1)
    shared = [number // 4 for number in range(40)]
    rows = sorted(zip(first, second, strict=True))
    together = agree("clarity", ("a", "b"), *zip(*rows, strict=True), "marks", seed=1, clusters=shared)
    assert together.kappa.value == apart.kappa.value
    assert together.kappa.high - together.kappa.low > 1.5 * (apart.kappa.high - apart.kappa.low)
    assert together.same.low < apart.same.low
    one = agree("clarity", ("a", "b"), first, second, "marks", seed=1, clusters=["c"] * 40)
    assert one.kappa == Figure(apart.kappa.value, 40, caution="too few to tell", groups=1)


@pytest.mark.parametrize("groups", [9, 10])
def test_from_fewer_than_ten_groups_nothing_is_claimed_however_many_were_rated(groups):
    first, second = [1, 2, 3, 4, 5] * 8, [1, 3, 3, 5, 4] * 8
    shared = [number % groups for number in range(40)]
    kappa = agree("clarity", ("a", "b"), first, second, "marks", seed=1, clusters=shared).kappa
    among = alpha(list(zip(first, second, strict=True)), seed="1", clusters=shared)
    alike = agree("clarity", ("a", "b"), first, first, "marks", seed=1, clusters=shared).kappa
    for figure in (kappa, among, alike):
        assert (figure.n, figure.groups) == (40, groups)
        assert figure.caution == ("too few to tell" if groups == 9 else "")
        assert (figure.low is None) == (groups == 9)


def test_one_large_group_among_small_ones_counts_as_few():
    first, second = [1, 2, 3, 4, 5] * 8, [1, 3, 3, 5, 4] * 8
    large, even = [min(number, 11) for number in range(40)], [number % 12 for number in range(40)]
    for measure in (
        lambda clusters: agree("clarity", ("a", "b"), first, second, "marks", seed=1, clusters=clusters).kappa,
        lambda clusters: alpha(list(zip(first, second, strict=True)), seed="1", clusters=clusters),
    ):
        wide, narrow = measure(large), measure(even)
        assert wide.groups == narrow.groups == 12
        # one group of 29 and eleven of 1 are worth two, whose point of Student's t is 12.7 and not 2.2
        assert wide.value - wide.low > 4 * (narrow.value - narrow.low)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 8)), min_size=10, max_size=30))
@settings(max_examples=25)
def test_an_interval_of_agreement_lies_within_what_agreement_can_be(rated):
    first, second, clusters = ([row[place] for row in rated] for place in range(3))
    for scale, given_first, given_second in (
        ("marks", first, second),
        ("names", list(map(str, first)), list(map(str, second))),
    ):
        kappa = agree("x", ("a", "b"), given_first, given_second, scale, seed=1, clusters=clusters).kappa
        exact = (weighted_kappa if scale == "marks" else cohen_kappa)(given_first, given_second)
        assert kappa.value == exact
        if kappa.low is not None:
            assert -1 <= kappa.low <= kappa.high <= 1


def test_agreement_that_is_nearly_all_one_name_has_no_interval_below_its_least():
    rated = ["a"] * 39 + ["b"]
    groups = [number % 10 for number in range(40)]
    kappa = agree("which", ("judge", "ayse"), rated, rated, "names", seed=7, clusters=groups).kappa
    of_any = alpha(list(zip(rated, rated, strict=True)), clusters=groups, seed="7")
    assert (kappa.low, of_any.low) == (-1, -1)


def test_the_judge_is_held_against_each_rater_on_what_both_have_rated():
    systems = ("base_context", "tuned_context")
    judged, ratings = [], []
    for number in range(6):
        base = Judgement(f"q{number}", "documents", "rubric", "tr", "", systems[:1], marks=_marks(1 + number % 3))
        tuned = replace(base, systems=systems[1:], marks=_marks(5 - number % 2))
        pair = replace(base, kind="pair", systems=systems, marks={}, preferred=systems[number > 1])
        judged += [base, tuned, pair, replace(pair, systems=systems[::-1])]
        rating = Rating(
            "Ayşe", f"q{number}", systems[::-1], ("t", "b"), (tuned.marks, base.marks), "b" if number < 2 else "a"
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
    # the same questions of another source are other questions
    assert agreement_with_people(judged, ratings, "sets", seed=1) == ()
    sets = [replace(each, source="sets", kind="conversation") for each in judged if each.kind == "pair"]
    [alike] = agreement_with_people([*judged, *sets], [replace(ratings[0], source="sets")], "sets", seed=1)
    assert (alike.of, alike.same.value) == ("preference", 1)


def test_what_nobody_was_asked_is_no_agreement_of_judge_and_people():
    systems = ("base_context", "tuned_context")
    judged, ratings = [], []
    for number in range(6):
        same = number < 4
        case = Judgement(f"q{number}", "documents", "rubric", "tr", "", systems[:1], marks=_marks(1 + number % 5))
        pair = replace(case, kind="pair", systems=systems, marks={}, asked=not same)
        preferred = replace(pair, preferred="tie" if same else systems[0])
        judged += [case, replace(case, systems=systems[1:]), preferred, replace(preferred, systems=systems[::-1])]
        answers = ("x", "x" if same else "y")
        ratings.append(Rating("Ayşe", f"q{number}", systems, answers, (case.marks,) * 2, "tie" if same else "b"))
    found = {each.of: each for each in agreement_with_people(judged, ratings, seed=1)}
    assert (found["preference"].kappa.n, found["preference"].same.value) == (2, 0.0)
    # four answers that both systems gave, and two times two
    assert {found[name].kappa.n for name in ("helpfulness", "accuracy", "clarity", "safety")} == {8}
    assert "preference" not in {each.of for each in agreement_with_people(judged, ratings[:4], seed=1)}


def _marks(mark: int) -> dict[str, int]:
    return dict.fromkeys(("helpfulness", "accuracy", "clarity", "safety"), mark)
