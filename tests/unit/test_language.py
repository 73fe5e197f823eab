"""Languages and Turkish letters."""

import pytest

from groundtune.language import detect_language, lower_case


@pytest.mark.parametrize(
    ("text", "language", "lower"),
    [("ISIL İŞLEM", "tr", "ısıl işlem"), ("İ", "tr", "i"), ("I", "tr", "ı"), ("IS", "en", "is"), ("Çİğ", "tr", "çiğ")],
)
def test_lower_case_follows_the_language(text, language, lower):
    assert lower_case(text, language) == lower


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Stok modülünde rezervasyon süresi on beş gündür.", "tr"),
        ("The reservation lasts fifteen days in the stock module.", "en"),
        ("Hangi rol onaylar ve hangi ekran kullanılır?", "tr"),
    ],
)
def test_prose_is_told_apart(text, language):
    assert detect_language(text, ["tr", "en"]) == language
    assert detect_language(text, ["en", "tr"]) == language


def test_too_little_text_is_the_first_candidates():
    assert detect_language("STK-204", ["en", "tr"]) == "en"
    assert detect_language("12 | 13", ["tr", "en"]) == "tr"


def test_no_candidates_is_the_callers_mistake():
    with pytest.raises(ValueError, match="at least one language"):
        detect_language("text", [])
