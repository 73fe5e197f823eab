"""Tool descriptions and tool calls, as the many spellings of them become `ToolCall` and JSON text.

What this module does not do: check a call against its description.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from typing import Any

from groundtune.dataset.formats.json_rows import decode
from groundtune.dataset.formats.reasons import Malformed, Reason, shown
from groundtune.types import ToolCall


def json_text(value: Any) -> str:
    """The one spelling that JSON values get when they become text."""
    return json.dumps(value, ensure_ascii=False)


def read_tools(value: Any, field: str) -> tuple[str, ...]:
    """Descriptions from a list, from its JSON text, or from a list of JSON texts. Nothing, "" and [] are no tools.

    A bare function (``{"name": ..., "parameters": ...}``) is put into ``{"type": "function", "function": ...}``.

    >>> read_tools('[{"name": "now", "parameters": {}}]', "tools")
    ('{"type": "function", "function": {"name": "now", "parameters": {}}}',)
    """
    if isinstance(value, str):
        if not value.strip():
            return ()
        value = _parsed(value, Reason.TOOLS, field)
    if value is None:
        return ()
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise Malformed(Reason.TOOLS, field, shown(value))
    return tuple(_read_tool(item, f"{field}[{index}]") for index, item in enumerate(value))


def _read_tool(value: Any, field: str) -> str:
    text = value if isinstance(value, str) else ""
    if text:
        value = _parsed(text, Reason.TOOLS, field)
    if not isinstance(value, dict):
        raise Malformed(Reason.TOOLS, field, shown(value))
    wrapped = "function" in value
    if not wrapped:
        value = {"type": "function", "function": value}
    function = value["function"]
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Malformed(Reason.TOOLS, field, shown(value))
    return text if text and wrapped else json_text(value)


def keep_rest(item: Mapping[str, Any], known: Container[str], field: str, extra: dict[str, Any]) -> None:
    """Put what stands under other keys than the `known` ones into `extra`, by its place."""
    for key, value in item.items():
        if key not in known and value is not None:
            extra[f"{field}.{key}"] = value


def read_calls(value: Any, field: str, extra: dict[str, Any]) -> tuple[ToolCall, ...]:
    """Calls from a list or a single one: OpenAI's, bare ``{"name", "arguments"}``, or the JSON text of either."""
    if isinstance(value, str):
        value = _parsed(value, Reason.TOOL_CALL, field)
    if value is None:
        return ()
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        raise Malformed(Reason.TOOL_CALL, field, shown(value))
    return tuple(_read_call(item, f"{field}[{index}]", extra) for index, item in enumerate(value))


def _read_call(value: Any, field: str, extra: dict[str, Any]) -> ToolCall:
    if isinstance(value, str):
        value = _parsed(value, Reason.TOOL_CALL, field)
    if not isinstance(value, dict):
        raise Malformed(Reason.TOOL_CALL, field, shown(value))
    function, name_of_id = value, "id" if "id" in value else "call_id"
    if isinstance(value.get("function"), dict):
        function = value["function"]
        keep_rest(value, ("function", "type", name_of_id), field, extra)
    name, call_id = function.get("name"), value.get(name_of_id)
    if not isinstance(name, str) or not name or not isinstance(call_id, (str, type(None))):
        raise Malformed(Reason.TOOL_CALL, field, shown(value))
    key = "arguments" if "arguments" in function else "parameters"
    keep_rest(function, ("name", "type", name_of_id, key), field, extra)
    return ToolCall(name, _arguments(function.get(key), f"{field}.arguments"), call_id or "")


def _arguments(value: Any, field: str) -> str:
    """The JSON text of an object; text that is one stays as it was written."""
    if isinstance(value, dict):
        return json_text(value)
    if isinstance(value, str) and isinstance(_parsed(value, Reason.ARGUMENTS, field), dict):
        return value
    raise Malformed(Reason.ARGUMENTS, field, shown(value))


def _parsed(text: str, reason: Reason, field: str) -> Any:
    try:
        return decode(text)
    except Malformed as error:
        raise Malformed(reason, field, shown(text)) from error
