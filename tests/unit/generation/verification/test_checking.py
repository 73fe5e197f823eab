"""Every check by code, each with an answer that only it can stop."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import GenerationConfig
from groundtune.generation.answers.parsing import parse_answer
from groundtune.generation.verification import Reason, Rejection, as_row, check_pairs, missing_figures
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
    of: Group | None = None,
    config: GenerationConfig | None = None,
    chunks: tuple[Chunk, ...] = CHUNKS,
) -> tuple[list[Pair], list[Rejection]]:
    values = parse_answer(json.dumps({"pairs": list(pairs)})).pairs
    return check_pairs(
        values, of or group(), chunks, config=config or GenerationConfig(), languages=("tr", "en"), writer="test/1"
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
def test_an_answer_that_is_not_of_the_schema_holds_no_pair_to_check(raw: str) -> None:
    parsed = parse_answer(raw)
    assert (parsed.state, parsed.pairs) == ("malformed", ())


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
        ({"evidence": [{"chunk": 1, "quote": "Lotun rengini gösteren uzun bir koddur"}]}, Reason.QUOTE_NOT_FOUND),
        ({"evidence": [{"chunk": 1, "quote": "lotun doğduğu günü gösteren 12 karakterlik"}]}, Reason.QUOTE_CHANGED),
        ({"evidence": [{"chunk": 1, "quote": "en çok 9.999 lot açılamaz"}]}, Reason.QUOTE_CHANGED),
        ({"question": "Lot\u0007 numarası nedir?"}, Reason.BROKEN_CHARACTERS),
        ({"answer": "Lot numaras\ufffd 13 karakterlik koddur."}, Reason.BROKEN_CHARACTERS),
        ({"question": "lot " * 61 + "nedir?"}, Reason.QUESTION_TOO_LONG),
        ({"answer": "Lot numarası on dört karakterlik koddur."}, Reason.TOKEN_NOT_IN_EVIDENCE),
        ({"evidence": [{"chunk": 1, "quote": " "}]}, Reason.QUOTE_NOT_FOUND),
        ({"answer": "Lot numarası 12 karakterlik koddur."}, Reason.TOKEN_NOT_IN_EVIDENCE),
        ({"answer": "Bir günde 13 karakterlik 12 haneli kod açılır."}, Reason.TOKEN_NOT_IN_EVIDENCE),
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


def test_the_id_depends_on_content_and_not_on_chunk_ids_or_groups() -> None:
    (first,), _ = check(pair())
    moved = (chunk(7, LOT), chunk(8, PARTY))
    (second,), _ = check(pair(), of=group(Rule.INDIVIDUAL, ids=("c7", "c8")), chunks=moved)
    assert first.pair_id == second.pair_id
    (other,), _ = check(pair(answer="13 karakterlik koddur."))
    assert other.pair_id != first.pair_id


def test_a_rejection_keeps_the_group_and_the_pair_as_it_was_handed_in() -> None:
    value = pair(answer="Lot numarası 12 karakterlik koddur.")
    _, (rejection,) = check(value)
    row = as_row(rejection)
    assert row["pair"] == value
    assert (row["group_id"], row["reason"], row["detail"]) == (
        "individual-tr-0001",
        "number, code or identifier of the answer is not in the evidence",
        "12",
    )
    assert json.loads(json.dumps(row, ensure_ascii=False)) == row


def test_evidence_is_the_words_of_the_chunk_and_not_those_of_the_writer() -> None:
    value = pair(
        evidence=[{"chunk": 2, "quote": "Kayit stk_lots tablosundadır"}], answer="Kayıt `stk_lots` tablosundadır."
    )
    (accepted,), _ = check(value)
    (evidence,) = accepted.evidence
    assert evidence.quote == "Kayıt `stk_lots` tablosundadır" == PARTY[evidence.start : evidence.end]


def test_with_a_similarity_of_one_only_typography_may_differ() -> None:
    strict = GenerationConfig(quote_similarity=1)
    slip = pair(evidence=[{"chunk": 1, "quote": "günü gosteren 13 karakterlik koddur"}])
    assert check(slip)[0]
    assert only_reason(slip, config=strict) is Reason.QUOTE_NOT_FOUND
    assert check(pair(evidence=[{"chunk": 1, "quote": "gösteren  13 karakterlik koddur"}]), config=strict)[0]


def test_a_number_of_another_sentence_of_the_chunk_is_not_in_the_evidence() -> None:
    text = "Lot numarası 13 karakterdir.\nSayım 24 saat sürer."
    chunks = (chunk(1, text),)
    wrong = pair(answer="Lot numarası 24 karakterdir.", evidence=[{"chunk": 1, "quote": "Lot numarası"}])
    assert only_reason(wrong, of=group(ids=("c1",)), chunks=chunks) is Reason.TOKEN_NOT_IN_EVIDENCE
    right = pair(answer="Lot numarası 13 karakterdir.", evidence=[{"chunk": 1, "quote": "Lot numarası"}])
    assert check(right, of=group(ids=("c1",)), chunks=chunks)[0]


def turn(question: str, answer: str, quote: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    return pair(question=question, answer=answer, evidence=[{"chunk": number, "quote": quote}], **changes)


V1 = GenerationConfig(profile="v1")


def test_a_conversation_makes_a_pair_of_every_turn_each_with_the_turns_before_it() -> None:
    value = pair() | {
        "follow_ups": [
            turn("Peki hangi günü gösterir?", "Lotun doğduğu günü gösterir.", "lotun doğduğu günü gösteren"),
            turn("Bir günde en çok kaç tane açılabilir?", "Bir günde en çok 9.999 lot açılabilir.", "en çok 9.999 lot"),
        ]
    }
    accepted, rejected = check(value, config=V1)
    assert rejected == []
    assert [len(item.history) for item in accepted] == [0, 1, 2]
    assert [one.question for one in accepted[2].history] == [accepted[0].question, accepted[1].question]
    assert len({item.pair_id for item in accepted}) == 3


def test_with_a_turn_that_is_not_accepted_go_the_turns_after_it() -> None:
    value = pair() | {
        "follow_ups": [
            turn("Peki hangi günü gösterir?", "Lotun 7. gününü gösterir.", "lotun doğduğu günü gösteren"),
            turn("Bir günde en çok kaç tane açılabilir?", "Bir günde en çok 9.999 lot açılabilir.", "en çok 9.999 lot"),
        ]
    }
    accepted, rejected = check(value, config=V1)
    assert [item.question for item in accepted] == [pair()["question"]]
    assert [item.reason for item in rejected] == [Reason.TOKEN_NOT_IN_EVIDENCE, Reason.EARLIER_TURN]


@pytest.mark.parametrize(
    ("difficulty", "sentences", "reason"),
    [
        ("easy", 2, None),
        ("easy", 3, Reason.TOO_LONG),
        ("medium", 1, Reason.TOO_SHORT),
        ("medium", 4, None),
        ("hard", 3, Reason.TOO_SHORT),
        ("hard", 7, Reason.TOO_LONG),
    ],
)
def test_answers_of_profile_v1_have_as_many_sentences_as_their_difficulty_asks_for(
    difficulty: str, sentences: int, reason: Reason | None
) -> None:
    answer = " ".join(["Lot numarası 13 karakterlik koddur."] * sentences)
    accepted, rejected = check(pair(difficulty=difficulty, answer=answer), config=V1)
    assert [item.reason for item in rejected] == ([reason] if reason else [])
    assert len(accepted) == (reason is None)


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
    accepted, rejected = check_pairs(
        values, group(rule), CHUNKS, config=GenerationConfig(), languages=("tr", "en"), writer="test/1"
    )
    assert len(accepted) + len(rejected) == len(values)
    texts = {item.chunk_id: item.text for item in CHUNKS}
    for item in accepted:
        assert item.question.endswith("?")
        assert item.answer
        assert item.evidence
        for evidence in item.evidence:
            assert texts[evidence.chunk_id][evidence.start : evidence.end] == evidence.quote
        assert rule is Rule.INDIVIDUAL or len(item.evidence_chunk_ids) >= 2
        cited = [one for one in CHUNKS if one.chunk_id in item.evidence_chunk_ids]
        assert missing_figures(item.answer, item.question, item.evidence, cited, "tr") == []
