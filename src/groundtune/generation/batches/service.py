"""Between the ledger and a batch service: submit, find again what a killed run submitted, collect and record.

What this module does not do: know conversations, or wait for batches.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from groundtune.config import PriceConfig
from groundtune.errors import GenerationError
from groundtune.generation.batches import outbox
from groundtune.generation.batches.notices import Notice, NoticeKind
from groundtune.generation.batches.outbox import BatchOut, Item
from groundtune.llm import (
    AccountFailure,
    AnswerState,
    Ledger,
    LLMRequest,
    LLMResponse,
    RequestRefused,
    TemporaryFailure,
)
from groundtune.llm.prices import cost, highest_cost
from groundtune.llm.providers import BatchClient, BatchResult, FormRefused, NoSuchBatch

MAX_TRIES = 3
"""Batches that come back without an answer to a request, before it is given up."""
SUBMIT_ATTEMPTS = 5
SETTLE_SECONDS = 300.0
"""How long after a broken submission a provider may still bring up the batch: only then is it taken for never submitted."""

Classify = Callable[[LLMResponse, Mapping[str, str]], AnswerState]
"""What an answer calls for, from its shape and the tags of its request."""


AskOne = Callable[[LLMRequest, Mapping[str, str]], Awaitable[LLMResponse]]
"""One request by the live service of the same client, into the ledger; its tags go with it."""

_FORM = "batch form"
"""Notes: writer -> True once a batch of it was refused for the way its answers were to be held to JSON."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of requests that were handed in."""

    out: int = 0
    refused: int = 0
    held: int = 0
    """For want of money."""
    answered: int = 0
    """At once, to learn what the model takes."""

    def plus(self, other: Sent) -> Sent:
        return Sent(
            self.out + other.out,
            self.refused + other.refused,
            self.held + other.held,
            self.answered + other.answered,
        )


