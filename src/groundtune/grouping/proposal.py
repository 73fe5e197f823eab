"""What a rule hands over, before anything is cut or dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from groundtune.config import FlowConfig
from groundtune.grouping.affinity import Affinity
from groundtune.grouping.outline import Outline
from groundtune.types import Chunk


@dataclass(frozen=True)
class Proposal:
    """Chunks that belong together, in reading order or in an order that means something (the steps of a flow)."""

    title: str
    chunks: tuple[Chunk, ...]
    lead: tuple[Chunk, ...] = ()
    """Chunks that every part begins with when the group must be cut, such as the overview of overview + detail."""


@dataclass(frozen=True)
class Foundation:
    """A configured foundation, resolved to the chunks of one language."""

    name: str
    """Of the submodule, or of the module where none is named."""
    title: str
    chunks: tuple[Chunk, ...]
    consumers: tuple[tuple[Chunk, ...], ...]


@dataclass(frozen=True)
class Material:
    """What a rule may look at: one language's outline, and the configured relations that concern it."""

    outline: Outline
    flows: Sequence[FlowConfig] = ()
    foundations: Sequence[Foundation] = field(default=())

    @cached_property
    def affinity(self) -> Affinity:
        return Affinity(self.outline)


RuleFunction = Callable[[Material], Iterable[Proposal]]
