from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.dataset import split_pairs
from groundtune.errors import DataError
from groundtune.types import Difficulty, Evidence, Exchange, Pair, QuestionType, Rule, Split


def pair(
    pair_id: str, *evidence: str, question: str | None = None, language: str = "tr", answerable: bool = True
) -> Pair:
    return Pair(
        pair_id=pair_id,
        group_id="g",
        rule=Rule.INDIVIDUAL,
        language=language,
        question=question if question is not None else f"{pair_id} nedir?",
        answer="Bir kayıt.",
        type=QuestionType.FACTUAL,
        difficulty=Difficulty.EASY,
        answerable=answerable,
        context_chunk_ids=evidence if answerable else (),
        evidence=tuple(Evidence(chunk_id, "x", 0, 1) for chunk_id in evidence),
        writer="test",
    )


def assert_law(pairs: Sequence[Pair], splits: Mapping[str, Split]) -> None:
    """No evidence chunk and no question in two splits."""
    owner: dict[str, str] = {}
    for item in pairs:
        if item.pair_id in splits:
            asked = " ".join(item.question.replace("I", "ı").lower().split()).rstrip("?")
            for key in (*item.evidence_chunk_ids, f"question {asked}"):
                assert owner.setdefault(key, splits[item.pair_id]) == splits[item.pair_id], key


def shares(splits: Mapping[str, Split]) -> dict[str, float]:
    counted = Counter(splits.values())
    return {split: count / len(splits) for split, count in counted.items()}


def documentation(
    num_modules: int = 8, *, cross: int = 30, english_modules: int = 2, seed: int = 0, first: int = 0
) -> list[Pair]:
    """Pairs as the rules make them: most on one chunk, some on two or three of a module, some across modules."""
    pairs: list[Pair] = []
    for module in range(first, num_modules):
        chance = random.Random(f"{seed} {module}")
        language = "en" if module < english_modules else "tr"
        chunks = [f"m{module}-{number}" for number in range(25)]
        peers = [m for m in range(num_modules) if (m < english_modules) == (module < english_modules)]

        def add(*evidence: str, chance: random.Random = chance, module: int = module, language: str = language) -> None:
            number = len(pairs)
            question = f"m{module} soru {chance.getrandbits(64)}?"
            pairs.append(
                pair(
                    f"p{module}-{number}",
                    *evidence,
                    question=question,
                    language=language,
                    answerable=chance.random() > 0.08,
                )
            )

        for chunk in chunks:
            for _ in range(chance.randint(2, 3)):
                add(chunk)
        for _ in range(30):
            add(*chance.sample(chunks, chance.randint(1, 3)))
        for _ in range(cross):
            add(chance.choice(chunks), f"m{chance.choice(peers)}-{chance.randrange(25)}")
    return pairs


PAIRS = st.lists(
    st.tuples(
        st.sets(st.integers(0, 25), max_size=4), st.integers(0, 30), st.sampled_from(["tr", "en"]), st.booleans()
    ),
    max_size=60,
).map(
    lambda rows: [
        pair(
            f"p{number}",
            *(f"c{chunk}" for chunk in sorted(chunks)),
            question=f"Soru {question}?" if question < 10 else None,
            language=language,
            answerable=answerable,
        )
        for number, (chunks, question, language, answerable) in enumerate(rows)
    ]
)


@settings(max_examples=tries(600), deadline=None)
@given(
    pairs=PAIRS, valid=st.sampled_from([0.0, 0.1, 0.4]), test=st.sampled_from([0.0, 0.1, 0.3]), seed=st.integers(0, 5)
)
def test_no_evidence_and_no_question_is_in_two_splits(pairs: list[Pair], valid: float, test: float, seed: int) -> None:
    splits = split_pairs(pairs, valid_share=valid, test_share=test, seed=seed)
    assert_law(pairs, splits)
    assert set(splits) <= {item.pair_id for item in pairs}
    assert list(splits) == [item.pair_id for item in pairs if item.pair_id in splits]
    # what stands alone is never lost
    used = Counter(chunk for item in pairs for chunk in item.evidence_chunk_ids)
    asked = Counter(item.question for item in pairs)
    for item in pairs:
        if asked[item.question] == 1 and all(used[chunk] == 1 for chunk in item.evidence_chunk_ids):
            assert item.pair_id in splits
    if not valid:
        assert "valid" not in splits.values()
    if not test:
        assert "test" not in splits.values()


def test_separate_chunks_reach_the_shares_and_lose_nothing() -> None:
    pairs = [pair(f"p{number}", f"c{number // 4}") for number in range(400)]
    splits = split_pairs(pairs, valid_share=0.1, test_share=0.1, seed=1)
    assert len(splits) == 400
    assert shares(splits) == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1}, abs=0.01)


def test_pairs_tied_into_one_knot_are_cut_apart_at_a_small_loss() -> None:
    pairs = documentation()
    splits = split_pairs(pairs, valid_share=0.1, test_share=0.1, seed=1)
    assert_law(pairs, splits)
    # a quarter of the pairs tie chunks together at random; cutting at random would lose most of that quarter
    assert len(splits) / len(pairs) > 0.88
    assert shares(splits) == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1}, abs=0.02)


