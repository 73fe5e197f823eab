"""Message Batches of the Claude API. The custom id of an item is its request's key: 64 characters of hex, the most allowed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from anthropic.types.messages import MessageBatch
from anthropic.types.messages.batch_create_params import Request

from groundtune.llm.client import LLMRequest
from groundtune.llm.providers.anthropic_answers import read_message
from groundtune.llm.providers.anthropic_messages import AnthropicClient, Manner
from groundtune.llm.providers.batches import (
    CANCELLED,
    EXPIRED,
    MAX_ANTHROPIC_BYTES,
    MAX_ANTHROPIC_REQUESTS,
    BatchResult,
    Gathering,
    no_batch,
    no_list,
    no_service,
)
from groundtune.llm.providers.mapping import ProtocolError, read_late_problem
from groundtune.llm.providers.sdk_batches import SDKBatches, checked


class AnthropicBatches(SDKBatches[AnthropicClient]):
    """A `BatchClient`. Items are asked in a form that needs no refusal to be found out: the tool without strict decoding."""

    max_requests = MAX_ANTHROPIC_REQUESTS
    max_bytes = MAX_ANTHROPIC_BYTES

    async def submit(self, requests: Sequence[LLMRequest]) -> str:
        items = {request.key: {"custom_id": request.key, "params": self._body(request)} for request in requests}
        call = self._client.sdk.messages.batches.create(requests=cast(list[Request], list(items.values())))
        return (await self._tried(checked(call), no_service(self._client.endpoint))).id

    async def find(self, requests: Sequence[LLMRequest], known: Collection[str] = ()) -> str | None:
        """Batches carry no mark of ours: one of the right size is taken for it, and if it has ended its results are
        asked. One that still runs can be another program's; collecting it then says nothing about our requests."""
        keys = {request.key for request in requests}
        return await self._tried(self._find(keys, known), no_list(self._client.endpoint))

    async def collect(self, batch_id: str) -> BatchResult | None:
        absent = no_batch(self._client.endpoint, batch_id)
        batch = await self._tried(checked(self._client.sdk.messages.batches.retrieve(batch_id)), absent)
        if batch.processing_status != "ended":
            return None
        if not batch.results_url:
            return BatchResult(others=(f"the results of batch {batch_id} are no longer kept", True))
        return await self._tried(self._read_results(batch_id), absent)

    async def _find(self, keys: Collection[str], known: Collection[str]) -> str | None:
        async def is_it(batch: MessageBatch) -> bool:
            counts = batch.request_counts
            size = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
            return size == len(keys) and batch.id not in known and await self._holds(batch, keys)

        return await self._first(self._client.sdk.messages.batches.list(limit=100), is_it)

    async def _holds(self, batch: MessageBatch, keys: Collection[str]) -> bool:
        if batch.processing_status != "ended":
            return batch.cancel_initiated_at is None
        if not batch.results_url:
            return False
        results = await self._client.sdk.messages.batches.results(batch.id)
        try:
            async for item in results:
                return item.custom_id in keys
        finally:
            await results.close()
        return False

    async def _read_results(self, batch_id: str) -> BatchResult:
        gathering = Gathering(self._client, BatchResult())
        async for item in await self._client.sdk.messages.batches.results(batch_id):
            if not hasattr(item, "to_dict"):
                raise ProtocolError("a line of the results that is no object")
            line: dict[str, Any] = item.to_dict(warnings=False, exclude_unset=False)
            _sort(gathering, str(line.get("custom_id")), line.get("result") or {})
        return gathering.result

    def _body(self, request: LLMRequest) -> dict[str, Any]:
        manner: Manner = "tool" if self._client.manner == "strict tool" else self._client.manner
        return self._client.body(request, manner)


def _sort(gathering: Gathering, key: str, outcome: Mapping[str, Any]) -> None:
    kind = outcome.get("type")
    if kind == "succeeded":
        gathering.take(key, read_message, outcome.get("message"))
    elif kind == "errored":
        gathering.refuse(key, read_late_problem(outcome.get("error")))
    else:
        gathering.miss(key, {"expired": EXPIRED, "canceled": CANCELLED}.get(str(kind), f"ended as {kind!r}"))
