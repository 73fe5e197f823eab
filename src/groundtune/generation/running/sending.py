"""Sends conversations to a model, at once or by its batch service, until each has its answers or cannot have them now.

Both ways ask through the ledger, so a run that is stopped or killed goes on where it was. What this module does not do: know
what conversations are about, or read pairs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from groundtune.config import WriterConfig
from groundtune.errors import GenerationError
from groundtune.generation.batches import (
    AskOne,
    BatchOut,
    BatchService,
    Notice,
    batches_out,
    reservations_out,
    run_in_batches,
)
from groundtune.generation.running.asking import Ask
from groundtune.llm import (
    AnswerState,
    Ledger,
    LLMClient,
    LLMRequest,
    LLMResponse,
    RequestRefused,
    TemporaryFailure,
    model_name,
    writer_name,
)
from groundtune.llm.dispatch import Dispatcher, Event, run_all
from groundtune.llm.prices import price_for
from groundtune.llm.providers import batch_client, make_client

Conversation = Callable[[Ask], Awaitable[object]]
"""Asks one request after the other. It must depend on the answers alone: a batch run begins it anew in every round."""

OnEvent = Callable[[Event], None]


class BatchesOutError(GenerationError):
    """Batches are with the provider; the same command collects them. Not a failure: there is nothing to be mended."""

    exit_code = 3


@dataclass(slots=True)
class Sent:
    """What a sending came to."""

    requests: int = 0
    """Answered now."""
    tries_again: Mapping[str, int] = field(default_factory=dict)
    given_up: int = 0
    """Conversations that met a time-out or a broken server too often; the next run asks again."""
    last_given_up: Exception | None = None
    cause: Exception | None = None
    """Why conversations are without an end: budget, account, the user, or a server that does not answer."""
    notes: tuple[str, ...] = ()


class Sender(Protocol):
    """Either way of sending, for one model."""

    def run(self, conversations: Iterable[Conversation]) -> Sent:
        """Drive all of them. Raises `KeyboardInterrupt` when the user stopped it, and `BatchesOutError`."""
        ...


class LazyClient:
    """A client that is made when the first request is sent: a run that finds all answers in the ledger needs no key."""

    def __init__(self, config: WriterConfig, client: LLMClient | None = None) -> None:
        self._config = config
        self._client = client
        self.writer = writer_name(config) if client is None else client.writer
        self.model = model_name(config) if client is None else client.model

    async def complete(self, request: LLMRequest) -> LLMResponse:
        if self._client is None:
            self._client = make_client(self._config)
        return await self._client.complete(request)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            # a connection belongs to its event loop; the next sending has another
            self._client = None

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(getattr(self._client, "notes", ()))


class LiveSender:
    """Many requests at a time, as the server bears them."""

    def __init__(
        self,
        book: Ledger,
        config: WriterConfig,
        *,
        client: LazyClient,
        budget_dollars: float | None,
        seed: int,
        on_event: OnEvent,
        section: str,
    ) -> None:
        self._book = book
        self._config = config
        self._client = client
        self._budget_dollars = budget_dollars
        self._seed = seed
        self._on_event = on_event
        self._section = section

    def run(self, conversations: Iterable[Conversation]) -> Sent:
        return asyncio.run(self._run(conversations))

    async def _run(self, conversations: Iterable[Conversation]) -> Sent:
        sent = Sent()
        dispatcher = Dispatcher(
            self._client,
            self._book,
            config=self._config,
            budget_dollars=self._budget_dollars,
            seed=self._seed,
            on_event=self._on_event,
            kept_reservations=reservations_out(self._book),
            section=self._section,
        )

        def job(conversation: Conversation) -> Callable[[], Awaitable[None]]:
            async def work() -> None:
                try:
                    await conversation(dispatcher.ask)
                except TemporaryFailure as failure:
                    sent.given_up += 1
                    sent.last_given_up = failure
                except RequestRefused:
                    pass  # in the ledger, with its reason

            return work

        try:
            await run_all((job(conversation) for conversation in conversations), dispatcher)
        except GenerationError as error:
            sent.cause = error
        finally:
            notes = self._client.notes
            with contextlib.suppress(GenerationError):
                await dispatcher.close()
        sent.cause = sent.cause or sent.last_given_up
        progress = dispatcher.progress
        sent.requests, sent.tries_again, sent.notes = progress.answered, dict(progress.retries), notes
        return sent


class BatchSender:
    """By the provider's batch service: cheaper, and answered when it pleases.

    Args:
        on_notice: hears at once what becomes of batches.
        collected: answers that came back in this command before.
        give_up_unknown: as `BatchService` has it.
    """

    def __init__(
        self,
        book: Ledger,
        config: WriterConfig,
        *,
        classify: Callable[[LLMResponse, Mapping[str, str]], AnswerState],
        budget_dollars: float | None,
        wait: bool,
        section: str = "generation",
        seed: int = 0,
        on_notice: Callable[[Notice], None] = lambda _: None,
        collected: int = 0,
        give_up_unknown: bool = False,
    ) -> None:
        self._book = book
        self._config = config
        self._classify = classify
        self._budget_dollars = budget_dollars
        self._wait = wait
        self._section = section
        self._seed = seed
        self._on_notice = on_notice
        self._collected = collected
        self._give_up_unknown = give_up_unknown

    def run(self, conversations: Iterable[Conversation]) -> Sent:
        return asyncio.run(self._run(list(conversations)))

    async def _run(self, conversations: list[Conversation]) -> Sent:
        if not conversations and not batches_out(self._book):
            return Sent()
        sent, before = Sent(), len(self._book)
        try:
            live = make_client(self._config)
            client = batch_client(self._config, live)
        except GenerationError as error:  # no key
            return Sent(cause=error)
        service = BatchService(
            self._book,
            client,
            price=price_for(self._config),
            max_output_tokens=self._config.max_output_tokens,
            classify=self._classify,
            ask=self._asker(live),
            give_up_unknown=self._give_up_unknown,
            on_notice=self._on_notice,
        )
        try:
            batched = await run_in_batches(conversations, service, budget_dollars=self._budget_dollars, wait=self._wait)
        except GenerationError as error:
            sent.cause = error
        else:
            if batched.out:
                collected = len(self._book) - before + self._collected
                raise BatchesOutError(_told(batched.out, collected, batched.held_back))
            if batched.held_back:
                sent.cause = GenerationError(
                    f"{batched.held_back} requests are held back: with them the ledger could pass budget_dollars "
                    f"({self._budget_dollars}); raise it, and the same command goes on"
                )
        finally:
            await client.close()
        sent.requests, sent.notes = len(self._book) - before, tuple(client.notes)
        return sent

    def _asker(self, client: LLMClient) -> AskOne:
        """By the live service, for one request by which the client learns what its model takes."""

        async def ask(request: LLMRequest, tags: Mapping[str, str]) -> LLMResponse:
            dispatcher = Dispatcher(
                client,
                self._book,
                config=self._config,
                budget_dollars=self._budget_dollars,
                seed=self._seed,
                kept_reservations=reservations_out(self._book),
                section=self._section,
            )
            return await dispatcher.ask(request, tags=tags, classify=lambda answer: self._classify(answer, tags))

        return ask


def named(batches: Iterable[BatchOut]) -> str:
    return ", ".join(batch.batch_id or "not confirmed yet" for batch in batches)


def _told(batches: Sequence[BatchOut], collected: int, held_back: int) -> str:
    requests = sum(len(batch.reservations) for batch in batches)
    held = f"; {held_back} more wait for money, by budget_dollars" if held_back else ""
    return (
        f"{collected} answers collected; {requests} requests are with the provider in {len(batches)} batches ({named(batches)}){held}. The "
        "same command collects them when they are ready, with --wait it stays until then"
    )
