"""Loads any Hugging Face causal language model safely, with errors that say what to do.

Safely means: weights from safetensors only, no code from the model's folder, and no weight left at a random start
because its name was not the expected one. The folder of an adapter in peft's form is loaded as its base with the adapter
added to the weights: an ordinary model. What this module does not do: quantisation (:mod:`groundtune.models.quantising`),
sharding over devices, adapters by hub id.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.pytorch_utils import Conv1D

from groundtune.config import PRESETS
from groundtune.errors import DataError, TrainingError
from groundtune.files import read_json
from groundtune.models.checkpoint import fill, is_checkpoint, read_checkpoint
from groundtune.models.explaining import explained
from groundtune.models.presets import PRESET_VOCABULARY, preset_architecture
from groundtune.models.quiet import quiet_transformers
from groundtune.models.weight_names import check_names, list_names

ATTENTION_DROPOUTS = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob")
HIDDEN_DROPOUTS = ("resid_pdrop", "embd_pdrop", "hidden_dropout", "hidden_dropout_prob", "dropout", "resid_dropout")
"""Names under which architectures keep their dropout."""

ADAPTER_CONFIG_NAME = "adapter_config.json"
ADAPTER_WEIGHTS_NAME = "adapter_model.safetensors"
"""peft's names."""

SPARE_ROWS, SPARE_SHARE = 1024, 0.1
"""An embedding may have so many rows, or such a share of them, that no tokenizer entry uses: models are padded to round
numbers (the most seen is 2.3%, in DeepSeek LLM). More of them means the tokenizer of another model."""


def load_model(
    source: str | Path,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    dropout: float | None = None,
    dtype: torch.dtype = torch.float32,
    preset: str | None = None,
    described_by: Path | None = None,
) -> PreTrainedModel:
    """The causal language model of a folder, a checkpoint file or a Hugging Face id, in evaluation mode, on the CPU.

    Args:
        source: a folder (a `Path`, or a string that is a path) or an id such as ``"owner/name"``. The folder of an adapter
            stands for its base, which `base_model_name_or_path` in ``adapter_config.json`` names (from that folder, where
            it begins with a dot), with the adapter's product added to the weights. A file of torch.save's (``.pt``,
            ``.pth``, ``.bin``, ``.ckpt``) is read without running what is in it (:mod:`groundtune.models.checkpoint`).
        tokenizer: when given, its ids must fit the model's embedding.
        dropout: sets every dropout the architecture has (`dropout_settings` tells which); None leaves them.
        dtype: of all weights, whatever the files hold. An adapter is added in this format too, so float32 is the exact one.
        preset: the architecture of a checkpoint file, in place of the config.json beside it. The embedding has as many
            rows as the file's.
        described_by: the folder whose config.json tells the architecture of a checkpoint file, where that is another one.

    Raises:
        TrainingError: there is no such folder or id, no network, no safetensors weights, code to be trusted, no causal
            language model, a weight that is missing, unknown or of another shape, or a tokenizer larger or far smaller
            than the embedding; an adapter without its base, for another model than its base, or without peft; a checkpoint
            file without an architecture.
    """
    if is_checkpoint(source):
        model = _load_checkpoint(Path(source).expanduser(), preset, described_by, dropout=dropout, dtype=dtype)
        return _ready(model, tokenizer, source)
    if preset is not None:
        raise TrainingError(
            f"{source}: preset {preset} says what a checkpoint file (.pt) holds; a model folder says so itself"
        )
    folder = local_folder(source)
    if folder is not None and is_adapter(folder):
        model = _load_with_adapter(folder, dropout=dropout, dtype=dtype)
    else:
        model = _load_whole(source, folder, dropout=dropout, dtype=dtype)
    return _ready(model, tokenizer, source)


def _ready(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, source: str | Path) -> PreTrainedModel:
    if tokenizer is not None:
        check_vocabulary(model, tokenizer, source)
    model.eval()
    return model


