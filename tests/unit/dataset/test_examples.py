from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT, DatasetConfig
from groundtune.dataset import Built, build_dataset, build_examples
from groundtune.errors import DataError
from groundtune.files import to_json
from groundtune.types import Chunk, Difficulty, Evidence, Exchange, Message, Pair, QuestionType, Rule

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}


def count_words(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


def chunk(number: int, num_words: int = 20) -> Chunk:
    text = " ".join([f"kelime{number}"] * num_words)
    return Chunk(
        chunk_id=f"c{number}",
        module="Stok",
        submodule="Lot",
        section_heading="Lot",
        breadcrumb=("Stok",),
        language="tr",
        text=text,
        token_count=num_words,
        has_table=False,
        has_code=False,
        references_modules=(),
        db_tables=(),
        depth=1,
        source="a.md",
        line_start=number + 1,
        line_end=number + 1,
        sha256="",
    )


def pair(pair_id: str, context: Sequence[int], evidence: Sequence[int], **changes: Any) -> Pair:
    fields: dict[str, Any] = {
        "pair_id": pair_id,
        "group_id": "g",
        "rule": Rule.MODULE,
        "language": "tr",
        "question": f"{pair_id} nedir?",
        "answer": "Bir kayıt.",
        "type": QuestionType.FACTUAL,
        "difficulty": Difficulty.EASY,
        "answerable": True,
        "context_chunk_ids": tuple(f"c{number}" for number in context),
        "evidence": tuple(Evidence(f"c{number}", "kelime", 0, 6) for number in evidence),
        "writer": "test",
    }
    return Pair(**(fields | changes))


CHUNKS = [chunk(number) for number in range(12)]
OVERHEAD = count_words([Message("system", TURKISH_PROMPT.system)]) + 7
"""Words of system prompt, two labels, a two-word question and a two-word answer, and one for slack."""


def build(pairs: Sequence[Pair], *, max_tokens: int = 1024, max_context_chunks: int = 6, splits: Any = None) -> Built:
    return build_examples(
        pairs,
        CHUNKS,
        splits if splits is not None else {item.pair_id: "train" for item in pairs},
        prompts=PROMPTS,
        config=DatasetConfig(max_tokens=max_tokens, max_context_chunks=max_context_chunks),
        count_tokens=count_words,
    )


def room_for(num_chunks: int) -> int:
    # 20 words, a bracketed number and a one-word path for each chunk
    return OVERHEAD + 22 * num_chunks


def test_an_example_carries_the_conversation_and_the_facts_of_its_pair() -> None:
    example = build([pair("p", [2, 3], [3])]).examples["train"][0]
    assert [message.role for message in example.messages] == ["system", "user", "assistant"]
    assert example.messages[1].content.startswith("Bağlam:\n[1] Stok\nkelime2 ")
    assert example.messages[1].content.endswith("\n\nSoru:\np nedir?")
    assert example.reference == "Bir kayıt."
    assert (example.example_id, example.split, example.context_chunk_ids) == ("p", "train", ("c2", "c3"))
    assert example.evidence_chunk_ids == ("c3",)


def test_an_overlong_example_gives_up_other_chunks_from_the_end_and_keeps_reading_order() -> None:
    built = build([pair("p", [0, 1, 2, 3, 4], [3])], max_tokens=room_for(3))
    assert built.examples["train"][0].context_chunk_ids == ("c0", "c1", "c3")
    assert built.result.counts["examples with a shortened context"] == 1
    assert built.result.counts["context chunks dropped"] == 2
    assert built.result.details["shortened"] == ["p"]


def test_a_context_of_too_many_chunks_is_shortened_but_never_below_its_evidence() -> None:
    built = build([pair("p", range(8), [5, 7]), pair("q", range(8), range(8))], max_context_chunks=3)
    first, second = built.examples["train"]
    assert first.context_chunk_ids == ("c0", "c5", "c7")
    assert len(second.context_chunk_ids) == 8
    assert built.result.counts["context chunks dropped"] == 5


def test_a_pair_whose_evidence_alone_is_too_long_is_left_out_by_name() -> None:
    built = build([pair("long", [0, 1, 2, 3], [0, 1, 2]), pair("p", [4], [4])], max_tokens=room_for(2))
    assert [example.pair_id for example in built.examples["train"]] == ["p"]
    assert built.result.skips == {"evidence alone is over dataset.max_tokens": 1}
    assert built.result.details["left_out"] == {"evidence alone is over dataset.max_tokens": ["long"]}


def test_an_unanswerable_pair_keeps_the_passages_nearest_to_the_one_taken_out() -> None:
    miss = pair("u", [0, 1, 4, 6, 9], [5], answerable=False, answer=TURKISH_PROMPT.refusal)
    # the refusal is two words longer than the answer that room_for counts with
    built = build([miss], max_tokens=room_for(2) + 2)
    assert built.examples["train"][0].context_chunk_ids == ("c4", "c6")
    built = build([miss], max_tokens=64)
    assert built.examples["train"][0].context_chunk_ids == ("c4",)


def test_a_false_premise_keeps_the_passage_that_contradicts_it() -> None:
    asked = pair("f", [0, 1, 2, 3], [2], answerable=False, answer=TURKISH_PROMPT.refusal, assumption="Lot zorunludur.")
    # the refusal is two words longer than the answer that room_for counts with
    built = build([asked], max_tokens=room_for(2) + 2)
    assert built.examples["train"][0].context_chunk_ids == ("c0", "c2")
    assert not built.examples["train"][0].answerable
    built = build([asked], max_tokens=64)
    assert built.examples["train"][0].context_chunk_ids == ("c2",)


OPENING = pair("o", [0, 1, 2, 3], [1], question="Lot nedir?", answer="Bir parti.")
LATER = pair("l", [0, 1, 2, 3], [3], history=(Exchange("Lot nedir?", "Bir parti."),))


def test_a_later_turn_stands_behind_the_turns_before_it_and_trains_its_own_answer_alone() -> None:
    first, second = build([OPENING, LATER]).examples["train"]
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert second.messages[:2] == first.messages[:2]
    assert [message.train for message in second.messages if message.role == "assistant"] == [False, None]
    assert second.reference == "Bir kayıt."
    assert second.question == "l nedir?"


def test_a_later_turn_keeps_the_passage_that_an_earlier_answer_rests_on() -> None:
    # two words of the label, the second question, the second answer and the label again
    built = build([OPENING, LATER], max_tokens=room_for(2) + 5)
    assert built.examples["train"][1].context_chunk_ids == ("c1", "c3")
    alone = build([LATER], max_tokens=room_for(2) + 5)
    assert alone.examples["train"][0].context_chunk_ids == ("c0", "c3")


def test_pairs_without_text_or_without_a_split_are_counted() -> None:
    pairs = [pair("empty", [0], [0], answer=" "), pair("torn", [1], [1]), pair("p", [2], [2])]
    built = build(pairs, splits={"empty": "train", "p": "test"})
    assert built.result.skips == {"empty question or answer": 1, "evidence or question in two splits": 1}
    assert [example.pair_id for example in built.examples["test"]] == ["p"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (pair("p", [0, 99], [0]), "pair 'p': chunk 'c99' is not among the chunks"),
        (pair("p", [0], [1]), "pair 'p': answerable, but its context misses the evidence chunk 'c1'"),
        (
            pair("p", [0, 1], [1, 5], answerable=False),
            "pair 'p': unanswerable, but its context holds the evidence chunk 'c1'",
        ),
        (pair("p", [0], [0], language="de"), "pair 'p': language 'de' has no prompt; expected one of en, tr"),
    ],
)
def test_a_pair_that_contradicts_the_rest_is_an_error_that_names_it(wrong: Pair, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build([wrong])


@settings(max_examples=tries(240), deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sets(st.integers(0, 11), min_size=1, max_size=7), st.integers(0, 3), st.booleans()), max_size=40
    ),
    max_tokens=st.integers(64, 300),
    max_context_chunks=st.integers(1, 6),
)
def test_every_pair_is_an_example_or_counted_and_evidence_is_always_shown(
    rows: list[tuple[set[int], int, bool]], max_tokens: int, max_context_chunks: int
) -> None:
    pairs = []
    for number, (numbers, cut, answerable) in enumerate(rows):
        context = sorted(numbers)
        evidence = context[: cut + 1]
        shown = context if answerable else [other for other in context if other not in evidence]
        pairs.append(pair(f"p{number}", shown, evidence, answerable=answerable))
    config = DatasetConfig(
        max_tokens=max_tokens, max_context_chunks=max_context_chunks, valid_share=0.2, test_share=0.2
    )
    built = build_dataset(pairs, CHUNKS, prompts=PROMPTS, config=config, count_tokens=count_words, seed=1)
    examples = [example for split in ("train", "valid", "test") for example in built.examples[split]]
    left_out = [pair_id for pair_ids in built.result.details["left_out"].values() for pair_id in pair_ids]
    assert sorted([*(example.pair_id for example in examples), *left_out]) == sorted(item.pair_id for item in pairs)
    assert len(examples) + sum(built.result.skips.values()) == built.result.counts["pairs read"] == len(pairs)
    for example in examples:
        assert count_words(example.messages) <= max_tokens
        assert list(example.context_chunk_ids) == sorted(example.context_chunk_ids, key=lambda name: int(name[1:]))
        if example.answerable:
            assert set(example.evidence_chunk_ids) <= set(example.context_chunk_ids)
    owners: dict[str, str] = {}
    for example in examples:
        for chunk_id in example.evidence_chunk_ids:
            assert owners.setdefault(chunk_id, example.split) == example.split


