"""Units beside numbers, in Turkish and English, under one name each.

What this module does not do: convert between them. A word that is not in the list is no unit.
"""

from __future__ import annotations

import re

from groundtune.language import lower_case
from groundtune.types import Language

_NAMES: dict[str, str] = {
    "%": "yüzde percent pct",
    "mm": "milimetre millimetre millimetres millimeter millimeters",
    "cm": "santimetre centimetre centimetres centimeter centimeters",
    "m": "metre metres meter meters",
    "km": "kilometre kilometres kilometer kilometers",
    "mm²": "mm2",
    "m²": "m2 metrekare",
    "m³": "m3 metreküp",
    "g": "gr gram grams",
    "kg": "kilogram kilograms kilo kilos",
    "t": "ton tons tonne tonnes",
    "s": "sn saniye second seconds sec secs",
    "min": "dk dakika minute minutes mins",
    "h": "sa saat hour hours",
    "day": "gün days",
    "week": "hafta weeks",
    "month": "ay ayda aylık ayın aya months",
    "year": "yıl years sene",
    "V": "volt volts",
    "kV": "kilovolt kilovolts",
    "A": "amper amp amps ampere amperes",
    "W": "watt watts",
    "kW": "kilowatt kilowatts",
    "Hz": "hertz",
    "bar": "",
    "°C": "santigrat celsius",
    "°F": "fahrenheit",
    "L": "l litre litres liter liters",
    "₺": "tl try lira",
    "€": "eur euro avro",
    "$": "usd dolar dollar dollars",
    "£": "gbp sterlin pound pounds",
    "KB": "kilobyte kilobytes kilobayt",
    "MB": "megabyte megabytes megabayt",
    "GB": "gigabyte gigabytes gigabayt",
}
_SHORT = {name: name for name in _NAMES}
"""As it is written: m is not M, and A is not a."""
_WORDS = {word: unit for unit, words in _NAMES.items() for word in (*words.split(), unit.lower()) if len(word) > 1}
_STEMS = sorted((word for word in _WORDS if len(word) > 2), key=len, reverse=True)
_ENDING = re.compile(r"(?:l[ıiuü][kğ]|l[ae]r|[dt][ae]n?|[dt][ıiuü]r|c[ae]|[yns]?[ıiuüae]n?)+")
"""Turkish endings: 30 günlük, 2 saatten; a bar code is no bar."""
_AFTER = re.compile(r"[ \u00a0\u202f\u2009-]?(°[ ]?[CF]\b|[%€$₺£]|(?:mm|m)[²³23](?!\w)|[^\W\d_]+)")
_BEFORE = re.compile(r"([%€$₺£]|(?<!\w)yüzde)[ \u00a0]?$", re.IGNORECASE)


def unit_after(text: str, language: Language) -> str | None:
    """The unit that `text` begins with, behind a number; Turkish endings may follow it.

    >>> unit_after(" mm'den", "tr"), unit_after(" günlük", "tr"), unit_after("-day period", "en"), unit_after(" lots", "en")
    ('mm', 'day', 'day', None)
    """
    match = _AFTER.match(text[:40])
    if match is None:
        return None
    word = match[1].replace("° ", "°")
    lowered = lower_case(word, language)
    found = _SHORT.get(word) or _WORDS.get(lowered)
    if found is None and language == "tr":
        found = next(
            (_WORDS[stem] for stem in _STEMS if lowered.startswith(stem) and _ENDING.fullmatch(lowered[len(stem) :])),
            None,
        )
    return found


def unit_before(text: str) -> str | None:
    """The sign or word of percent or money that `text` ends with, before a number.

    >>> unit_before("en çok %"), unit_before("about ")
    ('%', None)
    """
    match = _BEFORE.search(text[-12:])
    return None if match is None else "%" if match[1].lower() == "yüzde" else match[1]
