"""Every check by code, each with an answer that only it can stop."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import GenerationConfig
from groundtune.generation import Reason, Rejection
from groundtune.generation.tokens import exact_tokens, missing_tokens
from groundtune.generation.verify import check_answer, drop_repeated
from groundtune.types import Chunk, Group, Pair, Rule

LOT = "Lot numarası, lotun doğduğu günü gösteren 13 karakterlik koddur. Bir günde en çok 9.999 lot açılabilir."
PARTY = "Parti numarası, tedarikçinin aynı ergitmeye verdiği 12 haneli koddur. Kayıt `stk_lots` tablosundadır."


def chunk(number: int, text: str, language: str = "tr") -> Chunk:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Chunk(
        f"c{number}",
        "Stok",
        "Lot",
        "Lot",
        ("Stok", "Lot"),
        language,
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


CHUNKS = (chunk(1, LOT), chunk(2, PARTY))


def group(rule: Rule = Rule.INDIVIDUAL, language: str = "tr", ids: tuple[str, ...] = ("c1", "c2")) -> Group:
    return Group(f"{rule}-{language}-0001", rule, "Lot", language, ids, 100)


def pair(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "question": "Lot numarası kaç karakterdir?",
        "answer": "Lot numarası 13 karakterlik koddur.",
        "type": "factual",
        "difficulty": "easy",
        "evidence": [{"chunk": 1, "quote": "13 karakterlik koddur"}],
    }
    return value | changes


def check(
    *pairs: Any,
    raw: str | None = None,
    of: Group | None = None,
    config: GenerationConfig | None = None,
    chunks: tuple[Chunk, ...] = CHUNKS,
) -> tuple[list[Pair], list[Rejection]]:
    text = raw if raw is not None else json.dumps({"pairs": list(pairs)})
    return check_answer(
        text, of or group(), chunks, config=config or GenerationConfig(), languages=("tr", "en"), writer="test/1"
    )


def only_reason(*pairs: Any, **settings: Any) -> Reason:
    accepted, rejected = check(*pairs, **settings)
    assert accepted == []
    (rejection,) = rejected
    return rejection.reason


def test_a_sound_pair_is_accepted_with_the_offsets_of_its_quote() -> None:
    (accepted,), rejected = check(pair())
    assert rejected == []
    (evidence,) = accepted.evidence
    assert (evidence.chunk_id, LOT[evidence.start : evidence.end]) == ("c1", "13 karakterlik koddur")
    assert accepted.context_chunk_ids == ("c1", "c2")
    assert accepted.answerable
    assert accepted.writer == "test/1"


@pytest.mark.parametrize("raw", ["", "Elbette! {", "[]", '{"pairs": 3}', "null"])
def test_an_answer_that_is_not_of_the_schema_is_one_rejection(raw: str) -> None:
    assert only_reason(raw=raw) is Reason.NOT_JSON


@pytest.mark.parametrize(
    "value",
    [
        "metin",
        {"question": "x?"},
        pair(type="poetic"),
        pair(difficulty="very"),
        pair(evidence=[]),
        pair(evidence=[{"chunk": 0, "quote": "x"}]),
        pair(extra=1),
    ],
)
def test_one_pair_that_does_not_fit_the_schema_costs_only_itself(value: Any) -> None:
    accepted, (rejection,) = check(value, pair())
    assert len(accepted) == 1
    assert rejection.reason is Reason.NOT_IN_SCHEMA


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": "  "}, Reason.EMPTY),
        ({"answer": " \n"}, Reason.EMPTY),
        ({"question": "Lot numarası 13 karakterdir."}, Reason.NOT_A_QUESTION),
        ({"question": "Yukarıdaki bağlama göre lot numarası nedir?"}, Reason.POINTS_AT_CONTEXT),
        ({"answer": "Verilen metne göre lot numarası 13 karakterdir."}, Reason.POINTS_AT_CONTEXT),
        ({"evidence": [{"chunk": 3, "quote": "x"}]}, Reason.UNKNOWN_CHUNK),
        ({"evidence": [{"chunk": 2, "quote": "13 karakterlik koddur"}]}, Reason.QUOTE_NOT_FOUND),
        ({"evidence": [{"chunk": 1, "quote": "13 karakterlik kod dur"}]}, Reason.QUOTE_NOT_FOUND),
        ({"evidence": [{"chunk": 1, "quote": " "}]}, Reason.QUOTE_NOT_FOUND),
        ({"answer": "Lot numarası 12 karakterlik koddur."}, Reason.TOKEN_NOT_IN_EVIDENCE),
        ({"answer": "Lot numarası `stk_lots` tablosundadır."}, Reason.TOKEN_NOT_IN_EVIDENCE),
        ({"answer": "Lot numarası STK-204 kodudur."}, Reason.TOKEN_NOT_IN_EVIDENCE),
        (
            {
                "question": "How many characters does a lot number have in the system?",
                "answer": "It is a code of 13 characters.",
            },
            Reason.WRONG_LANGUAGE,
        ),
    ],
)
def test_each_check_stops_what_only_it_can_stop(changes: dict[str, Any], reason: Reason) -> None:
    assert only_reason(pair(**changes)) is reason


def test_the_answer_alone_may_not_be_in_another_language() -> None:
    answer = "A lot number is a code of 13 characters which shows the day on which the lot was created in the system."
    assert (
        only_reason(pair(question="Lot numarası nedir ve hangi günü gösterir?", answer=answer)) is Reason.WRONG_LANGUAGE
    )


def test_english_that_points_at_its_context_is_stopped() -> None:
    english = (chunk(1, "A lot number is a 13-character code.", "en"),)
    value = pair(
        question="According to the context above, what is a lot number?",
        answer="A 13-character code.",
        evidence=[{"chunk": 1, "quote": "13-character code"}],
    )
    assert only_reason(value, of=group(language="en", ids=("c1",)), chunks=english) is Reason.POINTS_AT_CONTEXT


def test_an_answer_over_the_cap_is_stopped_and_one_at_the_cap_is_not() -> None:
    words = len(pair()["answer"].split())
    assert only_reason(pair(), config=GenerationConfig(max_answer_words=words - 1)) is Reason.TOO_LONG
    assert check(pair(), config=GenerationConfig(max_answer_words=words))[0]


def test_a_multi_chunk_rule_must_cite_two_chunks() -> None:
    siblings = group(Rule.HORIZONTAL_SIBLINGS)
    assert only_reason(pair(), of=siblings) is Reason.TOO_FEW_CHUNKS
    both = pair(evidence=[{"chunk": 1, "quote": "13 karakterlik"}, {"chunk": 2, "quote": "12 haneli"}])
    assert check(both, of=siblings)[0]
    alone = group(Rule.HORIZONTAL_SIBLINGS, ids=("c1",))
    assert check(pair(), of=alone, chunks=CHUNKS[:1])[0]


def test_a_question_is_accepted_once_in_its_group() -> None:
    accepted, (rejection,) = check(
        pair(), pair(question="Lot numarası  KAÇ karakterdir?", answer="13 karakterlik koddur.")
    )
    assert len(accepted) == 1
    assert rejection.reason is Reason.REPEATED_IN_GROUP


def test_the_first_of_repeated_pairs_is_kept_across_groups() -> None:
    (first,), _ = check(pair())
    (second,), _ = check(pair(), of=group(Rule.SUBMODULE, ids=("c1",)), chunks=CHUNKS[:1])
    kept, (rejection,) = drop_repeated([first, second])
    assert kept == [first]
    assert rejection.reason is Reason.REPEATED


def test_the_id_depends_on_content_and_not_on_chunk_ids_or_groups() -> None:
    (first,), _ = check(pair())
    moved = (chunk(7, LOT), chunk(8, PARTY))
    (second,), _ = check(pair(), of=group(Rule.INDIVIDUAL, ids=("c7", "c8")), chunks=moved)
    assert first.pair_id == second.pair_id
    (other,), _ = check(pair(answer="13 karakterlik koddur."))
    assert other.pair_id != first.pair_id


@pytest.mark.parametrize(
    ("answer", "source", "missing"),
    [
        ("1. Açın.\n2. Basın.", "Açın. Basın.", []),
        ("Süre 12 gündür.", "2012 yılında 12,5 gün", ["12"]),
        ("Süre 12 gündür.", "Süre 12'dir.", []),
        ("Sınır %0,5'tir.", "±%0,5'e kadar", []),
        ("En çok 9.999 lot.", "9999 lot", ["9.999"]),
        ("Ürün H07V-K 1x6 mm².", "H07V-K 1x6 mm² kablo", []),
        ("`POST /api/v2/lots` isteği.", "POST /api/v2/lots HTTP/1.1", []),
        ("LOT_A rolü", "LOT_AB rolü", ["LOT_A"]),
    ],
)
def test_figures_codes_and_identifiers_must_stand_whole_in_the_source(
    answer: str, source: str, missing: list[str]
) -> None:
    assert missing_tokens(answer, source) == missing


@given(st.text(max_size=60))
def test_a_text_is_missing_nothing_of_itself(text: str) -> None:
    assert missing_tokens(text, text) == []
    assert all(token for token in exact_tokens(text))


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "question": st.sampled_from(
                    ["Lot numarası kaç karakterdir?", "Lot?", "", "Parti numarası nedir?", "x"]
                ),
                "answer": st.sampled_from(["13 karakterlik koddur.", "12 haneli koddur.", "", "7", "`stk_lots`"]),
                "type": st.sampled_from(["factual", "list", "odd"]),
                "difficulty": st.sampled_from(["easy", "hard"]),
                "evidence": st.lists(
                    st.fixed_dictionaries(
                        {
                            "chunk": st.integers(0, 3),
                            "quote": st.sampled_from(["13 karakterlik", "12 haneli", "Kayıt", "yok", ""]),
                        }
                    ),
                    max_size=3,
                ),
            }
        ),
        max_size=4,
    ),
    st.sampled_from(list(Rule)),
)
def test_no_accepted_pair_fails_a_check(values: list[dict[str, Any]], rule: Rule) -> None:
    accepted, rejected = check(*values, of=group(rule))
    assert len(accepted) + len(rejected) == len(values)
    texts = {item.chunk_id: item.text for item in CHUNKS}
    for item in accepted:
        assert item.question.endswith("?")
        assert item.answer
        assert item.evidence
        for evidence in item.evidence:
            assert texts[evidence.chunk_id][evidence.start : evidence.end] == evidence.quote
        assert rule is Rule.INDIVIDUAL or len(item.evidence_chunk_ids) >= 2
        assert missing_tokens(item.answer, "\n".join(texts[name] for name in item.evidence_chunk_ids)) == []
