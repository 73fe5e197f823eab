"""A local server that speaks the wire protocols of Anthropic and OpenAI, follows a script of faults, and keeps a log.

The official SDKs work with it unchanged: ``Anthropic(base_url=server.url)``, ``OpenAI(base_url=server.openai_url)``. In a
test::

    with ScriptedProvider(faults={"429": 0.1, "truncated": 0.05}, seed=3) as server:
        ...
        assert server.log.answered_twice() == []

or as a process of its own, which outlives its clients (:class:`scripted_process.ProviderProcess` does this)::

    python scripted_provider.py --state log.jsonl --script '{"latency_seconds": 1.0}'

It prints its url and serves until it is ended. :class:`scripted_engine.Script` says what can be scripted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripted_engine import Engine, Script
from scripted_faults import FAULTS, mixed
from scripted_http import HttpServer
from scripted_log import KeyLog, Log, Usage, read_log
from scripted_requests import ProviderRequest, key_of
from scripted_service import Service

__all__ = [
    "FAULTS",
    "KeyLog",
    "Log",
    "ProviderRequest",
    "Script",
    "ScriptedProvider",
    "Usage",
    "key_of",
    "mixed",
    "read_log",
]


class ScriptedProvider:
    """The server in a thread of this process, for as long as the `with` block.

    Args:
        state: file the log is also written to; what stands there already is counted on.
        script: fields of :class:`scripted_engine.Script`.
    """

    def __init__(self, *, port: int = 0, state: Path | None = None, **script: Any) -> None:
        self.engine = Engine(Script(**script), state)
        self.url = ""
        """Anthropic's base url."""
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._http = HttpServer(Service(self.engine).handle)
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted provider", daemon=True)

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def log(self) -> Log:
        return self.engine.log

    @property
    def requests(self) -> list[ProviderRequest]:
        """The latest requests for text."""
        return list(self.engine.requests)

    @property
    def headers(self) -> list[Mapping[str, str]]:
        """Of the latest HTTP requests, secrets and all."""
        return list(self.engine.headers)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._http.start(self._port), self._loop).result(10)
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._http.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self.engine.close()


async def _serve(port: int, state: Path | None, script: Script, *, with_parent: bool) -> None:
    server = HttpServer(Service(Engine(script, state)).handle)
    print(f"http://127.0.0.1:{await server.start(port)}", flush=True)  # noqa: T201
    if with_parent:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        return
    await asyncio.Event().wait()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="A local server that speaks both wire protocols and follows a script.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, help="JSON Lines file for the log")
    parser.add_argument("--script", default="{}", help="fields of scripted_engine.Script as JSON")
    parser.add_argument("--with-parent", action="store_true", help="end when the standard input is closed")
    given = parser.parse_args(arguments)
    asyncio.run(_serve(given.port, given.state, Script(**json.loads(given.script)), with_parent=given.with_parent))


if __name__ == "__main__":
    main(sys.argv[1:])
