"""Low-rank adapters (LoRA; Hu et al. 2021), put around a model's linear layers by peft and saved in peft's form.

Of all weights only the adapter's are trained and kept. What this module does not do: load an adapter with its base, which is
:func:`groundtune.models.load_model`'s work, or adapt experts that are one tensor (no linear layer of their own).
"""

from __future__ import annotations

import difflib
import os
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from groundtune.config import AdapterConfig
from groundtune.errors import TrainingError
from groundtune.files import atomic_folder, read_json, write_json
from groundtune.models import quiet_transformers
from groundtune.models.loading import ADAPTER_CONFIG_NAME, local_folder, peft_library
from groundtune.training.checkpoints import saving

ALL = "all"
SHOWN_LAYERS = 12
"""Names of layers in an error before the rest is counted."""


def attach_adapter(model: PreTrainedModel, config: AdapterConfig, *, seed: int) -> nn.Module:
    """peft's model around `model`, in evaluation mode. `model` is changed in place, and computes what it did before: a fresh
    adapter adds nothing.

    Raises:
        TrainingError: peft is not installed, or a target that is in no layer.
    """
    peft = peft_library("train.adapter")
    alpha = config.alpha or 2.0 * config.rank
    settings = peft.LoraConfig(
        r=config.rank,
        # other programs expect a whole number where it is one
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,
        lora_dropout=config.dropout,
        target_modules=_targets(model, config.targets),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), quiet_transformers(), warnings.catch_warnings():
        # peft asks newer transformers by older names
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        adapted: Any = peft.get_peft_model(model, settings).eval()
    # by default peft asks the hub, at every save, whether the base's vocabulary has grown; here it never does
    adapted.save_pretrained = partial(adapted.save_pretrained, save_embedding_layers=False)
    module: nn.Module = adapted
    return module


def _targets(model: PreTrainedModel, wanted: tuple[str, ...]) -> list[str]:
    """Names of layers as peft takes them: whole, or their last parts."""
    head = model.get_output_embeddings()
    layers = {name: each for name, each in model.named_modules() if isinstance(each, (nn.Linear, Conv1D))}
    for target in wanted:
        if target == ALL:
            continue
        found = [each for name, each in layers.items() if f".{name}".endswith(f".{target}")]
        if not found:
            raise TrainingError(_no_such_layer(model, target, list(layers)))
        if head in found and head.weight is model.get_input_embeddings().weight:
            raise TrainingError(
                f"train.adapter.targets names {target!r}, whose weights are the embedding's too in this "
                f"{type(model).__name__}, and one adapter cannot be in both; leave it out"
            )
    every = [name for name, each in layers.items() if each is not head] if ALL in wanted else []
    return [*_shortened(model, every), *(target for target in wanted if target != ALL)]


def _shortened(model: nn.Module, layers: list[str]) -> list[str]:
    """Their last parts, where those mean these layers and no others: that is how other programs know them best."""
    last = list(dict.fromkeys(name.rpartition(".")[2] for name in layers))
    meant = [name for name, _ in model.named_modules() if name.rpartition(".")[2] in last]
    return last if sorted(meant) == sorted(layers) else layers


def _no_such_layer(model: PreTrainedModel, target: str, layers: list[str]) -> str:
    known = list(dict.fromkeys(name.rpartition(".")[2] for name in layers))
    near = difflib.get_close_matches(target, known, n=3, cutoff=0.5)
    shown = ", ".join(known[:SHOWN_LAYERS]) + (
        f" and {len(known) - SHOWN_LAYERS} more" if len(known) > SHOWN_LAYERS else ""
    )
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected all, or some of {shown}"
    return f"train.adapter.targets names {target!r}, which is in no linear layer of {type(model).__name__}; {hint}"


def replace_folder_with_adapter(
    model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path, *, base: Path | str
) -> None:
    """Make `folder` hold this adapter and tokenizer and nothing else; it is whole at any moment."""
    with atomic_folder(folder) as temporary, quiet_transformers(), saving(temporary):
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        # peft's model card: a form to fill in, with the path of this machine in it
        (temporary / "README.md").unlink(missing_ok=True)
        settings = read_json(temporary / ADAPTER_CONFIG_NAME)
        # peft writes a set in an order that changes from run to run
        settings["target_modules"] = sorted(settings["target_modules"])
        settings["base_model_name_or_path"] = base_reference(base, folder)
        write_json(temporary / ADAPTER_CONFIG_NAME, settings)


def base_reference(base: Path | str, folder: Path) -> str:
    """What an adapter in `folder` calls its base: a way from that folder, so that both can move together, or the hub id.

    >>> base_reference(Path("/"), Path("/base/runs/first/best"))
    '../../../..'
    """
    place = local_folder(base)
    if place is None:
        return str(base)
    return Path(os.path.relpath(place.resolve(), folder.resolve())).as_posix()
