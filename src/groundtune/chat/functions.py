"""Tools and tool calls: JSON text to the mappings that templates read.

What this module does not do: run tools, or check arguments against a schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from groundtune.errors import TemplateError
from groundtune.types import ToolCall


def tool_mappings(tools: Sequence[str]) -> list[dict[str, Any]]:
    """The schemas of `tools`.

    Raises:
        TemplateError: one is not a JSON object, or has no name.
    """
    schemas = [_json_object(text, f"tool {number}") for number, text in enumerate(tools, start=1)]
    for number, schema in enumerate(schemas, start=1):
        if not tool_name(schema):
            raise TemplateError(
                f"tool {number}: found no name in {tools[number - 1][:60]!r}; expected "
                '{"type": "function", "function": {"name": ..., "parameters": ...}}'
            )
    return schemas


def tool_name(schema: dict[str, Any]) -> str:
    """The function's name, "" where there is none."""
    function = schema.get("function", schema)
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def arguments_of(call: ToolCall, number: int) -> dict[str, Any]:
    """The arguments of `call`, which stands in message `number`.

    Raises:
        TemplateError: they are not a JSON object.
    """
    return _json_object(call.arguments or "{}", f"message {number} (assistant): arguments of {call.name!r}")


def leaves(value: Any) -> Iterator[str]:
    """Texts and numbers inside a JSON value, as they may stand in a rendering.

    >>> list(leaves({"lot": ["A", 3, True]}))
    ['A', '3']
    """
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_once)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise TemplateError(
            f"{where}: not a JSON object that can be written again ({error}); found {text[:60]!r}"
        ) from error
    if not isinstance(value, dict):
        raise TemplateError(f"{where}: found {text[:60]!r}; expected a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made
