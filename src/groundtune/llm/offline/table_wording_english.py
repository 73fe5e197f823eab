"""English questions and answers for cells, columns and pairs of rows."""

from __future__ import annotations

import re

from groundtune.llm.offline.columns import Columns, has_figure
from groundtune.llm.offline.structure import Row, plain
from groundtune.llm.offline.topics import running

_NOUN = frozenset(["code", "field", "parameter", "status", "role", "screen", "line", "warehouse", "operation"])
_PLURAL = {"code": "codes", "field": "fields", "parameter": "parameters", "status": "statuses", "role": "roles"}

Asked = tuple[str, str]
"""Question and answer."""


def row_name(columns: Columns, key: str) -> str | None:
    """``error code STK-204``, ``the `lot_no` field``, ``NYY 4x16 mm²``; None when the key alone says nothing."""
    if columns.are_errors:
        return f"error code {key}"
    if columns.named in _NOUN:
        return f"the {key}" if key.lower().endswith(columns.named) else f"the {key} {columns.named}"
    if len(key) < 3 or re.fullmatch(r"[\d.,–-]+", key):
        return None if columns.holds[0] == "unasked" else f"{columns.label(0)} {key}"
    return key


def place(columns: Columns) -> str:
    """Where a field or status stands: fields of many screens share their names."""
    if columns.named not in ("field", "status", "code", "") or columns.are_errors or not columns.topic.owner:
        return ""
    return f" in {columns.topic.owner}"


def cell_question(columns: Columns, row: Row, column: int) -> Asked | None:
    key, value = plain(row.cells[0]), columns.amount(row, column)
    name, kind = row_name(columns, key), columns.holds[column]
    if name is None:
        return None
    where = place(columns)
    if kind == "meaning" and (columns.named or re.search(r"[`\d_]", key) or key.isupper()):
        return f"What does {name} mean{where}?", f"{capitalise(name)}: {value}."
    if kind == "meaning":
        return f"What is “{key}”{where}?", f"{key}: {value}."
    if kind == "remedy":
        return (f"What should be done about {name}?", f"{capitalise(name)}: {value}.") if columns.are_errors else None
    if kind == "type":
        return (
            (f"What is the type of {name}{where}?", f"The type of {name} is {value}.")
            if columns.named == "field"
            else None
        )
    if kind in ("value", "default") and columns.named in ("parameter", "field"):
        label = "default value" if kind == "default" else "value"
        return f"What is the {label} of {name}{where}?", f"The {label} of {name} is {value}."
    return _by_header(columns, name, where, column, value)


def _by_header(columns: Columns, name: str, where: str, column: int, value: str) -> Asked | None:
    label = columns.label(column)
    if not columns.is_telling(column):
        return None
    where = where if columns.named else ""
    if columns.named == "role" and label in ("may", "can"):
        return f"What may {name} do?", f"{capitalise(name)} may: {value}."
    if columns.named == "role":
        if len(label.split()) != 1 or value.lower() == "none":
            return None
        return f"Which {label} rights does {name} have?", f"{capitalise(label)} rights of {name}: {value}."
    if not has_figure(value) or len(value.split()) > 5 or len(label) < 3:
        return None
    return f"What is the {label} of {name}{where}?", f"The {label} of {name} is {value}."


def yes_no_question(columns: Columns, row: Row, column: int, answer: bool) -> Asked | None:
    key = plain(row.cells[0])
    name, where, label = row_name(columns, key), place(columns), columns.label(column)
    if name is None:
        return None
    if columns.holds[column] == "required":
        return f"Is {name} required{where}?", f"Yes, {name} is required." if answer else f"No, {name} is not required."
    if columns.named == "status" and len(label.split()) == 1:
        said = f"Yes, {label} is allowed in status {key}." if answer else f"No, {label} is not allowed in status {key}."
        return f"Is {label} allowed in status {key}{where}?", said
    return None


def column_question(columns: Columns, keys: list[str]) -> Asked | None:
    listed = capitalise(", ".join(keys[:-1]) + f" and {keys[-1]}.")
    heading, owner = columns.topic.heading, columns.topic.owner
    if (
        re.search(r"[^s]s$", heading.lower())
        and not re.search(r"^(?:how|what|why) | and ", heading.lower())
        and not columns.topic.is_generic
    ):
        return f"What are the {running(heading, 'en')}?", listed
    noun = "error codes" if columns.are_errors else _PLURAL.get(columns.named)
    return (f"What are the {noun} of {owner}?", listed) if noun and owner else None


def comparison_question(columns: Columns, keys: tuple[str, str]) -> str | None:
    one, two = (row_name(columns, key) for key in keys)
    if one is None or two is None:
        return None
    if columns.are_errors:
        return f"What is the difference between error codes {keys[0]} and {keys[1]}?"
    return f"What is the difference between {one} and {two}?"


def capitalise(text: str) -> str:
    """First letter in capitals unless the first word is an identifier."""
    first = text.split()[0] if text.split() else ""
    return text[:1].upper() + text[1:] if first.isalpha() else text
