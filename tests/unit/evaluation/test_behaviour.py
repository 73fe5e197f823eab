"""Language, form and length of an answer."""

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.evaluation import Question
from groundtune.evaluation.measures import BY_KEY, MEASURES, Observed

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
TURKISH = "Mal kabul kaydı için önce sipariş seçilir ve sonra lot numarası girilir."
ENGLISH = "First the order is selected for the goods receipt and then the lot number is entered."
STEPS = "1. Siparişi seçin.\n2. Lotu girin."


def value(key: str, text: str, *references: str, language: str = "tr", question: str = "Ne?") -> float | None:
    asked = Question("q", question, references or ("r",), language)
    return BY_KEY[key].value(Observed(asked, text, (), True, (), PROMPTS))


@pytest.mark.parametrize(
    ("text", "language", "switched"),
    [
        (TURKISH, "tr", 0.0),
        (ENGLISH, "en", 0.0),
        (ENGLISH, "tr", 1.0),
        (TURKISH, "en", 1.0),
        ("Save the order", "tr", None),  # too short to tell
        ("订单必须在保存之前填写所有字段", "tr", 1.0),  # another script, of no configured language
        ("Μ, Ω ve λ harfleri formülde malzeme, direnç ve iletkenlik için kullanılır.", "tr", 0.0),
        ("`order_no`, `item_code`, `status`, `is_open`, `lot`, `posted_by`, `line_no`, `plant`", "tr", None),  # codes
        ("Game of Thrones, The Walking Dead, Lost ve Breaking Bad", "tr", 0.0),  # names
    ],
)
def test_a_switch_of_language_is_seen(text: str, language: str, switched: float | None) -> None:
    assert value("language_switch_rate", text, language=language) == switched


@pytest.mark.parametrize(
    ("text", "references", "question", "followed"),
    [
        ("1. Aç\n2. Kaydet", (STEPS,), "Ne?", 1.0),
        ("Adım 1: Aç\nAdım 2: Kaydet", (STEPS,), "Ne?", 1.0),
        ("### Adım 1\nAç\n### Adım 2\nKaydet", (STEPS,), "Ne?", 1.0),
        ("1- Aç\n2- Kaydet", (STEPS,), "Ne?", 1.0),
        ("1.Aç\n2.Kaydet", (STEPS,), "Ne?", 1.0),
        ("1.5 mm\n2.5 mm", (STEPS,), "Ne?", 0.0),  # measures
        ("- Aç\n- Kaydet", (STEPS,), "Ne?", 0.0),  # steps are to be numbered
        ("1. Aç\n2. Kaydet", ("- bir\n- iki",), "Ne?", 1.0),  # a list may be
        ("Aç, kaydet", ("- bir\n- iki",), "Ne?", 0.0),
        ("- bir\n- iki", (STEPS, "- bir\n- iki"), "Ne?", 1.0),  # any reference will do
        ("Aç, kaydet", (STEPS, "Aç, kaydet"), "Ne?", None),
        ("Aç, kaydet", ("Aç",), "Ne?", None),
        ("Aç, kaydet", ("Aç",), "Adım adım anlatır mısın?", 0.0),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ("| c | d |\n| --- | --- |\n| 3 | 4 |",), "Ne?", 1.0),
        (TURKISH_PROMPT.refusal, (STEPS,), "Ne?", None),
    ],
)
def test_the_form_that_was_asked_for_is_looked_for(
    text: str, references: tuple[str, ...], question: str, followed: float | None
) -> None:
    assert value("form_rate", text, *references, question=question) == followed


@pytest.mark.parametrize(
    ("words", "reference_words", "fits", "too_long"),
    [(20, 20, 1, 0), (10, 20, 1, 0), (40, 20, 1, 0), (41, 20, 0, 1), (9, 20, 0, 0), (6, 1, 1, 0), (7, 1, 0, 1)],
)
def test_length_is_held_against_the_reference(words: int, reference_words: int, fits: int, too_long: int) -> None:
    text, reference = "kelime " * words, "sözcük " * reference_words
    assert value("length_rate", text, reference) == fits
    assert value("too_long_rate", text, reference) == too_long
    assert value("length_rate", text, "sözcük " * 200, reference) == fits, "the nearest reference counts"


@pytest.mark.parametrize(
    ("text", "empty"), [("", 1.0), (" \n", 1.0), ("...", 1.0), ("**", 1.0), ("5", 0.0), ("Evet.", 0.0)]
)
def test_an_empty_answer_is_seen(text: str, empty: float) -> None:
    assert value("empty_rate", text) == empty


def test_every_measure_is_told_in_plain_words_under_its_own_name() -> None:
    assert len({measure.key for measure in MEASURES}) == len({measure.label for measure in MEASURES}) == len(MEASURES)
    for measure in MEASURES:
        assert 5 <= len(measure.label) <= 22 or measure.label == "chrF"
        assert measure.meaning.split()
        assert not measure.meaning.endswith(".")
