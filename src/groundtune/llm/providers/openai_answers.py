"""Reads answers of the chat-completions protocol: a stream of chunks, or one whole completion (JSON, batch files).

Servers of this protocol differ, so nothing is taken for granted: a field may be missing, null or of another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groundtune.llm.client import StopReason
from groundtune.llm.providers.mapping import CutOffError, ProtocolError
from groundtune.llm.providers.reply import Reply, Tokens, count, mapping, without_reasoning, words
from groundtune.llm.providers.streaming import Stream, read_answer

_STOP_REASONS: dict[str, StopReason] = {
    "stop": "end",
    "tool_calls": "end",
    "function_call": "end",
    "length": "max_tokens",
    "content_filter": "refusal",
}


@dataclass(slots=True)
class _Draft:
    """What has come so far."""

    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    finish: str | None = None
    usage: Mapping[str, Any] | None = None
    model: str = ""
    chunks: int = 0

    def add(self, chunk: Mapping[str, Any]) -> None:
        if chunk.get("object") == "error":  # older vLLM: an error as a chunk
            raise ProtocolError(str(chunk.get("message") or "an error in the stream"))
        self.model = words(chunk.get("model")) or self.model
        usage = chunk.get("usage")
        self.usage = usage if isinstance(usage, Mapping) else self.usage
        choices = chunk.get("choices")
        if isinstance(choices, list):
            self.chunks += 1
            for choice in choices[:1]:
                self._add_choice(mapping(choice))

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        self.finish = words(choice.get("finish_reason")) or self.finish
        part = mapping(choice.get("delta") or choice.get("message"))
        self.text.append(_text_of(part.get("content")))
        self.refusal.append(_text_of(part.get("refusal")))

    def reply(self) -> Reply:
        if not self.chunks:
            raise ProtocolError("no choices")
        if self.finish is None or self.finish == "error":
            raise CutOffError
        refusal = "".join(self.refusal)
        known = _STOP_REASONS.get(self.finish)
        return Reply(
            text=refusal or without_reasoning("".join(self.text)),
            stop_reason="refusal" if refusal else known or "end",
            model=self.model,
            tokens=_tokens(self.usage),
            remark="" if known else f"finish_reason {self.finish!r} is not known; it is taken for a finished answer",
        )


async def read_stream(stream: Stream) -> Reply:
    """Raises as :func:`groundtune.llm.providers.streaming.read_answer`."""
    return await read_answer(stream, _Draft(), read_completion)


def read_completion(body: object) -> Reply:
    """Of a whole completion as JSON; raises as `read_stream`."""
    if not isinstance(body, Mapping):
        raise ProtocolError(f"JSON that is no object: {type(body).__name__}")
    draft = _Draft()
    draft.add(body)
    return draft.reply()


def _text_of(content: object) -> str:
    """Content is text, or (some servers) a list of parts of which those of type text count."""
    if isinstance(content, list):
        parts = [mapping(part) for part in content]
        return "".join(words(part.get("text")) for part in parts if part.get("type") == "text")
    return words(content)


def _tokens(usage: Mapping[str, Any] | None) -> Tokens | None:
    """`prompt_tokens` includes the cached ones, here they are apart. `prompt_cache_hit_tokens` is DeepSeek's name."""
    if usage is None or not count(usage, "prompt_tokens"):
        return None
    details = mapping(usage.get("prompt_tokens_details"))
    read = count(details, "cached_tokens") or count(usage, "prompt_cache_hit_tokens")
    written = count(details, "cache_write_tokens")
    rest = max(0, count(usage, "prompt_tokens") - read - written)
    return Tokens(rest, count(usage, "completion_tokens"), read, written)
