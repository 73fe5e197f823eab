"""Numbers in a text, read by the rules of its language: with their units, dates, times of day and versions.

What this module does not do: convert units, add up, or read numbers that are spelled out; `spelled_numbers` finds the
commonest of those for places where being too strict would be wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from groundtune.evaluation.measures.identifiers import identifiers
from groundtune.evaluation.measures.lists import without_list_numbers
from groundtune.evaluation.measures.units import unit_after, unit_before
from groundtune.language import lower_case
from groundtune.types import Language

Kind = Literal["number", "date", "time", "version"]

DECIMAL_POINT = frozenset({"en", "he", "hi", "ja", "ko", "th", "zh"})
"""Languages that write 1,234.5 (CLDR); the others write 1.234,5."""

_MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "ocak january jan",
            "şubat february feb",
            "mart march mar",
            "nisan april apr",
            "mayıs may",
            "haziran june jun",
            "temmuz july jul",
            "ağustos august aug",
            "eylül september sept sep",
            "ekim october oct",
            "kasım november nov",
            "aralık december dec",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_GAP = "\u00a0\u202f\u2009"
_NUMBER = rf"[0-9]{{1,3}}(?:[{_GAP}][0-9]{{3}})+(?:[.,][0-9]+)?|[0-9]+(?:[.,][0-9]+)*"
_SCAN = re.compile(
    r"(?<![0-9])(?:"
    r"(?P<iso>(?P<iy>[12][0-9]{3})-(?P<im>[0-9]{1,2})-(?P<id>[0-9]{1,2})(?![0-9-]))"
    r"|(?P<dmy>(?P<a>[0-9]{1,2})(?P<sep>[./-])(?P<b>[0-9]{1,2})(?P=sep)(?P<y>[12][0-9]{3})(?![0-9]))"
    rf"|(?P<named>(?P<nd>[0-9]{{1,2}})(?:st|nd|rd|th)?\.?[ ](?:of[ ])?(?P<nm>{_MONTH})\.?,?[ ](?P<ny>[12][0-9]{{3}})(?![0-9]))"
    rf"|(?P<american>(?P<am>{_MONTH})\.?[ ](?P<ad>[0-9]{{1,2}})(?:st|nd|rd|th)?,?[ ](?P<ay>[12][0-9]{{3}})(?![0-9]))"
    r"|(?P<time>[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?(?![0-9:]))"
    r"|(?P<version>(?<!\w)v[0-9]+(?:\.[0-9]+)*)"
    rf"|(?P<number>(?<![\w.,])[-\u2212](?:{_NUMBER})|{_NUMBER})"
    r")"
)
_SPELLED = {
    "tr": "sıfır bir iki üç dört beş altı yedi sekiz dokuz on",
    "en": "zero one two three four five six seven eight nine ten eleven twelve",
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a text. `readings` are what it may mean, in one form: ``1234.5``, ``2024-03-15``, ``14:30``, ``1.2.3``."""

    text: str
    kind: Kind
    readings: frozenset[str]
    unit: str | None = None

    def says(self, other: Quantity) -> bool:
        """Whether both name the same number; a unit counts where both have one."""
        if self.unit is not None and other.unit is not None and self.unit != other.unit:
            return False
        return not self.readings.isdisjoint(other.readings)


@lru_cache(maxsize=4096)
def quantities(text: str, language: Language) -> tuple[Quantity, ...]:
    """Numbers of `text` in their order; those that count the lines of a list, or are part of a code, are none.

    >>> [(each.text, *each.readings, each.unit) for each in quantities("1.234,5 kg, %20; HM-001", "tr")]
    [('1.234,5', '1234.5', 'kg'), ('20', '20', '%')]
    >>> [sorted(each.readings) for each in quantities("1,234.5 and 1.234", "en")]
    [['1234.5'], ['1.234']]
    >>> quantities("15 Mart 2024", "tr")[0].readings == quantities("15.03.2024", "tr")[0].readings
    True
    """
    bare = identifiers(without_list_numbers(text)).bare
    lowered = lower_case(bare, language)
    if len(lowered) != len(bare):  # a letter whose lower case is longer; places must stay
        lowered = bare
    return tuple(_read(match, bare, language) for match in _SCAN.finditer(lowered))


