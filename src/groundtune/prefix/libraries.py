"""The row's loss by libraries that carry a fused projection and cross entropy: torch's own and Liger's.

Both are asked on CUDA only, Liger first where it is installed. On a CPU `groundtune.prefix.loss` is faster than torch's
(benchmarks/README.md) and the only one that takes weights, several targets of one source, scales, caps and label smoothing everywhere. Who
computes is decided by device, installed packages and edges, never by a measurement: a run that is continued must meet
the same bits.

Legend: S distinct sources, D width, V vocabulary.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any, Literal

import torch
from torch import nn

from groundtune.prefix.loss import Edges, LogitChange, chunk_rows, loss_by_weight

Library = Literal["own", "torch", "liger"]


def library_for(device_type: str, edges: Edges, change: LogitChange, smoothing: float = 0.0) -> Library:
    """Who computes the loss of a row with these edges.

    >>> one = torch.ones(2)
    >>> library_for("cpu", Edges.of(torch.tensor([0, 1]), torch.tensor([5, 6]), one), LogitChange())
    'own'
    """
    if device_type != "cuda" or smoothing or not is_plain(edges) or change != LogitChange():
        return "own"
    return "liger" if has_liger() else "torch" if has_torch() else "own"


def is_plain(edges: Edges) -> bool:
    """Whether every source has one target, and every target weighs 1: what the libraries' interfaces can say."""
    return len(edges.sources_S) == len(edges.targets_E) and bool((edges.weights_E == 1).all())


@functools.cache
def has_torch() -> bool:
    """Whether this torch has ``linear_cross_entropy`` with chunks (2.13)."""
    return hasattr(nn, "LinearCrossEntropyOptions") and hasattr(nn.functional, "linear_cross_entropy")


@functools.cache
def has_liger() -> bool:
    return importlib.util.find_spec("liger_kernel") is not None


def loss_by_library(
    hidden_SD: torch.Tensor,
    weight_VD: torch.Tensor,
    bias_V: torch.Tensor | None,
    edges: Edges,
    change: LogitChange,
    *,
    library: Library | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """As :func:`groundtune.prefix.loss.loss_by_weight`: a scalar, differentiable once.

    Args:
        library: who computes it; None leaves it to `library_for`. Any but ``own`` takes plain edges and unchanged logits only,
            and no smoothing.
    """
    chosen = library or library_for(hidden_SD.device.type, edges, change, smoothing)
    if chosen == "own":
        return loss_by_weight(hidden_SD, weight_VD, bias_V, edges, change, smoothing=smoothing)
    if torch.is_autocast_enabled(hidden_SD.device.type):
        hidden_SD = hidden_SD.to(torch.get_autocast_dtype(hidden_SD.device.type))
    with torch.autocast(hidden_SD.device.type, enabled=False):
        # a cast that autograd sees: the weight's gradient comes back in the weight's own type
        weight_VD = weight_VD.to(hidden_SD.dtype)
        bias_V = None if bias_V is None else bias_V.to(hidden_SD.dtype)
        if chosen == "liger":
            return _by_liger(hidden_SD, weight_VD, bias_V, edges)
        return _by_torch(hidden_SD, weight_VD, bias_V, edges)


def _by_torch(
    hidden_SD: torch.Tensor, weight_VD: torch.Tensor, bias_V: torch.Tensor | None, edges: Edges
) -> torch.Tensor:
    # names that older torch and its type stubs do not have
    functional: Any = nn.functional
    options_of: Any = nn
    options = options_of.LinearCrossEntropyOptions(
        batch_chunk_size=chunk_rows(len(weight_VD), hidden_SD.dtype),
        chunking_method=None,
        # the policies that save more add up gradients in half precision
        acc_policy="accurate" if hidden_SD.dtype in (torch.bfloat16, torch.float16) else "compact",
    )
    loss: torch.Tensor = functional.linear_cross_entropy(
        hidden_SD, weight_VD, edges.targets_E, linear_bias=bias_V, reduction="sum", options=options
    )
    return loss.to(torch.promote_types(loss.dtype, torch.float32))


def _by_liger(
    hidden_SD: torch.Tensor, weight_VD: torch.Tensor, bias_V: torch.Tensor | None, edges: Edges
) -> torch.Tensor:
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    fused = LigerFusedLinearCrossEntropyLoss(reduction="sum", accum_dtype=torch.float32)
    loss: torch.Tensor = fused(weight_VD, hidden_SD, edges.targets_E, bias_V)
    return loss
