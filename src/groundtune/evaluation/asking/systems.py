"""What is compared: the base model by itself, the base model with passages, and the tuned model with the same passages.

Where there are no passages (a model tuned on instructions alone) it is the base model and the tuned model, each by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ModelName = Literal["base", "tuned"]
SystemName = Literal["base", "base_context", "tuned_context", "tuned"]


@dataclass(frozen=True, slots=True)
class System:
    """A model, and whether it is given passages of the documents with a question."""

    name: SystemName
    label: str
    model: ModelName
    passages: bool


BASE = System("base", "base", "base", passages=False)
BASE_CONTEXT = System("base_context", "base + passages", "base", passages=True)
TUNED_CONTEXT = System("tuned_context", "tuned + passages", "tuned", passages=True)
TUNED = System("tuned", "tuned", "tuned", passages=False)

SYSTEMS: Mapping[str, System] = {system.name: system for system in (BASE, BASE_CONTEXT, TUNED_CONTEXT)}
"""In the order they are told in."""

COMPARED: tuple[tuple[SystemName, SystemName], ...] = (
    ("base_context", "tuned_context"),
    ("base", "tuned_context"),
    ("base", "base_context"),
)
"""First what tuning did, the passages being the same; then what the whole did; then what the passages alone did."""

BARE_SYSTEMS: Mapping[str, System] = {system.name: system for system in (BASE, TUNED)}
"""Where there are no passages."""

BARE_COMPARED: tuple[tuple[SystemName, SystemName], ...] = (("base", "tuned"),)

LABELS: Mapping[str, str] = {name: system.label for name, system in {**SYSTEMS, **BARE_SYSTEMS}.items()}
"""What people read for each."""
