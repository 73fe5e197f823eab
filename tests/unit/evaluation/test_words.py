"""The measures of one answer, with the arithmetic in comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.evaluation.measures import (
    exact_match,
    is_refusal,
    is_repetitive,
    normalise_answer,
    repetition_rate,
    token_f1,
)

ANY_TEXT = st.text(max_size=120)


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("IŞIK İLE", "tr", "ışık ile"),
        ("I\u0307LE", "tr", "ile"),  # decomposed İ
        ("INDEX", "en", "index"),
        ("Stok’ta, LOT'un", "tr", "stokta lotun"),
        ("**HM-001** `stk_lots`", "en", "hm-001 stk_lots"),
        ("_vurgu_ satırı", "tr", "vurgu satırı"),
        ("1. Aç.\n2. Kaydet.", "tr", "aç kaydet"),
        ("- Aç\n* Kaydet", "tr", "aç kaydet"),
        ("3. gün", "tr", "3 gün"),  # an ordinal, not a list
        ("2,5 mm", "tr", "2,5 mm"),
        ("25 mm.", "tr", "25 mm"),
        ("%5 < %6", "tr", "% 5 < % 6"),
        ("\u22125 °C", "en", "-5 ° c"),
        ("soft\u00adhyphen", "en", "softhyphen"),
        ("...", "en", "..."),
        ("  ", "en", ""),
    ],
)
def test_normalising_keeps_what_changes_the_meaning_and_drops_the_rest(text: str, language: str, words: str) -> None:
    assert normalise_answer(text, language) == words


def test_suffixes_are_left_alone() -> None:
    assert not exact_match("depoda", "depo", "tr")


@pytest.mark.parametrize(("one", "other"), [("2,5", "25"), ("-5", "5"), ("< 5", "> 5"), ("3. gün", "4. gün")])
def test_different_numbers_are_different_answers(one: str, other: str) -> None:
    assert not exact_match(one, other, "tr")


@given(ANY_TEXT, st.sampled_from(["tr", "en"]))
def test_a_text_matches_itself(text: str, language: str) -> None:
    assert exact_match(text, text, language)
    assert token_f1(text, text, language) == 1.0


@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["tr", "en"]))
def test_f1_is_symmetric_and_between_0_and_1(one: str, other: str, language: str) -> None:
    f1 = token_f1(one, other, language)
    assert 0.0 <= f1 <= 1.0
    assert f1 == token_f1(other, one, language)
    if exact_match(one, other, language):
        assert f1 == 1.0


def test_f1_counts_repeated_words_once_for_each_time_they_are_wanted() -> None:
    # "lot lot lot lot" and "lot numarası": 1 shared; precision 1/4, recall 1/2; F1 = 2/(4 + 2)
    assert token_f1("lot lot lot lot", "lot numarası", "tr") == pytest.approx(2 / 6)


def test_an_empty_answer_scores_nothing() -> None:
    assert token_f1("", "lot", "tr") == 0.0


@pytest.mark.parametrize(
    ("token_ids", "repetitive"),
    [
        ([5] * 12, True),
        ([5] * 11, False),  # a short run of one token may be a table rule
        ([1, 2, 3, 4] * 3, True),
        ([1, 2, 3, 4] * 2 + [1, 2, 3], False),
        (list(range(40)) + [1, 2, 3, 4] * 3, True),  # a loop at the end of a good answer
        ([*range(40), *[7] * 12, *range(50, 90)], True),  # a loop in the middle
        (list(range(30)) * 2, False),  # said twice is not a loop
        ([value for item in range(12) for value in (100 + item, *range(12))], True),  # a loop with a counter
        (list(range(96)), False),
        ([], False),
    ],
)
def test_loops_are_found_and_plain_answers_are_not(token_ids: list[int], repetitive: bool) -> None:
    assert is_repetitive(token_ids) is repetitive


@given(st.lists(st.integers(0, 3), max_size=40))
def test_repetition_rate_is_a_share(token_ids: list[int]) -> None:
    assert 0.0 <= repetition_rate(token_ids) < 1.0


@pytest.mark.parametrize(
    "answer", ["Bu konuda bilgim yok.", "bu konuda bilgim yok", "BU KONUDA BİLGİM YOK. Başka bir sorunuz var mı?"]
)
def test_a_refusal_is_known_by_its_beginning(answer: str) -> None:
    assert is_refusal(answer, TURKISH_PROMPT, "tr")


@pytest.mark.parametrize(
    "answer", ["", "Bu konuda bilgim yoktur", "Hayır, bu konuda bilgim yok", "I have no information"]
)
def test_other_answers_are_no_refusals(answer: str) -> None:
    assert not is_refusal(answer, TURKISH_PROMPT, "tr")
    assert not is_refusal(answer, ENGLISH_PROMPT, "en")
