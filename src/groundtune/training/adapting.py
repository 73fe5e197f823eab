"""Low-rank adapters (LoRA; Hu et al. 2021), put around a model's linear layers by peft and saved in peft's form: plain ones, with
their lengths trained apart (DoRA; Liu et al. 2024), scaled for high ranks (rsLoRA; Kalajdzievski 2023), on a base in 4
bits (QLoRA; Dettmers et al. 2023), and with modules that are trained whole beside them.

Of all weights only the adapter's are trained and kept. What this module does not do: load an adapter with its base, which is
:func:`groundtune.models.load_model`'s work, or adapt experts that are one tensor (no linear layer of their own).
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Collection, Sequence
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
from groundtune.models.quantising import quantise_linears
from groundtune.training.checkpoints import saving

ALL = "all"
PEFT_TIED_NAMES = ("embed_tokens", "lm_head")
"""Of embedding and head that are the same weights, as peft looks for them."""
SHOWN_LAYERS = 12
"""Names of layers in an error before the rest is counted."""


def attach_adapter(model: PreTrainedModel, config: AdapterConfig, *, seed: int) -> tuple[nn.Module, tuple[str, ...]]:
    """peft's model around `model`, in evaluation mode, and what a reader of the record should know. `model` is changed in
    place, and computes what it did before, as far as 4 bits can where it is quantised: a fresh adapter adds nothing.

    Raises:
        TrainingError: peft or bitsandbytes is not installed, a target that is in no layer, a module to save that is not there,
            weight vectors of zeros with DoRA.
    """
    peft = peft_library("train.adapter")
    alpha = config.alpha or 2.0 * config.rank
    whole = _whole_modules(model, config.modules_to_save)
    tying = _tying(peft, model, whole)
    settings = peft.LoraConfig(
        r=config.rank,
        # other programs expect a whole number where it is one
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,
        lora_dropout=config.dropout,
        use_rslora=config.rslora,
        use_dora=config.dora,
        target_modules=_targets(model, config.targets, whole),
        modules_to_save=_shortened(model, whole) or None,
        task_type="CAUSAL_LM",
        **tying,
    )
    notes = _quantise(model, config, whole)
    with torch.random.fork_rng(devices=[]), quiet_transformers(), warnings.catch_warnings():
        # peft asks newer transformers by older names
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        adapted: Any = peft.get_peft_model(model, settings).eval()
    _check_lengths(adapted)
    # by default peft asks the hub, at every save, whether the base's vocabulary has grown; here it never does
    adapted.save_pretrained = partial(adapted.save_pretrained, save_embedding_layers=False)
    module: nn.Module = adapted
    return module, notes


def _check_lengths(adapted: nn.Module) -> None:
    """DoRA divides by the length of each weight vector. Raises `TrainingError` where one has none."""
    without = {
        name.partition(".lora_magnitude_vector")[0].removeprefix("base_model.model."): int((weight == 0).sum())
        for name, weight in adapted.named_parameters()
        if "lora_magnitude_vector" in name and bool((weight == 0).any())
    }
    if without:
        name, rows = next(iter(without.items()))
        raise TrainingError(
            f"train.adapter.dora: {len(without)} layers have weight vectors of zeros ({name} has {rows}), which have no direction; set "
            "train.adapter.dora: false (a model made here has such weights where model.copying_start put them)"
        )


def check_adapter(model: PreTrainedModel, config: AdapterConfig) -> None:
    """What `attach_adapter` refuses, as far as an empty model tells. Raises `TrainingError`."""
    peft = peft_library("train.adapter")
    whole = _whole_modules(model, config.modules_to_save)
    _targets(model, config.targets, whole)
    _tying(peft, model, whole)


def _quantise(model: PreTrainedModel, config: AdapterConfig, whole: Collection[str]) -> tuple[str, ...]:
    if config.quantise is None:
        return ()
    packed = quantise_linears(
        model, config.quantise, double=config.double_quantise, whole=whole, wanted_by="train.adapter.quantise"
    )
    return (
        f"{packed.layers} linear layers of the base were held in 4 bits ({config.quantise}): its weights took "
        f"{packed.bytes_after / 2**20:,.2f} MiB in place of {packed.bytes_before / 2**20:,.2f}",
    )


def _whole_modules(model: PreTrainedModel, wanted: tuple[str, ...]) -> list[str]:
    """Full names of the modules to be trained whole."""
    modules = {name: each for name, each in model.named_modules() if name and any(True for _ in each.parameters())}
    found: dict[str, None] = {}
    for target in wanted:
        names = [name for name in modules if f".{name}".endswith(f".{target}")]
        if not names:
            raise TrainingError(_no_such_layer(model, "modules_to_save", target, list(modules)))
        found.update(dict.fromkeys(names))
    for outer in found:
        inner = [name for name in found if name.startswith(f"{outer}.")]
        if inner:
            raise TrainingError(
                f"train.adapter.modules_to_save names {outer}, and {inner[0]}, which is in it already; take one of the two out"
            )
    return list(found)


def _tied_modules(model: PreTrainedModel) -> list[str]:
    """Names of embedding and head where they are the same weights."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or getattr(head, "weight", None) is not getattr(embedding, "weight", None):
        return []
    return [name for name, each in model.named_modules() if each is head or each is embedding]


