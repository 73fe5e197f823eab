"""What a fine-tuning trains: a model that is loaded, and what is put around it or left out of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import TrainConfig
from groundtune.models import load_model
from groundtune.models.quantising import check_bitsandbytes
from groundtune.training.adapting import attach_adapter
from groundtune.training.freezing import freeze


@dataclass(frozen=True, slots=True)
class Trainable:
    """A model before its first step."""

    model: PreTrainedModel
    trained: nn.Module
    """The very model, or peft's around it, in which it answers as it did."""
    notes: tuple[str, ...]
    """What a reader of the record should know."""


def load_trainable(
    base: Path | str, *, tokenizer: PreTrainedTokenizerBase, config: TrainConfig, seed: int
) -> Trainable:
    """The model of `base` with its adapter, quantised or with frozen parts as `config` says.

    Raises:
        TrainingError: a base that cannot be loaded, a package that is not installed, a name of a layer, module or weight that is
            in none.
    """
    adapter = config.adapter
    if adapter is not None and adapter.quantise is not None:
        # known before the base is read
        check_bitsandbytes("train.adapter.quantise")
    model = load_model(base, tokenizer=tokenizer, dropout=config.dropout)
    if adapter is None:
        return Trainable(model, model, freeze(model, config.freeze))
    trained, notes = attach_adapter(model, adapter, seed=seed)
    return Trainable(model, trained, notes)
