"""Reads an answer as it comes: a stream of events, or one JSON where a server does not stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

import httpx2

from groundtune.llm.providers.mapping import ProtocolError
from groundtune.llm.providers.reply import Reply


class Stream(Protocol):
    """Either SDK's."""

    response: httpx2.Response

    def __aiter__(self) -> AsyncIterator[object]: ...


class Draft(Protocol):
    """What has come so far."""

    def add(self, event: Mapping[str, Any], /) -> None: ...

    def reply(self) -> Reply:
        """Raises as `read_answer`."""
        ...


async def read_answer(stream: Stream, draft: Draft, read_whole: Callable[[object], Reply]) -> Reply:
    """
    Raises:
        ProtocolError: a web page, or JSON of another shape.
        CutOffError: the stream ended without saying why.
    """
    kind = stream.response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise ProtocolError("a web page")
    if kind == "application/json":
        await stream.response.aread()
        return read_whole(stream.response.json())
    async for event in stream:
        if isinstance(event, Mapping):
            draft.add(event)
    return draft.reply()
