"""The door through which every request is sent: it waits for its turn, for the server's Retry-After, and for money.

First come, first served; whatever changes opens the door to as many as may go. What this module does not do: send, or decide
what is to be tried again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from groundtune.errors import GroundtuneError
from groundtune.llm.dispatch.pacing import InFlightLimit
from groundtune.llm.dispatch.till import Till


@dataclass(frozen=True, slots=True)
class Permit:
    """To send one request once; handed back by `Admission.leave`."""

    reservation: int | None
    dollars: float
    """Reserved; 0 where there is no price."""
    round: int
    """In which the limit was when the request was sent."""


@dataclass(eq=False, slots=True)
class _Waiter:
    key: str
    dollars: float | None
    permit: asyncio.Future[Permit]
    timer: asyncio.TimerHandle | None = None


class Admission:
    """One for each client."""

    def __init__(self, limit: InFlightLimit, till: Till) -> None:
        self.limit = limit
        self.in_flight = 0
        self.price_factor = 1.0
        """By which highest costs are raised, after one turned out too low."""
        self._till = till
        self._queue: deque[_Waiter] = deque()
        self._resting: dict[_Waiter, None] = {}
        """Those whose attempt failed and who wait before they stand in the queue again."""
        self._opens_at = 0.0
        """In the time of the event loop."""
        self._opening: asyncio.TimerHandle | None = None
        till.wakers.append(self._admit)

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._resting)

    async def enter(self, key: str, dollars: float | None, *, after_seconds: float = 0.0) -> Permit:
        """Wait until a request may be sent.

        Args:
            dollars: what it can cost at most; None: not known, or nothing.

        Raises:
            AccountFailure, BudgetReached, Stopped: nothing is sent any more.
            StorageError: the ledger cannot be written.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(key, dollars, loop.create_future())
        if after_seconds > 0 and self._till.cause is None:
            self._resting[waiter] = None
            waiter.timer = loop.call_later(after_seconds, self._stand_in_line, waiter)
        else:
            self._stand_in_line(waiter)
        try:
            permit = await waiter.permit
        except asyncio.CancelledError:
            self._forget(waiter)
            raise
        if self._till.cause is not None:
            # stopped in the moment between being let in and getting here
            self.leave(permit, lost=False)
            raise self._till.cause
        return permit

    def leave(self, permit: Permit, *, lost: bool) -> None:
        """A request came back without an answer; `lost`: it may have been billed."""
        self.in_flight -= 1
        try:
            self._till.give_back(permit.reservation, lost=lost)
        finally:
            self._till.wake()

    def leave_answered(self) -> None:
        """A request was answered, and its reservation ended with that."""
        self.in_flight -= 1
        self._till.in_flight -= 1
        self._till.wake()

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._opens_at = max(self._opens_at, asyncio.get_running_loop().time() + seconds)

    def _stand_in_line(self, waiter: _Waiter) -> None:
        self._resting.pop(waiter, None)
        self._queue.append(waiter)
        self._admit()

    def _forget(self, waiter: _Waiter) -> None:
        self._resting.pop(waiter, None)
        if waiter.timer is not None:
            waiter.timer.cancel()
        permit = waiter.permit
        if permit.done() and not permit.cancelled() and permit.exception() is None:
            self.leave(permit.result(), lost=False)  # cancelled between being let in and sending

    def _admit(self) -> None:
        if self._till.cause is not None:
            self._turn_away()
        while self._queue and self._may_enter():
            waiter = self._queue[0]
            if not waiter.permit.done():
                dollars = (waiter.dollars or 0.0) * self.price_factor
                try:
                    taken, reservation = self._till.take(waiter.key, dollars)
                except GroundtuneError as error:
                    waiter.permit.set_exception(error)
                else:
                    if not taken:
                        return  # money is waited for; or there will be none, and everybody was turned away
                    self.in_flight += 1
                    waiter.permit.set_result(Permit(reservation, dollars, self.limit.round))
            self._queue.popleft()

    def _may_enter(self) -> bool:
        if self.in_flight >= self.limit.value:
            return False
        loop = asyncio.get_running_loop()
        if loop.time() >= self._opens_at:
            return True
        if self._opening is None:
            self._opening = loop.call_at(self._opens_at, self._open)
        return False

    def _open(self) -> None:
        self._opening = None
        self._admit()

    def _turn_away(self) -> None:
        waiters = (*self._queue, *self._resting)
        self._queue.clear()
        self._resting.clear()
        for waiter in waiters:
            if waiter.timer is not None:
                waiter.timer.cancel()
            if not waiter.permit.done() and self._till.cause is not None:
                waiter.permit.set_exception(self._till.cause)
