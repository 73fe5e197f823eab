"""Answers as the two protocols put them on the wire: one JSON body, or a stream of server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripted_log import Usage
from scripted_requests import ProviderRequest

_PIECES = 6
_CREATED = 1_760_000_000
_DECLINED = ("refusal", "content_filter")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, and why it stopped."""

    text: str
    usage: Usage
    stopped: str = "end"
    """``end``, ``max_tokens``, ``refusal`` or ``content_filter`` (on Anthropic's protocol a refusal without a word)."""
    as_text: bool = False
    """Said in words although a tool was there to be called."""


def body_of(request: ProviderRequest, answer: Answer) -> dict[str, Any]:
    """The whole answer as one JSON value."""
    if request.protocol == "anthropic":
        return _message(request, _content(request, answer), _anthropic_stop(request, answer), answer)
    refused = answer.stopped == "refusal"
    said = {
        "role": "assistant",
        "content": None if refused else answer.text,
        "refusal": answer.text if refused else None,
    }
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": _openai_stop(answer)}
    return {**_completion(request, "chat.completion"), "choices": [choice], "usage": openai_usage(answer.usage)}


def events_of(request: ProviderRequest, answer: Answer) -> list[bytes]:
    """The whole answer as server-sent events, the last of which ends it."""
    if request.protocol == "anthropic":
        return [
            f"event: {data['type']}\ndata: {_line(data)}\n\n".encode() for data in _anthropic_events(request, answer)
        ]
    return [f"data: {_line(data)}\n\n".encode() for data in _openai_chunks(request, answer)] + [b"data: [DONE]\n\n"]


def error_event(request: ProviderRequest, error: bytes) -> bytes:
    """An error in the midst of a stream, with the body of an ordinary one."""
    return (b"event: error\n" if request.protocol == "anthropic" else b"") + b"data: " + error + b"\n\n"


def openai_usage(usage: Usage) -> dict[str, Any]:
    prompt = usage.input + usage.cache_read + usage.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
    }


def anthropic_usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }


def _message(
    request: ProviderRequest, content: list[dict[str, Any]], stop: str | None, answer: Answer
) -> dict[str, Any]:
    message = {
        "id": f"msg_{request.key[:20]}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": anthropic_usage(answer.usage),
    }
    if stop == "refusal":
        message["stop_details"] = {"type": "refusal", "category": None, "explanation": answer.text or None}
    return message


def _content(request: ProviderRequest, answer: Answer) -> list[dict[str, Any]]:
    if answer.stopped in _DECLINED:
        return []
    if _calls_tool(request, answer):
        return [{**_tool_block(request), "input": _whole_part(answer.text)}]
    return [{"type": "text", "text": answer.text, "citations": None}] if answer.text else []


def _calls_tool(request: ProviderRequest, answer: Answer) -> bool:
    return request.mode == "tool" and not answer.as_text


def _tool_block(request: ProviderRequest) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{request.key[:20]}", "name": request.tool_name, "input": {}}


def _whole_part(text: str) -> dict[str, Any]:
    """A tool's input is an object even where the model wrote half of one: its complete pairs, or nothing."""
    ends = [position + 1 for position, letter in enumerate(text) if letter == "}"]
    for candidate in (text, *(text[:end] + "]}" for end in reversed(ends))):
        try:
            value = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return {}


def _anthropic_stop(request: ProviderRequest, answer: Answer) -> str:
    if answer.stopped == "end":
        return "tool_use" if _calls_tool(request, answer) else "end_turn"
    return "refusal" if answer.stopped in _DECLINED else answer.stopped


def _openai_stop(answer: Answer) -> str:
    return {"max_tokens": "length", "content_filter": "content_filter"}.get(answer.stopped, "stop")


def _anthropic_events(request: ProviderRequest, answer: Answer) -> Iterator[dict[str, Any]]:
    begun = Answer("", Usage(answer.usage.input, 1, answer.usage.cache_read, answer.usage.cache_write))
    yield {"type": "message_start", "message": _message(request, [], None, begun)}
    yield {"type": "ping"}
    if answer.stopped not in _DECLINED and (answer.text or _calls_tool(request, answer)):
        calls = _calls_tool(request, answer)
        yield {
            "type": "content_block_start",
            "index": 0,
            "content_block": _tool_block(request) if calls else {"type": "text", "text": ""},
        }
        for piece in _pieces(answer.text):
            delta = (
                {"type": "input_json_delta", "partial_json": piece} if calls else {"type": "text_delta", "text": piece}
            )
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
    stop = _anthropic_stop(request, answer)
    ended: dict[str, Any] = {"stop_reason": stop, "stop_sequence": None}
    if stop == "refusal":
        ended["stop_details"] = {"type": "refusal", "category": None, "explanation": answer.text or None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": answer.usage.output}}
    yield {"type": "message_stop"}


def _openai_chunks(request: ProviderRequest, answer: Answer) -> Iterator[dict[str, Any]]:
    place = "refusal" if answer.stopped == "refusal" else "content"

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**_completion(request, "chat.completion.chunk"), "choices": [choice]}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in _pieces(answer.text):
        yield chunk({place: piece})
    yield chunk({}, _openai_stop(answer))
    if (request.body.get("stream_options") or {}).get("include_usage"):
        yield {**_completion(request, "chat.completion.chunk"), "choices": [], "usage": openai_usage(answer.usage)}


def _completion(request: ProviderRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request.key[:20]}",
        "object": kind,
        "created": _CREATED,
        "model": request.model,
        "system_fingerprint": None,
    }


def _pieces(text: str) -> list[str]:
    size = max(1, -(-len(text) // _PIECES))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
