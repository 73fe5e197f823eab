# ruff: noqa: N818 (named after what to do about them; `except Stopped` reads as it should)
"""The ways in which a request is not answered, by what is to be done about it. Providers' errors are mapped to these once.

What this module does not do: retry (:mod:`groundtune.llm.dispatch` does), or decide what is billed (the ledger adds it up).
"""

from __future__ import annotations

from groundtune.errors import GenerationError


class TemporaryFailure(GenerationError):
    """Worth another try: too many requests, an overloaded or broken server, a time-out, a dropped connection."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        overloaded: bool = False,
        may_be_billed: bool = False,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        """What the server asked for, if it did."""
        self.overloaded = overloaded
        """Whether fewer requests at a time would help (429, 503, 529)."""
        self.may_be_billed = may_be_billed
        """Whether the server may have answered although nothing whole arrived (time-out, connection lost after sending)."""
        self.reason = reason or _REASONS[overloaded, may_be_billed]
        """The kind of failure in a few plain words without particulars ("too many requests"), by which retries are counted."""


_REASONS = {
    (True, False): "server overloaded",
    (True, True): "server overloaded",
    (False, True): "answer lost on the way",
    (False, False): "server error",
}
"""By `overloaded` and `may_be_billed`."""


class RequestRefused(GenerationError):
    """This one request can never be answered as it is (400, 413, 422): too long, not allowed. Others can."""


class AccountFailure(GenerationError):
    """No request can be answered: key missing or wrong, no credit, no such model. Stops everything at once."""


class BudgetReached(GenerationError):
    """The next request could pass `budget_dollars`. What was answered is kept."""


class Stopped(GenerationError):
    """The user asked to stop; nothing new is sent."""
