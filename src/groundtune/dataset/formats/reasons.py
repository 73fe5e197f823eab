"""Why a row of instruction data is left out: one fixed list, so that rows can be counted by it.

What this module does not do: decide. Readers raise :class:`Malformed`; :mod:`groundtune.dataset.formats.reading` turns it
into a `LeftOut` (or, with ``strict``, into a `DataError`).
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any

MAX_ROW_BYTES = 10_000_000
"""Largest row that is read, in bytes of UTF-8: 10 MB, some three million tokens."""

MAX_FOUND = 80
"""Characters of what was found that a `LeftOut` shows."""


class Reason(StrEnum):
    """Every reason a reader gives. The value is what a `LeftOut` says."""

    NOT_JSON = "not valid JSON"
    NOT_UTF8 = "not UTF-8 text"
    SURROGATE = "half a surrogate pair in the text"
    NUL = "NUL character in the text"
    TOO_LARGE = "row over 10 MB"
    TOO_DEEP = "nested too deeply"
    KEY_TWICE = "the same key twice"
    NOT_OBJECT = "not an object"
    CUT_OFF = "file cut off or damaged"
    CELLS = "cells do not match the column names"
    COLUMN_MISSING = "a column is missing"
    NOT_TEXT = "something else where text should be"
    NOT_LIST = "something else where a list should be"
    MESSAGE_NOT_OBJECT = "a message is not an object"
    MESSAGE_KEY = "a message lacks its role or content"
    UNKNOWN_ROLE = "unknown role"
    NO_MESSAGES = "no messages"
    NO_ANSWER = "no assistant turn"
    EMPTY_ANSWER = "empty answer"
    EMPTY_PROMPT = "empty prompt"
    EMPTY_TEXT = "empty text"
    STRAY_RESULT = "tool result before any assistant turn"
    MEDIA = "image, sound or video"
    UNKNOWN_PART = "content part of an unknown type"
    TOOL_CALL = "tool call cannot be read"
    ARGUMENTS = "tool arguments are not a JSON object"
    TOOLS = "tool description cannot be read"
    LABEL = "label is not true or false"
    WEIGHT = "weight is not a number from 0 up"
    TRAIN = "train is not true or false"
    SAME_ANSWERS = "chosen and rejected are the same"
    PARTED = "chosen and rejected part before the last user turn"
    SEVERAL_ANSWERS = "several answers in one row"


REASONS: tuple[str, ...] = tuple(reason.value for reason in Reason)
"""The fixed list. Those from "not valid JSON" to "cells do not match the column names" are about the file and the row as it
is written, the others about what the row says. "file cut off or damaged" stands for all that would have followed."""


class Malformed(Exception):  # noqa: N818 - it is a value that readers yield as often as an error that they raise
    """A row that cannot become a conversation: `reason`, the `field` it is about, and what was `found` there."""

    def __init__(self, reason: Reason, field: str = "", found: str = "") -> None:
        super().__init__(reason, field, found)
        self.reason = reason
        self.field = field
        self.found = found


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\u2028\u2029]")


def shown(value: Any) -> str:
    r"""`value` in at most `MAX_FOUND` characters that can be printed and written as UTF-8.

    >>> shown(["a", 1]), shown("x\ud800\n"), len(shown("long " * 40))
    ('["a", 1]', 'x\\ud800\\n', 80)
    """
    if not isinstance(value, str):
        # a cut copy, so that a row of megabytes is not written out for 80 characters
        value = json.dumps(_cut(value, depth=3), ensure_ascii=False, default=str)
    text = _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), value[: MAX_FOUND + 1])
    return text if len(text) <= MAX_FOUND else text[: MAX_FOUND - 1] + "…"


def _cut(value: Any, *, depth: int) -> Any:
    if isinstance(value, str):
        return value[: MAX_FOUND + 1]
    if isinstance(value, list):
        return [_cut(item, depth=depth - 1) for item in value[:8]] if depth else []
    if isinstance(value, dict):
        return {str(key): _cut(value[key], depth=depth - 1) for key in list(value)[:8]} if depth else {}
    return value


def bad_text(value: Any, field: str = "") -> Malformed | None:
    r"""The first NUL or lone surrogate inside a JSON value, with the place it stands in.

    >>> found = bad_text({"messages": [{"content": "ok"}, {"content": "a\ud800"}]})
    >>> found.field
    'messages[1].content'
    """
    if isinstance(value, str):
        if "\0" in value:
            return Malformed(Reason.NUL, field, shown(value))
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            return Malformed(Reason.SURROGATE, field, shown(value[max(0, error.start - 30) : error.start + 30]))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if found := bad_text(item, f"{field}[{index}]"):
                return found
    elif isinstance(value, dict):
        for key, item in value.items():
            place = f"{field}.{shown(key)}" if field else shown(key)
            if found := bad_text(item, place) or bad_text(key, f"{place} (the name)"):
                return found
    return None
