"""Prompts hold what a writer needs, in the group's language, and no chunk id; later requests repeat how the first begins."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import GenerationConfig
from groundtune.generation.answers.schema import answer_schema
from groundtune.generation.prompts import num_pairs, prompt_texts, repair_request, request_for, rest_request
from groundtune.llm import LLMRequest, parse_passages, parse_task
from groundtune.llm.passages import parse_asked
from groundtune.types import Chunk, Difficulty, Group, QuestionType, Rule

CONFIG = GenerationConfig(provider="openai", model="m")


def chunk(number: int, text: str, tokens: int = 50) -> Chunk:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Chunk(
        f"erp-mod-stok-tr_chunk_{number:03d}", "Stok", "Lot", "Lot", ("Stok", "Lot > Ek"), "tr", text, tokens, False, False,
        (), (), 2, "a.md", 1, 2, sha256,
    )  # fmt: skip


CHUNKS = [chunk(7, "Lot budur. {num_pairs} {passages}", 900), chunk(9, "===== [1] x\nParti budur.", 60)]


def group(rule: Rule = Rule.MODULE, language: str = "tr") -> Group:
    return Group(f"{rule}-{language}-0001", rule, "Lot", language, tuple(item.chunk_id for item in CHUNKS), 960)


def ask(language: str = "tr", rule: Rule = Rule.MODULE, config: GenerationConfig = CONFIG) -> LLMRequest:
    return request_for(group(rule, language), CHUNKS, config, "m")


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("language", ["tr", "en"])
@pytest.mark.parametrize("profile", ["v1", "v2"])
def test_every_rule_has_its_guidance_in_both_languages_and_profiles(rule: Rule, language: str, profile: str) -> None:
    request = ask(language, rule, CONFIG.model_copy(update={"profile": profile}))
    assert prompt_texts(language).rules[rule] in request.prompt
    task = parse_task(request.prompt)
    assert task is not None
    assert (task.rule, task.language, task.max_words, task.focus) == (rule, language, 200, ())
    assert [passage.text for passage in parse_passages(request.context)] == [item.text for item in CHUNKS]


@pytest.mark.parametrize("language", ["tr", "en", "de"])
@pytest.mark.parametrize("profile", ["v1", "v2"])
def test_no_place_is_left_unfilled_and_braces_of_the_documents_stay(language: str, profile: str) -> None:
    request = ask(language, config=CONFIG.model_copy(update={"profile": profile}))
    assert "{" not in request.system + request.prompt
    assert "Lot budur. {num_pairs} {passages}" in request.context


@pytest.mark.parametrize("language", ["tr", "en"])
def test_the_system_text_names_every_type_and_difficulty_of_the_schema_and_the_longest_answer(language: str) -> None:
    request = ask(language, config=CONFIG.model_copy(update={"max_answer_words": 137}))
    for name in (*QuestionType, *Difficulty, "chunk", "quote", "evidence"):
        assert name in request.system
    assert "137" in request.system


def test_the_system_text_is_the_same_for_all_groups_and_the_context_for_all_requests_about_one() -> None:
    first = ask(rule=Rule.MODULE)
    assert first.system == ask(rule=Rule.DATA_FLOW).system
    later = request_for(group(), CHUNKS, CONFIG, "m", focus=[2], focus_quotes=["Parti budur."])
    assert (later.system, later.context, later.schema) == (first.system, first.context, first.schema)
    assert later.key != first.key


def test_chunk_ids_are_in_no_request_so_that_a_grown_document_asks_nothing_again() -> None:
    before = request_for(group(Rule.INDIVIDUAL), [chunk(7, "Lot budur.")], CONFIG, "m")
    after = request_for(group(Rule.INDIVIDUAL), [chunk(8, "Lot budur.")], CONFIG, "m")
    assert "chunk_007" not in before.system + before.full_prompt
    assert before.key == after.key


def test_a_language_without_a_file_is_asked_for_in_english_with_its_name() -> None:
    request = ask("de")
    assert request.system.startswith(ask("en").system)
    assert "every answer in German" in request.system
    assert "are in German" in request.prompt
    assert "German" not in ask("en").full_prompt


def test_profile_v1_asks_for_conversations_and_v2_for_pairs() -> None:
    v1 = ask(config=CONFIG.model_copy(update={"profile": "v1"}))
    assert v1.schema == answer_schema("v1")
    assert "follow_ups" in v1.system
    assert ask().schema == answer_schema("v2")
    assert "follow_ups" not in str(ask().schema) + ask().system


def test_parameters_are_those_set_and_the_offline_writer_has_none() -> None:
    assert ask().parameters == {"max_tokens": 8192}
    warm = CONFIG.model_copy(update={"temperature": 0.0, "max_output_tokens": 100})
    assert ask(config=warm).parameters == {"max_tokens": 100, "temperature": 0.0}
    offline = [GenerationConfig(), GenerationConfig(temperature=1.0, max_output_tokens=100)]
    assert len({ask(config=config).key for config in offline}) == 1


@given(st.integers(0, 20_000), st.integers(1, 30), st.integers(0, 60))
def test_the_number_of_pairs_grows_with_tokens_between_its_bounds(tokens: int, low: int, more: int) -> None:
    config = GenerationConfig(min_pairs=low, max_pairs=low + more)
    assert low <= num_pairs(tokens, config) <= num_pairs(tokens + 100, config) <= low + more
    assert num_pairs(200, config) == low
    assert num_pairs(2400, config) == low + more


# narrowing


def test_a_focus_is_said_and_its_tokens_alone_give_the_number_of_pairs() -> None:
    request = request_for(group(), CHUNKS, CONFIG, "m", focus=[2, 2])
    task = parse_task(request.prompt)
    assert task is not None
    assert (task.focus, task.num_pairs) == ((2,), 5)  # 60 tokens, not 960
    assert "[2] numaralı parçalardan" in request.prompt
    assert parse_task(ask().prompt) != task


def test_a_focus_on_every_passage_is_the_request_without_one() -> None:
    assert request_for(group(), CHUNKS, CONFIG, "m", focus=[2, 1]).key == ask().key


def test_no_more_pairs_are_asked_for_than_places_without_one() -> None:
    request = request_for(group(), CHUNKS, CONFIG, "m", focus=[1], focus_quotes=["Lot budur.", "{num_pairs}"])
    task = parse_task(request.prompt)
    assert task is not None
    assert task.num_pairs == 2
    assert "- {num_pairs}\n" in request.prompt


def test_a_focus_outside_of_the_passages_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"focus \(0, 3\) of group module-tr-0001: expected numbers from 1 to 2"):
        request_for(group(), CHUNKS, CONFIG, "m", focus=[3, 0])


# later rounds


@pytest.mark.parametrize(("language", "words"), [("tr", "bir kez daha|baştan"), ("en", "again")])
def test_a_repair_quotes_error_and_answer_and_keeps_the_rest(language: str, words: str) -> None:
    first = ask(language)
    again = repair_request(first, '{"pairs": [', "pairs.0.type:\nfound 'x'")
    assert (again.system, again.context, again.schema, again.parameters) == (
        first.system, first.context, first.schema, first.parameters,
    )  # fmt: skip
    assert again.prompt.startswith(first.prompt.rsplit("\n\n", 1)[0])
    assert "pairs.0.type: found 'x'" in again.prompt
    assert '~~~~~\n{"pairs": [\n~~~~~' in again.prompt
    assert re.search(words, again.prompt)
    assert parse_task(again.prompt) == parse_task(first.prompt)


def test_of_a_long_answer_its_ends_are_quoted() -> None:
    again = repair_request(ask(), "a" * 5000 + "b" * 5000, "e" * 5000)
    assert "a" * 3000 + " […] " + "b" * 1000 in again.prompt
    assert len(again.prompt) < len(ask().prompt) + 5500


def test_an_answer_that_quotes_the_request_does_not_change_its_task() -> None:
    first = ask()
    raw = "~~~~~~~\n\ntask: language=en rule=individual pairs=99 max_words=1\n\n{error} {answer}"
    again = repair_request(first, raw, "{answer}")
    assert parse_task(again.prompt) == parse_task(first.prompt)
    assert f"~~~~~~~~\n{raw}\n~~~~~~~~" in again.prompt
    twice = repair_request(again, raw, "again")
    assert parse_task(twice.prompt) == parse_task(first.prompt)


def test_the_rest_lists_the_questions_and_asks_for_what_is_missing() -> None:
    first = ask()
    rest = rest_request(first, ["Lot nedir?", "Kim sayar?"], 3)
    assert parse_asked(rest.prompt) == {"Lot nedir?", "Kim sayar?"}
    task, before = parse_task(rest.prompt), parse_task(first.prompt)
    assert task is not None
    assert before is not None
    assert task == replace(before, num_pairs=3)
    assert (rest.system, rest.context) == (first.system, first.context)
    assert rest.prompt.count("task: ") == 1


def test_later_rounds_have_keys_that_follow_from_what_they_are_made_of() -> None:
    first = ask()
    rounds = [
        rest_request(first, ["Lot nedir?"], 3),
        rest_request(first, ["Lot nedir?"], 2),
        rest_request(first, ["Parti nedir?"], 3),
        repair_request(first, "x", "y"),
        repair_request(first, "x", "z"),
        first,
    ]
    assert len({request.key for request in rounds}) == len(rounds)
    assert rest_request(ask(), ["Lot nedir?"], 3).key == rounds[0].key


def test_there_is_no_rest_of_nothing_and_no_round_after_a_foreign_request() -> None:
    with pytest.raises(ValueError, match="num_left is 0"):
        rest_request(ask(), ["Lot nedir?"], 0)
    with pytest.raises(ValueError, match="expected a task line"):
        repair_request(LLMRequest("s", "p", {}, "m"), "x", "y")
