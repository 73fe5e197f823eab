"""Routes HTTP requests to the engine and the batch service, and puts answers on the wire, whole or broken as scripted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripted_batches import BatchService, NotFoundError
from scripted_engine import Engine
from scripted_faults import CONTENT, ERROR_MIDWAY, HANG, OK, RESET, RESET_MIDWAY, SLOW, error_answer
from scripted_http import EVENT_STREAM, JSON_TYPE, Connection, HttpRequest
from scripted_multipart import read_form
from scripted_requests import BadRequestError, Protocol, ProviderRequest, read_request
from scripted_wire import Answer, body_of, error_event, events_of

_PAUSE_SECONDS = 0.02
"""Between the first half of an answer and a reset, so that the half arrives."""
_DRIPS = 10


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Service:
    """Routes requests and puts answers on the wire."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._script = engine.script
        self._batches = BatchService(engine)

    async def handle(self, http: HttpRequest, connection: Connection) -> None:
        self._engine.headers.append(http.headers)
        path = http.path.removeprefix("/v1").strip("/")
        protocol: Protocol = (
            "anthropic" if path.startswith("messages") or "anthropic-version" in http.headers else "openai"
        )
        if (http.method, path) in (("POST", "messages"), ("POST", "chat/completions")):
            await self._write_text(protocol, http, connection)
        else:
            await self._call(protocol, http, path.split("/"), connection)

    # -- requests for text

    async def _write_text(self, protocol: Protocol, http: HttpRequest, connection: Connection) -> None:
        name = "messages" if protocol == "anthropic" else "chat"
        turned_away = self._at_the_door(protocol, http)
        if turned_away is not None:
            outcome, reply = turned_away
            self._engine.note_call(name, outcome, http.headers)
            await connection.send(reply.status, reply.headers, reply.body)
            return
        try:
            read = read_request(protocol, http.json(), http.headers, refuses=self._script.refuses)
        except BadRequestError as problem:
            self._engine.note_call(name, "400", http.headers)
            reply = _bad_request(protocol, problem)
            await connection.send(reply.status, reply.headers, reply.body)
            return
        self._engine.simultaneous += 1
        try:
            request, fault = self._engine.admit(read)
            await self._deliver(request, fault, connection)
        finally:
            self._engine.simultaneous -= 1

    def _at_the_door(self, protocol: Protocol, http: HttpRequest) -> tuple[str, Reply] | None:
        """Why a request is turned away before it is read: wrong key, too many at a time, too many a second."""
        if not self._has_key(protocol, http.headers):
            return "401", _error(protocol, "401")
        if self._engine.crowded():
            return "crowded", _error(protocol, self._script.overload, self._script.retry_after_seconds)
        seconds = self._engine.seconds_to_wait()
        if seconds > 0:
            return "rate limit", _error(protocol, "429", round(seconds + 0.001, 3))
        return None

    def _has_key(self, protocol: Protocol, headers: Mapping[str, str]) -> bool:
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        given = headers.get("x-api-key", bearer) if protocol == "anthropic" else bearer
        return not self._script.api_keys or given in self._script.api_keys

    async def _deliver(self, request: ProviderRequest, fault: str, connection: Connection) -> None:
        engine = self._engine
        if fault == ERROR_MIDWAY and not request.stream:
            fault = "529"
        if fault in (OK, SLOW, RESET_MIDWAY, ERROR_MIDWAY) or fault in CONTENT:
            await self._send_answer(request, fault, connection)
            return
        if fault == RESET:
            await asyncio.sleep(self._script.latency_seconds)
        engine.finish(request, fault, None, whole=False)
        if fault == HANG:
            await connection.wait_until_gone()
        elif fault == RESET:
            connection.reset()
        else:
            error = error_answer(request.protocol, fault, retry_after_seconds=self._script.retry_after_seconds)
            await connection.send(error.status, error.headers, error.body)

    async def _send_answer(self, request: ProviderRequest, fault: str, connection: Connection) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + self._script.latency_seconds
        answer = self._engine.answer(request, fault)
        await asyncio.sleep(max(0.0, due - clock()))
        if connection.client_is_gone:
            self._engine.finish(request, "gone", answer.usage, whole=False)
        elif request.stream:
            await self._stream(request, answer, fault, connection)
        else:
            await self._send_body(request, answer, fault, connection)

    async def _stream(self, request: ProviderRequest, answer: Answer, fault: str, connection: Connection) -> None:
        *events, last = events_of(request, answer)
        await connection.begin_chunked(200, EVENT_STREAM)
        half = len(events) // 2
        if fault in (RESET_MIDWAY, ERROR_MIDWAY):
            await connection.send_chunk(b"".join(events[:half]))
            self._engine.finish(request, fault, answer.usage, whole=False)
            if fault == RESET_MIDWAY:
                await asyncio.sleep(_PAUSE_SECONDS)
                connection.reset()
            else:
                error = error_answer(request.protocol, "529").body
                await connection.send_chunk(error_event(request, error))
                await connection.send_chunk(b"")
            return
        if fault == SLOW:
            for event in events:
                await connection.send_chunk(event)
                await asyncio.sleep(self._script.slow_seconds / len(events))
        else:
            await connection.send_chunk(b"".join(events[:half]))
            await connection.send_chunk(b"".join(events[half:]))
        self._close_books(request, answer, fault, connection)
        await connection.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))

    async def _send_body(self, request: ProviderRequest, answer: Answer, fault: str, connection: Connection) -> None:
        body = json.dumps(body_of(request, answer), ensure_ascii=False).encode()
        if fault == RESET_MIDWAY:
            self._engine.finish(request, fault, answer.usage, whole=False)
            await _send_half(Reply(200, JSON_TYPE, body), connection)
            return
        if fault == SLOW:
            await connection.begin_chunked(200, JSON_TYPE)
            size = -(-len(body) // _DRIPS)
            for start in range(0, len(body), size):
                await connection.send_chunk(body[start : start + size])
                await asyncio.sleep(self._script.slow_seconds / _DRIPS)
            self._close_books(request, answer, fault, connection)
            await connection.send_chunk(b"")
            return
        self._close_books(request, answer, fault, connection)
        await connection.send(200, JSON_TYPE, body)

    def _close_books(self, request: ProviderRequest, answer: Answer, fault: str, connection: Connection) -> None:
        """Just before the last byte: was there still somebody to send it to?"""
        gone = connection.client_is_gone
        outcome = answer.stopped if fault == OK and answer.stopped != "end" else fault
        self._engine.finish(request, "gone" if gone else outcome, answer.usage, whole=not gone)

    # -- every other endpoint

    async def _call(self, protocol: Protocol, http: HttpRequest, parts: list[str], connection: Connection) -> None:
        name, work = self._route(protocol, http, parts)
        fault = self._engine.call_fault(name) if self._has_key(protocol, http.headers) else "401"
        if fault in (OK, SLOW, HANG, RESET, RESET_MIDWAY):
            try:
                reply = await work()
            except BadRequestError as problem:
                reply = _bad_request(protocol, problem)
            except NotFoundError as problem:
                reply = _error(protocol, "404", message=str(problem))
        else:
            reply = _error(protocol, fault, self._script.retry_after_seconds)
        outcome = fault if fault != OK else OK if reply.status == 200 else str(reply.status)
        self._engine.note_call(name, outcome, http.headers)
        if fault == HANG:
            await connection.wait_until_gone()
        elif fault == RESET:
            connection.reset()
        elif fault == RESET_MIDWAY:
            await _send_half(reply, connection)
        else:
            await connection.send(reply.status, reply.headers, reply.body)

    def _route(
        self, protocol: Protocol, http: HttpRequest, parts: list[str]
    ) -> tuple[str, Callable[[], Awaitable[Reply]]]:
        """Name of the endpoint, and its work."""

        async def unknown() -> Reply:
            raise NotFoundError(f"{http.method} {http.path} is not here.")

        match http.method, parts:
            case "GET", ["models", *rest]:
                return "models", lambda: self._models(protocol, rest)
            case "POST", ["files"]:
                return "file_upload", lambda: self._upload(http)
            case "GET", ["files", file_id]:
                return "file_retrieve", lambda: self._file(file_id)
            case "DELETE", ["files", file_id]:
                return "file_delete", lambda: self._delete_file(file_id)
            case "GET", ["files", file_id, "content"]:
                return "file_content", lambda: self._content(file_id)
            case _, ["messages", "batches", *rest] | ["batches", *rest]:
                match http.method, rest:
                    case "POST", []:
                        return "batch_create", lambda: self._create(protocol, http)
                    case "GET", []:
                        return "batch_list", lambda: self._list(protocol, http)
                    case "GET", [batch_id]:
                        return "batch_retrieve", lambda: self._retrieve(batch_id, http)
                    case "POST", [batch_id, "cancel"]:
                        return "batch_cancel", lambda: self._cancel(batch_id, http)
                    case "GET", [batch_id, "results"]:
                        return "batch_results", lambda: self._results(batch_id)
        return "unknown", unknown

    async def _models(self, protocol: Protocol, rest: list[str]) -> Reply:
        models = [_model(protocol, name) for name in self._script.models]
        if not rest:
            return _ok({"object": "list", "data": models, "has_more": False, "first_id": None, "last_id": None})
        wanted = "/".join(rest)
        if wanted not in self._script.models:
            raise NotFoundError(f"model: {wanted}")
        return _ok(_model(protocol, wanted))

    async def _upload(self, http: HttpRequest) -> Reply:
        form = read_form(http.headers.get("content-type", ""), http.body)
        if "file" not in form or "purpose" not in form:
            raise BadRequestError("'file' and 'purpose' are required", param="file")
        name, data = form["file"]
        return _ok(self._batches.file_body(self._batches.store(name, form["purpose"][1].decode(), data)))

    async def _file(self, file_id: str) -> Reply:
        return _ok(self._batches.file_body(file_id))

    async def _delete_file(self, file_id: str) -> Reply:
        return _ok(self._batches.delete_file(file_id))

    async def _content(self, file_id: str) -> Reply:
        return Reply(200, {"content-type": "application/octet-stream"}, self._batches.file(file_id).data)

    async def _create(self, protocol: Protocol, http: HttpRequest) -> Reply:
        create = self._batches.create_anthropic if protocol == "anthropic" else self._batches.create_openai
        return _ok(self._batches.body(create(http.json(), http.headers), _url_of(http)))

    async def _list(self, protocol: Protocol, http: HttpRequest) -> Reply:
        found = [self._batches.body(batch, _url_of(http)) for batch in self._batches.batches(protocol)]
        ends = (
            {"first_id": found[0]["id"], "last_id": found[-1]["id"]} if found else {"first_id": None, "last_id": None}
        )
        return _ok({"object": "list", "data": found, "has_more": False, **ends})

    async def _retrieve(self, batch_id: str, http: HttpRequest) -> Reply:
        return _ok(self._batches.body(await self._batches.poll(self._batches.batch(batch_id)), _url_of(http)))

    async def _cancel(self, batch_id: str, http: HttpRequest) -> Reply:
        return _ok(self._batches.body(self._batches.cancel(self._batches.batch(batch_id)), _url_of(http)))

    async def _results(self, batch_id: str) -> Reply:
        batch = self._batches.batch(batch_id)
        if batch.status == "in_progress":
            raise BadRequestError(f"Batch {batch_id} has no results yet: it is still in progress.")
        return Reply(200, {"content-type": "application/x-jsonl"}, self._batches.results(batch))


async def _send_half(reply: Reply, connection: Connection) -> None:
    """A head that promises the whole, half of the body, a reset."""
    await connection.begin_chunked(reply.status, reply.headers)
    await connection.send_chunk(reply.body[: len(reply.body) // 2])
    await asyncio.sleep(_PAUSE_SECONDS)
    connection.reset()


def _ok(body: Any) -> Reply:
    return Reply(200, JSON_TYPE, json.dumps(body, ensure_ascii=False).encode())


def _error(protocol: Protocol, fault: str, retry_after_seconds: float | None = None, *, message: str = "") -> Reply:
    error = error_answer(protocol, fault, retry_after_seconds=retry_after_seconds, message=message)
    return Reply(error.status, error.headers, error.body)


def _bad_request(protocol: Protocol, problem: BadRequestError) -> Reply:
    error = error_answer(
        protocol, "400", message=str(problem), param=problem.param, code=problem.code or "invalid_request"
    )
    return Reply(error.status, error.headers, error.body)


def _model(protocol: Protocol, name: str) -> dict[str, Any]:
    if protocol == "anthropic":
        return {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "2025-10-09T08:53:20Z",
            "lifecycle": "active",
        }
    return {"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "scripted"}


def _url_of(http: HttpRequest) -> str:
    return f"http://{http.headers.get('host', '127.0.0.1')}"
