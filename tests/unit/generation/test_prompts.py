"""Prompts hold what a writer needs, in the group's language, and no chunk id."""

import hashlib

import pytest

from groundtune.config import GenerationConfig
from groundtune.generation.prompts import num_pairs, prompt_texts, request_for
from groundtune.llm import parse_passages, parse_task
from groundtune.types import Chunk, Group, Rule


def chunk(number: int, text: str) -> Chunk:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Chunk(
        f"erp-mod-stok-tr_chunk_{number:03d}",
        "Stok",
        "Lot",
        "Lot",
        ("Stok", "Lot > Ek"),
        "tr",
        text,
        50,
        False,
        False,
        (),
        (),
        2,
        "a.md",
        1,
        2,
        sha256,
    )


CHUNKS = [chunk(7, "Lot budur. {num_pairs} {passages}"), chunk(9, "===== [1] x\nParti budur.")]


def group(rule: Rule, language: str = "tr") -> Group:
    return Group(f"{rule}-{language}-0001", rule, "Lot", language, tuple(item.chunk_id for item in CHUNKS), 300)


@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("language", ["tr", "en"])
def test_every_rule_has_its_guidance_in_both_languages(rule: Rule, language: str) -> None:
    request = request_for(group(rule, language), CHUNKS, GenerationConfig(), "offline-rules/1")
    assert prompt_texts(language).rules[rule] in request.prompt
    task = parse_task(request.prompt)
    assert task is not None
    assert (task.rule, task.language, task.max_words) == (rule, language, 200)
    assert [passage.text for passage in parse_passages(request.prompt)] == [item.text for item in CHUNKS]


def test_no_place_is_left_unfilled_and_braces_of_the_documents_stay() -> None:
    request = request_for(group(Rule.INDIVIDUAL), [chunk(1, "Lot budur.")], GenerationConfig(), "m")
    assert "{" not in request.prompt
    request = request_for(group(Rule.MODULE), CHUNKS, GenerationConfig(), "m")
    assert "Lot budur. {num_pairs} {passages}" in request.prompt


def test_chunk_ids_are_in_no_request_so_that_a_grown_document_asks_nothing_again() -> None:
    before = request_for(group(Rule.INDIVIDUAL), [chunk(7, "Lot budur.")], GenerationConfig(), "m")
    after = request_for(group(Rule.INDIVIDUAL), [chunk(8, "Lot budur.")], GenerationConfig(), "m")
    assert "chunk_007" not in before.system + before.prompt
    assert before.key == after.key


def test_a_language_without_a_file_is_asked_for_in_english() -> None:
    texts = prompt_texts("de")
    assert texts.system == prompt_texts("en").system
    assert "'de'" in texts.language_name


def test_the_number_of_pairs_grows_with_tokens_between_its_bounds() -> None:
    config = GenerationConfig(min_pairs=5, max_pairs=28)
    asked = [num_pairs(tokens, config) for tokens in range(0, 4000, 50)]
    assert asked == sorted(asked)
    assert (asked[0], asked[-1]) == (5, 28)
    assert num_pairs(0, GenerationConfig(min_pairs=3, max_pairs=3)) == 3
