"""What part of a group a request is about, and who makes the request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from groundtune.llm import LLMRequest
from groundtune.types import Chunk, Group


@dataclass(frozen=True, slots=True)
class Focus:
    """The part of a group that a request is about; all of its passages are shown."""

    numbers: tuple[int, ...]
    """Of passages, counted from 1 in prompt order."""
    quotes: tuple[str, ...] = ()
    """Sentences and rows of them that no pair rests on; none for the whole passages."""


class MakeRequest(Protocol):
    """The request for a group; None asks about all of it. Equal texts must give equal requests, whatever the ids."""

    def __call__(self, group: Group, chunks: Sequence[Chunk], focus: Focus | None, /) -> LLMRequest: ...
