"""Phases follow a column or the computed complexity, in exactly the sizes asked for."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import CurriculumConfig, PhaseConfig
from groundtune.dataset.curriculum import complexity_of, phases_of
from groundtune.errors import DataError
from groundtune.types import Conversation, Message, Origin


def row(number, answer="Evet.", turns=1, **fields):
    messages = (Message("user", "Soru?"), Message("assistant", answer)) * turns
    return Conversation(f"a:{number}", Origin("a", "rows.jsonl", number), messages, fields=fields)


def config(by, *ends):
    return CurriculumConfig(by=by, phases=tuple(PhaseConfig(name=f"p{end}", until=end) for end in ends))


def test_a_numeric_column_is_cut_at_quantiles():
    rows = [row(n, level=level) for n, level in enumerate([5, 1.5, "3", -2, 10])]
    assert phases_of(rows, config("level", 0.4, 0.8, 1)) == [1, 0, 1, 0, 2]


def test_words_of_difficulty_are_ranked_in_both_languages():
    rows = [row(n, level=level) for n, level in enumerate(["hard", "kolay", "Medium", "easy", "orta", "zor"])]
    assert phases_of(rows, config("level", 1 / 3, 2 / 3, 1)) == [2, 0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, "found no such column"),
        ({"level": None}, "found None"),
        ({"level": "hardish"}, "found 'hardish'"),
        ({"level": True}, "found True"),
        ({"level": float("nan")}, "found nan"),
        ({"level": [1]}, r"found \[1\]"),
    ],
)
def test_the_first_row_without_a_usable_value_is_named(fields, found):
    rows = [row(1, level=1), row(2, **fields), row(3)]
    with pytest.raises(DataError, match=rf"rows\.jsonl:2: data\.curriculum\.by is 'level': {found}"):
        phases_of(rows, config("level", 1))


def test_equal_difficulty_fills_phases_by_id_and_not_by_place():
    rows = [row(n, level=1) for n in range(100)]
    phases = phases_of(rows, config("level", 0.25, 1))
    assert Counter(phases) == {0: 25, 1: 75}
    assert phases[:25] != [0] * 25
    assert phases_of(rows[::-1], config("level", 0.25, 1)) == phases[::-1]


def test_complexity_is_the_formula_of_its_docstring():
    rows = [row(1, "lot lot"), row(2, "lot raf araç kasa"), row(3, "lot raf", turns=2)]
    # words 2, 4, 4: ranks 1/6, 2/3, 2/3. rarity: lot in 3 of 3 rows gives 0; raf in 2 gives 0.585; araç, kasa in 1 give
    # 1.585: means 0, 0.939, 0.292, ranks 1/6, 5/6, 1/2. turns 1, 1, 2: ranks 1/3, 1/3, 5/6
    expected = [
        0.5 / 6 + 0.3 / 6 + 0.2 / 3,
        0.5 * 2 / 3 + 0.3 * 5 / 6 + 0.2 / 3,
        0.5 * 2 / 3 + 0.3 / 2 + 0.2 * 5 / 6,
    ]
    assert complexity_of(rows) == pytest.approx(expected)
    assert phases_of(rows, config("complexity", 1 / 3, 1)) == [0, 1, 1]


def test_nothing_at_all_has_no_phases():
    assert phases_of([], config("complexity", 0.5, 1)) == []
    assert phases_of([row(1, "")], config("complexity", 0.5, 1)) in ([0], [1])


@given(
    st.lists(st.integers(-3, 3), max_size=50),
    st.lists(st.floats(0.01, 0.99), max_size=4, unique=True).map(sorted),
)
def test_the_law_phases_rise_with_difficulty_in_the_sizes_asked_for(levels, ends):
    rows = [row(n, level=level) for n, level in enumerate(levels)]
    phases = phases_of(rows, config("level", *ends, 1))
    places = [0, *(round(end * len(rows)) for end in (*ends, 1))]
    counts = Counter(phases)
    for phase, (begin, end) in enumerate(itertools.pairwise(places)):
        assert counts[phase] == end - begin
    ranked = sorted(range(len(rows)), key=lambda index: phases[index])
    for earlier, later in itertools.pairwise(ranked):
        if phases[earlier] < phases[later]:
            assert levels[earlier] <= levels[later]
