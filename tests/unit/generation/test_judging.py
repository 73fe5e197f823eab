"""The judge: what it is asked, how its verdicts are read, and what follows from them."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import JudgeConfig
from groundtune.generation.judging import (
    Judgement,
    Malformed,
    Verdict,
    classify_verdict,
    judge,
    judge_requests,
    judge_texts,
    read_verdict,
)
from groundtune.generation.verification import Reason
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.llm.passages import parse_passages
from groundtune.types import Chunk, Difficulty, Evidence, Exchange, Pair, QuestionType, Rule

JUDGE = JudgeConfig(provider="openai", model="judge-1", temperature=0.0)


def chunk(name: str, text: str) -> Chunk:
    return Chunk(name, "Stok", "Lot", "Lot", ("Stok", name), "tr", text, 9, False, False, (), (), 2, "a.md", 1, 2, "")


CHUNKS = {
    name: chunk(name, f"{name} kaydı {number} gün saklanır.") for number, name in enumerate(["c1", "c2", "c3"], 10)
}


def pair(*cited: str, language: str = "tr") -> Pair:
    evidence = tuple(Evidence(name, CHUNKS[name].text, 0, len(CHUNKS[name].text)) for name in cited)
    return Pair(
        "p1", "g1", Rule.SUBMODULE, language, "Kayıtlar kaç gün saklanır {answer}?", "10 ve 11 gün.", QuestionType.COMPARATIVE,
        Difficulty.HARD, True, ("c1", "c2", "c3"), evidence, "test/1",
    )  # fmt: skip


class Judge:
    """Gives the answers it was made with, in order, and keeps what it was asked."""

    def __init__(self, *answers: str | bool) -> None:
        self.answers = list(answers)
        self.asked: list[LLMRequest] = []
        self.kinds: list[str] = []

    async def __call__(self, request: LLMRequest, tags: Mapping[str, str]) -> LLMResponse:
        self.asked.append(request)
        self.kinds.append(tags["kind"])
        answer = self.answers.pop(0)
        if isinstance(answer, bool):
            key = "supported" if tags["kind"] == "support" else "answerable"
            answer = json.dumps({"reason": "because", key: answer})
        return LLMResponse(answer, 1, 1, "refusal" if answer == "declined" else "end", "judge-1")


def judged(asked_of: Judge, *cited: str, config: JudgeConfig = JUDGE) -> Judgement:
    return asyncio.run(judge(pair(*cited), CHUNKS, config, asked_of))


def test_support_is_asked_over_the_cited_chunks_alone_in_reading_order() -> None:
    (kind, request), *_ = judge_requests(pair("c3", "c1"), CHUNKS, JUDGE)
    assert kind == "support"
    assert [passage.text for passage in parse_passages(request.context)] == [CHUNKS["c1"].text, CHUNKS["c3"].text]
    assert "Kayıtlar kaç gün saklanır {answer}?" in request.prompt
    assert "10 ve 11 gün." in request.prompt
    assert request.model == "judge-1"
    assert request.parameters == {"max_tokens": 1024, "temperature": 0.0}
    assert request.schema["required"] == ["reason", "supported"]
    assert "c1_" not in request.full_prompt


def test_another_length_limit_buys_no_verdict_again() -> None:
    one, other = (
        judge_requests(pair("c1", "c2"), CHUNKS, JUDGE.model_copy(update={"max_output_tokens": most}))
        for most in (64, 9000)
    )
    assert [request.key for _, request in one] == [request.key for _, request in other]
    assert one[0][1].most_tokens(64) == 64


def test_necessity_is_asked_once_for_each_cited_chunk_over_the_context_without_it() -> None:
    (_, *requests) = judge_requests(pair("c3", "c1"), CHUNKS, JUDGE)
    assert [kind for kind, _ in requests] == ["necessity", "necessity"]
    texts = [[passage.text for passage in parse_passages(request.context)] for _, request in requests]
    assert texts == [[CHUNKS["c1"].text, CHUNKS["c2"].text], [CHUNKS["c2"].text, CHUNKS["c3"].text]]
    assert all("10 ve 11 gün." not in request.prompt for _, request in requests)


def test_necessity_is_not_asked_of_one_chunk_nor_when_it_is_off() -> None:
    assert len(judge_requests(pair("c1"), CHUNKS, JUDGE)) == 1
    assert len(judge_requests(pair("c1", "c2"), CHUNKS, JUDGE.model_copy(update={"necessity": False}))) == 1


def test_a_temperature_that_is_not_set_is_left_to_the_provider() -> None:
    ((_, request),) = judge_requests(pair("c1"), CHUNKS, JudgeConfig(provider="openai", model="m"))
    assert "temperature" not in request.parameters


def test_turns_before_are_shown_to_the_judge() -> None:
    later = replace(pair("c1"), history=(Exchange("Lot nedir?", "Bir parti."),))
    ((_, request),) = judge_requests(later, CHUNKS, JUDGE)
    assert "Kullanıcı: Lot nedir?\nAsistan: Bir parti." in request.prompt


def test_languages_without_texts_of_their_own_get_the_english_ones() -> None:
    assert judge_texts("de") == judge_texts("en") != judge_texts("tr")
    assert judge_texts("tr").keys() == judge_texts("en").keys()


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        ('{"supported": true, "reason": "yes"}', Verdict(True, "yes")),
        ('```json\n{"reason": "no\n way", "supported": false}\n```', Verdict(False, "no way")),
        ('{"supported": true}', Verdict(True, "")),
        ('{"supported": True, "reason": \'x\'}', Verdict(True, "x")),
    ],
)
def test_verdicts_that_can_be_read(raw: str, verdict: Verdict) -> None:
    assert read_verdict(raw, "support") == verdict


@pytest.mark.parametrize(
    "raw",
    ["", "yes", "true", '{"supported": "yes"}', '{"supported": 1}', '{"answerable": true}', '{"supported": tr', '{"supported": true, "reason": 3}', '{"supported": true, "supported": false}'],
)  # fmt: skip
def test_verdicts_that_cannot(raw: str) -> None:
    assert isinstance(read_verdict(raw, "support"), Malformed)
    assert classify_verdict(LLMResponse(raw, 1, 1, "max_tokens", "m"), "support") == "malformed"


@given(st.text() | st.lists(st.sampled_from(["{", "}", '"supported"', ":", "true", "false", ",", "1"])).map("".join))
def test_no_text_of_a_judge_makes_an_exception(text: str) -> None:
    assert isinstance(read_verdict(text, "support"), Verdict | Malformed)


def test_a_supported_pair_of_one_chunk_passes() -> None:
    assert judged(Judge(True), "c1") == Judgement(None, (), "because")


def test_an_unsupported_pair_is_rejected_and_nothing_more_is_asked() -> None:
    asked_of = Judge(False)
    rejection = judged(asked_of, "c1", "c2").rejection
    assert rejection is not None
    assert (rejection.reason, rejection.detail, rejection.group_id) == (Reason.NOT_SUPPORTED, "because", "g1")
    assert rejection.raw["pair_id"] == "p1"
    assert len(asked_of.asked) == 1


def test_the_necessary_chunks_are_recorded() -> None:
    assert judged(Judge(True, True, False), "c1", "c2") == Judgement(None, ("c2",), "because")


def test_a_pair_of_which_no_chunk_is_necessary_is_rejected() -> None:
    rejection = judged(Judge(True, True, True), "c1", "c2").rejection
    assert rejection is not None
    assert rejection.reason is Reason.NOT_NECESSARY


def test_an_unreadable_verdict_is_asked_for_once_more_with_what_was_wrong() -> None:
    asked_of = Judge("hmm", True)
    assert judged(asked_of, "c1").rejection is None
    assert asked_of.asked[0].key != asked_of.asked[1].key
    assert "found no JSON object with the key 'supported'" in asked_of.asked[1].prompt
    assert asked_of.asked[1].prompt.startswith(asked_of.asked[0].prompt)


@pytest.mark.parametrize("answers", [("hmm", "hmm"), ("declined",), (True, "hmm", "hmm")])
def test_a_pair_without_readable_verdicts_is_never_accepted(answers: tuple[str | bool, ...]) -> None:
    asked_of = Judge(*answers)
    rejection = judged(asked_of, "c1", "c2").rejection
    assert rejection is not None
    assert rejection.reason is Reason.NO_VERDICT
    assert asked_of.answers == []
