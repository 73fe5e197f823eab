"""The same question again: found across groups, and never where another thing is asked."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.generation.verification import Reason, drop_repeated
from groundtune.generation.verification.duplicates import Asked, same_question
from groundtune.types import Difficulty, Evidence, Exchange, Pair, QuestionType, Rule


def pair(question: str, answer: str = "Kod.", *, group: str = "g1", chunk: str = "c1", language: str = "tr") -> Pair:
    return Pair(
        question, group, Rule.INDIVIDUAL, language, question, answer, QuestionType.FACTUAL, Difficulty.EASY, True, (chunk,),
        (Evidence(chunk, "x", 0, 1),), "test/1",
    )  # fmt: skip


def same(one: str, other: str, language: str = "tr", similarity: float = 0.85) -> bool:
    return same_question(Asked.of_text(one, language), Asked.of_text(other, language), similarity)


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("Lot numarası kaç karakterdir?", "lot  numarası KAÇ karakterdir ?", "tr"),
        ("Mal kabul kaydı nasıl oluşturulur?", "Mal kabul kaydı nasıl oluşturulabilir?", "tr"),
        ("How do I create a goods receipt in the system?", "How do you create the goods receipt in the system?", "en"),
        ("Which users can approve a blocked lot?", "Which user can approve blocked lots?", "en"),
    ],
)
def test_questions_that_are_the_same(one: str, other: str, language: str) -> None:
    assert same(one, other, language)


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("Where is drum 37 of the warehouse stored?", "Where is drum 38 of the warehouse stored?", "en"),
        ("STK-204 kodlu hatanın nedeni nedir?", "STK-205 kodlu hatanın nedeni nedir?", "tr"),
        ("`stk_lots` tablosunda hangi alanlar vardır?", "`stk_lost` tablosunda hangi alanlar vardır?", "tr"),
        (
            "Which data does Stok receive from the Lab module?",
            "Which data does Stok receive from the Lot module?",
            "en",
        ),
        ("Which data does Stok receive from the Lab module?", "Which data does Stok receive in the Lab module?", "en"),
        ("What happens before the order is approved?", "What happens after the order is approved?", "en"),
        ("Bloke edilen lot üretimde kullanılır mı?", "Bloke edilen lot üretimde kullanılmaz mı?", "tr"),
        ("Depo sorumlusu iki onay mı verir?", "Depo sorumlusu üç onay mı verir?", "tr"),
        ("Kayıt hangi durumda zorunludur?", "Kayıt hangi durumda zorunlu değildir?", "tr"),
        ("Mal kabul kaydı nasıl açılır?", "Mal kabul kaydı nasıl kapanır?", "tr"),
    ],
)
def test_questions_that_are_not(one: str, other: str, language: str) -> None:
    assert not same(one, other, language, 0.5)


def test_the_first_stays_when_both_rest_on_the_same_chunk() -> None:
    first, second = pair("Lot numarası nedir?"), pair("Lot numarası  nedir?", "Başka sözlerle kod.", group="g2")
    kept, (rejection,) = drop_repeated([first, second], similarity=0.9)
    assert kept == [first]
    assert (rejection.reason, rejection.group_id) == (Reason.REPEATED, "g2")
    assert rejection.detail == "first in g1: Lot numarası nedir?"
    assert rejection.raw["answer"] == "Başka sözlerle kod."


def test_the_same_question_about_another_chunk_is_repeated_only_with_the_same_answer() -> None:
    first = pair("Numara kaç hanelidir?", "4 haneli koddur.")
    other = pair("Numara kaç hanelidir?", "14 haneli koddur.", group="g2", chunk="c2")
    again = pair("Numara kaç hanelidir?", "4 haneli koddur", group="g3", chunk="c3")
    kept, rejected = drop_repeated([first, other, again], similarity=0.9)
    assert kept == [first, other]
    assert [item.group_id for item in rejected] == ["g3"]


def test_the_same_words_in_another_language_are_another_question() -> None:
    both = [pair("Status?"), pair("Status?", language="en", group="g2")]
    assert drop_repeated(both, similarity=0.9)[0] == both


def test_with_a_repeated_turn_go_the_turns_after_it() -> None:
    first = pair("Lot numarası nedir?")
    again = replace(first, group_id="g2", pair_id="2")
    later = replace(
        pair("Kim verir?", "Depo.", group="g2"), history=(Exchange("Lot numarası nedir?", "Kod."),), pair_id="3"
    )
    kept, rejected = drop_repeated([first, again, later], similarity=0.9)
    assert kept == [first]
    assert [item.reason for item in rejected] == [Reason.REPEATED, Reason.EARLIER_TURN]


def test_the_same_last_question_after_another_conversation_is_another_question() -> None:
    later = [
        replace(pair("Kim verir?", group=f"g{number}"), history=(Exchange(f"{word} numarası nedir?", "Kod."),))
        for number, word in enumerate(["Lot", "Sipariş"])
    ]
    assert drop_repeated(later, similarity=0.9)[0] == later


def test_repetitions_between_do_not_hide_the_question_that_stayed() -> None:
    # the same trigrams, so all of them meet, and two questions
    pairs = [pair(" ".join(["lot"] * count) + "?", group=f"g{count}") for count in (2, 4, 2, 2, 2, 4)]
    kept, _ = drop_repeated(pairs, similarity=0.9)
    assert [item.question for item in kept] == ["lot lot?", "lot lot lot lot?"]


WORDS = [
    "lot",
    "sipariş",
    "fatura",
    "makara",
    "depo",
    "nasıl",
    "nedir",
    "kaydı",
    "oluşturulur",
    "kapanır",
    "7",
    "STK-1",
]


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4), max_size=12))
def test_what_goes_repeats_something_that_stays_and_running_it_again_changes_nothing(
    questions: list[list[str]],
) -> None:
    pairs = [pair(" ".join(words) + "?", group=f"g{number}") for number, words in enumerate(questions)]
    kept, rejected = drop_repeated(pairs, similarity=0.9)
    assert len(kept) + len(rejected) == len(pairs)
    assert drop_repeated(kept, similarity=0.9) == (kept, [])
    for item in rejected:
        mine = Asked.of_text(item.question, "tr")
        assert any(same_question(mine, Asked.of(other), 0.9) for other in kept)


def test_copies_with_a_slip_are_found_among_many() -> None:
    rng = random.Random(5)
    syllables = ["ka", "lo", "de", "si", "mü", "rı", "ta", "şe", "gö", "bi", "nu", "ler"]

    def question() -> str:
        return " ".join("".join(rng.choices(syllables, k=rng.randint(2, 5))) for _ in range(8)) + " nedir?"

    originals = [question() for _ in range(1000)]
    copies = []
    for text in originals[:200]:
        words = text.split()
        longest = max(range(8), key=lambda place: len(words[place]))
        words[longest] += rng.choice(["lar", "da", "ı"])
        copies.append(" ".join(words))
    pairs = [pair(text, group=f"g{number}") for number, text in enumerate([*originals, *copies])]
    kept, rejected = drop_repeated(pairs, similarity=0.9)
    assert len(rejected) >= 196
    assert {item.question for item in rejected} <= set(copies)
    assert len(kept) == len(pairs) - len(rejected)