def _load_checkpoint(
    path: Path, preset: str | None, described_by: Path | None, *, dropout: float | None, dtype: torch.dtype
) -> PreTrainedModel:
    """Raises `TrainingError`: before the weights are read, where nothing says of what architecture they are."""
    folder = described_by or path.parent
    if not path.is_file():
        raise TrainingError(f"{path}: no such file; expected a checkpoint that torch.save wrote")
    if preset is not None:
        # an unknown name is an error before the weights are read
        preset_architecture(preset)
        weights = read_checkpoint(path)
        embedding = weights.get("model.embed_tokens.weight")
        rows = PRESET_VOCABULARY if embedding is None or embedding.dim() != 2 else embedding.shape[0]
        config = preset_architecture(preset, vocabulary=rows)
    elif (folder / "config.json").is_file():
        config = causal_config(folder, path)
        weights = read_checkpoint(path)
    else:
        raise TrainingError(
            f"{path}: nothing says what architecture these weights have; put the config.json that belongs to them beside the file, or "
            f"name a preset ({', '.join(PRESETS)})"
        )
    _set_dropout(config, dropout)
    # the fresh weights are all replaced; drawing them should leave no trace
    with torch.random.fork_rng(devices=[]), explained(path), quiet_transformers():
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype, trust_remote_code=False)
        if preset is not None:
            model.generation_config = GenerationConfig.from_model_config(config)
        elif (folder / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
    fill(model, weights, path)
    return model


def causal_config(source: str | Path, told: str | Path) -> Any:
    """The configuration of a causal language model. Raises `TrainingError`, as of `told`."""
    if isinstance(source, Path):
        read_settings(source / "config.json")
    with explained(told), quiet_transformers():
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING and not getattr(config, "auto_map", None):
            raise TrainingError(
                f"{told}: is a {config.model_type} model, which does not write text token by token; choose a causal language model"
            )
    return config


def _set_dropout(config: Any, dropout: float | None) -> None:
    for name in dropout_settings(config) if dropout is not None else ():
        setattr(config, name, dropout)


def read_settings(path: Path) -> dict[str, Any]:
    """A JSON object. Raises `TrainingError`."""
    try:
        settings = read_json(path)
    except DataError as error:
        raise TrainingError(str(error)) from error
    if not isinstance(settings, dict):
        raise TrainingError(f"{path}: holds {settings!r:.40}; expected settings by name")
    return settings


def _load_whole(
    source: str | Path, folder: Path | None, *, dropout: float | None, dtype: torch.dtype
) -> PreTrainedModel:
    if folder is not None:
        require_files(folder)
    config = causal_config(folder or source, source)
    _set_dropout(config, dropout)
    with explained(source), quiet_transformers():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder or source,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            # refused below, with their names
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    model: PreTrainedModel = loaded[0]
    info = loaded[1]
    check_names(
        source,
        missing=info["missing_keys"],
        unexpected=info["unexpected_keys"],
        shapes={name: (found, expected) for name, found, expected in sorted(info["mismatched_keys"])},
    )
    return model


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter in peft's form, and no model of its own."""
    return (folder / ADAPTER_CONFIG_NAME).is_file() and not (folder / "config.json").exists()


def peft_library(wanted_by: str) -> Any:
    """The optional package peft. Raises `TrainingError` where it is not installed."""
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise TrainingError(
            f"{wanted_by} needs the package peft, which is not installed; run `pip install groundtune[adapters]`"
        ) from error


def _load_with_adapter(folder: Path, *, dropout: float | None, dtype: torch.dtype) -> PreTrainedModel:
    require_files(folder)
    base = base_of(folder)
    peft = peft_library(f"{folder}, an adapter,")
    model = load_model(base, dropout=dropout, dtype=dtype)
    with explained(folder), quiet_transformers(), warnings.catch_warnings():
        # peft warns of what `check_names` refuses
        warnings.simplefilter("ignore")
        with safe_open(folder / ADAPTER_WEIGHTS_NAME, "pt") as file:
            held = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        check_adapter_fits(folder, held, model)
        adapted = peft.PeftModel.from_pretrained(model, folder, torch_device=str(model.device))
        needed = set(peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
        check_names(folder, missing=needed - held.keys(), unexpected=held.keys() - needed)
        merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    # peft has frozen the base, and what is loaded here is a model like any other, to be trained whole too
    return merged.requires_grad_(True)


def check_adapter_fits(folder: Path, held: Mapping[str, tuple[int, ...]], model: PreTrainedModel) -> None:
    """Raises `TrainingError` where none of an adapter's layers is in the model, or its matrices are of another size."""
    layers = dict(model.named_modules())
    found: list[str] = []
    lacking: list[str] = []
    for name, shape in held.items():
        place, mark, matrix = name.removeprefix("base_model.model.").rpartition(".lora_")
        if not mark or matrix not in ("A.weight", "B.weight") or len(shape) != 2:
            continue
        weight = getattr(layers.get(place), "weight", None)
        if not isinstance(weight, torch.Tensor) or weight.ndim != 2:
            lacking.append(place)
            continue
        found.append(place)
        # Conv1D and embeddings keep theirs the other way round
        sides = weight.shape if isinstance(layers[place], (Conv1D, nn.Embedding)) else weight.shape[::-1]
        size, wanted = (shape[1], sides[0]) if matrix == "A.weight" else (shape[0], sides[1])
        if size != wanted:
            raise TrainingError(
                f"{folder}: its matrices for {place} have other shapes than the base needs ({size} numbers wide, not {wanted}), so it is "
                f"an adapter of another model; name the one it was trained on as base_model_name_or_path in {ADAPTER_CONFIG_NAME}"
            )
    if lacking and not found:
        raise TrainingError(
            f"{folder}: is an adapter of another architecture: it changes {list_names(dict.fromkeys(lacking))}, and {type(model).__name__}, "
            f"its base, has none of them; name the model it was trained on as base_model_name_or_path in {ADAPTER_CONFIG_NAME}"
        )


def base_of(folder: Path) -> str | Path:
    """Folder or hub id of the model that the adapter in `folder` belongs to."""
    path = folder / ADAPTER_CONFIG_NAME
    name = read_settings(path).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise TrainingError(
            f"{path}: base_model_name_or_path is {name!r}; expected the folder or hub id of the base model"
        )
    base = folder / name if name.startswith(".") else name
    if isinstance(base, Path) and (not base.is_dir() or base.resolve() == folder.resolve()):
        raise TrainingError(
            f"{path}: names {name!r} as its base model, and {base.resolve()} is none; an adapter and its base move together: "
            "move the base there, or write its folder or hub id as base_model_name_or_path"
        )
    return base


def position_limit(model: PreTrainedModel) -> int | None:
    """How many tokens the model was made for; None where its configuration does not say."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) else None


def dropout_settings(config: Any) -> tuple[str, ...]:
    """The dropout settings that an architecture's configuration has, attention first; empty when it has none."""
    return tuple(
        name
        for name in (*ATTENTION_DROPOUTS, *HIDDEN_DROPOUTS)
        if isinstance(getattr(config, name, None), (int, float))
    )


def local_folder(source: str | Path) -> Path | None:
    """The folder `source` names, or None for a Hugging Face id. Raises `TrainingError` when it names one that is not there."""
    text = str(source)
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    looks_like_id = isinstance(source, str) and text.count("/") <= 1 and not text.startswith((".", "/", "~"))
    if not looks_like_id:
        found = "is a file" if folder.exists() else "no such folder"
        raise TrainingError(f"{text}: {found}; expected a model folder with config.json and model.safetensors")
    return None


def require_files(folder: Path) -> None:
    """Raises `TrainingError` where a folder lacks what a model, or an adapter, is made of."""
    if is_adapter(folder):
        _require(folder, ADAPTER_WEIGHTS_NAME, "a whole adapter")
        return
    _require(folder, "config.json", "a model")
    if not any(folder.glob("*.safetensors")):
        raise TrainingError(_no_weights(folder))
    _require_shards(folder)


def _require(folder: Path, name: str, what: str) -> None:
    if not (folder / name).exists():
        raise TrainingError(f"{folder}: holds no {name}, so it is not {what}; give the folder that a training wrote")


def _require_shards(folder: Path) -> None:
    """All the files that the index of a model in several files names."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file() or (folder / "model.safetensors").exists():
        return
    names = read_settings(index).get("weight_map")
    files = sorted(set(map(str, names.values()))) if isinstance(names, dict) else []
    lacking = [name for name in files if not (folder / name).is_file()]
    if lacking:
        raise TrainingError(
            f"{folder}: {len(lacking)} of its {len(files)} weights files are not there ({', '.join(lacking[:3])}); copy or download it again"
        )


def _no_weights(folder: Path) -> str:
    other = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if other:
        return (
            f"{folder}: holds {other[0]} but no .safetensors weights; pickled weights can run code and are not loaded from a folder. "
            f"Name the file itself, {folder / other[0]}: it is read without running anything"
        )
    return f"{folder}: holds a config.json but no weights; expected model.safetensors"


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str | Path) -> None:
    """Raises `TrainingError` for a tokenizer that is larger, or far smaller, than the model's embedding."""
    rows, entries = next(model.get_input_embeddings().parameters()).shape[0], len(tokenizer)
    outside = sorted(((token, name) for name, token in tokenizer.get_added_vocab().items() if token >= rows))
    if entries > rows or outside:
        named = f", {outside[0][1]} has id {outside[0][0]}" if outside else ""
        raise TrainingError(
            f"{source}: the tokenizer has {entries} entries{named}, the model's embedding {rows} rows; "
            "use the tokenizer that belongs to this model"
        )
    if rows - entries > max(SPARE_ROWS, SPARE_SHARE * rows):
        raise TrainingError(
            f"{source}: the tokenizer has {entries} entries and the model's embedding {rows} rows, far more than padding explains; "
            "use the tokenizer that belongs to this model"
        )
