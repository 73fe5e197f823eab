"""Turns requests into answers that are in the ledger: paced, tried again, paid for within the budget, each sent once.

What this module does not do: build requests, judge answers (the caller's `classify` does), or decide which requests there are.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

from groundtune.config import PriceConfig, WriterConfig
from groundtune.errors import ConfigError
from groundtune.llm.client import LLMClient, LLMRequest, LLMResponse
from groundtune.llm.dispatch.admission import Admission, Permit
from groundtune.llm.dispatch.events import Event, Progress
from groundtune.llm.dispatch.pacing import InFlightLimit, wait_seconds
from groundtune.llm.dispatch.till import StopCause, Till
from groundtune.llm.failures import AccountFailure, RequestRefused, Stopped, TemporaryFailure
from groundtune.llm.ledger import AnswerState, Ledger
from groundtune.llm.prices import cost, highest_cost, missing_price, price_for

LONGEST_RETRY_AFTER_SECONDS = 900.0
"""A server that asks for more will not answer in this run."""

HOPELESS_REQUESTS = 20
"""Given up one after the other with no answer between: the server is away, and trying thousands more would take hours."""

Classify = Callable[[LLMResponse], AnswerState]


class Dispatcher:
    """Asks one client, on behalf of any number of conversations, within one run.

    Args:
        budget_dollars: what everything in the ledger together may cost; None: no limit.
        price: of the client's model; None: as :func:`groundtune.llm.prices.price_for` finds it.
        seed: of the waiting times.
        on_event: called in the event loop with each :class:`Event`; must be quick and raise nothing.
        kept_reservations: numbers of those that belong to batches still out; all other reservations that an earlier run left are
            counted as lost.
        section: of the configuration, where a price that is missing belongs.

    Raises:
        ConfigError: there is a budget, and the model's price is not known.
    """

    def __init__(
        self,
        client: LLMClient,
        ledger: Ledger,
        *,
        config: WriterConfig,
        budget_dollars: float | None = None,
        price: PriceConfig | None = None,
        seed: int = 0,
        on_event: Callable[[Event], None] = lambda _: None,
        kept_reservations: frozenset[int] = frozenset(),
        section: str = "generation",
    ) -> None:
        self._client = client
        self._till = Till(ledger, budget_dollars)
        self.config = config
        self.price = price or price_for(config)
        if budget_dollars is not None and self.price is None:
            raise ConfigError(missing_price(config, section))
        self._seed = seed
        self._on_event = on_event
        self._limit = InFlightLimit(config.max_in_flight)
        self._admission = Admission(self._limit, self._till)
        self._retries: Counter[str] = Counter()
        self._answered = self._reused = self._failed = self._given_up_in_a_row = 0
        self._dollars = self._lost = 0.0
        self.num_lost_left = ledger.lose_left(kept_reservations)
        """Requests that a killed run left in flight: they count as spent."""

    # asking

    async def ask(self, request: LLMRequest, *, tags: Mapping[str, str], classify: Classify) -> LLMResponse:
        """The answer to `request`: from the ledger, or sent and written there. Equal requests in flight share one sending.

        Args:
            tags: what the request is for, as `Ledger.record` keeps them.
            classify: the state the answer is recorded with.

        Raises:
            RequestRefused: now or in an earlier run; it is among the ledger's failures.
            TemporaryFailure: all attempts failed; the next run asks again.
            AccountFailure, BudgetReached, Stopped: nothing is sent any more; answers in the ledger are still given.
            StorageError: the ledger cannot be written.
        """
        key = request.key
        found = self._till.ledger.find(key)
        if found is not None:
            self._reused += 1
            return found
        sending = self._till.sendings.get(key)
        if sending is None:
            failure = self._till.ledger.find_failure(key)
            if failure is not None:
                raise RequestRefused(failure.reason)
            sending = self._begin(key, request, tags, classify)
        try:
            # shielded: who asked may go away, what is paid for arrives all the same
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if sending.cancelled() and self._till.dropping and not (task and task.cancelling()):
                raise Stopped("dropped while it was in flight; the same command asks again") from None
            raise

    def _begin(
        self, key: str, request: LLMRequest, tags: Mapping[str, str], classify: Classify
    ) -> asyncio.Task[LLMResponse]:
        if self._till.cause is not None:
            raise self._till.cause
        sendings = self._till.sendings
        sending = asyncio.get_running_loop().create_task(self._send(key, request, tags, classify))

        def forget(task: asyncio.Task[LLMResponse]) -> None:
            del sendings[key]
            if not task.cancelled():
                task.exception()  # looked at here, for when nobody waits for it any more

        sendings[key] = sending
        sending.add_done_callback(forget)
        return sending

    async def _send(self, key: str, request: LLMRequest, tags: Mapping[str, str], classify: Classify) -> LLMResponse:
        """Attempt after attempt, until there is an answer or no hope of one."""
        wait = 0.0
        attempt = 0
        highest = self._highest_cost(request)
        while True:
            attempt += 1
            try:
                permit = await self._admission.enter(key, highest, after_seconds=wait)
                response = await self._attempt(key, request, permit, tags, attempt=attempt)
                return self._keep(request, response, permit, tags, classify, attempt=attempt)
            except TemporaryFailure as failure:
                if attempt >= self.config.max_attempts:
                    raise self._give_up(key, failure, attempt) from failure
                if self._till.cause is not None:
                    raise self._till.cause from failure
                wait = max(wait_seconds(self._seed, key, attempt), failure.retry_after_seconds or 0.0)
                self._retries[failure.reason] += 1
                self._on_event(Event("retried", key, attempt, failure.reason, wait, self._limit.value))

    async def _attempt(
        self, key: str, request: LLMRequest, permit: Permit, tags: Mapping[str, str], *, attempt: int
    ) -> LLMResponse:
        """One sending. Whatever goes wrong, the permit is handed back, and money that may be gone stays counted."""
        try:
            self._on_event(Event("sent", key, attempt, limit=self._limit.value))
            return await self._client.complete(request)
        except TemporaryFailure as failure:
            # before the door opens for others
            self._slow_down(failure, permit)
            self._leave(permit, lost=failure.may_be_billed)
            raise
        except RequestRefused as refusal:
            self._leave(permit, lost=False)
            self._till.ledger.fail(request, reason=str(refusal), tags=tags)
            self._failed += 1
            self._on_event(Event("failed", key, attempt, reason=str(refusal)))
            raise
        except AccountFailure as failure:
            self._till.halt(failure)
            self._leave(permit, lost=False)
            raise
        except BaseException:
            self._leave(permit, lost=True)
            raise

    def _leave(self, permit: Permit, *, lost: bool) -> None:
        if lost:
            self._lost += permit.dollars
        self._admission.leave(permit, lost=lost)

    # what becomes of an attempt

    def _keep(
        self,
        request: LLMRequest,
        response: LLMResponse,
        permit: Permit,
        tags: Mapping[str, str],
        classify: Classify,
        *,
        attempt: int,
    ) -> LLMResponse:
        dollars = None if self.price is None else cost(self.price, response)
        state: AnswerState = "malformed"
        try:
            state = classify(response)
        finally:
            # also when `classify` breaks: the answer is paid for
            try:
                kept = self._till.ledger.record(
                    request, response, state=state, tags=tags, dollars=dollars, reservation=permit.reservation
                )
            finally:
                self._limit_after_success()
                self._admission.leave_answered()
        self._answered += 1
        self._given_up_in_a_row = 0
        self._dollars += dollars or 0.0
        if dollars and permit.dollars and dollars > permit.dollars:
            # the server counts tokens that nobody knew of: reserve more from now on
            factor = dollars / (self._highest_cost(request) or dollars)
            self._admission.price_factor = max(self._admission.price_factor, factor)
        self._on_event(Event("answered", request.key, attempt, limit=self._limit.value, dollars=dollars))
        return kept

    def _slow_down(self, failure: TemporaryFailure, permit: Permit) -> None:
        seconds = failure.retry_after_seconds or 0.0
        if seconds > LONGEST_RETRY_AFTER_SECONDS:
            self._till.halt(
                AccountFailure(
                    f"the server asks to wait {seconds / 60:.0f} minutes before the next request ({failure}); everything answered "
                    "is kept: run the same command again after that time"
                )
            )
        elif seconds > 0:
            self._admission.hold(seconds)
        if failure.overloaded and self._limit.overloaded(permit.round):
            self._on_event(Event("limit", limit=self._limit.value))

    def _limit_after_success(self) -> None:
        before = self._limit.value
        self._limit.succeeded()
        if self._limit.value != before:
            self._on_event(Event("limit", limit=self._limit.value))

    def _give_up(self, key: str, failure: TemporaryFailure, attempt: int) -> TemporaryFailure:
        self._failed += 1
        self._given_up_in_a_row += 1
        self._on_event(Event("failed", key, attempt, str(failure)))
        if self._given_up_in_a_row >= HOPELESS_REQUESTS:
            self._till.halt(
                AccountFailure(
                    f"{self._given_up_in_a_row} requests were given up one after the other with no answer between (the last: "
                    f"{failure}); everything answered is kept: see that the server is there, and run the same command again"
                )
            )
        return TemporaryFailure(
            f"no answer after {attempt} attempts (the last: {failure}); the same command asks again",
            overloaded=failure.overloaded,
            may_be_billed=failure.may_be_billed,
            reason=failure.reason,
        )

    def _highest_cost(self, request: LLMRequest) -> float | None:
        if self.price is None:
            return None
        return highest_cost(self.price, request, request.most_tokens(self.config.max_output_tokens))

    # stopping and looking

    @property
    def cause(self) -> StopCause | None:
        """Why nothing more is sent, if that is so."""
        return self._till.cause

    def stop(self, reason: str = "stopped; what was answered is kept, and the same command goes on from there") -> None:
        """Send nothing more; what is in flight is finished and kept, and whoever waits to be sent gets `Stopped`."""
        self._till.halt(Stopped(reason))

    def drop(self) -> None:
        """Let go of what is in flight, too: its reservations count as lost."""
        self.stop()
        self._till.drop()

    async def settled(self) -> None:
        """Wait until nothing of this run is in flight or waiting."""
        await self._till.settled()

    async def close(self) -> None:
        """Wait for what is in flight, then close the client. The ledger stays open: it is the caller's."""
        await self.settled()
        await self._client.close()

    @property
    def in_flight(self) -> int:
        """Requests of the whole run that are out, those of dispatchers beside this one included."""
        return self._till.in_flight

    @property
    def progress(self) -> Progress:
        return Progress(
            in_flight=self._admission.in_flight,
            waiting=self._admission.waiting,
            limit=self._limit.value,
            answered=self._answered,
            reused=self._reused,
            failed=self._failed,
            retries=MappingProxyType(dict(sorted(self._retries.items()))),
            dollars=self._dollars,
            lost=self._lost,
            spending=self._till.ledger.spending,
        )
