"""What was read from a provider, before it becomes an `LLMResponse`; and the notes a client keeps of its dealings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.llm.client import LLMRequest, LLMResponse, StopReason

BYTES_PER_TOKEN = 3
"""Of the estimate where a server tells no counts; cautious: most tokenizers make fewer tokens than this."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it came."""

    text: str
    stop_reason: StopReason
    model: str
    tokens: Tokens | None
    """None: the server did not say."""
    remark: str = ""
    """Something odd about it that a note should say once."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counted once each: `input` holds neither of the cached ones."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0


class Notes(list[str]):
    """What a user should know about a server, each said once."""

    def say(self, text: str) -> None:
        if text not in self:
            self.append(text)


def response_of(reply: Reply, asked_model: str, request: LLMRequest | None = None) -> LLMResponse:
    """Without counts from the server they are estimated from the bytes that were sent (if known) and that came."""
    tokens = reply.tokens
    if tokens is None:
        asked = "" if request is None else f"{request.system}{request.full_prompt}{request.schema}"
        tokens = Tokens(_estimate(asked), _estimate(reply.text))
    return LLMResponse(
        text=reply.text,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        stop_reason=reply.stop_reason,
        model=reply.model or asked_model,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
    )


def count(usage: Mapping[str, Any], name: str) -> int:
    """A count out of `usage`; 0 where it is missing or no number."""
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is an object of JSON, else an empty one: servers are not always what their documentation says."""
    return value if isinstance(value, Mapping) else {}


def words(value: object) -> str:
    """`value` if it is text, else none."""
    return value if isinstance(value, str) else ""


def _estimate(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def without_reasoning(text: str) -> str:
    """`text` without the thoughts that some models write before the answer.

    >>> without_reasoning('<think>is it {1}?</think>\\n{"pairs": []}')
    '{"pairs": []}'
    >>> without_reasoning("<think>cut in the middle of")
    ''
    """
    start = text.lstrip()
    if start.startswith("<think>"):
        return start.partition("</think>")[2].lstrip()
    if "</think>" in start and not re.match(r"[{\[`]", start):  # the template opened the block before the answer began
        return start.partition("</think>")[2].lstrip()
    return text
