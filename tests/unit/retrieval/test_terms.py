from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.retrieval import split_terms


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [
        ("SAS-2026-00412", "tr", {"sas-2026-00412", "sas", "2026", "00412"}),
        ("lot_no", "en", {"lot_no", "lot"}),
        ("GET /api/v2/lots", "tr", {"api/v2/lots", "api", "v2"}),
        ("NYY 4x16 mm²", "tr", {"nyy", "4x16", "4", "16", "mm2"}),
        ("3x2,5", "tr", {"3x2,5", "3", "2", "5"}),
        ("EX-2'de", "tr", {"ex-2", "ex", "2"}),
        ("EX-2’de", "tr", {"ex-2", "ex", "2"}),
        ("TC-1..TC-4", "tr", {"tc-1", "tc-4"}),
        ("StockItem", "en", {"stockitem", "stock", "item"}),
    ],
)
def test_a_code_is_found_whole_and_in_parts(text: str, language: str, wanted: set[str]) -> None:
    assert wanted <= set(split_terms(text, language))


def test_a_suffix_behind_an_apostrophe_is_no_term() -> None:
    assert split_terms("EX-2'de", "tr") == split_terms("EX-2", "tr")
    assert split_terms("KabloERP'nin", "tr") == split_terms("KabloERP", "tr")


@pytest.mark.parametrize(
    ("left", "right", "language"),
    [
        ("İŞ EMRİ", "iş emri", "tr"),
        ("siparişleri", "siparişten", "tr"),
        ("makaranın", "makaralar", "tr"),
        ("rezervasyonu", "rezervasyon", "tr"),
        ("şifre süresi", "sifre suresi", "tr"),
        ("INV-2026", "inv-2026", "tr"),
        ("reservations", "Reservation", "en"),
    ],
)
def test_forms_of_a_word_meet(left: str, right: str, language: str) -> None:
    assert set(split_terms(left, language)) == set(split_terms(right, language))


def test_stop_words_are_left_out_with_and_without_diacritics() -> None:
    assert split_terms("Lot nasıl, ne için ve kaç kez?", "tr") == split_terms("lot nasil icin kac", "tr") == ["lot"]
    assert split_terms("What is the lot?", "en") == ["lot"]


def test_water_is_not_a_stop_word_although_it_looks_like_one_without_its_diacritic() -> None:
    assert split_terms("su banyosu", "tr")[0] == "su"


def test_a_language_without_a_stemmer_is_split_all_the_same() -> None:
    assert split_terms("Ordine LOT-4", "xx") == ["ordine", "lot-4", "lot", "4"]


@given(st.text(max_size=80), st.sampled_from(["tr", "en", "xx"]))
def test_any_text_gives_terms_without_blanks_and_does_not_depend_on_the_unicode_form(text: str, language: str) -> None:
    terms = split_terms(text, language)
    assert all(term and not any(letter.isspace() for letter in term) for term in terms)
    assert split_terms(unicodedata.normalize("NFD", text), language) == terms
