"""Fields of a record of somebody else's making, each of the type it must have; what is wrong is told with its place.

What this module does not do: know what the fields mean.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from groundtune.errors import DataError

_SURROGATE = re.compile("[\ud800-\udfff]")


def objects_of(value: Mapping[str, Any], key: str, place: str) -> list[Mapping[str, Any]]:
    """A list of objects. Raises `DataError` where it is anything else."""
    found = value.get(key)
    if not isinstance(found, list):
        raise DataError(f"{place}{key}: found {shown(found)}; expected a list")
    for number, each in enumerate(found):
        if not isinstance(each, dict):
            raise DataError(f"{place}{key}[{number}]: found {shown(each)}; expected an object")
    return found


def texts_of(value: Mapping[str, Any], key: str, place: str, *, needed: bool = False) -> list[str]:
    """A text or a list of texts, each with a letter or a digit; of a field that is not there none, or an error where it is needed."""
    found = value.get(key)
    listed = found if isinstance(found, list) else [] if found is None else [found]
    if needed and not listed:
        raise DataError(f"{place}: field {key!r}: found nothing; expected a text")
    for each in listed:
        if not isinstance(each, str) or not any(map(str.isalnum, each)):
            raise DataError(f"{place}: field {key!r}: found {shown(each)}; expected a text with a letter or a digit")
        if "\0" in each:
            raise DataError(f"{place}: field {key!r}: found {shown(each)}; expected no NUL character in it")
        if _SURROGATE.search(each):
            raise DataError(f"{place}: field {key!r}: half a surrogate pair; expected whole Unicode characters")
    return [unicodedata.normalize("NFC", each.strip("\ufeff \t\r\n")) for each in listed]


def text_of(value: Mapping[str, Any], key: str, place: str, *, needed: bool = False) -> str:
    """One text; empty where it is not there and not needed."""
    if isinstance(value.get(key), list):
        raise DataError(f"{place}: field {key!r}: found {shown(value[key])}; expected one text")
    return "".join(texts_of(value, key, place, needed=needed))


def word_of(value: Mapping[str, Any], key: str, place: str) -> str:
    """A text as it stands; empty where it is not there."""
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise DataError(f"{place}: field {key!r}: found {shown(found)}; expected a text")
    return found or ""


def flag_of(value: Mapping[str, Any], key: str, place: str, *, default: bool) -> bool:
    """True or false; `default` where it is not there."""
    found = value.get(key)
    if found is not None and not isinstance(found, bool):
        raise DataError(f"{place}: field {key!r}: found {shown(found)}; expected true or false")
    return default if found is None else found


def identity_of(value: Mapping[str, Any], place: str) -> str:
    """The field `id`, a text or a whole number, as text; empty where it is not there."""
    found = value.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return word_of(value, "id", place)


def shown(value: object) -> str:
    """A value as a message shows it, at most 80 letters of it."""
    return "nothing" if value is None else f"{value!r:.80}"
