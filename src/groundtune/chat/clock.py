"""Keeps the clock and chance out of chat templates, so that the same conversation has the same ids on any day.

Some templates write today's date. Here it is always ``PINNED_DATE``: the template's call of ``strftime_now`` meets a macro of
that name which knows one day only. What this module does not do: change a date that a template holds as text.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from groundtune.errors import TemplateError

PINNED_DATE = datetime(2024, 7, 26, 12, 0, 0)
"""The day that Llama 3.1's template names where nobody tells it another."""

_DIRECTIVES = {
    "%Y": "2024",
    "%y": "24",
    "%m": "07",
    "%-m": "7",
    "%B": "July",
    "%b": "Jul",
    "%h": "Jul",
    "%d": "26",
    "%-d": "26",
    "%e": "26",
    "%j": "208",
    "%A": "Friday",
    "%a": "Fri",
    "%u": "5",
    "%w": "5",
    "%H": "12",
    "%-H": "12",
    "%I": "12",
    "%-I": "12",
    "%p": "PM",
    "%M": "00",
    "%-M": "0",
    "%S": "00",
    "%-S": "0",
    "%f": "000000",
    "%F": "2024-07-26",
    "%T": "12:00:00",
    "%D": "07/26/24",
    "%R": "12:00",
    "%c": "Fri Jul 26 12:00:00 2024",
    "%x": "07/26/24",
    "%X": "12:00:00",
    "%Z": "",
    "%z": "",
}
"""Written out, because names of days and months depend on the machine's language."""

_CHANCE = re.compile(r"\|\s*random\b|\blipsum\s*\(")


@lru_cache(maxsize=64)
def without_clock(template: str) -> str:
    """`template`, where it asks for the time with a fixed answer; otherwise as it is.

    Raises:
        TemplateError: the template draws by chance.

    >>> without_clock("{{ messages }}")
    '{{ messages }}'
    """
    if _CHANCE.search(template):
        raise TemplateError(
            "the chat template draws by chance (random, lipsum), so no two renderings agree; expected one that writes the "
            "same text every time"
        )
    if "strftime_now" not in template:
        return template
    replaced = "".join(f" | replace({sign!r}, {text!r})" for sign, text in _DIRECTIVES.items())
    # the line feed is taken away with the block's end, and lets the template begin on a line of its own as before
    return "{% macro strftime_now(format) %}{{ format" + replaced + " }}{% endmacro %}\n" + template
