"""The one small protocol every writer of text answers to: a request in, raw text out.

What this module does not do: build prompts, check answers, retry, or count money. Keys of providers never pass through
a request, so a request may be hashed and stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

StopReason = Literal["end", "max_tokens", "refusal"]
"""Why the text ends: it was finished, it was cut at `max_tokens`, or the writer declined."""


@dataclass(frozen=True, slots=True)
class LLMRequest:
    """Everything that decides an answer, and nothing else."""

    system: str
    prompt: str
    schema: Mapping[str, Any]
    """JSON Schema of the answer."""
    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Such as ``max_tokens`` and ``temperature``."""

    @property
    def key(self) -> str:
        """sha256 over all five fields; equal requests have equal keys on every machine.

        >>> one = LLMRequest("s", "p", {"type": "object"}, "m", {"a": 1, "b": 2})
        >>> two = LLMRequest("s", "p", {"type": "object"}, "m", {"b": 2, "a": 1})
        >>> one.key == two.key
        True
        """
        value = [self.system, self.prompt, self.schema, self.model, self.parameters]
        line = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class LLMResponse:
    """Raw text, meant to be JSON of the request's schema, with what it cost in tokens."""

    text: str
    input_tokens: int
    output_tokens: int
    stop_reason: StopReason
    model: str


class LLMClient(Protocol):
    """Writes text for requests."""

    @property
    def model(self) -> str:
        """The model name that requests to this client carry."""
        ...

    @property
    def writer(self) -> str:
        """Who signs the pairs: ``"offline-rules/1"`` or ``"provider/model"``."""
        ...

    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Answer one request. Raises `GenerationError` when it cannot be answered now or ever."""
        ...
