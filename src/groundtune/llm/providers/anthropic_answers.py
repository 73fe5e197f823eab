"""Reads answers of the Messages protocol: a stream of events, or one whole message (JSON, batch results).

The text is the input of the tool that was called, letter by letter as it came, so that an answer cut at `max_tokens` can
still be read up to where it was cut. A model that answers in words instead has its words as the text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groundtune.llm.client import StopReason
from groundtune.llm.providers.mapping import CutOffError, ProtocolError
from groundtune.llm.providers.reply import Reply, Tokens, count, mapping, words
from groundtune.llm.providers.streaming import Stream, read_answer

_STOP_REASONS: dict[str, StopReason] = {
    "tool_use": "end",
    "end_turn": "end",
    "stop_sequence": "end",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "refusal": "refusal",
}


@dataclass(slots=True)
class _Draft:
    """What has come so far."""

    calls: dict[int, list[str]] = field(default_factory=dict)
    """Pieces of the input of each call, by place in the answer."""
    said: list[str] = field(default_factory=list)
    stop: str | None = None
    why: str = ""
    """Of a refusal, where the service says."""
    usage: dict[str, int] = field(default_factory=dict)
    model: str = ""
    begun: bool = False

    def add(self, event: Mapping[str, Any]) -> None:
        kind = event.get("type")
        if kind == "message_start":
            self._begin(mapping(event.get("message")))
        elif kind == "content_block_start":
            self._add_block(count(event, "index"), mapping(event.get("content_block")))
        elif kind == "content_block_delta":
            self._add_delta(count(event, "index"), mapping(event.get("delta")))
        elif kind == "message_delta":
            self._end(mapping(event.get("delta")))
            self._count(mapping(event.get("usage")))

    def add_message(self, message: Mapping[str, Any]) -> None:
        """A whole message at once."""
        self._begin(message)
        self._end(message)
        content = message.get("content")
        for place, block in enumerate(content if isinstance(content, list) else []):
            self._add_block(place, mapping(block))

    def _begin(self, message: Mapping[str, Any]) -> None:
        self.begun = message.get("type") == "message"
        self.model = words(message.get("model"))
        self._count(mapping(message.get("usage")))

    def _end(self, said: Mapping[str, Any]) -> None:
        self.stop = words(said.get("stop_reason")) or self.stop
        self.why = words(mapping(said.get("stop_details")).get("explanation")) or self.why

    def _add_block(self, place: int, block: Mapping[str, Any]) -> None:
        if block.get("type") == "tool_use":
            whole = block.get("input")  # empty at the beginning of a stream
            self.calls[place] = [json.dumps(whole, ensure_ascii=False)] if whole else []
        elif block.get("type") == "text":
            self.said.append(words(block.get("text")))

    def _add_delta(self, place: int, delta: Mapping[str, Any]) -> None:
        if delta.get("type") == "input_json_delta":
            self.calls.setdefault(place, []).append(words(delta.get("partial_json")))
        elif delta.get("type") == "text_delta":
            self.said.append(words(delta.get("text")))

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Counts are cumulative, and not every event repeats all of them: the highest is the last."""
        for name in usage:
            self.usage[name] = max(self.usage.get(name, 0), count(usage, name))

    def reply(self) -> Reply:
        if not self.begun:
            raise ProtocolError("no message")
        if self.stop is None:
            raise CutOffError
        calls = ["".join(pieces) for _, pieces in sorted(self.calls.items())]
        known = _STOP_REASONS.get(self.stop)
        remark = "" if known else f"stop_reason {self.stop!r} is not known; it is taken for a finished answer"
        if len(calls) > 1:
            remark = "an answer called the tool more than once; the first call is taken"
        return Reply(
            text=next(filter(None, calls), "") or "".join(self.said) or self.why,
            stop_reason=known or "end",
            model=self.model,
            tokens=_tokens(self.usage),
            remark=remark,
        )


async def read_stream(stream: Stream) -> Reply:
    """Raises as :func:`groundtune.llm.providers.streaming.read_answer`."""
    return await read_answer(stream, _Draft(), read_message)


def read_message(body: object) -> Reply:
    """Of a whole message as JSON; raises as `read_stream`.

    A tool input that was cut comes mended by the service here, without what did not fit.
    """
    if not isinstance(body, Mapping):
        raise ProtocolError(f"JSON that is no object: {type(body).__name__}")
    draft = _Draft()
    draft.add_message(body)
    return draft.reply()


def _tokens(usage: Mapping[str, Any]) -> Tokens | None:
    """`input_tokens` holds neither of the cached ones, as ours."""
    if "output_tokens" not in usage:
        return None
    return Tokens(
        input=count(usage, "input_tokens"),
        output=count(usage, "output_tokens"),
        cache_read=count(usage, "cache_read_input_tokens"),
        cache_write=count(usage, "cache_creation_input_tokens"),
    )
