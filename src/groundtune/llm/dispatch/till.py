"""What all dispatchers of one run share: the money, the requests in flight, and the reason to stop.

Every request in flight has its highest cost reserved in the ledger. What this module does not do: know prices, or send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from groundtune.llm.client import LLMResponse
from groundtune.llm.failures import AccountFailure, BudgetReached, Stopped
from groundtune.llm.ledger import Ledger

StopCause = AccountFailure | BudgetReached | Stopped


class Till:
    """One for each run. Nothing is sent once it has a `cause`."""

    def __init__(self, ledger: Ledger, budget_dollars: float | None) -> None:
        self.ledger = ledger
        self.budget_dollars = budget_dollars
        self.cause: StopCause | None = None
        self.dropping = False
        self.in_flight = 0
        self.sendings: dict[str, asyncio.Task[LLMResponse]] = {}
        """Of requests that are not answered yet, by key."""
        self.wakers: list[Callable[[], None]] = []
        """Called when money has come free, or when nothing more is to be sent."""

    def take(self, key: str, dollars: float) -> tuple[bool, int | None]:
        """Whether a request may be sent, and the number of its reservation (None: it costs nothing)."""
        reservation: int | None = None
        if dollars and self.budget_dollars is not None:
            reservation = self.ledger.reserve_within(key, dollars, self.budget_dollars)
            if reservation is None:
                if self.in_flight == 0:
                    self.halt(BudgetReached(self._sentence(self.budget_dollars, dollars)))
                return False, None
        elif dollars:
            reservation = self.ledger.reserve(key, dollars)
        self.in_flight += 1
        return True, reservation

    def give_back(self, reservation: int | None, *, lost: bool) -> None:
        """A request came back without an answer. The next may go when `wake` is called."""
        self.in_flight -= 1
        if reservation is not None:
            (self.ledger.lose if lost else self.ledger.release)(reservation)

    def halt(self, cause: StopCause) -> None:
        """Send nothing more. The first cause stays."""
        if self.cause is None:
            self.cause = cause
        self.wake()

    def drop(self) -> None:
        """Cancel what is in flight."""
        self.dropping = True
        for task in tuple(self.sendings.values()):
            task.cancel()

    def wake(self) -> None:
        for waker in self.wakers:
            waker()

    async def settled(self) -> None:
        """Wait until nothing is in flight or waiting to be sent."""
        while self.sendings:
            await asyncio.wait(tuple(self.sendings.values()))

    def _sentence(self, budget: float, next_dollars: float) -> str:
        spending = self.ledger.spending
        parts = [f"${spending.answered:.4f} is spent on answers"]
        if spending.lost:
            parts.append(f"up to ${spending.lost:.4f} on answers that were lost")
        if spending.in_flight:
            parts.append(f"up to ${spending.in_flight:.4f} is held for batches that are out")
        return (
            f"budget_dollars is ${budget:g}: {', '.join(parts)}, and the next request could cost ${next_dollars:.4f}; everything "
            "answered is kept: raise budget_dollars and run the same command again to go on"
        )
