"""What a training would refuse once it has loaded its model, found out before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import TrainConfig
from groundtune.models.checking import check_model
from groundtune.models.quantising import check_bitsandbytes
from groundtune.training.adapting import check_adapter
from groundtune.training.freezing import freeze


def check_trainable(base: Path | str, *, tokenizer: PreTrainedTokenizerBase, config: TrainConfig) -> None:
    """Whether `load_trainable` would do as it is asked, as far as names, sizes and headers tell.

    Raises:
        TrainingError: as `load_trainable`.
    """
    adapter = config.adapter
    if adapter is not None and adapter.quantise is not None:
        check_bitsandbytes("train.adapter.quantise")
    check_method(check_model(base, tokenizer=tokenizer), config)


def check_method(model: PreTrainedModel, config: TrainConfig) -> None:
    """Whether what `config` names for training is in `model`, which needs no weights. Raises `TrainingError`."""
    adapter = config.adapter
    if adapter is None:
        freeze(model, config.freeze)
    else:
        check_adapter(model, adapter)
