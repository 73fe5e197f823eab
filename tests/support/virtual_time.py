"""An event loop whose clock jumps to the next timer, so that hours of waiting are tested in milliseconds, and a client to go
with it that answers as it is told."""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from groundtune.llm import LLMRequest, LLMResponse

Result = TypeVar("Result")
Script = Callable[[LLMRequest, int], tuple[float, LLMResponse | BaseException]]
"""A request and the number of its attempt (from 1), to the seconds it takes and what comes then."""


class _JumpingSelector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Like `asyncio.run`; a run that waits for something that never comes hangs, as it would in life."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


class ScriptedClient:
    """Answers by a script, and remembers what it was sent."""

    model = "scripted"
    writer = "test/scripted"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.sent: list[tuple[float, str]] = []
        """Time and prompt of every attempt."""
        self.attempts: Counter[str] = Counter()
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False

    async def complete(self, request: LLMRequest) -> LLMResponse:
        self.attempts[request.key] += 1
        self.sent.append((now(), request.prompt))
        seconds, outcome = self.script(request, self.attempts[request.key])
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.in_flight -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def close(self) -> None:
        self.closed = True


def answer(text: str = '{"pairs": []}', *, output_tokens: int = 100) -> LLMResponse:
    return LLMResponse(text, input_tokens=100, output_tokens=output_tokens, stop_reason="end", model="scripted-1")
