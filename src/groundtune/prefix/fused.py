"""Feed-forward blocks and norms of a Hugging Face model, computed on the CPU in fewer passes and kept in less memory.

transformers writes a gated feed-forward block and a root-mean-square norm as a handful of tensor operations, each of
which autograd keeps an output of. Here each is one function with its own derivative, which keeps only what it cannot
compute again cheaply: about half the memory of a layer. A module is replaced only if it was recognised by its parts
*and* gives the same numbers on a random input as before; any other is left alone. What this module does not do:
anything on other devices or under autocast, where the model's own code runs.

Legend: T rows, D width, F feed-forward width.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from groundtune.prefix.products import multiply_transposed, weight_gradient

AGREEMENT = 1e-5
"""Largest difference from the module's own output, relative to its largest value, that counts as rounding."""

GATED_PARTS = ("gate_proj", "up_proj", "down_proj")
"""The linear maps of a gated block, by transformers' names."""

Forward = Callable[..., Any]


def fused_forward(module: nn.Module) -> Forward | None:
    """A faster forward for `module`, to be bound to it; None when it is not of a known kind or would not agree."""
    for recognise in (_gated_block, _norm):
        forward = recognise(module)
        if forward is not None and _agrees(module, forward):
            return _where_it_applies(unbound(module), forward)
    return None


def is_gated_block(module: nn.Module) -> bool:
    """Whether `module` is built as ``down(activation(gate(x)) * up(x))``: each token by itself."""
    return all(isinstance(getattr(module, name, None), nn.Module) for name in GATED_PARTS)


def _applies(inputs: torch.Tensor) -> bool:
    return (
        inputs.device.type == "cpu"
        and inputs.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
    )


def unbound(module: nn.Module) -> Forward:
    """The module's forward as a function of the module too, so that a copy of the module computes with its own weights."""
    current = module.forward
    if isinstance(current, types.MethodType):
        return current.__func__
    # put there by somebody else (accelerate's hooks): what it is bound to is its own affair
    return lambda _module, *args, **kwargs: current(*args, **kwargs)


def _is_bare(module: nn.Module) -> bool:
    """Whether nothing has been put around the parts since: an adapter, a hook, a parametrization."""
    parts = (module._modules[name] for name in GATED_PARTS if name in module._modules)
    return all(
        type(part) is nn.Linear and not (part._forward_hooks or part._forward_pre_hooks or part._backward_hooks)
        for part in parts
    )


