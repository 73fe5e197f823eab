"""What the batch services of the providers have in common: the protocol, the result, the limits.

A batch is submitted, may be left for days, and is collected by its id. What this module does not do: remember ids, count
money (a batch costs about half, see :mod:`groundtune.llm.prices`), or wait.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from groundtune.errors import GenerationError
from groundtune.llm.client import LLMRequest, LLMResponse
from groundtune.llm.failures import AccountFailure, RequestRefused
from groundtune.llm.providers.endpoint import Endpoint
from groundtune.llm.providers.mapping import CutOffError, Problem, ProtocolError, failure_of_problem
from groundtune.llm.providers.reply import Reply
from groundtune.llm.providers.sdk_client import SDKClient

MAX_ANTHROPIC_REQUESTS = 100_000
MAX_ANTHROPIC_BYTES = 256_000_000
"""Source, as of 2026-11: Claude docs, "Batch processing", section "Batch limitations" (256 MB; processed within 24 hours,
results kept for 29 days)."""
MAX_OPENAI_REQUESTS = 50_000
MAX_OPENAI_BYTES = 200_000_000
"""Source, as of 2026-11: `openai/types/batch_create_params.py` of the SDK, `input_file_id` (200 MB; a window of 24 hours)."""
OWN_BATCH_BYTES = 48_000_000
"""Our own limit for one batch, below both: a batch is built in memory, and the queue of a service is limited in tokens."""

LATEST = 200
"""Batches that are looked through for a lost one."""

EXPIRED = "not answered within the batch's 24 hours"
CANCELLED = "the batch was cancelled before this request was answered"
MISSING = "the batch ended without a word about this request"

_FRAME_BYTES = 100
"""Around a body: the custom id of 64 characters and its names."""
_SETTABLE = {"temperature": None}
"""What a config can put into every request: refused, the config is at fault and not the request."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch that has ended."""

    answers: dict[str, LLMResponse] = field(default_factory=dict)
    """By request key."""
    failures: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By request key: the reason, and whether asking again may help. A failed item is not billed."""
    others: tuple[str, bool] = (MISSING, True)
    """Reason and retry for every request of the batch that is in neither: a batch can fail as a whole, without items."""
    form_refused: list[str] = field(default_factory=list)
    """What was said of the way in which requests were put, such as how their answers were to be held to JSON: nothing is wrong
    with the requests."""


class FormRefused(RequestRefused):
    """A batch was refused for the way its answers were to be held to JSON: that says nothing about its requests."""


class NoSuchBatch(AccountFailure):
    """The key is another account's, or the provider has forgotten the batch."""


class BatchClient(Protocol):
    """A provider's batch service."""

    @property
    def notes(self) -> list[str]:
        """What a user should know about the server, each said once."""
        ...

    @property
    def model(self) -> str: ...

    @property
    def writer(self) -> str: ...

    def fits(self, requests: Sequence[LLMRequest]) -> int:
        """How many of the first `requests` go into one batch; at least 1 unless there are none."""
        ...

    async def submit(self, requests: Sequence[LLMRequest]) -> str:
        """Hand in a batch; returns its id. Equal requests are sent once. Tried once; raises
        :mod:`groundtune.llm.failures`, where `TemporaryFailure.may_be_billed` means that the batch may exist unseen, or
        `FormRefused`."""
        ...

    async def find(self, requests: Sequence[LLMRequest], known: Collection[str] = ()) -> str | None:
        """Id of a batch of exactly these requests whose submission was answered into the void (a lost connection, a
        killed process); None when there is none. Looks at the latest `LATEST` batches of the account, those in `known`
        left out. Raises RequestRefused where a server does not list batches."""
        ...

    async def collect(self, batch_id: str) -> BatchResult | None:
        """The result; None while it is still being worked on. Tried once; raises :mod:`groundtune.llm.failures`."""
        ...

    async def close(self) -> None: ...


class Gathering:
    """Sorts the items of a batch into a result."""

    def __init__(self, client: SDKClient, result: BatchResult) -> None:
        self.result = result
        self._client = client
        self._has_learned = False

    def take(self, key: str, read: Callable[[object], Reply], body: object) -> None:
        """An item that was answered."""
        try:
            self.result.answers[key] = self._client.accept(read(body))
        except (ProtocolError, CutOffError) as fault:
            self.miss(key, f"the item is no whole answer ({fault or 'it says not why it ends'})")

    def refuse(self, key: str, problem: Problem) -> None:
        """An item that met an error. Where the error is about the form of answers, the client learns it, once a batch:
        all items were asked in the same form."""
        about_form = self._client.is_about_form(problem)
        if about_form and not self._has_learned:
            self._has_learned = True
            self._client.adapt(problem)
        failure = failure_of_problem(problem, self._client.endpoint, _SETTABLE)
        if about_form:
            self.result.form_refused.append(str(failure))
        self.result.failures[key] = (str(failure), about_form or not isinstance(failure, RequestRefused))

    def miss(self, key: str, reason: str) -> None:
        """An item that nothing speaks against but that has no answer."""
        self.result.failures[key] = (self._client.endpoint.cleared(reason), True)


def no_service(endpoint: Endpoint) -> GenerationError:
    return AccountFailure(f"{endpoint.where}: it has no batch service; set batch to false")


def no_list(endpoint: Endpoint) -> GenerationError:
    """Of `find` alone: the others may work."""
    return RequestRefused(f"{endpoint.where}: it does not list batches")


def no_batch(endpoint: Endpoint, batch_id: str) -> GenerationError:
    """Most likely the key is another account's: asking the requests again would pay for them twice."""
    return NoSuchBatch(
        f"{endpoint.where}: there is no batch {batch_id!r}; "
        f"{endpoint.key_variable} must hold a key of the account that submitted it"
    )


def how_many_fit(bodies: Iterable[object], *, max_requests: int, max_bytes: int) -> int:
    """How many of the first `bodies` go into one batch; no more of them is looked at than needed.

    >>> how_many_fit(iter([{"a": 1}, {"a": 2}, {"a": 3}]), max_requests=10, max_bytes=250)
    2
    """
    room, number = min(max_bytes, OWN_BATCH_BYTES), 0
    for number, body in enumerate(islice(bodies, max_requests), start=1):
        room -= len(json.dumps(body).encode()) + _FRAME_BYTES
        if room < 0:
            return max(1, number - 1)
    return number