def _read(match: re.Match[str], bare: str, language: Language) -> Quantity:
    text = bare[match.start() : match.end()]
    if match["iso"]:
        return Quantity(text, "date", frozenset({_date(match["iy"], match["im"], match["id"])}))
    if match["dmy"]:
        return Quantity(text, "date", _numeric_date(match, language))
    if match["named"]:
        return Quantity(text, "date", frozenset({_date(match["ny"], str(_MONTHS[match["nm"]]), match["nd"])}))
    if match["american"]:
        return Quantity(text, "date", frozenset({_date(match["ay"], str(_MONTHS[match["am"]]), match["ad"])}))
    if match["time"]:
        return Quantity(text, "time", frozenset({text.zfill(len(text) + (text.index(":") == 1))}))
    if match["version"]:
        return Quantity(text, "version", frozenset({text[1:], read_number(text[1:], "en")}))
    reading = read_number(text, language)
    if reading.count(".") > 1:
        return Quantity(text, "version", frozenset({reading}))
    unit = unit_before(bare[: match.start()]) or unit_after(bare[match.end() :], language)
    return Quantity(text, "number", frozenset({reading}), unit)


def _date(year: str, month: str, day: str) -> str:
    return f"{year}-{int(month):02d}-{int(day):02d}"


def _numeric_date(match: re.Match[str], language: Language) -> frozenset[str]:
    """Day first; in English with slashes or hyphens also month first, where both can be."""
    a, b, year = match["a"], match["b"], match["y"]
    readings = {_date(year, b, a)} if int(b) <= 12 else set()
    if int(a) <= 12 and (not readings or (language == "en" and match["sep"] != ".")):
        readings.add(_date(year, a, b))
    return frozenset(readings or {match["dmy"]})


def read_number(text: str, language: Language) -> str:
    """The number in one form, by the marks of `language`; as it stands where it is no number but a version or an address.

    One mark before exactly three digits groups thousands if `language` groups with it, and is a decimal mark otherwise; every
    other single mark is a decimal mark in any language.

    >>> [read_number(text, "tr") for text in ("1.234,5", "1.234", "1,234", "2.5", "0.500", "1.234.567", "10.0.0.1")]
    ['1234.5', '1234', '1.234', '2.5', '0.5', '1234567', '10.0.0.1']
    >>> [read_number(text, "en") for text in ("1,234.5", "1.234", "1,234", "007", "-2.50")]
    ['1234.5', '1.234', '1234', '7', '-2.5']
    """
    sign = "-" if text[:1] in ("-", "\u2212") else ""
    plain = re.sub(f"[{_GAP}\u2212-]", "", text)
    whole, fraction = _parts(plain, "," if language in DECIMAL_POINT else ".")
    if whole is None:
        return plain
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    number = f"{whole}.{fraction}" if fraction else whole
    return number if number == "0" else sign + number


def _parts(plain: str, grouping: str) -> tuple[str | None, str]:
    """Digits before and after the decimal mark; None where the marks make no number."""
    marks = [letter for letter in plain if letter in ".,"]
    if not marks:
        return plain, ""
    last = marks[-1]
    head, _, tail = plain.rpartition(last)
    if len(set(marks)) == 2:
        other = "," if last == "." else "."
        return (head.replace(other, ""), tail) if last not in head and _groups(head, other) else (None, "")
    if len(marks) > 1:
        # repeated marks can only group; a point that does so in a language of decimal points is a version
        can_group = _groups(plain, last) and (last == "," or grouping == ".")
        return (plain.replace(last, ""), "") if can_group else (None, "")
    if last == grouping and _groups(plain, last) and not plain.startswith("0"):
        return plain.replace(last, ""), ""
    return head, tail


def _groups(text: str, mark: str) -> bool:
    first, *others = text.split(mark)
    return 1 <= len(first) <= 3 and all(len(part) == 3 for part in others)


def spelled_numbers(text: str, language: Language) -> frozenset[str]:
    """Numbers up to ten (English: twelve) that `text` spells out, as digits.

    >>> sorted(spelled_numbers("Üç gün, iki lot", "tr"))
    ['2', '3']
    """
    words = set(re.findall(r"[^\W\d_]+", lower_case(text, language)))
    return frozenset(str(number) for number, name in enumerate(_SPELLED.get(language, "").split()) if name in words)
