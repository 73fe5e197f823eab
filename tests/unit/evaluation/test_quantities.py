"""Numbers read by the rules of their language, units, dates, and what counts lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.evaluation.measures.lists import forms, without_list_numbers
from groundtune.evaluation.measures.quantities import quantities, read_number
from groundtune.evaluation.measures.units import unit_after


@pytest.mark.parametrize(
    ("text", "turkish", "english"),
    [
        ("1.234,5", "1234.5", "1234.5"),  # two marks: the last one is the decimal mark, in any language
        ("1,234.5", "1234.5", "1234.5"),
        ("1.234", "1234", "1.234"),
        ("1,234", "1.234", "1234"),
        ("1.234.567", "1234567", "1.234.567"),  # in English a version
        ("1,234,567", "1234567", "1234567"),
        ("2.5", "2.5", "2.5"),
        ("2,50", "2.5", "2.5"),
        ("0.500", "0.5", "0.5"),  # no thousands behind a nought
        ("0", "0", "0"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
        ("12\u00a0345", "12345", "12345"),
    ],
)
def test_marks_are_read_by_the_rules_of_the_language(text: str, turkish: str, english: str) -> None:
    assert (read_number(text, "tr"), read_number(text, "en")) == (turkish, english)


@given(st.integers(0, 10**12), st.integers(0, 99))
def test_a_number_written_in_either_way_is_read_back(whole: int, hundredths: int) -> None:
    english = f"{whole:,}.{hundredths:02d}"
    turkish = english.translate(str.maketrans(",.", ".,"))
    wanted = f"{whole}.{hundredths:02d}".rstrip("0").rstrip(".")
    assert read_number(english, "en") == read_number(turkish, "tr") == wanted


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("%20 ve 20%", "tr", [("20", "%"), ("20", "%")]),
        ("yüzde 5", "tr", [("5", "%")]),
        ("30 günlük süre, 12 karakter", "tr", [("30", "day"), ("12", None)]),
        ("a 30-day period of 2.5 kg", "en", [("30", "day"), ("2.5", "kg")]),
        ("25mm, -5 °C", "en", [("25", "mm"), ("-5", "°C")]),
        ("10-20 bar", "en", [("10", None), ("20", "bar")]),  # a range, not minus twenty
        ("$40 or 40 USD", "en", [("40", "$"), ("40", "$")]),
        ("HM-001, H07V-K, sha256, stk_2", "en", []),  # codes
        ("1. Open it.\n2. Wait 3 s.", "en", [("3", "s")]),  # the numbers of the list claim nothing
        ("2026'da 5'i", "tr", [("2026", None), ("5", None)]),
        ("üç gün", "tr", []),
        ("a limit of `max 30 kg`", "en", [("30", "kg")]),
    ],
)
def test_numbers_are_found_with_their_units(text: str, language: str, found: list[tuple[str, str | None]]) -> None:
    assert [(next(iter(each.readings)), each.unit) for each in quantities(text, language)] == found


@pytest.mark.parametrize(
    "text", ["15.03.2024", "15/03/2024", "2024-03-15", "15 Mart 2024", "March 15, 2024", "15 March 2024"]
)
def test_a_date_is_the_same_in_every_form(text: str) -> None:
    (date,) = quantities(text, "en")
    assert (date.kind, set(date.readings)) == ("date", {"2024-03-15"})


def test_an_english_date_that_can_be_read_in_two_ways_is() -> None:
    assert quantities("03/04/2024", "en")[0].readings == {"2024-04-03", "2024-03-04"}
    assert quantities("03.04.2024", "tr")[0].readings == {"2024-04-03"}


def test_times_and_versions_are_no_plain_numbers() -> None:
    assert [each.kind for each in quantities("9:05, v2.1, 3.11.4", "en")] == ["time", "version", "version"]
    assert quantities("9:05", "en")[0].says(quantities("09:05", "en")[0])


def test_the_same_number_in_another_unit_is_another_and_without_a_unit_it_is_not() -> None:
    (metres,), (kilometres,), (bare,) = (quantities(text, "en") for text in ("5 m", "5 km", "5"))
    assert not metres.says(kilometres)
    assert metres.says(bare)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        (" ayda", "month"),
        (" ayar", None),
        (" barkod", None),
        (" yıldan", "year"),
        (" A", "A"),
        (" a day", None),
        (" m2", "m²"),
    ],
)
def test_short_units_are_taken_only_as_they_are_written(text: str, unit: str | None) -> None:
    assert unit_after(text, "tr") == unit


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1. a\n2. b", ("numbered steps", "list")),
        ("1) Aç\n2) Kaydet", ("numbered steps", "list")),
        ("- a\n- b", ("list",)),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ("table",)),
        ("3. gün\n5. gün", ()),  # ordinals that count nothing
        ("Open it. Then save.", ()),
        ("- a", ()),
    ],
)
def test_the_form_of_a_text_is_seen(text: str, found: tuple[str, ...]) -> None:
    assert forms(text) == found


@given(st.text(alphabet="12. )\nabAB-", max_size=60))
def test_taking_list_numbers_out_keeps_every_place(text: str) -> None:
    out = without_list_numbers(text)
    assert len(out) == len(text)
    assert all(new in (old, " ") for new, old in zip(out, text, strict=True))