class BatchService:
    """A batch client together with the ledger that remembers what it was handed.

    Args:
        price: None: answers are recorded without dollars.
        max_output_tokens: of a request, for its highest cost.
        classify: asked when an answer comes back, which may be in another process than the one that submitted it.
        ask: by which the client learns how its model's answers can be held to JSON, when a batch was refused for that; what it
            has learned is lost with the process, so a later one begins with it.
        give_up_unknown: a batch that the provider does not know counts as lost, in place of an `AccountFailure`.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        book: Ledger,
        client: BatchClient,
        *,
        price: PriceConfig | None,
        max_output_tokens: int,
        classify: Classify,
        ask: AskOne | None = None,
        give_up_unknown: bool = False,
        on_notice: Callable[[Notice], None] = lambda notice: None,  # noqa: ARG005
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.book = book
        self.client = client
        self.price = price
        self.max_output_tokens = max_output_tokens
        self._classify = classify
        self._ask = ask
        self._give_up_unknown = give_up_unknown
        self._learned = False
        self._must_learn = ask is not None and client.writer in dict(book.notes(_FORM))
        self._on_notice = on_notice
        self._clock = clock
        self._sleep = sleep
        # only for pauses between attempts: nothing that is written depends on it
        self._random = random.Random(0)

    def item(self, request: LLMRequest, tags: Mapping[str, str]) -> Item:
        dollars = 0.0
        if self.price is not None:
            dollars = highest_cost(self.price, request, self.max_output_tokens, batch=True)
        return Item(request, dict(tags), dollars)

    async def pause(self, seconds: float) -> None:
        await self._sleep(seconds)

    # -- out

    async def submit(self, items: Sequence[Item], *, budget_dollars: float | None = None) -> Sent:
        """Hand in `items` as one batch, or as many of the first of them as there is money for. A batch that is refused is tried
        in halves, so that a request that can never be answered is found, and costs only itself.

        Raises:
            AccountFailure, TemporaryFailure: what is not out has no money reserved.
        """
        if self._must_learn and items:
            first = await self._learn(items[0])
            return first.plus(await self.submit(items[1:], budget_dollars=budget_dollars))
        for attempt in range(1, SUBMIT_ATTEMPTS + 1):
            batch = outbox.open_batch(
                self.book, items, writer=self.client.writer, at=self._clock(), budget_dollars=budget_dollars
            )
            if batch is None:
                return Sent(held=len(items))
            paid = items[: len(batch.reservations)]
            held = len(items) - len(paid)
            try:
                batch_id = await self._submit_whole(batch, paid)
            except TemporaryFailure as failure:
                if failure.may_be_billed:
                    self._tell("uncertain", batch, str(failure))
                    return Sent(out=len(paid), held=held)
                outbox.never_submitted(self.book, batch)
                if attempt == SUBMIT_ATTEMPTS:
                    raise
                await self._sleep(failure.retry_after_seconds or self._random.uniform(0.5, 1) * 2**attempt)
            except FormRefused as refusal:
                outbox.never_submitted(self.book, batch)
                self._note_form(batch, str(refusal))
                if not self._must_learn:
                    raise AccountFailure(f"{refusal}; set batch to false") from refusal
                return await self.submit(items, budget_dollars=budget_dollars)
            except RequestRefused as refusal:
                outbox.never_submitted(self.book, batch)
                return (await self._submit_halves(batch, paid, refusal, budget_dollars)).plus(Sent(held=held))
            except GenerationError:
                outbox.never_submitted(self.book, batch)
                raise
            else:
                self._tell("submitted", outbox.submitted(self.book, batch, batch_id))
                return Sent(out=len(paid), held=held)
        raise AssertionError("the last attempt returns or raises")

    async def _learn(self, item: Item) -> Sent:
        """Have one request answered live, by which the client steps down to what its model takes."""
        assert self._ask is not None, "only with it there is something to be learned"
        self._must_learn, self._learned = False, True
        try:
            await self._ask(item.request, item.tags)
        except RequestRefused:
            return Sent(refused=1)
        return Sent(answered=1)

    def _note_form(self, batch: BatchOut, reason: str) -> None:
        self._tell("form", batch, reason)
        self.book.note(_FORM, self.client.writer, True)
        self._must_learn = self._ask is not None and not self._learned

    async def _submit_whole(self, batch: BatchOut, items: Sequence[Item]) -> str:
        """A stop from outside waits until the id is there and written down. What a failure then leaves is found out by the next
        run, as after a kill."""
        submission = asyncio.ensure_future(self.client.submit([item.request for item in items]))
        try:
            return await asyncio.shield(submission)
        except asyncio.CancelledError:
            with suppress(GenerationError):
                outbox.submitted(self.book, batch, await submission)
            raise

    async def _submit_halves(
        self, batch: BatchOut, items: Sequence[Item], refusal: RequestRefused, budget_dollars: float | None
    ) -> Sent:
        self._tell("refused", batch, str(refusal))
        if len(items) == 1:
            self.book.fail(items[0].request, reason=str(refusal), tags=items[0].tags)
            return Sent(refused=1)
        middle = len(items) // 2
        first = await self.submit(items[:middle], budget_dollars=budget_dollars)
        return first.plus(await self.submit(items[middle:], budget_dollars=budget_dollars))

    # -- found again

    async def recover(self) -> None:
        """Settle what became of batches of which it is not known whether they were submitted."""
        for batch in self.out():
            if batch.batch_id:
                continue
            requests = [request for request, _ in outbox.requests_of(self.book, batch)]
            try:
                found = await self.client.find(requests, outbox.other_ids(self.book, batch))
            except TemporaryFailure as failure:
                self._tell("uncertain", batch, str(failure))
            except RequestRefused as refusal:
                # a server that lists no batches
                self._tell(
                    "lost",
                    batch,
                    f"whether it was submitted cannot be found out ({refusal}); its money counts as spent",
                )
                outbox.lost(self.book, batch)
            else:
                self._settle(batch, found)

    def _settle(self, batch: BatchOut, found: str | None) -> None:
        if found:
            self._tell("adopted", outbox.submitted(self.book, batch, found))
        elif self._clock() - batch.submitted_at < SETTLE_SECONDS:
            self._tell("uncertain", batch, "whether it was submitted is not known yet")
        else:
            self._tell("never submitted", batch)
            outbox.never_submitted(self.book, batch)

    # -- back

    def out(self) -> tuple[BatchOut, ...]:
        """The batches of this client: a ledger may hold those of another model, which only its own client can collect."""
        return tuple(batch for batch in outbox.batches_out(self.book) if batch.writer == self.client.writer)

    async def collect(self) -> None:
        """Record every batch that has ended. What is in the ledger already is not recorded again."""
        for batch in self.out():
            if not batch.batch_id:
                continue
            try:
                result = await self.client.collect(batch.batch_id)
            except TemporaryFailure as failure:
                self._tell("unreachable", batch, str(failure))
                continue
            except (RequestRefused, NoSuchBatch) as refusal:
                if isinstance(refusal, NoSuchBatch) and not self._give_up_unknown:
                    raise AccountFailure(
                        f"{refusal}. If it is deleted there, --retry-failed counts its money as spent and asks again"
                    ) from refusal
                self._tell("lost", batch, f"{refusal}; its money counts as spent")
                outbox.lost(self.book, batch)
                continue
            if result is None:
                continue
            keys = result.answers.keys() | result.failures.keys()
            if keys and not keys & batch.reservations.keys():
                # adopted while it was still running, when nobody could see what was in it
                self._tell("uncertain", outbox.mistaken(self.book, batch), f"{batch.batch_id} is another batch")
                continue
            if result.form_refused and not result.answers:
                self._note_form(batch, result.form_refused[0])
            answered = self._record(batch, result)
            outbox.close_batch(self.book, batch)
            self._tell("collected", batch, f"{answered} answered")

    def _record(self, batch: BatchOut, result: BatchResult) -> int:
        tries = outbox.read_tries(self.book)
        answered = 0
        for request, tags in outbox.requests_of(self.book, batch):
            key = request.key
            response = result.answers.get(key)
            if response is None:
                reason, again = result.failures.get(key, result.others)
                self._without_answer(batch, request, tags, reason, again, tries.get(key, []))
                continue
            answered += 1
            if self.book.find(key) is None:
                dollars = None if self.price is None else cost(self.price, response, batch=True)
                state = self._classify(response, tags)
                reservation = batch.reservations[key]
                self.book.record(request, response, state=state, tags=tags, dollars=dollars, reservation=reservation)
            if key in tries:
                outbox.keep_tries(self.book, key, ())
        # ended by the records above; those of answers that were in the ledger already are ended here
        for number in batch.reservations.values():
            self.book.release(number)
        return answered

    def _without_answer(
        self,
        batch: BatchOut,
        request: LLMRequest,
        tags: Mapping[str, str],
        reason: str,
        again: bool,
        tries: Sequence[str],
    ) -> None:
        """Not billed. Asked again in the next round, unless that cannot help or was done often enough."""
        key = request.key
        tries = list(dict.fromkeys((*tries, batch.name)))
        if again and len(tries) < MAX_TRIES:
            outbox.keep_tries(self.book, key, tries)
        elif self.book.find(key) is None:
            times = f" (in {len(tries)} batches)" if again else ""
            self.book.fail(request, reason=f"{reason}{times}", tags=tags)
            outbox.keep_tries(self.book, key, ())

    def _tell(self, kind: NoticeKind, batch: BatchOut, detail: str = "") -> None:
        self._on_notice(Notice(kind, batch.batch_id, len(batch.reservations), detail))
