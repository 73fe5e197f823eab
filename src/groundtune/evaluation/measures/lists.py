"""The form of a text: numbered steps, bullets, a table; and the text without the numbers that only count its lines.

What this module does not do: parse Markdown whole. It looks at the beginnings of lines.
"""

from __future__ import annotations

import re
from typing import Literal

Form = Literal["numbered steps", "list", "table"]

_ITEM = re.compile(
    r"^(?P<indent>[ \t>]*)(?:\*\*|__)?(?P<number>\d{1,2})(?P<mark>[.)]|-(?=[ \t]))(?:\*\*|__)?(?:[ \t]+|(?=[^\W\d_]))(?P<rest>\S)",
    re.MULTILINE,
)
_BULLET = re.compile(r"^[ \t>]*[-*+•–][ \t]+\S", re.MULTILINE)
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)+\|?[ \t]*$", re.MULTILINE)
_STEP_LABEL = re.compile(
    r"^(?P<lead>[ \t>#*_]*(?:adım|step)[ \t]+)(?P<number>\d{1,2})(?=[ \t]*(?:[.:)–*_-]|$))",
    re.MULTILINE | re.IGNORECASE,
)

FEWEST_ITEMS = 2


def forms(text: str) -> tuple[Form, ...]:
    """Which forms `text` has, of those with at least two items.

    >>> forms("1. Open.\\n2. Save."), forms("- a\\n- b"), forms("Open it, then save.")
    (('numbered steps', 'list'), ('list',), ())
    >>> forms("Step 1: Open.\\nStep 2: Save.")
    ('numbered steps', 'list')
    """
    found: list[Form] = []
    labelled = [int(match["number"]) for match in _STEP_LABEL.finditer(text)]
    is_labelled = len(labelled) >= FEWEST_ITEMS and labelled == list(range(1, len(labelled) + 1))
    is_numbered = is_labelled or len(_counted(text)) >= FEWEST_ITEMS
    if is_numbered:
        found.append("numbered steps")
    if is_numbered or len(_BULLET.findall(text)) >= FEWEST_ITEMS:
        found.append("list")
    if _TABLE_RULE.search(text):
        found.append("table")
    return tuple(found)


def without_list_numbers(text: str) -> str:
    """`text` with spaces where a number only counts lines or steps, so that it keeps its length.

    Lines must count from 1 upwards by one; a ``1.`` that no 2 follows counts where a capital or a mark stands behind it.

    >>> without_list_numbers("1. Open.\\n2. Save 3 lots.")
    '   Open.\\n   Save 3 lots.'
    >>> without_list_numbers("3. gün"), without_list_numbers("Step 2: save")
    ('3. gün', 'Step  : save')
    """
    spans = [(match.start("number"), match.end("mark")) for match in _counted(text)]
    spans += [match.span("number") for match in _STEP_LABEL.finditer(text)]
    letters = list(text)
    for start, end in spans:
        letters[start:end] = " " * (end - start)
    return "".join(letters)


def _counted(text: str) -> list[re.Match[str]]:
    counted: list[re.Match[str]] = []
    due: dict[str, int] = {}
    """By indent: the number that comes next."""
    for match in _ITEM.finditer(text):
        number, indent = int(match["number"]), match["indent"]
        if number == due.get(indent):
            counted.append(match)
            due[indent] = number + 1
        elif number == 1 and (not match["rest"].islower() or _goes_on(text, match)):
            counted.append(match)
            due[indent] = 2
    return counted


def _goes_on(text: str, first: re.Match[str]) -> bool:
    following = _ITEM.search(text, first.end())
    return following is not None and following["number"] == "2" and following["indent"] == first["indent"]
