"""Numbers, codes and identifiers: what of an answer is not in its evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.generation.verification.figures import missing_figures, quoted_lines, value_of
from groundtune.generation.verification.tokens import exact_tokens
from groundtune.types import Chunk, Evidence

TABLE = "Süreler:\n\n| Kod | Süre | Sınır 5 m |\n|---|---|---|\n| STK-204 | 12 gün | evet |\n| STK-205 | 30 gün | hayır |\n\nSayım 24 saat sürer."


def chunk(text: str, language: str = "tr") -> Chunk:
    return Chunk(
        "c1", "Stok", "Lot", "Lot", ("Stok", "Bölüm 7"), language, text, 50, False, False, (), (), 2, "a.md", 1, 2, ""
    )


def quote(text: str, passage: str) -> Evidence:
    start = text.index(passage)
    return Evidence("c1", passage, start, start + len(passage))


def missing(answer: str, text: str, passage: str = "", language: str = "tr", question: str = "") -> list[str]:
    return missing_figures(answer, question, [quote(text, passage or text)], [chunk(text, language)], language)


@pytest.mark.parametrize(
    ("answer", "source", "lost"),
    [
        ("1. Açın.\n2. Basın.", "Açın. Basın.", []),
        ("Süre 12 gündür.", "2012 yılında 12,5 gün", ["12"]),
        ("Süre 12 gündür.", "Süre 12'dir.", []),
        ("Sınır %0,5'tir.", "±%0,5'e kadar", []),
        ("En çok 9.999 lot.", "9999 lot", []),
        ("En çok 1.250,5 m.", "1250,5 m", []),
        ("En çok 1.250 m.", "en çok 1,250 m", ["1.250"]),
        ("Sürüm 3.11.2", "sürüm 3.11.20", ["3.11.2"]),
        ("Ürün H07V-K 1x6 mm².", "H07V-K 1x6 mm² kablo", []),
        ("`POST /api/v2/lots` isteği.", "POST /api/v2/lots HTTP/1.1", []),
        ("LOT_A rolü", "LOT_AB rolü", ["LOT_A"]),
        ("Üç gün sürer.", "3 gün sürer.", []),
        ("3 gün sürer.", "üç gün sürer.", []),
        ("Dört gün sürer.", "üç gün sürer.", ["4"]),
        ("Yirmi dört saat sürer.", "24 saat sürer.", []),
        ("Yirmi beş saat sürer.", "24 saat sürer.", ["25"]),
        ("Yüz yirmi beş metre.", "125 m", []),
        ("Her iki durumda da bu üç alan dolar.", "Alanlar dolar.", []),
        ("**1.** Açın.\n- 2) Basın. Adım 3 sonuncudur; (4) bitti.", "Açın. Basın. Sonuncudur, bitti.", []),
        ("Kayıt (5 gün) kalır.", "Kayıt kalır.", ["5"]),
        ("Bir kaydın altında altı alan yüzü.", "Kayıtta alanlar.", []),
    ],
)
def test_turkish_figures(answer: str, source: str, lost: list[str]) -> None:
    assert missing(answer, source) == lost


@pytest.mark.parametrize(
    ("answer", "source", "lost"),
    [
        ("At most 1,250 m.", "at most 1250 m", []),
        ("At most 1.250 m.", "at most 1250 m", ["1.250"]),
        ("Twenty-four hours.", "24 hours", []),
        ("24 hours.", "twenty-four hours", []),
        ("one hundred and twenty metres", "120 m", []),
        ("Three of them.", "4 of them", ["3"]),
        ("The one that is open.", "It is open.", []),
        ("The three states are these three states.", "States.", []),
        ("It has three states.", "States.", ["3"]),
        ("Send it to /api/v2/lots or lots@example.com.", "POST /api/v2/lots/{id}", ["lots@example.com"]),
        ("Call createLot, then openLot.", "createLot(name)", ["openLot"]),
        ("Edit settings.yaml.", "Edit settings.yml.", ["settings.yaml"]),
        ("See https://example.com/a.", "See https://example.com/b.", ["https://example.com/a"]),
        ("Set `max_users` to 5.", "`max_users` is 5", []),
        ("Set `max_user` to 5.", "`max_users` is 5", ["max_user"]),
    ],
)
def test_english_figures(answer: str, source: str, lost: list[str]) -> None:
    assert missing(answer, source, language="en") == lost


def test_a_figure_of_another_line_of_the_chunk_is_not_evidence() -> None:
    assert missing("STK-204 30 gün geçerlidir.", TABLE, "STK-204 | 12 gün") == ["30"]
    assert missing("STK-204 12 gün geçerlidir.", TABLE, "STK-204 | 12 gün") == []
    assert missing("STK-204 12 gün geçerlidir.", TABLE, "evet") == []


def test_the_head_of_a_table_belongs_to_its_rows() -> None:
    assert missing("5 m sınırı STK-205 için yoktur.", TABLE, "STK-205 | 30 gün") == []
    assert (
        quoted_lines([quote(TABLE, "STK-205")], [chunk(TABLE)])
        == "| STK-205 | 30 gün | hayır |\n| Kod | Süre | Sınır 5 m |"
    )


def test_what_the_question_names_may_stand_elsewhere_in_the_cited_chunk_or_its_titles() -> None:
    assert missing("STK-205 sayımı sürer.", TABLE, "Sayım 24 saat sürer.") == ["STK-205"]
    assert missing("STK-205 sayımı sürer.", TABLE, "Sayım 24 saat sürer.", question="STK-205 nedir?") == []
    assert missing("Bölüm 7 bunu anlatır.", TABLE, "Sayım", question="Bölüm 7 nedir?") == []
    assert missing("STK-999 sayımı sürer.", TABLE, "Sayım", question="STK-999 nedir?") == ["STK-999"]


@given(st.integers(0, 10**9), st.sampled_from(["tr", "en"]))
def test_a_number_is_the_same_with_and_without_separators(number: int, language: str) -> None:
    grouped = f"{number:,}"
    assert value_of(grouped.replace(",", ".") if language == "tr" else grouped, language) == str(number)


@given(st.text(max_size=60), st.sampled_from(["tr", "en"]))
def test_a_text_is_missing_nothing_of_itself(text: str, language: str) -> None:
    assert all(exact_tokens(text))
    line = " ".join(text.split())
    if line:
        assert missing(line, line, language=language) == []
