"""What a dispatcher tells while it works: events as they happen, and a record of how it stands.

What this module does not do: draw anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from groundtune.llm.ledger import Spending

EventKind = Literal["sent", "answered", "retried", "failed", "limit"]
"""``failed``: refused, or given up after the last attempt. ``limit``: another number of requests may be in flight from now on."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    kind: EventKind
    key: str = ""
    """Of the request; empty for ``limit``."""
    attempt: int = 0
    """From 1."""
    reason: str = ""
    """Of a retry, in a few plain words; of a failure, the whole message."""
    wait_seconds: float = 0.0
    """Before a retry, at least."""
    limit: int = 0
    """Requests that may be in flight now."""
    dollars: float | None = None
    """Of an answer; None where no price is known."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How a dispatcher stands, counted from its beginning."""

    in_flight: int
    waiting: int
    """Requests that wait to be sent: for their turn, for the server, for money."""
    limit: int
    """Requests that may be in flight now."""
    answered: int
    reused: int
    """Answers that were in the ledger."""
    failed: int
    """Refused or given up."""
    retries: Mapping[str, int]
    """By reason."""
    dollars: float
    """For the answers of this dispatcher."""
    lost: float
    """At most, in dollars, for answers of this dispatcher that never arrived."""
    spending: Spending
    """Of the whole ledger, over its whole life."""
