"""Figures as people write them: English, one style through the whole report."""

from __future__ import annotations

import re

from markupsafe import Markup

from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.measures import Measure
from groundtune.progress import format_seconds

MISSING = "not measured"
MINUS = "\u2212"
THIN = "\u202f"


def number(value: float | None) -> str:
    """
    >>> number(12345), number(None)
    ('12,345', 'not measured')
    """
    return MISSING if value is None else f"{value:,.0f}"


def compact(value: float) -> str:
    """
    >>> compact(532), compact(408_300), compact(6_420_000)
    ('532', '408K', '6.4M')
    """
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= size * 10 or (value >= size and size > 1e3):
            scaled = value / size
            return f"{scaled:.1f}{letter}" if scaled < 100 and size > 1e3 else f"{scaled:.0f}{letter}"
    return f"{value:,.0f}"


def percent(value: float | None, digits: int = 0) -> str:
    """A share as per cent; never "0%" or "100%" for a share that is not quite that.

    >>> percent(0.4567), percent(0.002), percent(0.9999), percent(0.0), percent(None)
    ('46%', '<1%', '>99%', '0%', 'not measured')
    """
    if value is None:
        return MISSING
    text = f"{value * 100:.{digits}f}"
    least = 10.0**-digits
    if value > 0 and float(text) == 0:
        return f"<{least:g}%"
    if value < 1 and float(text) == 100:
        return f">{100 - least:g}%"
    return f"{text}%"


def decimal(value: float | None, digits: int = 2) -> str:
    return MISSING if value is None else f"{value:,.{digits}f}"


def signed(value: float, *, as_points: bool) -> str:
    """A difference: percentage points for shares, two decimals for F1.

    >>> signed(-0.123, as_points=True), signed(0.123, as_points=False), signed(-0.001, as_points=False)
    ('−12', '+0.12', '0.00')
    """
    text = f"{abs(value) * 100:.0f}" if as_points else f"{abs(value):.2f}"
    if float(text) == 0:
        return text
    return ("+" if value > 0 else MINUS) + text


def figure(value: Figure, measure: Measure) -> str:
    """The value of a measure in its unit."""
    return percent(value.value) if measure.is_rate else decimal(value.value)


ALIKE = "all alike"
"""In place of an interval without width: resamples of equal values differ in nothing, which says little of the truth."""


def interval(value: Figure, measure: Measure) -> str:
    """
    >>> from groundtune.evaluation.measures import MEASURES
    >>> interval(Figure(0.5, 10, 0.21, 0.79), MEASURES[1]), interval(Figure(0.0, 10, 0.0, 0.0), MEASURES[0])
    ('21 to 79%', 'all alike')
    """
    if value.low is None or value.high is None:
        return ""
    if value.low == value.high:
        return ALIKE
    if measure.is_rate:
        return f"{value.low * 100:.0f} to {value.high * 100:.0f}%"
    return f"{value.low:.2f} to {value.high:.2f}"


def difference(value: Figure, measure: Measure) -> str:
    if value.value is None:
        return MISSING
    return signed(value.value, as_points=measure.is_rate) + (f"{THIN}pp" if measure.is_rate else "")


def difference_interval(value: Figure, measure: Measure) -> str:
    if value.low is None or value.high is None:
        return ""
    if value.low == value.high:
        return ALIKE
    low, high = (signed(edge, as_points=measure.is_rate) for edge in (value.low, value.high))
    return f"{low} to {high}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """
    >>> plural(1, "question"), plural(1200, "question"), plural(2, "index", "indices")
    ('1 question', '1,200 questions', '2 indices')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


LANGUAGE_NAMES = {"tr": "Turkish", "en": "English", "de": "German", "fr": "French", "es": "Spanish"}


def words(key: str) -> str:
    """An identifier as a person reads it; a phrase stays as it is.

    >>> words("vertical_stack"), words("longer than max_tokens"), words("tr")
    ('vertical stack', 'longer than max_tokens', 'Turkish')
    """
    name = str(key)
    return LANGUAGE_NAMES.get(name) or (name if " " in name else name.replace("_", " "))


def seconds(value: float) -> str:
    """
    >>> seconds(0.2), seconds(75)
    ('under 1 s', '1 min 15 s')
    """
    return "under 1 s" if value < 1 else format_seconds(value)


def size(value: float) -> str:
    """Bytes as people say them.

    >>> size(16_800_000), size(2_100_000_000), size(900)
    ('17 MB', '2.1 GB', '900 bytes')
    """
    for unit, name, digits in ((1e9, "GB", 1), (1e6, "MB", 0), (1e3, "kB", 0)):
        if value >= unit:
            return f"{value / unit:,.{digits}f} {name}"
    return f"{value:,.0f} bytes"


def short_seconds(value: float) -> str:
    """
    >>> short_seconds(0.0123), short_seconds(0.42), short_seconds(3.21)
    ('12 ms', '420 ms', '3.2 s')
    """
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def span(value: Figure, digits: int = 2) -> str:
    """The interval of a plain number.

    >>> span(Figure(3.5, 8, 3.1, 3.9), 1)
    '3.1 to 3.9'
    """
    if value.low is None or value.high is None:
        return ""
    return ALIKE if value.low == value.high else f"{value.low:,.{digits}f} to {value.high:,.{digits}f}"


def share_span(value: Figure) -> str:
    """The interval of a share.

    >>> share_span(Figure(0.5, 8, 0.21, 0.79)), share_span(Figure(1.0, 8, 1.0, 1.0))
    ('21 to 79%', 'all alike')
    """
    if value.low is None or value.high is None:
        return ""
    return ALIKE if value.low == value.high else f"{value.low * 100:.0f} to {value.high * 100:.0f}%"


def signed_span(value: Figure, digits: int = 2) -> str:
    """The interval of a difference of plain numbers, each edge with its sign."""
    if value.low is None or value.high is None:
        return ""
    if value.low == value.high:
        return ALIKE
    return f"{signed_decimal(value.low, digits)} to {signed_decimal(value.high, digits)}"


def signed_decimal(value: float, digits: int = 2) -> str:
    """
    >>> signed_decimal(-0.5, 1), signed_decimal(0.001)
    ('−0.5', '0.00')
    """
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else ("+" if value > 0 else MINUS) + text


def signed_percent(value: float, digits: int = 0) -> str:
    """
    >>> signed_percent(0.123), signed_percent(-0.05)
    ('+12%', '−5%')
    """
    return f"{signed_decimal(value * 100, digits)}%"


def signed_points(value: float) -> str:
    """A difference of shares, in percentage points."""
    return f"{signed(value, as_points=True)}{THIN}pp"


def percent_span(value: Figure) -> str:
    """The interval of a change that is a share of what was."""
    if value.low is None or value.high is None:
        return ""
    return f"{signed_percent(value.low)} to {signed_percent(value.high)}"


def points_span(value: Figure) -> str:
    """The interval of a difference of shares, in percentage points."""
    if value.low is None or value.high is None:
        return ""
    return f"{signed(value.low, as_points=True)} to {signed(value.high, as_points=True)}{THIN}pp"


def coded(text: str) -> Markup:
    """A sentence with commands between grave accents, escaped, the commands set as code.

    >>> str(coded("run `groundtune rate` & see"))
    'run <code>groundtune rate</code> &amp; see'
    """
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else Markup.escape(part) for place, part in enumerate(parts)
    )
