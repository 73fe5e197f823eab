"""Both batch services and the file store that OpenAI's needs.

A batch is made at once and worked on when it is first found to be done. What this module does not do: expire by the clock,
or keep batches when the server ends.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scripted_engine import Engine
from scripted_faults import CONTENT, HANG, OK, REFUSED, SLOW, error_answer
from scripted_requests import BadRequestError, Protocol, ProviderRequest, read_request
from scripted_wire import body_of

_CREATED = 1_760_000_000
_CREATED_TEXT = "2025-10-09T08:53:20+00:00"
_EXPIRES_TEXT = "2025-10-10T08:53:20+00:00"


class NotFoundError(Exception):
    """No batch or file of that id."""


@dataclass(slots=True)
class StoredFile:
    name: str
    purpose: str
    data: bytes


@dataclass(slots=True)
class Batch:
    batch_id: str
    protocol: Protocol
    waiting: list[tuple[ProviderRequest, str]]
    """Requests not worked on yet, with their faults."""
    input_file: str = ""
    metadata: Mapping[str, Any] | None = None
    polls: int = 0
    status: str = "in_progress"
    """``in_progress``, ``ended``, ``canceled``, ``failed``."""
    answered: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)
    """Why the input file was refused."""
    counts: Counter[str] = field(default_factory=Counter)


class BatchService:
    """Batches and files, by id."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._batches: dict[str, Batch] = {}
        self._files: dict[str, StoredFile] = {}

    # -- making

    def create_anthropic(self, body: Any, headers: Mapping[str, str]) -> Batch:
        """Raises BadRequestError for the whole batch when one of its requests is malformed."""
        entries = (body or {}).get("requests") or []
        if not 1 <= len(entries) <= self._engine.script.batch_max_requests:
            raise BadRequestError(
                f"requests: List should have between 1 and {self._engine.script.batch_max_requests} items"
            )
        self._check_ids([str(entry.get("custom_id", "")) for entry in entries])
        batch = self._new("anthropic", "msgbatch")
        for place, entry in enumerate(entries):
            if (entry.get("params") or {}).get("stream"):
                raise BadRequestError(f"requests.{place}.params.stream: streaming is not supported in batches")
        requests = [self._read("anthropic", entry["params"], headers, batch, entry["custom_id"]) for entry in entries]
        return self._admit(batch, requests)

    def create_openai(self, body: Any, headers: Mapping[str, str]) -> Batch:
        """A malformed line makes a batch that has failed, as there."""
        body = body or {}
        source = self.file(str(body.get("input_file_id", "")))
        if body.get("endpoint") != "/v1/chat/completions" or body.get("completion_window") != "24h":
            raise BadRequestError("Invalid endpoint or completion_window.", param="endpoint")
        batch = self._new("openai", "batch")
        batch.input_file, batch.metadata = body["input_file_id"], body.get("metadata")
        requests = []
        try:
            lines = [json.loads(line) for line in source.data.splitlines() if line.strip()]
            self._check_ids([str(line.get("custom_id", "")) for line in lines])
            if len(lines) > self._engine.script.batch_max_requests or not lines:
                raise BadRequestError(
                    f"The batch has {len(lines)} requests; the limit is {self._engine.script.batch_max_requests}."
                )
            for line in lines:
                if line.get("method") != "POST" or line.get("url") != body["endpoint"]:
                    raise BadRequestError(
                        "The method or url of a line does not match the endpoint of the batch.", param="url"
                    )
                requests.append(self._read("openai", line.get("body"), headers, batch, line["custom_id"]))
        except (BadRequestError, ValueError) as problem:
            self._batches[batch.batch_id] = batch
            batch.status = "failed"
            batch.problems = [{"code": "invalid_request", "message": str(problem), "line": None, "param": None}]
            return batch
        return self._admit(batch, requests)

    def _new(self, protocol: Protocol, prefix: str) -> Batch:
        return Batch(f"{prefix}_{len(self._batches) + 1:04}", protocol, [])

    def _read(
        self, protocol: Protocol, body: Any, headers: Mapping[str, str], batch: Batch, custom_id: str
    ) -> ProviderRequest:
        refuses = self._engine.script.refuses
        return read_request(protocol, body, headers, refuses=refuses, batch=batch.batch_id, custom_id=custom_id)

    def _admit(self, batch: Batch, requests: list[ProviderRequest]) -> Batch:
        batch.waiting = [self._engine.admit(request) for request in requests]
        batch.total = len(requests)
        self._batches[batch.batch_id] = batch
        return batch

    @staticmethod
    def _check_ids(ids: list[str]) -> None:
        for custom_id in ids:
            if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", custom_id):
                raise BadRequestError(f"requests.custom_id: {custom_id!r} does not match ^[a-zA-Z0-9_-]{{1,64}}$")
        if len(set(ids)) != len(ids):
            raise BadRequestError("requests: custom_id must be unique within a batch")

    # -- finding and working

    def batch(self, batch_id: str) -> Batch:
        if batch_id not in self._batches:
            raise NotFoundError(f"No batch found with id {batch_id!r}.")
        return self._batches[batch_id]

    def batches(self, protocol: Protocol) -> list[Batch]:
        """The newest first."""
        return [batch for batch in reversed(self._batches.values()) if batch.protocol == protocol]

    async def poll(self, batch: Batch) -> Batch:
        """One look at the batch; the look that finds it done does its work."""
        batch.polls += 1
        if batch.status == "in_progress" and batch.polls > self._engine.script.batch_polls:
            batch.status = "ended"
            await self._work(batch)
        return batch

    def cancel(self, batch: Batch) -> Batch:
        if batch.status == "in_progress":
            batch.status = "canceled"
            for request, _ in batch.waiting:
                self._engine.finish(request, "canceled", None, whole=False)
                self._keep_failure(batch, request, "canceled", error_answer(batch.protocol, "400").body)
            batch.waiting = []
        return batch

    async def _work(self, batch: Batch) -> None:
        for request, fault in batch.waiting:
            if fault in (OK, SLOW) or fault in CONTENT:
                answer = self._engine.answer(request, fault)
                self._engine.finish(request, fault, answer.usage, whole=True)
                batch.answered.append(_answered(request, body_of(request, answer)))
                batch.counts["succeeded"] += 1
            else:
                self._engine.finish(request, fault, None, whole=False)
                error = error_answer(batch.protocol, fault if fault in REFUSED else "500")
                self._keep_failure(batch, request, "expired" if fault == HANG else "errored", error.body, error.status)
            await asyncio.sleep(0)
        batch.waiting = []

    @staticmethod
    def _keep_failure(batch: Batch, request: ProviderRequest, kind: str, error: bytes, status: int = 500) -> None:
        batch.counts[kind] += 1
        batch.failed.append(_failed(request, kind, json.loads(error), status))

    # -- files

    def store(self, name: str, purpose: str, data: bytes) -> str:
        file_id = f"file-{len(self._files) + 1:04}"
        self._files[file_id] = StoredFile(name, purpose, data)
        return file_id

    def file(self, file_id: str) -> StoredFile:
        if file_id not in self._files:
            raise NotFoundError(f"No such File object: {file_id}")
        return self._files[file_id]

    def delete_file(self, file_id: str) -> dict[str, Any]:
        self.file(file_id)
        del self._files[file_id]
        return {"id": file_id, "object": "file", "deleted": True}

    def file_body(self, file_id: str) -> dict[str, Any]:
        file = self.file(file_id)
        return {
            "id": file_id,
            "object": "file",
            "bytes": len(file.data),
            "created_at": _CREATED,
            "filename": file.name,
            "purpose": file.purpose,
            "status": "processed",
        }

    # -- as the services show them

    def body(self, batch: Batch, url: str) -> dict[str, Any]:
        return self._anthropic_body(batch, url) if batch.protocol == "anthropic" else self._openai_body(batch)

    def results(self, batch: Batch) -> bytes:
        """Anthropic's JSON lines, the last request first: their order is not promised."""
        return _lines([*batch.failed, *reversed(batch.answered)])

    @staticmethod
    def _anthropic_body(batch: Batch, url: str) -> dict[str, Any]:
        done = batch.status in ("ended", "canceled")
        counts = {name: batch.counts[name] for name in ("succeeded", "errored", "canceled", "expired")}
        return {
            "id": batch.batch_id,
            "type": "message_batch",
            "processing_status": "ended" if done else "in_progress",
            "request_counts": {"processing": len(batch.waiting), **counts},
            "created_at": _CREATED_TEXT,
            "expires_at": _EXPIRES_TEXT,
            "ended_at": _EXPIRES_TEXT if done else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{url}/v1/messages/batches/{batch.batch_id}/results" if done else None,
        }

    def _openai_body(self, batch: Batch) -> dict[str, Any]:
        """Makes the output files the first time a finished batch is shown."""
        status = {"ended": "completed", "canceled": "cancelled"}.get(batch.status, batch.status)
        files: dict[str, str | None] = {"output_file_id": None, "error_file_id": None}
        if batch.status in ("ended", "canceled"):
            for name, rows in (("output_file_id", batch.answered), ("error_file_id", batch.failed)):
                if rows:
                    files[name] = f"file-{name[:6]}-{batch.batch_id}"
                    self._files[str(files[name])] = StoredFile(f"{name}.jsonl", "batch_output", _lines(rows[::-1]))
        return {
            "id": batch.batch_id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "errors": {"object": "list", "data": batch.problems} if batch.problems else None,
            "input_file_id": batch.input_file,
            "completion_window": "24h",
            "status": status,
            **files,
            "created_at": _CREATED,
            "request_counts": {"total": batch.total, "completed": len(batch.answered), "failed": len(batch.failed)},
            "metadata": batch.metadata,
        }


def _answered(request: ProviderRequest, body: dict[str, Any]) -> dict[str, Any]:
    if request.protocol == "anthropic":
        body["usage"]["service_tier"] = "batch"
        return {"custom_id": request.custom_id, "result": {"type": "succeeded", "message": body}}
    response = {"status_code": 200, "request_id": f"req_{request.number}", "body": body}
    return {"id": f"batch_req_{request.number}", "custom_id": request.custom_id, "response": response, "error": None}


def _failed(request: ProviderRequest, kind: str, error: dict[str, Any], status: int) -> dict[str, Any]:
    if request.protocol == "anthropic":
        return {
            "custom_id": request.custom_id,
            "result": {"type": kind, **({"error": error} if kind == "errored" else {})},
        }
    row = {"id": f"batch_req_{request.number}", "custom_id": request.custom_id}
    if kind == "errored":
        return {
            **row,
            "response": {"status_code": status, "request_id": f"req_{request.number}", "body": error},
            "error": None,
        }
    code = "batch_expired" if kind == "expired" else "batch_cancelled"
    return {**row, "response": None, "error": {"code": code, "message": "This request could not be executed in time."}}


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
