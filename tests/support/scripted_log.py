"""What the server saw and sent, as events: in memory, and as JSON lines that outlive the client and the server.

An answer is written down before its last byte leaves, so nothing a client holds is ever missing here. Keys of providers
are never written: a request event holds the names of its headers and which of them carried a secret.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECRET_HEADERS = ("authorization", "x-api-key", "api-key", "proxy-authorization")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer."""

    input: int
    """Neither read from a cache nor written to one."""
    output: int
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


NOTHING = Usage(0, 0)


@dataclass(slots=True)
class KeyLog:
    """One request key's story."""

    model: str
    attempts: int = 0
    answered: int = 0
    """Whole answers sent."""
    outcomes: list[str] = field(default_factory=list)
    """Of attempts that ended: ``ok``, a fault, ``gone`` (the client hung up first)."""
    billed: Usage = NOTHING


@dataclass(slots=True)
class Log:
    """Read it while the server runs (from any thread) or after. Build it again from a state file with `read_log`."""

    keys: dict[str, KeyLog] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    """``request`` (a key arrives), ``answer`` (it ends), ``call`` (any other endpoint, or turned away at the door)."""
    outcomes: Counter[str] = field(default_factory=Counter)
    billed: dict[str, Usage] = field(default_factory=dict)
    """By model, requests in batches left out."""
    billed_in_batches: dict[str, Usage] = field(default_factory=dict)
    highest_simultaneous: int = 0

    @property
    def attempts(self) -> int:
        return sum(entry.attempts for entry in list(self.keys.values()))

    @property
    def answered(self) -> int:
        return sum(entry.answered for entry in list(self.keys.values()))

    def answered_twice(self) -> list[str]:
        """Keys to which more than one whole answer was sent."""
        return [key for key, entry in list(self.keys.items()) if entry.answered > 1]

    def calls(self) -> Counter[str]:
        """How often each other endpoint was called, by name and outcome: ``batch_create ok``."""
        return Counter(f"{event['call']} {event['outcome']}" for event in self.events if event["event"] == "call")

    def add(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.highest_simultaneous = max(self.highest_simultaneous, event.get("simultaneous", 0))
        if event["event"] == "request":
            self.keys.setdefault(event["key"], KeyLog(event["model"])).attempts += 1
        elif event["event"] == "answer":
            self._add_answer(event)

    def _add_answer(self, event: Mapping[str, Any]) -> None:
        entry = self.keys[event["key"]]
        entry.outcomes.append(event["outcome"])
        entry.answered += event["whole"]
        self.outcomes[event["outcome"]] += 1
        usage = Usage(**event["usage"]) if event["usage"] else NOTHING
        entry.billed += usage
        bills = self.billed_in_batches if event["batch"] else self.billed
        bills[entry.model] = bills.get(entry.model, NOTHING) + usage


class StateFile:
    """Appends events; each line is handed to the kernel whole, so it is there whatever happens to this process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: Mapping[str, Any]) -> None:
        os.write(self._file, json.dumps(event, ensure_ascii=False).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_log(path: Path) -> Log:
    """The log so far of a server that runs, or ran, in another process."""
    log = Log()
    for event in _events(path):
        log.add(event)
    return log


def _events(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)


def header_names(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """For a state file: all names, and those that carried a secret."""
    return {"headers": sorted(headers), "secrets": sorted(name for name in headers if name in SECRET_HEADERS)}
