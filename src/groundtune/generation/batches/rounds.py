"""Rounds: every conversation as far as it goes, everything it needs in batches, and again when they are back.

What this module does not do: talk to a provider, or know what conversations are about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from groundtune.errors import GenerationError
from groundtune.generation.batches import outbox
from groundtune.generation.batches.outbox import BatchOut, Item
from groundtune.generation.batches.service import BatchService
from groundtune.llm import AnswerState, LLMRequest, LLMResponse, RequestRefused

if TYPE_CHECKING:
    from groundtune.generation.running.asking import Ask

MAX_REQUESTS = 2000
"""In one batch: few enough to be built in memory, many enough that a run is a few batches."""

Conversation = Callable[["Ask"], Awaitable[object]]
"""Asks one request after the other. It must depend on the answers alone, because it is begun anew in every round."""


class _NeedsAnswerError(BaseException):
    """Leaves a conversation that cannot go on yet. Not an `Exception`, so that no conversation takes it for a failure."""


@dataclass(frozen=True, slots=True)
class Batched:
    """Where conversations stand when the command ends or is left."""

    finished: int
    failed: int
    """Ended by a request that was refused or given up."""
    waiting: int
    """For a batch that is out, or held back."""
    submitted: int
    """Requests, by this call."""
    held_back: int
    """Requests that `budget_dollars` has no room for now."""
    out: tuple[BatchOut, ...]

    @property
    def complete(self) -> bool:
        return self.waiting == 0


@dataclass(slots=True)
class _Rounds:
    service: BatchService
    budget_dollars: float | None
    max_requests: int
    ended: dict[int, bool] = field(default_factory=dict)
    """Number of a conversation -> whether it failed."""
    buffer: dict[str, Item] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    """Keys of requests that are out, or were handed in in this round."""
    given_up: dict[str, str] = field(default_factory=dict)
    submitted: int = 0
    held_back: int = 0
    refused: bool = False
    """Whether a request of the last round was given up, or answered, when it was submitted."""

    async def advance(self, conversations: Sequence[Conversation]) -> None:
        """One round."""
        book = self.service.book
        self.settled = {key for batch in outbox.batches_out(book) for key in batch.reservations}
        self.given_up = {key: failure.reason for key, failure in book.failures().items()}
        self.buffer.clear()
        self.held_back = 0
        self.refused = False
        for number, conversation in enumerate(conversations):
            if number not in self.ended:
                await self._converse(number, conversation)
                if len(self.buffer) >= self.max_requests:
                    await self._send()
        while self.buffer:
            await self._send()

    async def _converse(self, number: int, conversation: Conversation) -> None:
        try:
            await conversation(self._ask)
        except _NeedsAnswerError:
            return
        except RequestRefused:
            self.ended[number] = True
        else:
            self.ended[number] = False

    async def _ask(
        self,
        request: LLMRequest,
        *,
        tags: Mapping[str, str],
        classify: Callable[[LLMResponse], AnswerState],  # noqa: ARG002  the service's is asked, in whatever process collects
    ) -> LLMResponse:
        key = request.key
        response = self.service.book.find(key)
        if response is not None:
            return response
        if key in self.given_up:
            raise RequestRefused(self.given_up[key])
        if key not in self.settled and key not in self.buffer:
            self.buffer[key] = self.service.item(request, tags)
        raise _NeedsAnswerError

    async def _send(self) -> None:
        """One batch of what is needed, as far as the money goes; the rest is held back for this round."""
        waiting = list(self.buffer.values())[: self.max_requests]
        fitting = waiting[: self.service.client.fits([item.request for item in waiting])]
        sent = await self.service.submit(fitting, budget_dollars=self.budget_dollars)
        self.submitted += sent.out
        self.refused = self.refused or sent.refused + sent.answered > 0
        self.held_back += sent.held
        for item in fitting:
            # whatever became of it: out, refused or held back, it is not sent again in this round
            del self.buffer[item.request.key]
            self.settled.add(item.request.key)

    def outcome(self, conversations: int, out: tuple[BatchOut, ...]) -> Batched:
        failed = sum(self.ended.values())
        return Batched(
            finished=len(self.ended) - failed,
            failed=failed,
            waiting=conversations - len(self.ended),
            submitted=self.submitted,
            held_back=self.held_back,
            out=out,
        )


async def collect_batches(service: BatchService) -> int:
    """Record what has come back of this client's batches, whatever it was asked for; returns how many were settled.

    Called before a plan is made: documents may have changed since, and a plan builds on answers.

    Raises:
        AccountFailure: the provider lets us read nothing.
    """
    before = {batch.name for batch in service.out()}
    await service.recover()
    await service.collect()
    return len(before - {batch.name for batch in service.out()})


async def run_in_batches(
    conversations: Sequence[Conversation],
    service: BatchService,
    *,
    budget_dollars: float | None = None,
    wait: bool = False,
    poll_seconds: float = 30.0,
    max_requests: int = MAX_REQUESTS,
) -> Batched:
    """Collect what is back, submit what is needed next, and return; or go on until nothing is out.

    Args:
        budget_dollars: that all requests of the ledger together may cost at most, those in batches that are out included.
        wait: until every conversation has ended, or waits for money alone.

    Raises:
        AccountFailure: nothing more can be submitted or collected; what is out stays out.
        TemporaryFailure: a batch could not be submitted at all; the same command goes on.
        GenerationError: there is a budget and no price.
    """
    if budget_dollars is not None and service.price is None:
        raise GenerationError(
            f"budget_dollars is {budget_dollars} and model {service.client.model!r} has no price; set its price under prices, or "
            "take the budget out"
        )
    rounds = _Rounds(service, budget_dollars, max_requests)
    changed = True
    await collect_batches(service)
    while True:
        sent = rounds.submitted
        if changed:
            await rounds.advance(conversations)
        out = service.out()
        # what was refused at once is told by a round of its own
        changed = rounds.submitted > sent or rounds.refused
        if not out and changed:
            continue
        if not out or not wait:
            return rounds.outcome(len(conversations), out)
        await service.pause(poll_seconds)
        changed = bool(await collect_batches(service))
