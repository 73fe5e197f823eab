"""Tokens, about four bytes each, and the providers' prompt caches that make some of them cheaper.

What this module does not do: let a cache expire. Anthropic's cache holds what `cache_control` marks; OpenAI's takes every
prefix, in steps of 128 tokens. Both begin at `min_tokens`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from scripted_log import Usage
from scripted_requests import ProviderRequest

_STEP_TOKENS = 128
_FRAME_TOKENS = 8
"""What a provider adds around the messages."""


def count_tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)


class PromptCache:
    """Prefixes seen before, by model."""

    def __init__(self, min_tokens: int) -> None:
        self._min_tokens = min_tokens
        self._seen: set[bytes] = set()

    def usage(self, request: ProviderRequest, answer: str) -> Usage:
        """What the request costs now; afterwards its prefix is in the cache."""
        read, written, total = self._anthropic(request) if request.protocol == "anthropic" else self._openai(request)
        return Usage(total - read - written, count_tokens(answer), read, written)

    def _anthropic(self, request: ProviderRequest) -> tuple[int, int, int]:
        tokens, read, marked = _FRAME_TOKENS, 0, 0
        digest = hashlib.sha256(request.model.encode())
        marks = []
        for text, is_marked in _blocks(request.body):
            tokens += count_tokens(text)
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
            prefix = digest.digest()
            if tokens >= self._min_tokens and prefix in self._seen:
                read = tokens
            if is_marked and tokens >= self._min_tokens:
                marks.append(prefix)
                marked = tokens
        self._seen.update(marks)
        read = min(read, marked)
        return read, marked - read, tokens

    def _openai(self, request: ProviderRequest) -> tuple[int, int, int]:
        text = request.system + "".join(said for _, said in request.messages) + json.dumps(request.schema)
        data = text.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(request.model.encode())
        read = 0
        step = _STEP_TOKENS * 4
        for end in range(step, len(data) + 1, step):
            digest.update(data[end - step : end])
            if end // 4 < self._min_tokens:
                continue
            prefix = digest.digest()[:12]
            if prefix in self._seen:
                read = end // 4
            self._seen.add(prefix)
        return read, 0, count_tokens(text) + _FRAME_TOKENS


def _blocks(body: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Tools, system, messages, in the order in which a prefix is made of them; with whether a breakpoint stands behind."""
    for tool in body.get("tools") or ():
        yield (
            json.dumps({name: tool[name] for name in tool if name != "cache_control"}),
            bool(tool.get("cache_control")),
        )
    contents = [body.get("system") or "", *(message.get("content") or "" for message in body.get("messages") or ())]
    for content in contents:
        for block in [{"text": content}] if isinstance(content, str) else content:
            said = {name: value for name, value in block.items() if name not in ("cache_control", "type")}
            yield str(said.get("text", json.dumps(said, ensure_ascii=False))), bool(block.get("cache_control"))