def test_the_same_pairs_give_the_same_bytes_and_the_tables_add_up() -> None:
    pairs = [pair(f"p{number}", [number % 12, (number + 1) % 12], [number % 12]) for number in range(60)]
    config = DatasetConfig(valid_share=0.2, test_share=0.2)

    def once() -> Built:
        return build_dataset(pairs, CHUNKS, prompts=PROMPTS, config=config, count_tokens=count_words, seed=4)

    first, second = once(), once()
    assert [to_json(e) for e in first.examples["train"]] == [to_json(e) for e in second.examples["train"]]
    assert json.dumps(first.result.details) == json.dumps(second.result.details)
    tables = first.result.details["splits"]
    assert sum(tables[split]["examples"] for split in tables) == 60
    assert sum(tables[split]["evidence_chunks"] for split in tables) == 12
    for split, table in tables.items():
        assert table["examples"] == first.result.counts[split] == sum(table["type"].values())
        assert table["share"] == pytest.approx(table["share_asked"], abs=0.07)
        assert table["tokens"]["min"] <= table["tokens"]["median"] <= table["tokens"]["max"]
    assert tables["train"]["evidence_shown_in_training"] == tables["train"]["evidence_chunks"]


def test_a_quote_that_somebody_edited_into_a_falsehood_is_refused() -> None:
    false = replace(pair("p", [2], [2]), evidence=(Evidence("c2", "bilgi", 0, 5),))
    with pytest.raises(DataError, match=r"pair 'p': the quote 'bilgi' is not what stands at 0-5 of chunk 'c2'"):
        build([false])
