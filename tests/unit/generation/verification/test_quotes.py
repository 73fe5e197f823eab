"""Quotes: found in spite of typography and slips of the pen, never when they say something else."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.generation.verification.plain_text import plain_text
from groundtune.generation.verification.quotes import NotFound, Place, find_quote

TURKISH = (
    "Lot numarası, lotun doğduğu günü gösteren **13 karakterlik** koddur. Bir günde en çok 9.999 lot açılabilir;\n"
    "kayıt silinemez, `stk_lots` tablosunda tutulur ve sonradan değiştirilir.\n\n"
    "| Kod | Süre |\n|---|---|\n| STK-204 | 12 gün |\n\n"
    "Onay [Ayarlar](settings.md#onay) ekranında “verilir” – açıklama zorunlu değildir. Isı −5 °C altına inmez."
)
ENGLISH = (
    "The order must be approved before it is shipped. A lot that is blocked cannot be used in production, "
    "and *no user* may change its status without the role `LAB_ADMIN`. The limit is 2.5 % of 1,250 metres."
)


def look(quote: str, text: str = TURKISH, language: str = "tr", similarity: float = 0.92) -> str | NotFound:
    found = find_quote(quote, text, language, similarity=similarity)
    return text[found.start : found.end] if isinstance(found, Place) else found


@pytest.mark.parametrize(
    ("quote", "passage"),
    [
        ("gösteren **13 karakterlik** koddur", "gösteren **13 karakterlik** koddur"),
        ("günü gösteren 13 karakterlik koddur", "günü gösteren **13 karakterlik** koddur"),
        ("lotun doğduğu günü gösteren 13 karakterlik", "lotun doğduğu günü gösteren **13 karakterlik**"),
        ("açılabilir; kayıt   silinemez, stk_lots", "açılabilir;\nkayıt silinemez, `stk_lots`"),
        ('Ayarlar ekranında "verilir" - açıklama', "[Ayarlar](settings.md#onay) ekranında “verilir” – açıklama"),
        ("[Ayarlar](settings.md#onay) ekranında", "[Ayarlar](settings.md#onay) ekranında"),
        (unicodedata.normalize("NFD", "lotun doğduğu günü"), "lotun doğduğu günü"),
        ("lo\u00adtun doğ\u00adduğu günü", "lotun doğduğu günü"),
        ("  Bir günde en çok  ", "Bir günde en çok"),
        ("STK-204 | 12 gün", "STK-204 | 12 gün"),
        ("Isı -5 °C altına inmez", "Isı −5 °C altına inmez"),
    ],
)
def test_typography_does_not_matter_and_the_chunks_own_words_are_kept(quote: str, passage: str) -> None:
    assert look(quote, similarity=1) == passage


@pytest.mark.parametrize(
    "quote",
    [
        "Lot numarası, lotun dogdugu gunu gösteren 13 karakterlik koddur",
        "lot numarası, lotun doğduğu günü gösteren 13 karakterik koddur.",
        "Lotun doğduğu günü göstren 13 karakterlik koddur",
    ],
)
def test_slips_of_the_pen_are_forgiven(quote: str) -> None:
    assert look(quote) in (TURKISH[:67], TURKISH[14:67])


@pytest.mark.parametrize(
    "quote",
    [
        "Lot numarası, lotun doğduğu günü gösteren 12 karakterlik koddur.",
        "günü gösteren 3 karakterlik koddur. Bir günde en çok",
        "Bir günde en çok 9.99 lot açılabilir; kayıt silinemez",
        "999 lot açılabilir",
        "kayıt silinemez, `stk_lot` tablosunda tutulur",
        "kayıt silinebilir, `stk_lots` tablosunda tutulur",
        "kayıt silinemez, `stk_lots` tablosunda tutulmaz ve sonradan değiştirilir.",
        "tablosunda tutulur ve önceden değiştirilir",
        "STK-205 | 12 gün",
        "ekranında verilir – açıklama zorunludur",
        "açıklama zorunlu",
        "Isı 5 °C altına inmez",
        "5 °C altına",
    ],
)
def test_a_turkish_quote_that_changes_a_number_a_code_or_a_negation_is_never_found(quote: str) -> None:
    assert isinstance(look(quote), NotFound)
    assert isinstance(look(quote, similarity=0.5), NotFound)


@pytest.mark.parametrize(
    "quote",
    [
        "The order must be approved after it is shipped",
        "The order may be approved before it is shipped",
        "The order must not be approved before it is shipped",
        "A lot that is blocked can be used in production",
        "A lot that is unblocked cannot be used in production",
        "any user may change its status without the role",
        "may change its status with the role `LAB_ADMIN`",
        "without the role `LAB_ADMIM`",
        "The limit is 2.6 % of 1,250 metres",
        "The limit is 2.5 % of 250 metres",
        "A lot cannot be used in production",
    ],
)
def test_an_english_quote_that_says_something_else_is_never_found(quote: str) -> None:
    assert isinstance(look(quote, ENGLISH, "en", 0.5), NotFound)


def test_an_article_more_or_less_is_a_slip() -> None:
    assert look("Order must be approved before it is shipped", ENGLISH, "en") == ENGLISH[4:47]
    assert look("A lot that is blocked cannot be used in the production", ENGLISH, "en") == ENGLISH[49:99]


def test_it_is_said_how_a_quote_differs() -> None:
    found = look("lotun doğduğu günü gösteren 12 karakterlik koddur")
    assert found == NotFound(True, "'12' stands for '13'")
    assert look("bambaşka bir konu üzerine yazılmış uzunca bir tümce") == NotFound(False, "")


@pytest.mark.parametrize("quote", ["", "  ", "...", "**", "|---|"])
def test_a_quote_without_words_is_not_found(quote: str) -> None:
    assert isinstance(look(quote), NotFound)


MARKS = st.sampled_from(
    ["a", "ı", "5", " ", "\n", "*", "**", "_", "`", "\\", "[", "](x)", "e\u0301", "\u00ad", "“", "–", "…", "|"]
)


@given(st.lists(MARKS, max_size=40).map("".join))
def test_every_plain_character_knows_its_place_in_the_original(text: str) -> None:
    plain = plain_text(text)
    assert len(plain.text) == len(plain.starts) == len(plain.ends)
    assert list(plain.starts) == sorted(plain.starts)
    for place, letter in enumerate(plain.text):
        start, end = plain.span(place, place + 1)
        assert 0 <= start < end <= len(text)
        if letter.isalnum():
            assert letter in unicodedata.normalize("NFC", text[start:end])


@given(st.lists(MARKS, max_size=40).map("".join))
def test_no_letter_or_digit_is_lost_in_plain_text(text: str) -> None:
    def signs(value: str) -> str:
        return re.sub(r"[\W_]|x", "", unicodedata.normalize("NFC", value))

    assert signs(plain_text(text).text) == signs(text)


@given(st.data())
def test_whole_words_of_a_text_are_always_found_in_it(data: st.DataObject) -> None:
    words = [match.span() for match in re.finditer(r"\w+(?:[.,]\w+)*", TURKISH)]
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    quote = TURKISH[words[first][0] : words[last][1]]
    found = find_quote(quote, TURKISH, "tr", similarity=0.92)
    if isinstance(found, NotFound):
        # the law about what stands behind, or a sign before the number
        assert found.detail.startswith("the quote stops before") or quote.startswith(("5", "onay"))
    else:
        assert plain_text(TURKISH[found.start : found.end]).text.strip() == plain_text(quote).text.strip()


@given(st.text(max_size=60), st.text(max_size=200), st.floats(0.5, 1))
def test_what_is_found_is_a_passage_of_the_text_whatever_was_asked(quote: str, text: str, similarity: float) -> None:
    found = find_quote(quote, text, "tr", similarity=similarity)
    if isinstance(found, Place):
        assert 0 <= found.start < found.end <= len(text)
        assert sorted(re.findall(r"\d", text[found.start : found.end])) == sorted(re.findall(r"\d", quote))