def _where_it_applies(original: Forward, fused: Forward) -> Forward:
    def forward(module: nn.Module, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs or not _applies(hidden) or not _is_bare(module):
            return original(module, hidden, *args, **kwargs)
        return fused(module, hidden)

    return forward


def _agrees(module: nn.Module, fused: Forward) -> bool:
    weight = next(module.parameters())
    if weight.device.type != "cpu" or weight.dtype not in (torch.float32, torch.float64):
        return False
    # a linear map's inputs are its weight's last axis, a norm's its only one
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(1, 3, weight.shape[-1], generator=generator, dtype=weight.dtype)
    # small rows too: there the place of epsilon shows
    inputs = torch.cat([inputs, 1e-3 * inputs], dim=1)
    with torch.no_grad():
        try:
            wanted, found = module(inputs), fused(module, inputs)
        except (RuntimeError, TypeError, ValueError):
            return False
    if not isinstance(wanted, torch.Tensor) or wanted.shape != found.shape or wanted.dtype != found.dtype:
        return False
    apart, size = (each.abs().amax(-1) for each in (wanted - found, wanted))
    return bool((apart <= AGREEMENT * size.clamp_min(1e-30)).all())


def _gated_block(module: nn.Module) -> Forward | None:
    """SwiGLU as in Llama, Qwen, Mistral, SmolLM: three linear maps without bias and SiLU."""
    if any(type(getattr(module, name, None)) is not nn.Linear for name in GATED_PARTS):
        return None
    if any(getattr(module, name).bias is not None for name in GATED_PARTS):
        return None

    def forward(block: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
        flat_TD = hidden.reshape(-1, hidden.shape[-1])
        weights = (getattr(block, name).weight for name in GATED_PARTS)
        output: torch.Tensor = _GatedBlock.apply(flat_TD, *weights)
        return output.view(hidden.shape)

    return forward


class _GatedBlock(torch.autograd.Function):
    """``(silu(x @ gate.T) * (x @ up.T)) @ down.T``; keeps x and both products."""

    @staticmethod
    def forward(
        ctx: Any, hidden_TD: torch.Tensor, gate_FD: torch.Tensor, up_FD: torch.Tensor, down_DF: torch.Tensor
    ) -> torch.Tensor:
        gate_TF = multiply_transposed(hidden_TD, gate_FD)
        up_TF = multiply_transposed(hidden_TD, up_FD)
        ctx.save_for_backward(hidden_TD, gate_FD, up_FD, down_DF, gate_TF, up_TF)
        return multiply_transposed(nn.functional.silu(gate_TF).mul_(up_TF), down_DF)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden_TD, gate_FD, up_FD, down_DF, gate_TF, up_TF = ctx.saved_tensors
        wants_hidden, wants_gate, wants_up, wants_down = ctx.needs_input_grad
        gradient_TD = gradients[0].contiguous()
        active_TF = nn.functional.silu(gate_TF)
        inner_TF = multiply_transposed(gradient_TD, down_DF.t())
        grad_down = weight_gradient(gradient_TD, active_TF * up_TF) if wants_down else None
        grad_up_TF = active_TF.mul_(inner_TF)
        grad_gate_TF = torch.ops.aten.silu_backward(inner_TF.mul_(up_TF), gate_TF)
        grad_hidden = None
        if wants_hidden:
            grad_hidden = multiply_transposed(grad_gate_TF, gate_FD.t())
            grad_hidden += multiply_transposed(grad_up_TF, up_FD.t())
        return (
            grad_hidden,
            weight_gradient(grad_gate_TF, hidden_TD) if wants_gate else None,
            weight_gradient(grad_up_TF, hidden_TD) if wants_up else None,
            grad_down,
        )


def _norm(module: nn.Module) -> Forward | None:
    """A root-mean-square norm over the last axis, scaled by its weight."""
    weight = getattr(module, "weight", None)
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if not type(module).__name__.endswith("RMSNorm") or len(list(module.parameters())) != 1:
        return None
    if not isinstance(weight, nn.Parameter) or weight.ndim != 1 or not isinstance(epsilon, float):
        return None
    small = epsilon

    def forward(norm: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = _Norm.apply(hidden, norm.weight, small)
        return normed

    return forward


class _Norm(torch.autograd.Function):
    """``x / sqrt(mean(x ** 2) + epsilon) * weight``; keeps x and one number a row."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight_D: torch.Tensor, epsilon: float) -> torch.Tensor:
        squares = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).square_()
        inverse = squares.div_(hidden.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(hidden, weight_D, inverse)
        normed: torch.Tensor = hidden * inverse
        return normed.mul_(weight_D)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight_D, inverse = ctx.saved_tensors
        normed = hidden * inverse
        grad_weight = None
        if ctx.needs_input_grad[1]:
            grad_weight = (gradients[0] * normed).flatten(0, -2).sum(0)
        if not ctx.needs_input_grad[0]:
            return None, grad_weight, None
        # d/dx of x * r with r = rsqrt(mean(x^2) + e): r * (g - normed * mean(g * normed))
        scaled = gradients[0] * weight_D
        along = (scaled * normed).mean(-1, keepdim=True)
        grad_hidden = scaled.addcmul_(normed, along, value=-1).mul_(inverse)
        return grad_hidden, grad_weight, None
