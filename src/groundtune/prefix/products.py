"""Float32 matrix products on the CPU by the faster of the two libraries torch carries.

torch gives float32 products to MKL, which on AMD processors leaves a quarter of the threads without work (4 cores:
289 GFLOP/s against 433 of oneDNN, docs/decisions/0008). The result is the same to rounding, so which library computes is
decided by the processor alone, never by a measurement: a run that is continued must meet the same bits.

Legend: T rows, I inputs, O outputs.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn

CPU_INFORMATION = Path("/proc/cpuinfo")


@functools.cache
def onednn_is_faster() -> bool:
    """Whether this processor is one whose float32 products oneDNN computes faster, and this torch can be asked for it."""
    return hasattr(torch.ops.mkldnn, "_linear_pointwise") and _is_amd()


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in CPU_INFORMATION.read_text()
    except OSError:
        return "AMD" in platform.processor()


def suits(tensor: torch.Tensor) -> bool:
    """Whether `multiply_transposed` may be asked for products of `tensor`."""
    return (
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and onednn_is_faster()
    )


def multiply_transposed(
    left_TI: torch.Tensor, right_OI: torch.Tensor, bias_O: torch.Tensor | None = None
) -> torch.Tensor:
    """``left @ right.T + bias``, [T, O]; views with other strides are as good as contiguous tensors. No gradient."""
    if suits(left_TI) and left_TI.shape[0] > 0:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(left_TI, right_OI, bias_O, "none", [], "")
        return product
    return nn.functional.linear(left_TI, right_OI, bias_O)


def weight_gradient(gradient_TO: torch.Tensor, input_TI: torch.Tensor) -> torch.Tensor:
    """``gradient.T @ input``, [O, I]. No gradient."""
    if gradient_TO.shape[1] <= input_TI.shape[1]:
        return multiply_transposed(gradient_TO.t(), input_TI.t())
    # oneDNN copies its first operand when it is a transposed view: let that be the narrow one
    return multiply_transposed(input_TI.t(), gradient_TO.t()).t()


class _Linear(torch.autograd.Function):
    """`torch.nn.functional.linear` with all three products by `multiply_transposed`."""

    @staticmethod
    def forward(ctx: Any, input_TI: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(input_TI, weight_OI)
        return multiply_transposed(input_TI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient_TO,) = gradients
        input_TI, weight_OI = ctx.saved_tensors
        wants_input, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            multiply_transposed(gradient_TO, weight_OI.t()) if wants_input else None,
            weight_gradient(gradient_TO, input_TI) if wants_weight else None,
            gradient_TO.sum(0) if wants_bias else None,
        )


def linear(input_XI: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None = None) -> torch.Tensor:
    """`torch.nn.functional.linear` for inputs of any shape [..., I]; differentiable."""
    if not suits(input_XI) or input_XI.numel() == 0:
        return nn.functional.linear(input_XI, weight_OI, bias_O)
    flat_TI = input_XI.reshape(-1, input_XI.shape[-1])
    output: torch.Tensor = _Linear.apply(flat_TI, weight_OI, bias_O)
    return output.view(*input_XI.shape[:-1], weight_OI.shape[0])
