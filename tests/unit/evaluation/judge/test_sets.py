"""The shipped questions: complete, in good order, each in its language, and asked as a conversation of two turns."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest

from groundtune.evaluation.judge import question_sets
from groundtune.evaluation.judge.sets import CATEGORIES, SET_LANGUAGES
from groundtune.language import detect_language

QUESTIONS = question_sets()
WITH_ANSWERS = ("reasoning", "maths", "coding", "extraction")
"""Categories in which there is a right answer."""


def test_each_category_has_four_questions_in_each_language():
    counts = Counter((each.language, each.category) for each in QUESTIONS)
    assert counts == {(language, category): 4 for language in SET_LANGUAGES for category in CATEGORIES}


def test_no_id_and_no_turn_stands_twice():
    assert len({each.id for each in QUESTIONS}) == len(QUESTIONS)
    turns = [turn for each in QUESTIONS for turn in each.turns]
    assert len(set(turns)) == len(turns)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda each: each.id)
def test_a_question_is_well_formed_and_in_its_language(question):
    assert question.id.split("-")[:2] == [question.language, question.category]
    for text in (*question.turns, *question.references):
        assert text == unicodedata.normalize("NFC", text).strip()
    assert all(question.turns)
    assert detect_language(" ".join(question.turns), ["tr", "en"]) == question.language
    if question.category in WITH_ANSWERS:
        assert all(question.references)


def test_the_figures_of_right_answers_are_right():
    """Worked out here once more, in another way than the authors did."""
    right = {each.id: each.references for each in QUESTIONS}
    unreachable = [n for n in range(1, 100) if not any((n - 7 * k) >= 0 and (n - 7 * k) % 4 == 0 for k in range(15))]
    assert right["en-reasoning-3"][0] == f"{unreachable[-1]}."
    assert right["en-reasoning-3"][1].endswith("1, 2, 3, 5, 6, 9, 10, 13 and 17.")
    assert unreachable == [1, 2, 3, 5, 6, 9, 10, 13, 17]
    thirds = [n for n in range(1, 201) if n % 3 == 0 and n % 5]
    assert right["en-maths-3"][0].startswith(str(sum(thirds)))
    assert right["en-maths-3"][1].startswith(str(len(thirds)))
    assert right["en-maths-2"][1].startswith(f"By {100 / 0.7 - 100:.1f}%")
    assert right["en-extraction-4"][1].startswith(str((4.1 + 4.4 + 5.0 + 4.6) / 4))
    assert right["tr-maths-3"][1] == f"{next(n for n in range(44, 10**6, 44) if n % 40 == n % 42 == 0)}."
    signs = {1: lambda k: k == 1, 2: lambda k: k != 1, 3: lambda k: k == 3, 4: lambda k: k != 4}
    true = {key: [n for n, says in signs.items() if says(key)] for key in signs}
    assert [key for key, found in true.items() if len(found) == 1] == [4]
    assert [key for key, found in true.items() if len(found) == 3] == [3]
    assert right["tr-reasoning-4"][0].startswith("4. kasada")
    assert right["tr-reasoning-4"][1].startswith("3. kasada")
    assert right["tr-extraction-4"][1].startswith("3.925 lira")
    assert 2 * 1450 + 1450 // 2 + 300 == 3925
