"""Questions with a false premise: asked of few groups, and taken only with the passage that contradicts them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT, GenerationConfig
from groundtune.files import sha256_text
from groundtune.generation.prompts import num_pairs, prompt_texts, repair_request, request_for, rest_request
from groundtune.generation.unanswerable.false_premise import (
    QUESTIONS_A_GROUP,
    check_premises,
    choose_groups,
    false_premise_request,
)
from groundtune.generation.verification import Reason
from groundtune.llm import parse_passages
from groundtune.types import Chunk, Evidence, Group, Pair, Rule

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
CONFIG = GenerationConfig(provider="anthropic", model="m", false_premise_share=0.05)


def chunk(name: str, text: str) -> Chunk:
    return Chunk(
        name, "Stok", "", "", ("Stok",), "tr", text, 50, False, False, (), (), 1, "a.md", 1, 1, sha256_text(text)
    )


RULE = "Sayımı yalnızca depo müdürü iptal edebilir."
LIMIT = "Bir lot en çok 12 alt lota bölünür."
CHUNKS = [chunk("a", f"Sayım yılda bir yapılır. {RULE}"), chunk("b", LIMIT)]
GROUP = Group("module-tr-0001", Rule.MODULE, "Stok", "tr", ("a", "b"), 100)
TRAP = {
    "question": "Satış temsilcisi stok sayımını hangi menüden iptal eder?",
    "assumption": "Satış temsilcisi sayımı iptal edebilir.",
    "evidence": [{"chunk": 1, "quote": RULE}],
}


def check(*items: Any, config: GenerationConfig = CONFIG, **settings: Any) -> tuple[list[Pair], list[Reason]]:
    values = json.loads(json.dumps(list(items), ensure_ascii=False))
    pairs, rejections = check_premises(values, GROUP, CHUNKS, config=config, prompts=PROMPTS, writer="a/m", **settings)
    assert all(rejection.group_id == GROUP.group_id for rejection in rejections)
    return pairs, [rejection.reason for rejection in rejections]


@pytest.mark.parametrize("profile", ["v1", "v2"])
def test_the_answer_is_the_refusal_and_what_contradicts_stays_in_the_context(profile: str) -> None:
    (pair,), rejected = check(TRAP, config=CONFIG.model_copy(update={"profile": profile}))
    assert not rejected
    assert (pair.answer, pair.answerable) == (TURKISH_PROMPT.refusal, False)
    assert pair.context_chunk_ids == ("a", "b")
    start = CHUNKS[0].text.index(RULE)
    assert pair.evidence == (Evidence("a", RULE, start, start + len(RULE)),)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": "Satış temsilcisi stok sayımını iptal eder."}, Reason.NOT_A_QUESTION),
        ({"question": "Yukarıdaki parçaya göre sayımı kim iptal eder?"}, Reason.POINTS_AT_CONTEXT),
        ({"question": "From which menu does the sales clerk cancel a stock count?"}, Reason.WRONG_LANGUAGE),
        ({"evidence": [{"chunk": 2, "quote": RULE}]}, Reason.QUOTE_NOT_FOUND),
        ({"evidence": [{"chunk": 3, "quote": RULE}]}, Reason.UNKNOWN_CHUNK),
        ({"evidence": []}, Reason.NOT_IN_SCHEMA),
        ({"assumption": ""}, Reason.NOT_IN_SCHEMA),
        ({"answer": "Depo müdürü."}, Reason.NOT_IN_SCHEMA),
    ],
)
def test_a_question_that_fails_a_check_is_kept_with_its_reason(change: dict[str, Any], reason: Reason) -> None:
    good = {**TRAP, "question": "Bir lot 20 alt lota nasıl bölünür?", "evidence": [{"chunk": 2, "quote": LIMIT}]}
    pairs, rejected = check({**TRAP, **change}, good)
    assert [pair.question for pair in pairs] == [good["question"]]
    assert rejected == [reason]


def test_a_question_that_is_asked_already_is_no_trap() -> None:
    (pair,), rejected = check(TRAP, TRAP)
    assert rejected == [Reason.REPEATED_IN_GROUP]
    pairs, rejected = check(TRAP, pairs=[pair])
    assert (pairs, rejected) == ([], [Reason.REPEATED_IN_GROUP])


def test_a_request_tells_the_model_what_a_false_premise_is_and_shows_the_same_passages() -> None:
    request = false_premise_request(GROUP, CHUNKS, CONFIG, "m", num_questions=3)
    assert request.context == request_for(GROUP, CHUNKS, CONFIG, "m").context
    assert [passage.text for passage in parse_passages(request.context)] == [item.text for item in CHUNKS]
    assert request.system == prompt_texts("tr").false_premise_system
    assert "3 yanlış varsayımlı soru" in request.prompt
    assert "{" not in request.system + request.prompt
    assert "assumption" in str(request.schema)
    for later in (repair_request(request, "x", "y"), rest_request(request, ["Lot nedir?"], 2)):
        assert (later.system, later.context, later.schema) == (request.system, request.context, request.schema)


def many(count: int) -> tuple[list[Group], dict[str, Chunk]]:
    chunks = {f"c{number}": chunk(f"c{number}", f"Kayıt {number} budur.") for number in range(count)}
    groups = [
        Group(f"individual-tr-{number:04d}", Rule.INDIVIDUAL, "", "tr", (f"c{number}",), 300) for number in range(count)
    ]
    return groups, chunks


def test_as_many_are_asked_for_as_make_the_share_of_all_pairs() -> None:
    groups, chunks = many(400)
    chosen = choose_groups(groups, chunks, CONFIG, seed=1)
    asked = sum(count for _, count in chosen)
    answerable = 400 * num_pairs(300, CONFIG)
    # of everything: answerable, near-misses (6%) and these (5%)
    everything = answerable / (1 - 0.05 - CONFIG.unanswerable_share)
    assert abs(asked - 0.05 * everything) <= QUESTIONS_A_GROUP / 2
    assert [group for group, _ in chosen] == [group for group in groups if group in {each for each, _ in chosen}]


def test_the_choice_follows_seed_and_text_so_that_one_more_document_changes_little() -> None:
    groups, chunks = many(400)
    chosen = {group.group_id for group, _ in choose_groups(groups, chunks, CONFIG, seed=1)}
    assert chosen == {group.group_id for group, _ in choose_groups(groups, chunks, CONFIG, seed=1)}
    assert chosen != {group.group_id for group, _ in choose_groups(groups, chunks, CONFIG, seed=2)}
    more, more_chunks = many(404)
    after = {group.group_id for group, _ in choose_groups(more, more_chunks, CONFIG, seed=1)}
    assert len(chosen - after) <= 4


def test_few_groups_are_asked_for_more_each() -> None:
    groups, chunks = many(4)
    config = CONFIG.model_copy(update={"false_premise_share": 0.4})
    chosen = choose_groups(groups, chunks, config, seed=1)
    assert len(chosen) == 4
    wanted = 4 * num_pairs(300, config) * 0.4 / (1 - 0.4 - 0.06)
    assert chosen[0][1] == round(wanted / 4) > QUESTIONS_A_GROUP


@pytest.mark.parametrize(
    "config", [GenerationConfig(false_premise_share=0.1), CONFIG.model_copy(update={"false_premise_share": 0.0})]
)
def test_the_offline_writer_and_a_share_of_nothing_ask_for_none(config: GenerationConfig) -> None:
    groups, chunks = many(10)
    assert choose_groups(groups, chunks, config, seed=1) == []
