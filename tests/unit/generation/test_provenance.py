"""A pair is found again among the raw answers of the ledger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from groundtune.generation import find_entries
from groundtune.llm import Ledger, LLMRequest, LLMResponse
from groundtune.types import Difficulty, Evidence, Pair, QuestionType, Rule


def pair(question: str, answer: str = "Ten.", *, name: str = "p1", group: str = "g1", answerable: bool = True) -> Pair:
    return Pair(
        name, group, Rule.INDIVIDUAL, "en", question, answer, QuestionType.FACTUAL, Difficulty.EASY, answerable, ("c1",),
        (Evidence("c1", "ten", 0, 3),), "openai/a",
    )  # fmt: skip


def item(question: str, answer: str = "Ten.", **more) -> dict:
    evidence = [{"chunk": 1, "quote": "ten"}]
    return {
        "question": question,
        "answer": answer,
        "type": "factual",
        "difficulty": "easy",
        "evidence": evidence,
        **more,
    }


@pytest.fixture
def book(tmp_path: Path):
    with Ledger(tmp_path / "ledger.sqlite") as made:
        yield made


def answered(book: Ledger, prompt: str, items, *, group="g1", purpose="pairs", language="en", raw=None) -> str:
    request = LLMRequest("instructions", prompt, {}, "a")
    text = json.dumps({"pairs": items}) if raw is None else raw
    tags = {"purpose": purpose, "group": group, "language": language, "rule": "individual"}
    book.record(request, LLMResponse(text, 1, 1, "end", "a-2026"), state="complete", tags=tags)
    return request.key


def test_a_pair_leads_to_the_request_whose_answer_holds_it(book):
    answered(book, "one", [item("What is the limit?")])
    key = answered(book, "two", [item("Who signs?"), item("What is the class?")])
    found = find_entries(book, [pair(" What is the class? ")])
    assert found["p1"].key == key
    assert (found["p1"].model, found["p1"].answered_by, found["p1"].tags["purpose"]) == ("a", "a-2026", "pairs")


def test_a_later_turn_of_a_conversation_is_found_too(book):
    key = answered(book, "one", [item("What is the limit?", follow_ups=[item("And for class B?")])])
    assert find_entries(book, [pair("And for class B?")])["p1"].key == key


def test_of_two_requests_the_one_with_the_same_answer_counts_then_the_one_about_the_group(book):
    answered(book, "one", [item("What is the limit?", "Nine.")], group="g1")
    same = answered(book, "two", [item("What is the limit?")], group="g2")
    assert find_entries(book, [pair("What is the limit?")])["p1"].key == same
    own = answered(book, "three", [item("What is the limit?")], group="g1")
    assert find_entries(book, [pair("What is the limit?")])["p1"].key == own


def test_a_near_miss_leads_to_the_request_of_the_pair_it_was_made_of(book):
    key = answered(book, "one", [item("What is the limit?")])
    near_miss = pair("What is the limit?", "I do not know.", answerable=False)
    assert find_entries(book, [near_miss])["p1"].key == key


def test_verdicts_of_the_judge_and_other_languages_are_not_taken_for_it(book):
    answered(book, "one", [item("What is the limit?")], purpose="judge")
    answered(book, "two", [item("What is the limit?")], language="tr")
    assert find_entries(book, [pair("What is the limit?")]) == {}


def test_answers_that_cannot_be_read_hold_nothing(book):
    answered(book, "one", [], raw="no JSON, but What is the limit?")
    answered(book, "two", [], raw='{"pairs": [3, null]}')
    assert find_entries(book, [pair("What is the limit?")]) == {}
