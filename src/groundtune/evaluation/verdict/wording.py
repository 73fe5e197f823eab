"""Figures as people write them: English, one style through the whole report."""

from __future__ import annotations

import re

from markupsafe import Markup

from groundtune.evaluation.figures.digits import further_digits
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
    """
    >>> decimal(-0.5), decimal(None)
    ('−0.50', 'not measured')
    """
    return MISSING if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def signed(value: float, *, as_points: bool, more: int = 0) -> str:
    """A difference: percentage points for shares, two decimals for F1, or `more` digits.

    >>> signed(-0.123, as_points=True), signed(0.123, as_points=False), signed(-0.001, as_points=False)
    ('−12', '+0.12', '0.00')
    """
    return signed_decimal(value * 100, more) if as_points else signed_decimal(value, 2 + more)


def figure(value: Figure, measure: Measure) -> str:
    """The value of a measure in its unit."""
    return shown(value.value, measure)


def shown(value: float | None, measure: Measure) -> str:
    """A plain value in the unit of a measure."""
    return percent(value) if measure.is_rate else decimal(value)


ALIKE = "all alike"
"""In place of an interval without width: resamples of equal values differ in nothing, which says little of the truth."""


def interval_words(across: str) -> str:
    """An interval inside a sentence.

    >>> interval_words("+0.1 to +0.2"), interval_words(ALIKE)
    ('95% interval +0.1 to +0.2', 'the same for every question, so without an interval')
    """
    return "the same for every question, so without an interval" if across == ALIKE else f"95% interval {across}"


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
    return _difference(value.value, value, measure) + (f"{THIN}pp" if measure.is_rate else "")


def _difference(edge: float, whole: Figure, measure: Measure) -> str:
    """The value of a difference or an edge of its interval, all with as many digits as show what is claimed."""
    digits, unit = (0, 100.0) if measure.is_rate else (2, 1.0)
    return signed(edge, as_points=measure.is_rate, more=further_digits(whole, digits, unit))


def difference_interval(value: Figure, measure: Measure) -> str:
    if value.low is None or value.high is None:
        return ""
    if value.low == value.high:
        return ALIKE
    low, high = (_difference(edge, value, measure) for edge in (value.low, value.high))
    return f"{low} to {high}"


def sample(value: Figure) -> str:
    """How much stands behind a figure.

    >>> sample(Figure(0.5, 1200)), sample(Figure(0.5, 108, groups=26))
    ('n = 1,200', 'n = 108 in 26 groups')
    """
    return f"n = {value.n:,}" + (f" in {plural(value.groups, 'group')}" if value.groups else "")


def plural(count: int, one: str, many: str | None = None) -> str:
    """
    >>> plural(1, "question"), plural(1200, "question"), plural(2, "index", "indices")
    ('1 question', '1,200 questions', '2 indices')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counted(count: int, things: str) -> str:
    """A count with the name it is kept under, which is in the plural.

    >>> counted(1, "texts held out of a.md"), counted(1, "entries"), counted(1200, "train examples"), counted(1, "passed")
    ('1 text held out of a.md', '1 entry', '1,200 train examples', '1 passed')
    """
    if count == 1:
        # the first word in the plural is the thing that is counted
        things = re.sub(r"\b(\w{2,})(?<![su])s\b", lambda found: _singular(found[1]), things, count=1)
    return f"{count:,} {things}"


def _singular(stem: str) -> str:
    return stem.removesuffix("ie") + "y" if stem.endswith("ie") else stem


def told(value: str, across: str) -> str:
    """A figure with its interval, where it has one.

    >>> told("0.38", "0.30 to 0.45"), told("not measured", "")
    ('0.38 (0.30 to 0.45)', 'not measured')
    """
    return f"{value} ({across})" if across else value


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
    >>> short_seconds(0.0123), short_seconds(0.42), short_seconds(3.21), short_seconds(61)
    ('12 ms', '420 ms', '3.2 s', '1 min 1 s')
    """
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 60 else format_seconds(value)


def span(value: Figure, digits: int = 2) -> str:
    """The interval of a plain number, or why there is none where that is known.

    >>> span(Figure(3.5, 8, 3.1, 3.9), 1), span(Figure(1.0, 2, caution="too few to tell"))
    ('3.1 to 3.9', 'too few to tell')
    """
    if value.low is None or value.high is None:
        return value.caution
    return ALIKE if value.low == value.high else f"{decimal(value.low, digits)} to {decimal(value.high, digits)}"


def share_span(value: Figure) -> str:
    """The interval of a share.

    >>> share_span(Figure(0.5, 8, 0.21, 0.79)), share_span(Figure(1.0, 8, 1.0, 1.0))
    ('21 to 79%', 'all alike')
    """
    if value.low is None or value.high is None:
        return ""
    return ALIKE if value.low == value.high else f"{value.low * 100:.0f} to {value.high * 100:.0f}%"


def signed_span(value: Figure, digits: int = 2) -> str:
    """The interval of a difference of plain numbers, each edge with its sign.

    >>> signed_span(Figure(0.02, 200, 0.003, 0.04)), signed_span(Figure(0.02, 200, -0.003, 0.04))
    ('+0.003 to +0.040', '0.00 to +0.04')
    """
    if value.low is None or value.high is None:
        return ""
    if value.low == value.high:
        return ALIKE
    digits += further_digits(value, digits)
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
    digits = further_digits(value, 0, 100.0)
    return f"{signed_percent(value.low, digits)} to {signed_percent(value.high, digits)}"


def points_span(value: Figure) -> str:
    """The interval of a difference of shares, in percentage points."""
    if value.low is None or value.high is None:
        return ""
    more = further_digits(value, 0, 100.0)
    return f"{signed(value.low, as_points=True, more=more)} to {signed(value.high, as_points=True, more=more)}{THIN}pp"


def coded(text: str) -> Markup:
    """A sentence with commands between grave accents, escaped, the commands set as code.

    >>> str(coded("run `groundtune rate` & see"))
    'run <code>groundtune rate</code> &amp; see'
    """
    parts = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else Markup.escape(part) for place, part in enumerate(parts)
    )
