"""What a model card tells beyond the report: where the model and the data are from, and under which licences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundtune.types import Language

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One set of instruction data."""

    name: str
    hub_id: str
    """Empty where it is not from the hub."""
    rows: int | None
    """Read from it; None where that is not known."""
    licence: str
    """Empty where nothing states it."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """No place on a machine is in it: names of folders and ids alone."""

    base: str
    """Hub id, or name of the folder; empty of a model made from scratch."""
    base_hub_id: str
    base_licence: str
    """Empty where nothing states it."""
    method: Literal["full", "adapter", "preference"]
    """What fine-tuning changed: all weights, or an adapter's; or preference tuning came last."""
    is_adapter: bool
    """Whether the folder of the model holds an adapter, to be put on its base."""
    languages: tuple[Language, ...]
    documents: str
    """Name of the folder; empty where there are none."""
    documents_licence: str
    sources: tuple[SourceFacts, ...]
    model_folder: str
    """Relative to the work folder: ``runs/default/best``."""
    run_folder: str
    """Relative to the folder of the configuration, as one types it: ``groundtune-out/runs/default``."""
    parameters: int | None
