"""The words of a plan: jobs, what they ask about, and earlier answers that they carry on.

What this module does not do: decide (:mod:`.plan`), or read answers (:mod:`.carrying`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from groundtune.errors import DataError
from groundtune.generation.planning.asked import Asked
from groundtune.generation.planning.focus import Focus, MakeRequest
from groundtune.llm import LLMRequest
from groundtune.types import Chunk, Group

JobKind = Literal["whole", "changes", "kept", "top_up"]
"""All of a group is asked; its changed passages alone; nothing (every text was asked about before); what no pair rests on yet."""


@dataclass(frozen=True, slots=True)
class CarriedAnswer:
    """An earlier request whose pairs a group keeps as far as their evidence is still in it."""

    key: str
    """Of the request that began the conversation."""
    chunks: tuple[Chunk | None, ...]
    """Passage ``[n]`` of its prompt is ``chunks[n - 1]`` of today; None: that text is gone from the group."""
    numbers: tuple[int | None, ...]
    """The same as numbers of passages of the group that carries it."""

    @classmethod
    def of(cls, asked: Asked, chunks: Sequence[Chunk]) -> CarriedAnswer:
        """`asked` seen from a group of `chunks`; a text that stands there several times goes to its places in order."""
        places: dict[str, list[int]] = {}
        for number, chunk in enumerate(chunks, start=1):
            places.setdefault(chunk.sha256, []).append(number)
        met: Counter[str] = Counter()
        numbers: list[int | None] = []
        for sha256 in asked.sha256s:
            found = places.get(sha256)
            numbers.append(found[min(met[sha256], len(found) - 1)] if found else None)
            met[sha256] += 1
        return cls(asked.key, tuple(None if n is None else chunks[n - 1] for n in numbers), tuple(numbers))


@dataclass(frozen=True, slots=True)
class Job:
    """What one group asks, if anything, and what it carries on."""

    kind: JobKind
    group: Group
    chunks: tuple[Chunk, ...]
    """In prompt order."""
    key: str
    """Of the request; empty for a job that asks nothing."""
    root: str
    """Key of the request that the line of the group began with."""
    focus: Focus | None
    carried: tuple[CarriedAnswer, ...]
    """Oldest first."""
    make_request: MakeRequest = field(repr=False, compare=False)

    def request(self) -> LLMRequest:
        """Made anew at every call, so that ten thousand jobs are small.

        Raises:
            DataError: it is not the request that was planned, so prompts or settings have changed under the plan.
        """
        if not self.key:
            raise ValueError(f"group {self.group.group_id} asks nothing: every passage was asked about before")
        request = self.make_request(self.group, self.chunks, self.focus)
        if request.key != self.key:
            raise DataError(
                f"group {self.group.group_id}: its request is {request.key[:12]}, planned was {self.key[:12]}; prompts or settings "
                "changed during the run, run the same command again"
            )
        return request


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for one set of groups."""

    name: str
    """sha256 over the texts of the groups and the settings that decide requests."""
    jobs: tuple[Job, ...]
    """In the order of the groups; a group's top-ups right behind it."""
    unused: tuple[Asked, ...]
    """Answered requests of earlier sets, with the settings of today, that no job uses."""
    asked: dict[str, Asked] = field(repr=False, compare=False)
    """Every request about a group in the ledger, by key."""

    def pending(self, answered: Container[str]) -> Iterator[Job]:
        """The jobs whose first request is not among `answered` (answers and failures of the ledger)."""
        return (job for job in self.jobs if job.key and job.key not in answered)
