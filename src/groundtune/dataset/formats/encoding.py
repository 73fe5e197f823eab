"""Conversations as rows of each format. What a row cannot say is left to :mod:`groundtune.dataset.formats.losses` to find.

What this module does not do: write files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from groundtune.config import DataFormat
from groundtune.dataset.formats.shapes import behind_last_user
from groundtune.dataset.formats.thoughts import join_thoughts
from groundtune.types import Conversation, Message, ToolCall


class NotWritable(Exception):  # noqa: N818 - an outcome that is counted, not an error
    """The format has no place for this conversation at all; the text says why."""


def encode(conversation: Conversation, data_format: DataFormat) -> dict[str, Any]:
    """The row of a conversation: the format's own columns, then the conversation's other ones.

    Raises:
        NotWritable: when nothing of it can be said in that format.
    """
    if data_format == "text":
        if not conversation.text:
            raise NotWritable("not written: no raw text")
        row: dict[str, Any] = {"text": conversation.text}
    else:
        if not conversation.messages:
            raise NotWritable("not written: raw text")
        row = _CHAT[data_format](conversation)
    if conversation.language:
        row["language"] = conversation.language
    row.update((name, value) for name, value in conversation.fields.items() if name not in row)
    return row


def _alpaca(conversation: Conversation) -> dict[str, Any]:
    turns = list(conversation.messages)
    row: dict[str, Any] = {}
    if turns[0].role == "system":
        row["system"] = turns.pop(0).content
    in_turn = all(turn.role == ("user", "assistant")[index % 2] for index, turn in enumerate(turns))
    if not turns or len(turns) % 2 or not in_turn:
        raise NotWritable("not written: turns that are not question and answer in turn")
    if any(turn.tool_calls for turn in turns):
        raise NotWritable("not written: tool calls")
    texts = [_said(turn) for turn in turns]
    row = {"instruction": texts[-2], "input": "", "output": texts[-1], **row}
    if len(texts) > 2:
        row["history"] = [list(pair) for pair in zip(texts[:-2:2], texts[1:-2:2], strict=True)]
    if conversation.desired is not None:
        row["kto_tag"] = conversation.desired
    return row


def _sharegpt(conversation: Conversation) -> dict[str, Any]:
    return _with_common(
        {"conversations": [turn for message in conversation.messages for turn in _from_value(message)]}, conversation
    )


def _messages(conversation: Conversation) -> dict[str, Any]:
    return _with_common({"messages": _role_content(conversation.messages)}, conversation)


def _prompt_completion(conversation: Conversation) -> dict[str, Any]:
    turns = conversation.messages
    plain = len(turns) == 2 and turns[0] == Message("user", turns[0].content)
    if plain and turns[1] == Message("assistant", turns[1].content, turns[1].thinking):
        row: dict[str, Any] = {"prompt": turns[0].content, "completion": _said(turns[1])}
    else:
        row = {"prompt": _role_content(turns[:-1]), "completion": _role_content(turns[-1:])}
    return _with_common(row, conversation)


def _preference(conversation: Conversation) -> dict[str, Any]:
    if not conversation.rejected:
        raise NotWritable("not written: no worse answer")
    start = behind_last_user(conversation.messages)
    row: dict[str, Any] = {
        "prompt": _role_content(conversation.messages[:start]),
        "chosen": _role_content(conversation.messages[start:]),
        "rejected": _role_content(conversation.rejected),
    }
    if conversation.tools:
        row["tools"] = _tools(conversation.tools)
    return row


_CHAT: Mapping[DataFormat, Callable[[Conversation], dict[str, Any]]] = {
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "messages": _messages,
    "prompt_completion": _prompt_completion,
    "preference": _preference,
}


def _with_common(row: dict[str, Any], conversation: Conversation) -> dict[str, Any]:
    if conversation.tools:
        row["tools"] = _tools(conversation.tools)
    if conversation.desired is not None:
        row["label"] = conversation.desired
    return row


def _tools(tools: Sequence[str]) -> list[Any]:
    """As objects where those are read back letter by letter, otherwise as the texts they are."""
    values = [_value(text) for text in tools]
    return [
        value if json.dumps(value, ensure_ascii=False) == text else text
        for value, text in zip(values, tools, strict=True)
    ]


def _value(text: str) -> Any:
    """The JSON value of a text; the text itself when it is none, which reading back then refuses by name."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _said(message: Message) -> str:
    """Thoughts and content in one text."""
    return join_thoughts(message.thinking, message.content)


def _role_content(messages: Sequence[Message]) -> list[dict[str, Any]]:
    rows = []
    for message in messages:
        row: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.thinking:
            row["reasoning_content"] = message.thinking
        if message.tool_calls:
            row["tool_calls"] = [_openai_call(call) for call in message.tool_calls]
        if message.tool_call_id:
            row["tool_call_id"] = message.tool_call_id
        if message.name:
            row["name"] = message.name
        rows.append({**row, **_training(message)})
    return rows


def _openai_call(call: ToolCall) -> dict[str, Any]:
    row = {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return {"id": call.call_id, **row} if call.call_id else row


def _training(message: Message) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if message.train is not None:
        row["train"] = message.train
    if message.weight != 1.0:
        row["weight"] = message.weight
    return row


_FROM: Mapping[str, str] = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def _from_value(message: Message) -> list[dict[str, Any]]:
    """ShareGPT has a turn for words and another one for calls."""
    training = _training(message)
    if not message.tool_calls:
        return [{"from": _FROM[message.role], "value": _said(message), **training}]
    calls = [{"name": call.name, "arguments": _value(call.arguments)} for call in message.tool_calls]
    text = json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)
    if not message.content:
        return [{"from": "function_call", "value": join_thoughts(message.thinking, text), **training}]
    return [{"from": "gpt", "value": _said(message), **training}, {"from": "function_call", "value": text, **training}]
