"""What the two batch services have in common that are spoken to through an SDK: how a call fails, how a lost batch is looked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from groundtune.errors import GenerationError
from groundtune.llm.client import LLMRequest
from groundtune.llm.failures import RequestRefused
from groundtune.llm.providers.batches import LATEST, FormRefused, how_many_fit
from groundtune.llm.providers.mapping import ProtocolError, failure_of, problem_of
from groundtune.llm.providers.sdk_client import SDKClient


class Named(Protocol):
    """A batch, or a file, as an SDK hands it back."""

    id: str


Client = TypeVar("Client", bound=SDKClient)
Made = TypeVar("Made", bound=Named)
Value = TypeVar("Value")


class SDKBatches(ABC, Generic[Client]):
    """A `BatchClient` but for `submit`, `find` and `collect`."""

    max_requests: ClassVar[int]
    max_bytes: ClassVar[int]

    def __init__(self, client: Client) -> None:
        self._client = client
        self.notes = client.notes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._client!r})"

    @property
    def model(self) -> str:
        return self._client.model

    @property
    def writer(self) -> str:
        return self._client.writer

    def fits(self, requests: Sequence[LLMRequest]) -> int:
        return how_many_fit(map(self._body, requests), max_requests=self.max_requests, max_bytes=self.max_bytes)

    async def close(self) -> None:
        await self._client.close()

    @abstractmethod
    def _body(self, request: LLMRequest) -> dict[str, Any]:
        """What is sent of a request in a batch."""

    async def _tried(self, call: Awaitable[Value], absent: GenerationError) -> Value:
        """The value of a call to the service; its errors are mapped, and "not found" (404, 405) is `absent`."""
        try:
            return await call
        except self._client.errors as error:
            problem = problem_of(error)
            is_absent = problem is not None and problem.status in (404, 405)
            failure = absent if is_absent else failure_of(error, self._client.endpoint, {}, answered=False)
            if problem is not None and isinstance(failure, RequestRefused) and self._client.is_about_form(problem):
                failure = FormRefused(str(failure))
        raise failure  # out here, so that the SDK's error does not hang on it: see mapping.py

    async def _first(self, listed: AsyncIterable[Made], is_it: Callable[[Made], Awaitable[bool]]) -> str | None:
        """The id of the first of the account's latest batches that is it."""
        seen = 0
        async for batch in listed:
            if await is_it(batch):
                return batch.id
            seen += 1
            if seen >= LATEST:
                break
        return None


async def checked(call: Awaitable[Made]) -> Made:
    """What was made. Raises `ProtocolError` where no JSON came: the SDK hands back the text then."""
    made = await call
    if not isinstance(getattr(made, "id", None), str):
        raise ProtocolError("no batch or file")
    return made
