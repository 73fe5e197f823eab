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


RETRY = "retry"
"""Name of a parameter: how often the user had the request asked again although it was answered."""


@dataclass(frozen=True, slots=True)
class LLMRequest:
    """Everything that decides an answer, and nothing else."""

    system: str
    prompt: str
    schema: Mapping[str, Any]
    """JSON Schema of the answer."""
    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Such as ``max_tokens`` and ``temperature``; one that is not there is left to the provider. What ``max_tokens`` allows may
    be more than is sent: `most_tokens`."""
    context: str = ""
    """What stands before the prompt and is the same for several requests, such as a group's passages: providers may cache it."""

    @property
    def sent_parameters(self) -> dict[str, Any]:
        """Those a provider is sent as they are: `RETRY` only makes the key another one, and of tokens `most_tokens` is sent."""
        return {name: value for name, value in self.parameters.items() if name not in (RETRY, "max_tokens")}

    def most_tokens(self, limit: int) -> int:
        """How long the answer may be where the user allows `limit`: no longer than the request allows either, which is part of
        its key, while the user's limit is not: another one does not have an answer bought again.

        >>> request = LLMRequest("s", "p", {}, "m", {"max_tokens": 2048})
        >>> request.most_tokens(8192), request.most_tokens(500), LLMRequest("s", "p", {}, "m").most_tokens(500)
        (2048, 500, 500)
        """
        return min(int(self.parameters.get("max_tokens", limit)), limit)

    @property
    def full_prompt(self) -> str:
        """What the user's turn says: context, a blank line, prompt.

        >>> LLMRequest("s", "p", {}, "m", context="c").full_prompt
        'c\\n\\np'
        """
        return f"{self.context}\n\n{self.prompt}" if self.context else self.prompt

    @property
    def key(self) -> str:
        """sha256 over what the model is told; equal requests have equal keys on every machine.

        >>> one = LLMRequest("s", "p", {"type": "object"}, "m", {"a": 1, "b": 2})
        >>> two = LLMRequest("s", "p", {"type": "object"}, "m", {"b": 2, "a": 1})
        >>> one.key == two.key
        True
        """
        value = [self.system, self.full_prompt, self.schema, self.model, self.parameters]
        line = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class LLMResponse:
    """Raw text, meant to be JSON of the request's schema, with what it cost in tokens."""

    text: str
    input_tokens: int
    """Neither read from a cache nor written to one."""
    output_tokens: int
    stop_reason: StopReason
    model: str
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


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
        """Answer one request, tried once. Raises one of :mod:`groundtune.llm.failures`."""
        ...

    async def close(self) -> None:
        """Let go of connections. A closed client is not used again."""
        ...