def test_every_split_has_both_languages_and_unanswerable_pairs() -> None:
    pairs = documentation(cross=10)
    splits = split_pairs(pairs, valid_share=0.1, test_share=0.1, seed=1)
    for split in ("valid", "test"):
        members = [item for item in pairs if splits.get(item.pair_id) == split]
        assert {item.language for item in members} == {"tr", "en"}
        assert 0.02 < sum(not item.answerable for item in members) / len(members) < 0.16


def test_a_chunk_with_most_pairs_is_trained_on() -> None:
    pairs = [pair(f"big{number}", "c0") for number in range(90)] + [
        pair(f"p{number}", f"c{number + 1}") for number in range(10)
    ]
    splits = split_pairs(pairs, valid_share=0.05, test_share=0.05, seed=1)
    assert {splits[f"big{number}"] for number in range(90)} == {"train"}
    assert Counter(splits.values()) == {"train": 90, "valid": 5, "test": 5}


def test_one_question_over_two_chunks_stays_in_one_split() -> None:
    pairs = [
        item
        for number in range(60)
        for item in (
            pair(f"a{number}", f"c{number}", question=f"LOT {number} NEDİR?"),
            pair(f"b{number}", f"d{number}", question=f"lot {number}  nedir"),
        )
    ]
    splits = split_pairs(pairs, valid_share=0.2, test_share=0.2, seed=3)
    assert len(splits) == len(pairs)
    for number in range(60):
        assert splits[f"a{number}"] == splits[f"b{number}"]


def test_an_unanswerable_pair_follows_the_evidence_that_was_taken_out() -> None:
    pairs = [
        item
        for number in range(80)
        for item in (pair(f"a{number}", f"c{number}"), pair(f"u{number}", f"c{number}", answerable=False))
    ]
    splits = split_pairs(pairs, valid_share=0.2, test_share=0.2, seed=3)
    assert all(splits[f"a{number}"] == splits[f"u{number}"] for number in range(80))


def test_the_seed_decides_and_the_order_of_pairs_does_not() -> None:
    pairs = documentation()
    first = split_pairs(pairs, valid_share=0.1, test_share=0.1, seed=1)
    shuffled = random.Random(5).sample(pairs, len(pairs))
    assert split_pairs(shuffled, valid_share=0.1, test_share=0.1, seed=1) == first
    assert split_pairs(pairs, valid_share=0.1, test_share=0.1, seed=2) != first


@pytest.mark.parametrize(("cross", "limit"), [(0, 0.08), (30, 0.2)])
def test_one_more_module_moves_few_of_the_old_pairs(cross: int, limit: float) -> None:
    # the new module is tied to the old ones only by its own pairs
    old = documentation(16, cross=cross)
    new = [
        item
        for item in documentation(17, cross=cross, seed=0, first=16)
        if item.pair_id not in {other.pair_id for other in old}
    ]
    before = split_pairs(old, valid_share=0.1, test_share=0.1, seed=1)
    after = split_pairs([*old, *new], valid_share=0.1, test_share=0.1, seed=1)
    moved = sum(before.get(item.pair_id) != after.get(item.pair_id) for item in old)
    assert new
    assert moved / len(old) < limit


def test_a_handful_of_pairs_still_gives_something_to_validate_on() -> None:
    splits = split_pairs(
        [pair(f"p{number}", f"c{number}") for number in range(6)], valid_share=0.1, test_share=0.1, seed=1
    )
    assert Counter(splits.values()) == {"train": 4, "valid": 1, "test": 1}


def talk(number: int, *turns: tuple[str, ...]) -> list[Pair]:
    """A conversation whose turn n rests on the chunks of ``turns[n]``; later questions are the same in all."""
    pairs: list[Pair] = []
    for turn, evidence in enumerate(turns):
        asked = f"Konu {number} nedir?" if turn == 0 else "Peki bunu kim onaylar?"
        before = tuple(Exchange(item.question, item.answer) for item in pairs)
        pairs.append(replace(pair(f"t{number}-{turn}", *evidence, question=asked), history=before))
    return pairs


@settings(max_examples=tries(160), deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=3), min_size=5, max_size=40),
    st.integers(0, 3),
)
def test_all_turns_of_a_conversation_are_in_one_split_or_left_out_together(
    conversations: list[list[int]], seed: int
) -> None:
    pairs = [
        item
        for number, chunks in enumerate(conversations)
        for item in talk(number, *((f"c{chunk}",) for chunk in chunks))
    ]
    splits = split_pairs(pairs, valid_share=0.2, test_share=0.2, seed=seed)
    owner: dict[str, Split] = {}
    for number, chunks in enumerate(conversations):
        places = {splits.get(f"t{number}-{turn}") for turn in range(len(chunks))}
        assert len(places) == 1
        for place in places - {None}:
            assert place is not None
            for chunk in chunks:
                assert owner.setdefault(f"c{chunk}", place) == place


def test_a_later_question_that_many_conversations_share_ties_none_of_them() -> None:
    pairs = [item for number in range(60) for item in talk(number, (f"c{number}",), (f"d{number}",))]
    splits = split_pairs(pairs, valid_share=0.1, test_share=0.1, seed=1)
    assert len(splits) == len(pairs)
    assert Counter(splits.values()) == {"train": 96, "valid": 12, "test": 12}


def test_two_pairs_of_one_id_are_refused() -> None:
    with pytest.raises(DataError, match="pair 'p': found 2 pairs"):
        split_pairs([pair("p", "a"), pair("p", "b")], valid_share=0.1, test_share=0.1, seed=1)