def _tying(peft: Any, model: PreTrainedModel, whole: Collection[str]) -> dict[str, bool]:
    """Where embedding and head are the same weights, they stay so when one of them is trained whole."""
    tied = _tied_modules(model)
    around = [name for name in whole if any(each.startswith(f"{name}.") for each in tied)]
    if around:
        raise TrainingError(
            f"train.adapter.modules_to_save names {around[0]}, which holds weights that embedding and head share in this "
            f"{type(model).__name__}; name {tied[0].rpartition('.')[2]} itself, or leave it out"
        )
    if not set(whole) & set(tied):
        return {}
    names = [name.rpartition(".")[2] for name in tied]
    why = ""
    if "ensure_weight_tying" not in peft.LoraConfig.__dataclass_fields__:
        why = f"peft {peft.__version__} cannot keep them so; run `pip install -U peft`"
    elif names != list(PEFT_TIED_NAMES):
        why = (
            f"peft keeps them so by the names {' and '.join(PEFT_TIED_NAMES)} alone; leave it out, or train all weights"
        )
    if why:
        raise TrainingError(
            f"train.adapter.modules_to_save names {' or '.join(names)}, which are the same weights in this {type(model).__name__} "
            f"(tied), and {why}"
        )
    return {"ensure_weight_tying": True}


def _targets(model: PreTrainedModel, wanted: tuple[str, ...], whole: Collection[str]) -> list[str]:
    """Names of layers as peft takes them: whole, or their last parts. What is trained whole needs no adapter."""
    head = model.get_output_embeddings()
    tied = _tied_modules(model)
    layers = {
        name: each
        for name, each in model.named_modules()
        if isinstance(each, (nn.Linear, Conv1D)) and not any(f"{name}.".startswith(f"{kept}.") for kept in whole)
    }
    for target in wanted:
        if target == ALL:
            continue
        found = [each for name, each in layers.items() if f".{name}".endswith(f".{target}")]
        if not found:
            raise TrainingError(_no_such_layer(model, "targets", target, [name for name in layers if name not in tied]))
        if tied and head in found:
            raise TrainingError(
                f"train.adapter.targets names {target!r}, whose weights are the embedding's too in this "
                f"{type(model).__name__}, and one adapter cannot be in both; leave it out"
            )
    every = [name for name, each in layers.items() if each is not head] if ALL in wanted else []
    targets = [*_shortened(model, every), *(target for target in wanted if target != ALL)]
    if not targets:
        raise TrainingError(
            f"train.adapter.modules_to_save ({', '.join(whole)}) leaves {type(model).__name__} no linear layer for an adapter; take "
            "some of them out"
        )
    return targets


def _shortened(model: nn.Module, layers: Sequence[str]) -> list[str]:
    """Their last parts, where those mean these layers and no others: that is how other programs know them best."""
    last = list(dict.fromkeys(name.rpartition(".")[2] for name in layers))
    meant = [name for name, _ in model.named_modules() if name.rpartition(".")[2] in last]
    return last if sorted(meant) == sorted(layers) else list(layers)


def _no_such_layer(model: PreTrainedModel, setting: str, target: str, layers: Sequence[str]) -> str:
    known = list(dict.fromkeys(name.rpartition(".")[2] for name in layers))
    near = difflib.get_close_matches(target, known, n=3, cutoff=0.5)
    shown = ", ".join(known[:SHOWN_LAYERS]) + (
        f" and {len(known) - SHOWN_LAYERS} more" if len(known) > SHOWN_LAYERS else ""
    )
    some, what = ("all, or some of", "linear layer") if setting == "targets" else ("some of", "module")
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected {some} {shown}"
    if setting == "targets" and _tied_modules(model):
        hint += f" ({' and '.join(_tied_modules(model))} are the same weights here, and take no adapter)"
    return f"train.adapter.{setting} names {target!r}, which is in no {what} of {type(model).__name__}; {hint}"


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
        if settings.get("modules_to_save"):
            settings["modules_to_save"] = sorted(settings["modules_to_save"])
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
