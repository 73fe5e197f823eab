"""What is wrong with a model, as far as its files tell before its weights are read: seconds, where finding out later costs hours.

What this module does not do: read weights. One that is missing or unknown among many that fit is
:func:`groundtune.models.load_model`'s to find.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import ModelConfig
from groundtune.models.explaining import explained
from groundtune.models.inspecting.sources import fetch_description
from groundtune.models.inspecting.structure import empty_model
from groundtune.models.llama import fresh_model
from groundtune.models.loading import (
    ADAPTER_WEIGHTS_NAME,
    base_of,
    causal_config,
    check_adapter_fits,
    check_vocabulary,
    is_adapter,
    local_folder,
    require_files,
)
from groundtune.models.presets import FIXED_IDS, architecture
from groundtune.models.weight_names import check_names

Shape = tuple[int, ...]


def check_model(source: str | Path, *, tokenizer: PreTrainedTokenizerBase | None = None) -> PreTrainedModel:
    """The model of a folder, an adapter's folder or a hub id without its weights, once its files are found in order.

    Raises:
        TrainingError: as `load_model`, for whatever the names of files, config.json and the headers of weights tell.
    """
    folder = local_folder(source)
    if folder is not None and is_adapter(folder):
        require_files(folder)
        model = check_model(base_of(folder))
        check_adapter_fits(folder, _shapes(folder / ADAPTER_WEIGHTS_NAME), model)
    else:
        model = _check_whole(source, folder)
    if tokenizer is not None:
        check_vocabulary(model, tokenizer, source)
    return model


def planned_model(config: ModelConfig, vocabulary: int) -> PreTrainedModel:
    """A model from scratch as it will be made, without weights."""
    with torch.device("meta"):
        return fresh_model(architecture(config, vocabulary=vocabulary, ids=FIXED_IDS))


def _check_whole(source: str | Path, folder: Path | None) -> PreTrainedModel:
    if folder is not None:
        require_files(folder)
    config = causal_config(folder or fetch_description(str(source)), source)
    model = empty_model(config, source)
    # weights that are stored packed have other names and shapes than the model's
    if folder is not None and not getattr(config, "quantization_config", None):
        held: dict[str, Shape] = {}
        for path in sorted(folder.glob("*.safetensors")):
            held |= _shapes(path)
        _check_shapes(source, held, model)
    return model


def _shapes(path: Path) -> dict[str, Shape]:
    """By name, from the file's header. Raises `TrainingError` for a damaged file."""
    with explained(path.parent):
        try:
            with safe_open(path, "pt") as file:
                return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except OSError as error:
            raise SafetensorError(str(error)) from error


def _check_shapes(source: str | Path, held: dict[str, Shape], model: PreTrainedModel) -> None:
    """Some weights may go by other names, which loading knows; all of them are of another architecture."""
    own = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    prefix = f"{model.base_model_prefix}."
    known = {name: name if name in own else f"{prefix}{name}" for name in held}
    both = {name: mine for name, mine in known.items() if mine in own}
    if not both:
        check_names(source, missing=own, unexpected=held)
    check_names(
        source, shapes={name: (held[name], own[mine]) for name, mine in both.items() if held[name] != own[mine]}
    )
