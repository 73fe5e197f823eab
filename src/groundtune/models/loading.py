"""Loads any Hugging Face causal language model and its tokenizer safely, with errors that say what to do.

Safely means: weights from safetensors only, no code from the model's folder, and no weight left at a random start
because its name was not the expected one. The folder of an adapter in peft's form is loaded as its base with the adapter
added to the weights: an ordinary model. What this module does not do: quantisation, sharding over devices, adapters by
hub id.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from groundtune.errors import DataError, TrainingError
from groundtune.files import read_json
from groundtune.models.quiet import quiet_transformers

ATTENTION_DROPOUTS = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob")
HIDDEN_DROPOUTS = ("resid_pdrop", "embd_pdrop", "hidden_dropout", "hidden_dropout_prob", "dropout", "resid_dropout")
"""Names under which architectures keep their dropout."""

ADAPTER_CONFIG_NAME = "adapter_config.json"
ADAPTER_WEIGHTS_NAME = "adapter_model.safetensors"
"""peft's names."""

SHOWN_NAMES = 6
"""Weight names listed in an error before the rest is counted."""


def load_model(
    source: str | Path,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    dropout: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> PreTrainedModel:
    """The causal language model of a folder or a Hugging Face id, in evaluation mode, on the CPU.

    Args:
        source: a folder (a `Path`, or a string that is a path) or an id such as ``"owner/name"``. The folder of an adapter
            stands for its base, which `base_model_name_or_path` in ``adapter_config.json`` names (from that folder, where
            it begins with a dot), with the adapter's product added to the weights.
        tokenizer: when given, its ids must fit the model's embedding.
        dropout: sets every dropout the architecture has (`dropout_settings` tells which); None leaves them.

    Raises:
        TrainingError: there is no such folder or id, no network, no safetensors weights, code to be trusted, a weight
            that is missing, unknown or of another shape, or a tokenizer larger than the embedding; an adapter without
            its base, or without peft.
    """
    folder = local_folder(source)
    if folder is not None and is_adapter(folder):
        model = _load_with_adapter(folder, dropout=dropout, dtype=dtype)
    else:
        model = _load_whole(source, folder, dropout=dropout, dtype=dtype)
    if tokenizer is not None:
        _check_vocabulary(model, tokenizer, source)
    model.eval()
    return model


def _load_whole(
    source: str | Path, folder: Path | None, *, dropout: float | None, dtype: torch.dtype
) -> PreTrainedModel:
    if folder is not None:
        _require(folder, "config.json", "a model")
        if not any(folder.glob("*.safetensors")):
            raise TrainingError(_no_weights(folder))
    with _explained(source), quiet_transformers():
        config = AutoConfig.from_pretrained(folder or source, trust_remote_code=False)
        for name in dropout_settings(config) if dropout is not None else ():
            setattr(config, name, dropout)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder or source,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    model: PreTrainedModel = loaded[0]
    _check_names(loaded[1], source)
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
    _require(folder, ADAPTER_WEIGHTS_NAME, "a whole adapter")
    base = _base_of(folder)
    peft = peft_library(f"{folder}, an adapter,")
    model = load_model(base, dropout=dropout, dtype=dtype)
    with _explained(folder), quiet_transformers(), warnings.catch_warnings():
        # peft warns of what `_check_names` refuses
        warnings.simplefilter("ignore")
        adapted = peft.PeftModel.from_pretrained(model, folder, torch_device=str(model.device))
        with safe_open(folder / ADAPTER_WEIGHTS_NAME, "pt") as file:
            held = set(file.keys())
        needed = set(peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
        _check_names({"missing_keys": needed - held, "unexpected_keys": held - needed}, folder)
        merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    return merged


def _base_of(folder: Path) -> str | Path:
    """Folder or hub id of the model that the adapter in `folder` belongs to."""
    path = folder / ADAPTER_CONFIG_NAME
    try:
        settings = read_json(path)
    except DataError as error:
        raise TrainingError(str(error)) from error
    name = settings.get("base_model_name_or_path") if isinstance(settings, dict) else None
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


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or a Hugging Face id.

    One without a padding token pads with its end token: padding is always masked or behind the last real token, so
    which token it is never changes a result. One without an end token could not tell a model to stop, and is refused.

    Raises:
        TrainingError: there is no such folder or id, no network, no tokenizer files, code to be trusted, no end token.
    """
    folder = local_folder(source)
    if folder is not None and not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise TrainingError(
            f"{folder}: holds no tokenizer (tokenizer.json); give the folder that `groundtune tokenizer` or a training wrote"
        )
    with _explained(source), quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(folder or source, trust_remote_code=False)
    if tokenizer.eos_token_id is None:
        raise TrainingError(f"{source}: the tokenizer names no end token; set eos_token in its tokenizer_config.json")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


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


def _require(folder: Path, name: str, what: str) -> None:
    if not (folder / name).exists():
        raise TrainingError(f"{folder}: holds no {name}, so it is not {what}; give the folder that a training wrote")


def _no_weights(folder: Path) -> str:
    other = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if other:
        return (
            f"{folder}: holds {other[0]} but no .safetensors weights; pickled weights can run code and are not loaded. "
            "Convert them with save_pretrained() of a recent transformers"
        )
    return f"{folder}: holds a config.json but no weights; expected model.safetensors"


@contextmanager
def _explained(source: str | Path) -> Iterator[None]:
    """Turn a failure inside transformers, peft or safetensors into what it means to the user."""
    try:
        yield
    except TrainingError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise _explain(error, source) from error


def _explain(error: Exception, source: str | Path) -> TrainingError:
    """What a failure inside transformers means to the user."""
    text = str(error)
    first_line = text.strip().partition("\n")[0][:300]
    if "trust_remote_code" in text or "remote code" in text:
        return TrainingError(
            f"{source}: needs code of its own to load; groundtune runs no code from a model's folder. Choose a model that transformers knows"
        )
    if isinstance(error, ImportError):
        return TrainingError(f"{source}: needs a package that is not installed ({first_line})")
    if isinstance(error, SafetensorError):
        return TrainingError(f"{source}: the weights file is damaged ({first_line}); copy or download it again")
    if "size mismatch" in text or "mismatched" in text.lower():
        return TrainingError(f"{source}: the weights have other shapes than config.json says ({first_line})")
    if isinstance(error, OSError):
        return TrainingError(
            f"{source}: no such folder, and no model of that name could be fetched ({first_line}); "
            "check the name, the network and, for a gated model, HF_TOKEN"
        )
    return TrainingError(f"{source}: cannot be loaded ({type(error).__name__}: {first_line})")


def _check_names(info: dict[str, Any], source: str | Path) -> None:
    """Refuse a model some of whose weights were not in the files, or the other way round."""
    problems = []
    for key, meaning in (
        ("missing_keys", "the model needs but the files lack"),
        ("unexpected_keys", "the files hold but the model does not know"),
        ("mismatched_keys", "have another shape"),
    ):
        names = sorted(str(item[0] if isinstance(item, tuple) else item) for item in info.get(key) or ())
        if names:
            more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
            problems.append(f"{meaning}: {', '.join(names[:SHOWN_NAMES])}{more}")
    if problems:
        raise TrainingError(f"{source}: the weights do not fit the architecture; weights {'; weights '.join(problems)}")


def _check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str | Path) -> None:
    rows = next(model.get_input_embeddings().parameters()).shape[0]
    if len(tokenizer) > rows:
        raise TrainingError(
            f"{source}: the tokenizer has {len(tokenizer)} entries, the model's embedding {rows} rows; "
            "use the tokenizer that belongs to this model"
        )
