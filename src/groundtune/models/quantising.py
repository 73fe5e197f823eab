"""Holds the linear layers of a loaded model in 4 bits by bitsandbytes: the frozen base that an adapter is trained on (QLoRA;
Dettmers et al. 2023).

Layers are replaced one by one in a model that was loaded, checked and merged in full precision, so what is refused there
is refused here too; until then it takes its full memory. Embeddings, norms and the projection to the vocabulary stay as they are.
What this module does not do: load or save a model that is quantised already, or pack experts that are one tensor.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from groundtune.errors import TrainingError

FourBits = Literal["nf4", "fp4"]


@dataclass(frozen=True, slots=True)
class Quantised:
    """What was packed."""

    layers: int
    bytes_before: int
    """Of all weights of the model, ..."""
    bytes_after: int
    """... and of the same when packed, constants included."""


def check_bitsandbytes(wanted_by: str) -> None:
    """Raises `TrainingError` where the optional package bitsandbytes is not installed, or finds no library for this machine."""
    try:
        importlib.import_module("bitsandbytes")
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "bitsandbytes":
            raise TrainingError(
                f"{wanted_by} needs the package bitsandbytes, which is not installed; run `pip install groundtune[qlora]`"
            ) from error
        raise TrainingError(f"{wanted_by} needs bitsandbytes, which cannot be loaded here ({error})") from error


def quantise_linears(
    model: PreTrainedModel, kind: FourBits, *, double: bool, whole: Collection[str] = (), wanted_by: str
) -> Quantised:
    """Replace the linear layers of `model`, in place, by ones in 4 bits.

    Args:
        double: quantise the constants (one for each 64 weights) too, which leaves 4.127 bits a weight in place of 4.5.
        whole: names of modules that stay as they are, with all inside of them.
        wanted_by: the setting, for errors.

    Raises:
        TrainingError: no bitsandbytes, or no layer to pack.
    """
    check_bitsandbytes(wanted_by)
    before = weight_bytes(model)
    head = model.get_output_embeddings()
    layers = [
        name
        for name, module in model.named_modules()
        if type(module) in (nn.Linear, Conv1D)
        and module is not head
        and not any(f"{name}.".startswith(f"{kept}.") for kept in whole)
    ]
    if not layers:
        raise TrainingError(
            f"{wanted_by}: {type(model).__name__} has no linear layer besides its head that could be held in 4 bits; take it out"
        )
    for name in layers:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, _packed(model.get_submodule(name), kind, double=double))
    # peft asks for it
    told: Any = model
    told.is_loaded_in_4bit = True
    return Quantised(len(layers), before, weight_bytes(model))


def _packed(layer: nn.Module, kind: FourBits, *, double: bool) -> nn.Module:
    from groundtune.models.four_bits import FourBitLinear

    assert isinstance(layer, (nn.Linear, Conv1D))
    # Conv1D keeps its weight transposed
    weight_OI = layer.weight.detach().t().contiguous() if isinstance(layer, Conv1D) else layer.weight.detach()
    outputs, inputs = weight_OI.shape
    packed: Any = FourBitLinear(
        inputs, outputs, bias=layer.bias is not None, compress_statistics=double, quant_type=kind, device="meta"
    )
    packed.weight = type(packed.weight)(
        weight_OI, requires_grad=False, compress_statistics=double, quant_type=kind, module=packed
    )
    packed.bias = layer.bias
    # it is quantised by being moved
    packed.weight = packed.weight.to(weight_OI.device)
    packed.requires_grad_(False)
    packed.train(layer.training)
    module: nn.Module = packed
    return module


def held_numbers(parameter: torch.Tensor) -> int:
    """How many weights a parameter stands for: more than its elements where they are packed."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else int(torch.Size(state.shape).numel())


def weight_bytes(model: nn.Module) -> int:
    """Of all parameters, tied ones once, with the constants of packed ones."""
    return sum(
        each.numel() * each.element_size() + _constants_bytes(getattr(each, "quant_state", None))
        for each in model.parameters()
    )


def _constants_bytes(state: Any) -> int:
    if state is None:
        return 0
    nested = getattr(state, "state2", None)
    tensors = [state.absmax] if nested is None else [state.absmax, state.offset, nested.absmax]
    # the code books are the same for all layers, and small
    return sum(each.numel() * each.element_size() for each in tensors)
