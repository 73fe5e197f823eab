"""Which format rows are in, seen by their columns and by the keys of their messages.

A format that cannot be told is an error that says what was found and how to say it; nothing is guessed. What this module
does not do: check whether the rows are well formed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from groundtune.config import DataFormat
from groundtune.dataset.formats.columns import DEFAULT_COLUMNS, NEEDED
from groundtune.dataset.formats.reasons import Malformed, shown
from groundtune.dataset.formats.turns import parsed_list
from groundtune.errors import DataError

SAMPLE_ROWS = 200
"""Rows that are looked at."""

_ORDER: tuple[DataFormat, ...] = tuple(name for name in get_args(DataFormat) if name != "auto")


def detect_format(rows: Iterable[Mapping[str, Any]], *, where: str = "the data") -> DataFormat:
    """The one format that rows are in. Rows that look like none are passed over as long as others look like one.

    >>> detect_format([{"instruction": "Add.", "input": "1, 2", "output": "3"}])
    'alpaca'
    >>> detect_format([{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}])
    'sharegpt'

    Raises:
        DataError: naming the candidates, and how the configuration says which is meant.
    """
    left: set[DataFormat] | None = None
    columns: dict[str, None] = {}
    for row in rows:
        columns.update(dict.fromkeys(row))
        candidates = _candidates(row)
        if not candidates:
            continue
        if left is not None and not left & candidates:
            raise DataError(
                f"{where}: some rows look like {_listed(left)} and others like {_listed(candidates)}; put them into files of "
                "their own and name each as a source"
            )
        left = candidates if left is None else left & candidates
    if not left:
        raise DataError(
            f"{where}: the format of these rows is not known; their columns are {', '.join(map(shown, columns))}. Say it with "
            f"`format: {'|'.join(_ORDER)}`, and `columns: {{messages: NAME}}` where a column is called otherwise"
        )
    if len(left) > 1:
        raise DataError(
            f"{where}: these rows could be {_listed(left)}; say which with `format: {sorted(left, key=_ORDER.index)[0]}` in the "
            "data source"
        )
    return next(iter(left))


def _listed(formats: set[DataFormat]) -> str:
    return " or ".join(sorted(formats, key=_ORDER.index))


def _candidates(row: Mapping[str, Any]) -> set[DataFormat]:
    found: set[DataFormat] = {name for name in ("alpaca", "prompt_completion", "squad") if _has_needed(row, name)}
    found |= _dialogue(row)
    if _has_needed(row, "preference"):
        # a dialogue that ends before the answer is the prompt of the pair; the other formats need an answer of their own
        found = {name for name in found if name not in ("sharegpt", "messages") or _ends_answered(row)}
        found.add("preference")
    if not found and any(isinstance(row.get(name), str) for name in DEFAULT_COLUMNS["text"]["text"]):
        found.add("text")
    return found


def _has_needed(row: Mapping[str, Any], name: DataFormat) -> bool:
    columns = DEFAULT_COLUMNS[name]
    return all(any(column in row for part in group for column in columns[part]) for group in NEEDED[name])


def _turns(row: Mapping[str, Any]) -> list[Any]:
    for column in DEFAULT_COLUMNS["messages"]["messages"]:
        value = row.get(column)
        if isinstance(value, str):
            try:
                value = parsed_list(value, column)
            except Malformed:
                continue
        if isinstance(value, list) and value:
            return value
    return []


def _dialogue(row: Mapping[str, Any]) -> set[DataFormat]:
    keys = {key for turn in _turns(row) if isinstance(turn, dict) for key in turn}
    pairs = {"sharegpt": ("from", "value"), "messages": ("role", "content")}
    named = {name for name, needed in pairs.items() if set(needed) <= keys}
    # turns that only call tools have a role and no content
    return cast("set[DataFormat]", named or ({"messages"} if "role" in keys else set()))


def _ends_answered(row: Mapping[str, Any]) -> bool:
    turns = _turns(row)
    last = turns[-1] if turns and isinstance(turns[-1], dict) else {}
    return str(last.get("role", last.get("from"))).lower() in ("assistant", "gpt", "chatgpt", "model")
