"""OpenAI's Batch API: a file of requests goes up, a file of answers and a file of errors come down.

The custom id of a line is its request's key. OpenAI takes lines of one model in one batch, which a client has anyway.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from openai.types import Batch

from groundtune.llm.client import LLMRequest
from groundtune.llm.failures import TemporaryFailure
from groundtune.llm.providers.batches import (
    CANCELLED,
    EXPIRED,
    MAX_OPENAI_BYTES,
    MAX_OPENAI_REQUESTS,
    MISSING,
    BatchResult,
    Gathering,
    no_batch,
    no_list,
    no_service,
)
from groundtune.llm.providers.mapping import ProtocolError, read_problem
from groundtune.llm.providers.openai_answers import read_completion
from groundtune.llm.providers.openai_chat import OpenAIClient
from groundtune.llm.providers.sdk_batches import SDKBatches, checked

_ROUTE: Final = "/v1/chat/completions"
_MARK = "groundtune"
_LOST = ("failed", "cancelling", "cancelled")
_ENDED = ("completed", "failed", "expired", "cancelled")
_ITEM_CODES = {"batch_expired": EXPIRED, "batch_cancelled": CANCELLED}


class OpenAIBatches(SDKBatches[OpenAIClient]):
    """A `BatchClient`."""

    max_requests = MAX_OPENAI_REQUESTS
    max_bytes = MAX_OPENAI_BYTES

    async def submit(self, requests: Sequence[LLMRequest]) -> str:
        lines = {
            request.key: {"custom_id": request.key, "method": "POST", "url": _ROUTE, "body": self._body(request)}
            for request in requests
        }
        content = "".join(json.dumps(line) + "\n" for line in lines.values()).encode()
        sdk = self._client.sdk
        absent = no_service(self._client.endpoint)
        upload = sdk.files.create(file=("groundtune.jsonl", content), purpose="batch")
        try:
            file = await self._tried(checked(upload), absent)
        except TemporaryFailure as failure:
            failure.may_be_billed = False  # a file alone is not worked on
            raise
        start = sdk.batches.create(
            input_file_id=file.id, endpoint=_ROUTE, completion_window="24h", metadata={_MARK: _digest(requests)}
        )
        batch = await self._tried(checked(start), absent)
        return batch.id

    async def find(self, requests: Sequence[LLMRequest], known: Collection[str] = ()) -> str | None:
        """By the mark that `submit` leaves in a batch's metadata."""
        return await self._tried(self._find(_digest(requests), known), no_list(self._client.endpoint))

    async def collect(self, batch_id: str) -> BatchResult | None:
        absent = no_batch(self._client.endpoint, batch_id)
        batch = await self._tried(checked(self._client.sdk.batches.retrieve(batch_id)), absent)
        if batch.status not in _ENDED:
            return None
        others = _others(batch)
        # a line that the service cannot take fails the whole batch, and all lines are put in the same way
        gathering = Gathering(
            self._client, BatchResult(others=others, form_refused=[others[0]] if batch.status == "failed" else [])
        )
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                await self._tried(self._read_file(gathering, file_id), absent)
        return gathering.result

    async def _find(self, digest: str, known: Collection[str]) -> str | None:
        async def is_it(batch: Batch) -> bool:
            marked = (batch.metadata or {}).get(_MARK) == digest
            return marked and batch.id not in known and batch.status not in _LOST

        return await self._first(self._client.sdk.batches.list(limit=100), is_it)

    async def _read_file(self, gathering: Gathering, file_id: str) -> None:
        async with self._client.sdk.files.with_streaming_response.content(file_id) as response:
            async for line in _lines(response.iter_bytes()):
                item = json.loads(line)
                if not isinstance(item, dict):
                    raise ProtocolError("a line of the results that is no object")
                _sort(gathering, str(item.get("custom_id")), item)

    def _body(self, request: LLMRequest) -> dict[str, Any]:
        return self._client.body(request, self._client.manner)


def _sort(gathering: Gathering, key: str, item: Mapping[str, Any]) -> None:
    response, error = item.get("response") or {}, item.get("error") or {}
    status = response.get("status_code")
    if status == 200:
        gathering.take(key, read_completion, response.get("body"))
    elif isinstance(status, int):
        gathering.refuse(key, read_problem(response.get("body"), status))
    else:
        code = str(error.get("code"))
        gathering.miss(key, _ITEM_CODES.get(code) or str(error.get("message") or code))


def _digest(requests: Sequence[LLMRequest]) -> str:
    return hashlib.sha256("".join(sorted({request.key for request in requests})).encode()).hexdigest()


def _others(batch: Batch) -> tuple[str, bool]:
    """A batch that failed as a whole names no item; it can be tried again once what it says is mended."""
    if batch.status == "failed":
        told = [error.message or error.code or "" for error in (batch.errors and batch.errors.data) or []]
        return f"the batch was refused: {'; '.join(told[:3]) or 'without a reason'}", True
    return {"expired": EXPIRED, "cancelled": CANCELLED}.get(batch.status, MISSING), True


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Split at newlines alone: JSON may hold other characters that count as line ends."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest
