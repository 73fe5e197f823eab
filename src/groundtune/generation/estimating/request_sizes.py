"""What an estimate needs to know of requests: their sizes, what they share with earlier ones, and what answered ones took.

What this module does not do: turn bytes into tokens or dollars.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from hashlib import sha256

from groundtune.generation.estimating.calibration import Taken
from groundtune.llm import Ledger, LLMRequest
from groundtune.llm.prices import prompt_bytes, schema_bytes
from groundtune.types import Language

_MOST_SAMPLES = 500
"""Answers looked up for a model and language; more make the rates no better."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A request to send, in bytes."""

    model: str
    rule: str
    language: Language
    text: int
    schema: int
    shared_text: int
    """Of the beginning that an earlier request has too."""
    shared_schema: int
    pairs: int


class RequestSizes:
    """Takes requests one by one and keeps their sizes only, so that those of a long run do not stand in memory."""

    def __init__(self, known: Container[str], ledger: Ledger | None) -> None:
        self.known = known
        self.ledger = ledger
        self.pending: list[Pending] = []
        self.answered: Counter[tuple[str, str]] = Counter()
        """Requests that need not be sent, by model and rule."""
        self.taken: dict[tuple[str, Language], list[Taken]] = defaultdict(list)
        """By model and language."""
        self._beginnings: set[bytes] = set()
        self._keys: set[str] = set()

    def take(self, request: LLMRequest, tags: Mapping[str, str], pairs: int) -> None:
        rule = tags.get("rule") or tags.get("purpose", "")
        language = tags.get("language", "")
        key = request.key
        if key in self.known or key in self._keys:
            self.answered[request.model, rule] += 1
            self._measure(key, request, language, pairs)
            return
        self._keys.add(key)
        shared_text, shared_schema = self._shared(request)
        sizes = (prompt_bytes(request), schema_bytes(request), shared_text, shared_schema)
        self.pending.append(Pending(request.model, rule, language, *sizes, pairs))

    def _measure(self, key: str, request: LLMRequest, language: Language, pairs: int) -> None:
        taken = self.taken[request.model, language]
        if self.ledger is None or len(taken) >= _MOST_SAMPLES:
            return
        answer = self.ledger.find(key)
        if answer is not None and answer.stop_reason == "end":
            tokens = answer.input_tokens + answer.cache_read_tokens + answer.cache_write_tokens
            size = prompt_bytes(request) + schema_bytes(request)
            taken.append(Taken(size, tokens, pairs, answer.output_tokens))

    def _shared(self, request: LLMRequest) -> tuple[int, int]:
        """Bytes of text and of schema that an earlier request begins with too: its system prompt, or also its context."""
        beginning = sha256(f"{request.model}\0{request.schema}\0{request.system}".encode("utf-8", "surrogatepass"))
        text = schema = 0
        if beginning.digest() in self._beginnings:
            text, schema = len(request.system.encode("utf-8", "surrogatepass")), schema_bytes(request)
        self._beginnings.add(beginning.digest())
        if request.context:
            context = request.context.encode("utf-8", "surrogatepass")
            beginning.update(b"\0" + context)
            if beginning.digest() in self._beginnings:
                text += len(context)
            self._beginnings.add(beginning.digest())
        return text, schema
