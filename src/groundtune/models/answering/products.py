"""Float32 products of few rows with weights laid out for them beforehand, on a CPU.

A step of answers multiplies a few dozen rows with every weight of the model. torch's own product (MKL on x86) reads a weight
as it lies; oneDNN, which torch also carries, can lay it out in blocks first. With 32 rows that is about twice as fast
(AMD EPYC, 2 threads, 384 x 1024: 41 and 79 GFLOP/s), and no slower with many. The results are the same to rounding. Who
computes is decided by device, type and size alone, never by a measurement: the same bits on every run.

Legend: T rows, I inputs, O outputs.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers import PreTrainedModel

from groundtune.models.machine import has_onednn_product

PACKED_BYTES = 2 * 2**30
"""Weights laid out are a second copy; a model with more of them than this keeps torch's products."""

FEWEST_ROWS = 4
"""Fewer rows are faster without oneDNN."""

LAYOUT_ROWS = 32
"""Rows that the layout is chosen for; it serves any number."""


@contextmanager
def packed_products(model: PreTrainedModel) -> Iterator[None]:
    """Inside the block the linear layers of a float32 model on a CPU multiply with packed weights, where that suits. Weights
    must not change inside it."""
    replaced: list[tuple[nn.Linear, object]] = []
    for module in _suited(model):
        replaced.append((module, module.__dict__.get("forward")))
        packed = torch.ops.mkldnn._reorder_linear_weight(module.weight.detach(), LAYOUT_ROWS)
        module.__dict__["forward"] = types.MethodType(_forward_with(packed), module)
    try:
        yield
    finally:
        for module, before in replaced:
            if before is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = before


def _suited(model: PreTrainedModel) -> list[nn.Linear]:
    if not has_onednn_product() or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return []
    found = [
        module
        for module in model.modules()
        if type(module) is nn.Linear
        and module.weight.device.type == "cpu"
        and module.weight.dtype == torch.float32
        # else it lies in parts on several processes (DeepSpeed) and is there only while its layer computes
        and module.weight.dim() == 2
    ]
    return found if sum(4 * module.weight.numel() for module in found) <= PACKED_BYTES else []


def _forward_with(packed: torch.Tensor) -> Callable[[nn.Linear, torch.Tensor], torch.Tensor]:
    def forward(module: nn.Linear, input_XI: torch.Tensor) -> torch.Tensor:
        rows = input_XI.numel() // input_XI.shape[-1]
        plain = rows < FEWEST_ROWS or input_XI.dtype != torch.float32
        if plain or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return nn.functional.linear(input_XI, module.weight, module.bias)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(input_XI, packed, module.bias, "none", [], "")
        return product

    return forward
