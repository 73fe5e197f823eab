"""Support by passages: words by their stems, numbers and codes whole."""

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.evaluation import Question
from groundtune.evaluation.measures import BY_KEY, Observed, unsupported_numbers
from groundtune.types import Exchange

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
PASSAGE = (
    "Bobin etiketi (HM-001) 15.03.2024 tarihinde basıldı. Ağırlık sınırı 1.234 kg, pay %2,5; üç imza istenir. "
    "Kayıt `stk_lots` tablosundadır; Stok > Lotlar ekranında 14:30'a kadar açılır."
)


def observe(
    text: str,
    *passages: str,
    language: str = "tr",
    stopped: bool = True,
    question: str = "Ne?",
    history: tuple[Exchange, ...] = (),
) -> Observed:
    asked = Question("q", question, ("r",), language, history=history)
    return Observed(asked, text, (), stopped, passages, PROMPTS)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("Sınır 1234 kg.", ()),
        ("Sınır 1,234 kg.", ()),  # the passage may be read in either way
        ("Sınır 1.235 kg.", ("1.235",)),
        ("Pay % 2,50", ()),
        ("15 Mart 2024 günü saat 14:30", ()),
        ("16 Mart 2024", ("16 Mart 2024",)),
        ("2024 yılı", ()),
        ("3 imza", ()),  # spelled out in the passage
        ("dört imza", ()),  # a word is no number
        ("1. HM-001'i açın.\n2. stk_lots'a bakın.\n3. Stok > Lotlar", ()),
        ("HM-002 ve prd_lots", ("HM-002", "prd_lots")),
        ("Adım 9: etiketi basın", ()),
        ("Listede 7 kayıt var", ("7",)),  # counted or made up: it stands nowhere
    ],
)
def test_numbers_and_codes_that_stand_nowhere_are_named(answer: str, named: tuple[str, ...]) -> None:
    observed = observe(answer, PASSAGE)
    assert unsupported_numbers(observed) == named
    assert BY_KEY["unsupported_number_rate"].value(observed) == float(bool(named))


def test_numbers_of_the_question_and_the_conversation_are_known() -> None:
    earlier = (Exchange("42 nedir?", "43'ten küçüktür."),)
    assert unsupported_numbers(observe("41, 42 ve 43", PASSAGE, question="41?", history=earlier)) == ()


def test_a_number_that_was_cut_off_is_not_held_against_the_answer() -> None:
    assert unsupported_numbers(observe("Sınır 1.2", PASSAGE, stopped=False)) == ()
    assert unsupported_numbers(observe("Sınır 1.2", PASSAGE)) == ("1.2",)


@pytest.mark.parametrize("answer", [TURKISH_PROMPT.refusal, "", "..."])
def test_what_says_nothing_is_not_measured(answer: str) -> None:
    for key in ("evidence_support", "unsupported_number_rate"):
        assert BY_KEY[key].value(observe(answer, PASSAGE)) is None
        assert BY_KEY[key].value(observe("Sınır 99 kg")) is None, "no passages"


@pytest.mark.parametrize(
    ("answer", "passage", "language", "share"),
    [
        ("Etiketler basılmalıdır", PASSAGE, "tr", 1.0),  # etiketi, basıldı
        ("Ağaçlar kitabında", "ağacı kitap", "tr", 1.0),  # ç and p soften
        ("Makara boyanır", PASSAGE, "tr", 0.0),
        ("Etiket makaradadır", PASSAGE, "tr", 0.5),
        ("The receipts were posted", "Post the receipt.", "en", 1.0),
        ("carton", "car", "en", 0.0),  # beginnings count in Turkish only
        ("Evet, 5.", PASSAGE, "tr", None),  # no content word
    ],
)
def test_support_is_the_share_of_content_words_in_the_passages(
    answer: str, passage: str, language: str, share: float | None
) -> None:
    assert BY_KEY["evidence_support"].value(observe(answer, passage, language=language)) == share


def test_an_answer_quoted_from_its_passages_is_wholly_supported() -> None:
    for sentence in PASSAGE.split(". "):
        observed = observe(sentence, "Başka bir şey.", PASSAGE)
        assert BY_KEY["evidence_support"].value(observed) == 1.0
        assert unsupported_numbers(observed) == ()
