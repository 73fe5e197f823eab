"""chrF, ROUGE-L, and the numbers and identifiers of the reference."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.evaluation.measures.identifiers import fold, identifiers, stands_in
from groundtune.evaluation.measures.nearness import chrf, identifier_accuracy, number_accuracy, rouge_l

TEXTS = st.text(alphabet="abcçğıİIöşü 12.,-\n", max_size=60)


@settings(deadline=None)  # the first call loads both packages
@given(TEXTS, TEXTS)
def test_nearness_lies_between_0_and_1_and_a_text_is_as_near_to_itself_as_can_be(one: str, other: str) -> None:
    assert chrf(one, one) == rouge_l(one, one, "tr") == 1.0
    assert 0.0 <= chrf(one, other) <= 1.0
    assert 0.0 <= rouge_l(one, other, "tr") <= 1.0


def test_turkish_letters_count_as_letters() -> None:
    # the tokenizer that rouge_score brings would see "k", "t", "i" and the like and find much in common
    assert rouge_l("ışığı ölçün", "şöğü çığ", "tr") == 0.0
    assert rouge_l("IŞIĞI ölçün", "ışığı ölçün", "tr") == 1.0


def test_rouge_sees_the_order_of_words() -> None:
    # "a c" is the longest common run: precision 2/3, recall 2/3
    assert rouge_l("a c b", "a b c", "en") == pytest.approx(2 / 3)


def test_chrf_is_kind_to_endings_where_words_are_not() -> None:
    assert chrf("depolarda", "depoda") > 0.3
    assert rouge_l("depolarda", "depoda", "tr") == 0.0


@pytest.mark.parametrize(
    ("answer", "reference", "language", "share"),
    [
        ("Sınır 1.234,50 kg", "1.234,5 kg", "tr", 1.0),
        ("The limit is 1234.5", "1,234.5 kg", "en", 1.0),
        ("1.234", "1,234", "en", 0.0),  # one and a bit, not a thousand
        ("15 Mart 2024 ve 7", "15.03.2024, 8", "tr", 0.5),
        ("25 cm", "25 mm", "tr", 0.0),
        ("3 iş günü, üç imza", "3 imza", "tr", 1.0),
        ("üç imza", "3 imza", "tr", 1.0),
        ("hiç", "1. Aç.\n2. Kaydet.", "tr", None),  # steps are no numbers
        ("hiç", "hiç", "tr", None),
    ],
)
def test_numbers_of_the_reference_are_looked_for(
    answer: str, reference: str, language: str, share: float | None
) -> None:
    assert number_accuracy(answer, reference, language) == share


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("STK_MAL_KABUL ve HM-001'den", {"STK_MAL_KABUL", "HM-001"}),
        ("`Kaydet` düğmesi, `lot_no`", {"Kaydet", "lot_no"}),
        ("Open Stock > Drums > New.", {"Stock > Drums > New"}),
        ("pur.metal_price_max_age is read from orders.csv", {"pur.metal_price_max_age", "orders.csv"}),
        ("GET /api/v1/orders at https://a.example/x.", {"/api/v1/orders", "https://a.example/x"}),
        ("top-10 of XLPE and 25 mm2, ve/veya", set()),
        ("_vurgu_ **kalın**", set()),
    ],
)
def test_identifiers_are_found_by_their_marks_and_shapes(text: str, found: set[str]) -> None:
    assert set(identifiers(text).all) == found


@pytest.mark.parametrize(
    ("answer", "share"),
    [("Open HM-001 in stk_lots", 1.0), ("open `hm-001`", 0.5), ("HM-0012 and stk_lots_old", 0.0), ("", 0.0)],
)
def test_identifiers_of_the_reference_are_looked_for_whole(answer: str, share: float) -> None:
    assert identifier_accuracy(answer, "`HM-001`, stk_lots") == share
    assert identifier_accuracy(answer, "no code") is None


@given(st.sampled_from(["HM-001", "stk_lots", "Stock > New", "sha256"]), TEXTS, TEXTS)
def test_an_identifier_stands_where_spaces_are_around_it(identifier: str, before: str, after: str) -> None:
    assert stands_in(identifier, fold(f"{before} {identifier} {after}")) or after[:1] == "-"
