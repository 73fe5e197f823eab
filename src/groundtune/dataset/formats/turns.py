"""Messages of every spelling to `Message`: role names, content in parts, thoughts, tool calls, weights.

What this module does not do: know in which column of a row the messages stand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from groundtune.dataset.formats.columns import Layout, Speaker
from groundtune.dataset.formats.json_rows import decode
from groundtune.dataset.formats.reasons import Malformed, Reason, shown
from groundtune.dataset.formats.thoughts import split_thoughts
from groundtune.dataset.formats.tools import keep_rest, read_calls
from groundtune.types import Message, Role, ToolCall

_THINKING_KEYS = ("reasoning_content", "thinking", "reasoning")
_WEIGHT_KEYS = ("weight", "loss_weight")
_READ_KEYS = frozenset((*_THINKING_KEYS, *_WEIGHT_KEYS, "train", "tool_calls", "function_call", "tool_call_id", "name"))
_MEDIA_PARTS = frozenset(
    (
        "image",
        "image_url",
        "input_image",
        "video",
        "video_url",
        "audio",
        "audio_url",
        "input_audio",
        "file",
        "input_file",
    )
)
_THINKING_PARTS = ("reasoning", "thinking")


def read_turns(value: Any, field: str, layout: Layout, extra: dict[str, Any]) -> tuple[Message, ...]:
    """The messages of a list (or of its JSON text). Keys that no part of a `Message` is made from go to `extra`.

    Raises:
        Malformed: for the first message that cannot be read, with its place.
    """
    if type(value) is str:
        value = parsed_list(value, field)
    if type(value) is not list:
        raise Malformed(Reason.NOT_LIST, field, shown(value))
    if not value:
        raise Malformed(Reason.NO_MESSAGES, field)
    messages: list[Message] = []
    answered = False
    for index, item in enumerate(value):
        if type(item) is not dict:
            raise Malformed(Reason.MESSAGE_NOT_OBJECT, f"{field}[{index}]", shown(item))
        message = _read_message(item, field, index, layout, extra)
        if message.role == "assistant":
            answered = True
        elif message.role == "tool" and not answered:
            raise Malformed(Reason.STRAY_RESULT, f"{field}[{index}]", shown(message.content))
        messages.append(message)
    return tuple(messages)


def _read_message(item: dict[str, Any], field: str, index: int, layout: Layout, extra: dict[str, Any]) -> Message:
    role_key = layout.role_key or ("role" if "role" in item else "from")
    content_key = layout.content_key or ("content" if role_key == "role" else "value")
    content = item.get(content_key)
    said = item.get(role_key)
    speaker = layout.roles.get(said) if type(said) is str else None
    if speaker is None:
        speaker = _speaker(item, role_key, f"{field}[{index}]", layout.roles)
    if len(item) == 2 and type(content) is str and speaker != "call":
        # most messages of the world: a role and its text
        if speaker != "assistant":
            return Message(speaker, content)
        return _answer(*split_thoughts(content), f"{field}[{index}].{content_key}")
    return _read_rich(item, speaker, (role_key, content_key), f"{field}[{index}]", extra)


def _speaker(item: Mapping[str, Any], key: str, place: str, roles: Mapping[str, Speaker]) -> Speaker:
    name = item.get(key)
    if name is None:
        raise Malformed(Reason.MESSAGE_KEY, f"{place}.{key}", shown(item))
    if not isinstance(name, str):
        raise Malformed(Reason.NOT_TEXT, f"{place}.{key}", shown(name))
    speaker = roles.get(name.strip().lower())
    if speaker is None:
        raise Malformed(Reason.UNKNOWN_ROLE, f"{place}.{key}", shown(name))
    return speaker


def _answer(thinking: str, content: str, place: str) -> Message:
    if not content or content.isspace():
        raise Malformed(Reason.EMPTY_ANSWER, place, shown(content))
    return Message("assistant", content, thinking)


def _read_rich(
    item: dict[str, Any], speaker: Speaker, keys: tuple[str, str], place: str, extra: dict[str, Any]
) -> Message:
    """A message with more than a role and a text."""
    role: Role = "assistant" if speaker == "call" else speaker
    calls_key = "tool_calls" if item.get("tool_calls") else "function_call"
    thinking, content, calls = _said(item, speaker, keys[1], calls_key, place, extra)
    if role == "assistant" and not calls and not content.strip():
        raise Malformed(Reason.EMPTY_ANSWER, f"{place}.{keys[1]}", shown(content))
    if role != "assistant" and (calls or thinking):
        raise Malformed(Reason.TOOL_CALL, place, f"thoughts or tool calls of a {role} turn")
    unused_key = "function_call" if calls_key == "tool_calls" else "tool_calls"
    keep_rest(item, _READ_KEYS.union(keys) - ({unused_key} if item.get(unused_key) else set()), place, extra)
    return Message(
        role,
        content,
        thinking,
        calls,
        _optional_text(item, "tool_call_id", place),
        _optional_text(item, "name", place),
        _train(item, place),
        _weight(item, place),
    )


def _said(
    item: dict[str, Any], speaker: Speaker, key: str, calls_key: str, place: str, extra: dict[str, Any]
) -> tuple[str, str, tuple[ToolCall, ...]]:
    """Thoughts, text and calls of a message, wherever in it they stand."""
    if key not in item and not item.get(calls_key):
        raise Malformed(Reason.MESSAGE_KEY, f"{place}.{key}", shown(item))
    calls = read_calls(item[calls_key], f"{place}.{calls_key}", extra) if item.get(calls_key) else ()
    where = f"{place}.{key}"
    thinking = _thinking(item, place, extra)
    if speaker == "call" and not isinstance(item.get(key), str):
        return thinking, "", (*calls, *read_calls(item.get(key), where, extra))
    thoughts, content, written = _content(item.get(key), where, speaker, extra)
    calls += tuple(call for text in written for call in read_calls(text, where, extra))
    if speaker in ("assistant", "call") and not thoughts and not thinking:
        thoughts, content = split_thoughts(content)
    if thinking and thoughts:
        extra[f"{where}.thinking"] = thoughts
    if speaker == "call" and content:
        calls, content = (*calls, *read_calls(content, where, extra)), ""
    return thinking or thoughts, content, calls


def _content(value: Any, place: str, speaker: Speaker, extra: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Thoughts, text, and tool calls written as parts of the content."""
    if isinstance(value, str):
        return "", value, []
    if value is None and speaker == "assistant":
        # beside tool calls there need be none; otherwise this is an empty answer
        return "", "", []
    if not isinstance(value, list):
        raise Malformed(Reason.NOT_TEXT, place, shown(value))
    words: dict[str, list[str]] = {"thinking": [], "text": [], "tool_call": []}
    for index, part in enumerate(value):
        kind, text = _part(part, f"{place}[{index}]", extra)
        words[kind].append(text)
    return "\n\n".join(words["thinking"]), "".join(words["text"]), words["tool_call"]


