"""Conversations read out of the ledger, without sending anything: what was answered, and where an answer is missing.

The ledger holds raw answers; which pairs they make is decided anew in every run, by today's checks. What this module does
not do: check pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from groundtune.generation.running.asking import Conversation, asked_again, converse, pairs_asked_for
from groundtune.llm import AnswerState, Failure, Ledger, LLMRequest, LLMResponse, RequestRefused

Value = TypeVar("Value")


_RETRY = "retry"
"""Notes: key of a first request -> how often it was taken up again after its conversation had failed."""


class NotAnsweredError(Exception):
    """The ledger has no answer to a request that the conversation needs next. Never leaves this package."""


class Replay:
    """Reads conversations of a ledger. Failures are read once: make a new one after something was sent."""

    def __init__(self, book: Ledger) -> None:
        self._book = book
        self._failures: Mapping[str, Failure] = book.failures()
        self._retries: Mapping[str, int] = dict(book.notes(_RETRY))
        self.found: set[str] = set()
        """Keys of the answers that were read."""

    async def ask(
        self,
        request: LLMRequest,
        *,
        tags: Mapping[str, str],  # noqa: ARG002  as `Ask` has it
        classify: Callable[[LLMResponse], AnswerState],  # noqa: ARG002
    ) -> LLMResponse:
        """The answer in the ledger. Raises `RequestRefused` for one that was given up, `NotAnsweredError` for the others."""
        key = request.key
        response = self._book.find(key)
        if response is not None:
            self.found.add(key)
            return response
        if key in self._failures:
            raise RequestRefused(self._failures[key].reason)
        raise NotAnsweredError(key)

    def conversation(self, first: LLMRequest) -> Conversation | None:
        """The conversation about what `first` asks, its last attempt; None while an answer is missing."""
        first = self.latest(first)
        try:
            return run_now(converse(first, self.ask, tags={}, num_pairs=pairs_asked_for(first)))
        except NotAnsweredError:
            return None

    def latest(self, first: LLMRequest) -> LLMRequest:
        """`first`, or what is asked in its place since the user had a failed conversation taken up again."""
        return asked_again(first, self._retries.get(first.key, 0)) if self._retries else first

    def is_taken_up_again(self, key: str) -> bool:
        """Whether the conversation that began with this key had failed and is tried once more."""
        return key in self._retries

    def take_up_again(self, first: LLMRequest) -> None:
        """Let a failed conversation be tried once more, from the beginning. What it answered stays in the ledger."""
        self._book.note(_RETRY, first.key, self._retries.get(first.key, 0) + 1)

    def items(self, key: str) -> list[dict[str, Any]]:
        """Every readable pair, as handed in, of the conversation that began with the request of this key."""
        first = self._book.request(key)
        found = self.conversation(first) if first is not None else None
        return [] if found is None else [pair for turn in found.readable for pair in turn.parsed.pairs]

    def settled(self, key: str) -> bool:
        """Whether that conversation came to a good end, though its first answer was cut or unreadable."""
        first = self._book.request(key)
        found = self.conversation(first) if first is not None else None
        return found is not None and not found.failure


def run_now(work: Coroutine[Any, Any, Value]) -> Value:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        value: Value = end.value
        return value
    raise AssertionError("a conversation out of the ledger waited for something")
