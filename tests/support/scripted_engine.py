"""The script of a run and the model that follows it: counts attempts, draws faults, makes answers, writes the log.

What this module does not do: speak HTTP.
"""

from __future__ import annotations

import importlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripted_answers import ANSWERS, spoiled
from scripted_faults import CONTENT, OK, Faults, choose_fault
from scripted_log import NOTHING, Log, StateFile, Usage, header_names, read_log
from scripted_requests import ProviderRequest
from scripted_usage import PromptCache, count_tokens
from scripted_wire import Answer

Answerer = Callable[[ProviderRequest], str]
REFUSAL = "I cannot help with this request."


@dataclass(frozen=True)
class Script:
    """Everything that decides what the server does."""

    answer: Answerer | str = "offline"
    """``offline``, ``smallest``, ``module:function``, or a function."""
    faults: Faults = ()
    seed: int = 0
    after: tuple[int, str] | None = None
    """From this request on (1 is the first), this fault: ``(100, "402")``."""
    latency_seconds: float = 0.0
    slow_seconds: float = 1.0
    retry_after_seconds: float | None = 1.0
    """Of 429, 503 and 529; None leaves the header out."""
    max_simultaneous: int | None = None
    """A request above this is turned away with `overload`."""
    overload: str = "529"
    requests_per_second: float | None = None
    """A bucket of tokens; a request that finds it empty is turned away with 429 and told when to come again."""
    burst: int = 1
    """Size of the bucket."""
    refuses: Sequence[str] = ()
    """What this server does not take: ``json_schema``, ``json_object``, ``strict`` (of a tool), ``forced_tool``, or names of
    parameters such as ``temperature``."""
    api_keys: Sequence[str] = ()
    """The keys that are let in; none: everybody."""
    models: Sequence[str] = ("scripted-1",)
    """Listed by /v1/models; others are answered all the same."""
    cache_min_tokens: int = 1024
    batch_polls: int = 0
    """How often a batch is still running when asked for."""
    batch_max_requests: int = 100_000
    call_faults: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """For the first, second, ... call of an endpoint that writes no text: ``{"batch_create": ["500", "ok", "reset"]}``.
    After ``reset``, ``reset_midway`` or ``hang`` the work is done and only its answer lost; an error leaves it undone."""
    keep_requests: int = 1000
    """How many of the latest requests `Engine.requests` holds."""


class Engine:
    """The model behind the server."""

    def __init__(self, script: Script, state: Path | None = None) -> None:
        self.script = script
        self.log = read_log(state) if state is not None else Log()
        self.requests: deque[ProviderRequest] = deque(maxlen=script.keep_requests)
        """The latest requests for text, oldest first."""
        self.headers: deque[Mapping[str, str]] = deque(maxlen=script.keep_requests)
        """Of every HTTP request, in the order they came, secrets and all; the latest `keep_requests`."""
        self.simultaneous = 0
        self._answer = _answerer(script.answer)
        self._state = StateFile(state) if state is not None else None
        self._cache = PromptCache(script.cache_min_tokens)
        self._number = self.log.attempts
        self._tokens, self._filled_at = float(script.burst), time.monotonic()

    def close(self) -> None:
        if self._state is not None:
            self._state.close()

    def crowded(self) -> bool:
        limit = self.script.max_simultaneous
        return limit is not None and self.simultaneous >= limit

    def seconds_to_wait(self) -> float:
        """Takes a token of the rate limit, or says how long until there is one."""
        rate = self.script.requests_per_second
        if rate is None:
            return 0.0
        now = time.monotonic()
        self._tokens = min(self.script.burst, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / rate
        self._tokens -= 1
        return 0.0

    def admit(self, request: ProviderRequest) -> tuple[ProviderRequest, str]:
        """Counts the attempt; the request with its numbers, and the fault it meets."""
        seen = self.log.keys.get(request.key)
        self._number += 1
        request = replace(request, attempt=seen.attempts + 1 if seen else 1, number=self._number)
        self.requests.append(request)
        self._write(
            {
                "event": "request",
                "key": request.key,
                "attempt": request.attempt,
                "number": request.number,
                "protocol": request.protocol,
                "model": request.model,
                "mode": request.mode,
                "stream": request.stream,
                "batch": request.batch,
                "custom_id": request.custom_id,
                "simultaneous": 0 if request.batch else self.simultaneous,
                **header_names(request.headers),
            }
        )
        after = self.script.after
        fault = (
            after[1]
            if after is not None and self._number >= after[0]
            else choose_fault(self.script.faults, request, self.script.seed)
        )
        return request, fault

    def answer(self, request: ProviderRequest, fault: str) -> Answer:
        """What the model says, spoiled where `fault` is one of content; cut where `max_tokens` is too small."""
        if fault == "refusal":
            return Answer(REFUSAL, self._cache.usage(request, REFUSAL), "refusal")
        if fault == "content_filter":
            return Answer("", self._cache.usage(request, ""), "content_filter")
        text = self._answer(request)
        stopped = "max_tokens" if fault == "max_tokens" else "end"
        if fault in CONTENT:
            text = spoiled(text, fault, request)
        if request.max_tokens is not None and count_tokens(text) > request.max_tokens:
            text = text.encode("utf-8", "surrogatepass")[: request.max_tokens * 4].decode("utf-8", "ignore")
            stopped = "max_tokens"
        return Answer(text, self._cache.usage(request, text), stopped, as_text=fault in ("prose", "empty"))

    def finish(self, request: ProviderRequest, outcome: str, usage: Usage | None, *, whole: bool) -> None:
        """Writes down how the attempt ended; called before the last byte is sent."""
        billed = usage if usage is not None and usage != NOTHING else None
        self._write(
            {
                "event": "answer",
                "key": request.key,
                "attempt": request.attempt,
                "outcome": outcome,
                "whole": whole,
                "batch": request.batch,
                "usage": {name: getattr(billed, name) for name in ("input", "output", "cache_read", "cache_write")}
                if billed
                else None,
            }
        )

    def note_call(self, call: str, outcome: str, headers: Mapping[str, str]) -> None:
        """Writes down a call that asked for no text, or was turned away at the door."""
        self._write({"event": "call", "call": call, "outcome": outcome, **header_names(headers)})

    def call_fault(self, call: str) -> str:
        planned = self.script.call_faults.get(call, ())
        if not planned:
            return OK
        earlier = sum(count for name, count in self.log.calls().items() if name.split()[0] == call)
        return planned[earlier] if earlier < len(planned) else OK

    def _write(self, event: dict[str, Any]) -> None:
        event["time"] = round(time.time(), 4)
        if self._state is not None:
            self._state.write(event)
        self.log.add(event)


def _answerer(answer: Answerer | str) -> Answerer:
    if not isinstance(answer, str):
        return answer
    if answer in ANSWERS:
        return ANSWERS[answer]
    module, _, name = answer.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]