def _part(part: Any, place: str, extra: dict[str, Any]) -> tuple[str, str]:
    """One part of a content: its kind (text, thinking or tool_call) and its text."""
    if isinstance(part, str):
        return "text", part
    if not isinstance(part, dict):
        raise Malformed(Reason.NOT_TEXT, place, shown(part))
    kind = part.get("type", "text")
    if not isinstance(kind, str):
        raise Malformed(Reason.UNKNOWN_PART, f"{place}.type", shown(kind))
    if kind in _MEDIA_PARTS:
        raise Malformed(Reason.MEDIA, f"{place}.type", shown(kind))
    known = {"text": "text", "input_text": "text", "output_text": "text", "tool_call": "tool_call"}
    known.update(dict.fromkeys(_THINKING_PARTS, "thinking"))
    if kind not in known:
        raise Malformed(Reason.UNKNOWN_PART, f"{place}.type", shown(kind))
    key = next((key for key in ("text", "value", kind) if part.get(key) is not None), "text")
    words = part.get(key)
    if not isinstance(words, str):
        raise Malformed(Reason.NOT_TEXT, place, shown(words))
    keep_rest(part, ("type", key), place, extra)
    return known[kind], words


def _thinking(item: Mapping[str, Any], place: str, extra: dict[str, Any]) -> str:
    """Thoughts that stand under a key of their own, the first that has some; others that differ go to `extra`."""
    thinking = ""
    for key in _THINKING_KEYS:
        text = _optional_text(item, key, place)
        if text and thinking and text != thinking:
            extra[f"{place}.{key}"] = text
        thinking = thinking or text
    return thinking


def _optional_text(item: Mapping[str, Any], key: str, place: str) -> str:
    value = item.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(Reason.NOT_TEXT, f"{place}.{key}", shown(value))
    return value


def _train(item: Mapping[str, Any], place: str) -> bool | None:
    value = item.get("train")
    if value is None or isinstance(value, bool):
        return value
    raise Malformed(Reason.TRAIN, f"{place}.train", shown(value))


def _weight(item: Mapping[str, Any], place: str) -> float:
    for key in _WEIGHT_KEYS:
        value = item.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise Malformed(Reason.WEIGHT, f"{place}.{key}", shown(value))
        return float(value)
    return 1.0


def parsed_list(text: str, field: str) -> Any:
    """A list that stands as JSON text in a cell of a table."""
    try:
        return decode(text)
    except Malformed as error:
        raise Malformed(Reason.NOT_LIST, field, shown(text)) from error
