"""The shipped general tasks: whole, balanced, and not to be guessed from their form."""

import unicodedata
from collections import Counter

import pytest

from groundtune.evaluation.forgetting import KINDS, read_tasks
from groundtune.language import detect_language

TASKS = read_tasks()
SETS = [(language, kind) for language in ("tr", "en") for kind in KINDS]


def of(language, kind):
    return [task for task in TASKS if (task.language, task.kind) == (language, kind)]


def lengths(task):
    right = len(task.choices[task.answer])
    return right, [len(choice) for place, choice in enumerate(task.choices) if place != task.answer]


@pytest.mark.parametrize(("language", "kind"), SETS)
def test_each_language_has_twenty_tasks_of_each_kind_numbered_in_order(language, kind):
    expected = [f"{language}-{kind}-{number:02}" for number in range(1, 21)]
    assert [task.task_id for task in of(language, kind)] == expected


def test_there_are_no_others():
    assert len(TASKS) == 20 * len(SETS)


def test_no_task_stands_twice():
    assert max(Counter(task.stem for task in TASKS).values()) == 1
    assert max(Counter((task.passage, task.question.casefold()) for task in TASKS).values()) == 1


def test_every_task_has_four_different_choices_and_one_of_them_is_right():
    for task in TASKS:
        assert len({choice.casefold() for choice in task.choices}) == 4, task.task_id
        assert 0 <= task.answer < 4, task.task_id


@pytest.mark.parametrize(("language", "kind"), SETS)
def test_the_right_choice_stands_in_every_place_equally_often(language, kind):
    assert Counter(task.answer for task in of(language, kind)) == {0: 5, 1: 5, 2: 5, 3: 5}


@pytest.mark.parametrize("language", ["tr", "en"])
def test_the_length_of_a_choice_does_not_give_it_away(language):
    pairs = [lengths(task) for task in TASKS if task.language == language]
    longest = sum(right > max(wrong) for right, wrong in pairs)
    shortest = sum(right < min(wrong) for right, wrong in pairs)
    # by chance a quarter, less those where two choices are equally long
    assert longest <= 25
    assert shortest <= 25
    shorter = sum(each < right for right, wrong in pairs for each in wrong)
    longer = sum(each > right for right, wrong in pairs for each in wrong)
    assert 0.8 < shorter / longer < 1.25


@pytest.mark.parametrize("language", ["tr", "en"])
def test_tasks_are_in_the_language_they_say(language):
    for kind in KINDS:
        text = " ".join(f"{task.passage} {task.question}" for task in of(language, kind))
        assert detect_language(text, ["tr", "en"]) == language


def test_texts_are_clean():
    for task in TASKS:
        for text in (task.question, task.passage, *task.choices):
            assert text == unicodedata.normalize("NFC", text).strip(), task.task_id
            assert "  " not in text, task.task_id
        assert bool(task.passage) == (task.kind == "reading"), task.task_id


def test_a_right_choice_of_reading_can_be_told_from_the_passage_alone():
    # each passage has two questions, and no answer of one answers the other
    passages = Counter(task.passage for task in TASKS if task.kind == "reading")
    assert set(passages.values()) == {2}
    for passage in passages:
        first, second = (task for task in TASKS if task.passage == passage)
        assert first.choices[first.answer] != second.choices[second.answer]
