"""How questions and answers are put, and in which language."""

import pytest

from groundtune.config import GenerationConfig
from groundtune.generation.verification.languages import check_language
from groundtune.generation.verification.phrasing import check_phrasing, num_sentences
from groundtune.generation.verification.reasons import Reason
from groundtune.types import Difficulty


def points(text: str, language: str) -> bool:
    fault = check_phrasing("Lot?", text, language, Difficulty.EASY, GenerationConfig())
    assert fault is None or fault.reason is Reason.POINTS_AT_CONTEXT
    return fault is not None


@pytest.mark.parametrize(
    "text",
    [
        "Yukarıdaki bağlama göre kapanır.",
        "Verilen metne göre kapanır.",
        "Bu belgede kapandığı yazar.",
        "Parçada belirtildiği gibi kapanır.",
        "Bağlamda yer alan bilgi budur.",
        "Parça [2] bunu anlatır.",
    ],
)
def test_turkish_that_points_at_its_context(text: str) -> None:
    assert points(text, "tr")


@pytest.mark.parametrize(
    "text",
    [
        "According to the documentation, it closes.",
        "Based on the provided context it closes.",
        "It closes, as mentioned above.",
        "The passage states that it closes.",
        "In the text it closes.",
        "Use the information provided.",
        "See passage 3.",
    ],
)
def test_english_that_points_at_its_context(text: str) -> None:
    assert points(text, "en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Sipariş tek parça 500 m kablo ister.", "tr"),
        ("Belge numarası bölüm kodundan doğar; metin alanı boş kalır.", "tr"),
        ("Ürün yukarıdan aşağıya dizilir.", "tr"),
        ("The text field holds the section of the document.", "en"),
        ("Attach the documentation to the order in the section Files.", "en"),
        ("Open the context menu.", "en"),
    ],
)
def test_words_like_text_and_section_alone_do_not_point(text: str, language: str) -> None:
    assert not points(text, language)


@pytest.mark.parametrize(
    ("text", "language", "says"),
    [
        ("Bu konuda bilgim yok.", "tr", True),
        ("Süre belgede açıkça belirtilmemiştir.", "tr", True),
        ("Fiyat belirtilmemişse liste fiyatı alınır.", "tr", False),
        ("Onay bilgisi yoksa kayıt açılmaz.", "tr", False),
        ("I have no information about this.", "en", True),
        ("The documentation does not specify the limit.", "en", True),
        ("When no price is specified, the list price is used.", "en", False),
    ],
)
def test_an_answer_that_there_is_no_answer_is_none(text: str, language: str, says: bool) -> None:
    fault = check_phrasing("Lot?", text, language, Difficulty.EASY, GenerationConfig())
    assert (fault is not None and fault.reason is Reason.NO_ANSWER) is says
    assert (fault is None) is not says


@pytest.mark.parametrize(("question", "answer"), [("x" * 300 + "?", "Kod."), ("Lot?", "x" * 300)])
def test_text_without_blanks_is_too_long_however_few_words_it_has(question: str, answer: str) -> None:
    fault = check_phrasing(question, answer, "tr", Difficulty.EASY, GenerationConfig())
    assert fault is not None
    assert fault.reason in (Reason.QUESTION_TOO_LONG, Reason.TOO_LONG)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Tek tümce", 1),
        ("Bir. İki! Üç?", 3),
        ("Süre 2.5 gündür, örn. Salı günü. Sonra kapanır.", 2),
        ("It takes 2.5 days, e.g. Monday. It closes.", 2),
        ("Adımlar:\n1. Açın.\n2. Kapatın.", 3),
        ("`a.b.C` dosyası açılır.", 1),
        ("", 0),
    ],
)
def test_sentences_are_counted(text: str, count: int) -> None:
    assert num_sentences(text) == count


ENGLISH = "A lot number is a code which shows the day on which the lot was created in the system."
TURKISH = "Lot numarası, lotun sistemde oluşturulduğu günü gösteren ve kayıt açılırken üretilen koddur."
GERMAN = (
    "Die Losnummer ist ein Code, der den Tag angibt, an dem das Los im System angelegt wurde, und sie wird beim Anlegen des "
    "Datensatzes automatisch vergeben und danach nicht mehr verändert."
)


@pytest.mark.parametrize(
    ("question", "answer", "wanted", "found"),
    [
        ("Lot numarası nedir?", TURKISH, "tr", ""),
        ("What is a lot number?", ENGLISH, "en", ""),
        ("Lot numarası ne anlama gelir, hangi günü gösterir?", ENGLISH, "tr", "answer read as 'en'"),
        ("What is a lot number and which day does it show?", TURKISH, "tr", "question read as 'en'"),
        ("What is a lot number?", GERMAN, "en", "answer read as 'de'"),
        ("Nedir?", "`stk_lots` STK-204", "tr", ""),
        ("Kod?", "`SELECT lot FROM stk_lots WHERE created_at > now() AND status = 'open'` koddur.", "tr", ""),
    ],
)
def test_question_and_answer_are_each_in_the_language(question: str, answer: str, wanted: str, found: str) -> None:
    fault = check_language(question, answer, wanted, ("tr", "en"))
    assert ("" if fault is None else fault.detail[: len(found)]) == found
    assert (fault is None) == (found == "")


def test_long_turkish_without_turkish_letters_is_not_turkish() -> None:
    answer = (TURKISH + " " + TURKISH).translate(str.maketrans("çğıöşüİ", "cgiosuI"))
    fault = check_language("Nedir?", answer, "tr", ("tr", "en"))
    assert fault is not None
    assert fault.reason is Reason.WRONG_LANGUAGE
