"""Talking without documents: what was said is the prompt, and the oldest goes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from groundtune.errors import DataError
from groundtune.serving import Dialogue
from groundtune.types import Message


def words_of(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


def echo(messages: Sequence[Message]) -> Iterator[str]:
    yield from (f"{len(messages)} ", messages[-1].content)


def test_the_answer_is_remembered_when_it_has_come_to_its_end():
    dialogue = Dialogue(100, words_of, echo)
    reply = dialogue.ask("  Merhaba ")
    assert not dialogue.turns
    assert "".join(reply.pieces) == "1 Merhaba"
    assert dialogue.turns == [Message("user", "Merhaba"), Message("assistant", "1 Merhaba")]
    assert "".join(dialogue.ask("again").pieces) == "3 again"
    assert not reply.from_documents


def test_an_answer_that_is_broken_off_is_forgotten_with_its_question():
    dialogue = Dialogue(100, words_of, echo)
    next(dialogue.ask("one").pieces)
    assert dialogue.turns == []


def test_the_oldest_turns_go_where_the_prompt_grows_too_long():
    dialogue = Dialogue(6, words_of, echo)
    for question in ("a b", "c d"):
        list(dialogue.ask(question).pieces)
    assert "".join(dialogue.ask("e f").pieces) == "1 e f"
    assert [message.content for message in dialogue.turns] == ["e f", "1 e f"]


@pytest.mark.parametrize(("question", "told"), [("  ", "the question is empty"), ("a b c d", "too many tokens")])
def test_a_question_that_cannot_be_asked_is_refused(question, told):
    with pytest.raises(DataError, match=told):
        Dialogue(3, words_of, echo).ask(question)
