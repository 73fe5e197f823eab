"""Just enough HTTP/1.1 over raw asyncio streams: keep-alive, chunked bodies, and answers that break off.

What this module does not do: know any provider. TLS, pipelining, compression and trailers are not spoken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 413: "Payload Too Large", 422: "Unprocessable Content",
    429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout", 529: "Overloaded",
}  # fmt: skip
JSON_TYPE = {"content-type": "application/json"}
EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    """Decoded, without the query."""
    headers: Mapping[str, str]
    """Names in lower case; of a repeated one the last."""
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Connection:
    """One client's socket: reads requests one after the other and writes one answer to each."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.is_closed = False

    @property
    def client_is_gone(self) -> bool:
        return self.is_closed or self._reader.at_eof() or self._writer.is_closing()

    async def read(self) -> HttpRequest | None:
        """The next request; None when the client has hung up."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ", 2)
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines if line)
            }
            body = await self._body(headers)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return None
        return HttpRequest(method, unquote(urlsplit(target).path), headers, body)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("expect", "").lower() == "100-continue":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        pieces = []
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            pieces.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return b"".join(pieces)

    async def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """A whole answer of known length."""
        await self.write(head_of(status, {**headers, "content-length": str(len(body))}) + body)

    async def begin_chunked(self, status: int, headers: Mapping[str, str]) -> None:
        await self.write(head_of(status, {**headers, "transfer-encoding": "chunked"}))

    async def send_chunk(self, piece: bytes) -> None:
        """One piece of a chunked answer; the empty piece ends it."""
        await self.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            self.close()

    async def wait_until_gone(self) -> None:
        """Never answers: returns when the client gives up."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass
        self.close()

    def reset(self) -> None:
        """Drops the connection with a TCP reset instead of an orderly end."""
        peer = self._writer.get_extra_info("socket")
        if peer is not None and not self.is_closed:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_closed = True
        self._writer.transport.abort()

    def close(self) -> None:
        self.is_closed = True
        self._writer.close()


def head_of(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


Handler = Callable[[HttpRequest, Connection], Awaitable[None]]


class HttpServer:
    """Listens on loopback and hands every request to `handler`, many connections at a time."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> int:
        """Returns the port; 0 takes any that is free."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1024)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Closes the door and drops everybody inside."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = Connection(reader, writer)
        try:
            while not connection.is_closed and (request := await connection.read()) is not None:
                await self._handler(request, connection)
                if request.headers.get("connection", "").lower() == "close":
                    break
        except asyncio.CancelledError:
            connection.reset()
        finally:
            self._tasks.discard(task)
            connection.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
