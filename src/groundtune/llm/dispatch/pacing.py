"""How many requests may be in flight, and how long to wait before the next attempt. Arithmetic only: no clock, no waiting.

The limit follows TCP (Chiu and Jain 1989; RFC 5681): it rises by one for each window of successes and halves when the server
says that it has too much to do, at most once a round trip. Waiting times are exponential with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015).
"""

from __future__ import annotations

import random

START = 64
"""Requests in flight at first, where so many are allowed. An answer takes seconds to tens of seconds: beginning with few would
cost several round trips of a short run, and a server that is pressed says so in one."""

TOLERATED_SHARE = 1 / 8
SHORTEST_LOOK = 32
"""The limit halves when so large a share of the requests last looked at was turned away: of as many as the limit, and no fewer
than so many. Servers turn away some requests at any load, and halving for each would leave a run with a few in flight where 64 are
well (707 requests of one second, 2% turned away: 71 s in place of 12 s; 8%: 164 s in place of 52 s). A server that really has too
much to do turns away far more, and within one round trip."""

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0


class InFlightLimit:
    """Additive increase, multiplicative decrease.

    >>> limit = InFlightLimit(8)
    >>> [limit.overloaded(sent_in=0) for _ in range(8)], limit.value
    ([False, False, False, True, False, False, False, False], 4)
    >>> for _ in range(4): limit.succeeded()
    >>> limit.value
    5
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.value = min(most, START)
        self.round = 0
        """Goes up with each halving; a request is sent in one round."""
        self._successes = 0
        """Since the limit changed."""
        self._looked_at = 0
        self._turned_away = 0

    def succeeded(self) -> None:
        """One request was answered. Until the limit halved for the first time each answer makes room for one more, so that it
        doubles in a round trip."""
        self._successes += 1
        if self.round == 0 or self._successes >= self.value:
            self._successes = 0
            self.value = min(self.most, self.value + 1)
        self._looked_at += 1
        if self._looked_at >= self._look:
            self._looked_at = self._turned_away = 0

    def overloaded(self, sent_in: int) -> bool:
        """A request of round `sent_in` was turned away. Whether the limit is another one now: once it has halved, the others that
        were sent in the same round tell nothing new."""
        if sent_in != self.round:
            return False
        self._turned_away += 1
        if self._turned_away < self._look * TOLERATED_SHARE or self.value == 1:
            return False
        self.round += 1
        self._successes = self._looked_at = self._turned_away = 0
        self.value //= 2
        return True

    @property
    def _look(self) -> int:
        return max(self.value, SHORTEST_LOOK)


def wait_seconds(seed: int, key: str, attempt: int) -> float:
    """After attempt number `attempt` (from 1) of the request `key` failed: the same in every run.

    >>> wait_seconds(0, "a", 1) == wait_seconds(0, "a", 1) < FIRST_WAIT_SECONDS
    True
    """
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 16))
    return random.Random(f"{seed}/{key}/{attempt}").random() * longest
