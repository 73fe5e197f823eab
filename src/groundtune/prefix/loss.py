"""The summed cross entropy of a row's edges, projected to the vocabulary in chunks.

Only the sources of edges are projected, each once however many targets it has, and only `LOGITS_BYTES` of logits exist
at a time: gradients are formed chunk by chunk in the forward pass (as Liger and torch's linear_cross_entropy do), so
memory does not grow with vocabulary times tokens.

Legend: T tokens of the row, S distinct sources, E edges, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from groundtune.prefix.products import multiply_transposed

LOGITS_BYTES = 128 * 2**20
"""Logits held at a time. Larger chunks make the products of the weight's gradient better, smaller ones save memory."""


@dataclass(frozen=True, slots=True)
class Edges:
    """What is to be predicted from where. `sources_S` are distinct places in the row, ascending."""

    sources_S: torch.Tensor
    rows_E: torch.Tensor
    """Index into `sources_S` of each edge, ascending."""
    targets_E: torch.Tensor
    weights_E: torch.Tensor

    @classmethod
    def of(cls, sources_E: torch.Tensor, targets_E: torch.Tensor, weights_E: torch.Tensor) -> Edges:
        """From edges in any order; places that occur several times become one source."""
        order_E = torch.argsort(sources_E, stable=True)
        sources_S, rows_E = torch.unique_consecutive(sources_E[order_E], return_inverse=True)
        return cls(sources_S, rows_E, targets_E[order_E], weights_E[order_E])

    def within(self, start: int, end: int) -> Edges:
        """The edges whose sources are ``start .. end - 1``, numbered from there."""
        first, last = torch.searchsorted(self.rows_E, torch.tensor([start, end], device=self.rows_E.device)).tolist()
        return Edges(
            self.sources_S[start:end],
            self.rows_E[first:last] - start,
            self.targets_E[first:last],
            self.weights_E[first:last],
        )


@dataclass(frozen=True, slots=True)
class LogitChange:
    """What an architecture does to its projection's output: ``cap * tanh(scale * x / cap)``."""

    scale: float = 1.0
    cap: float | None = None

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        scaled = logits if self.scale == 1.0 else logits * self.scale
        return scaled if self.cap is None else self.cap * torch.tanh(scaled / self.cap)


def edge_loss(logits_SV: torch.Tensor, edges: Edges) -> torch.Tensor:
    """Weighted sum of cross entropies when the logits are there; a scalar, in at least float32."""
    wide_SV = logits_SV.to(torch.promote_types(logits_SV.dtype, torch.float32))
    totals_S = wide_SV.logsumexp(-1)
    chosen_E = wide_SV[edges.rows_E, edges.targets_E]
    return (edges.weights_E.to(wide_SV.dtype) * (totals_S[edges.rows_E] - chosen_E)).sum()


def loss_by_module(
    project: Callable[[torch.Tensor], torch.Tensor], hidden_SD: torch.Tensor, edges: Edges, rows: int
) -> torch.Tensor:
    """The loss through any projection (an adapter on the head, say): chunks of `rows`, each computed again in the backward pass."""

    def part(hidden: torch.Tensor, start: int) -> torch.Tensor:
        return edge_loss(project(hidden), edges.within(start, start + len(hidden)))

    parts = [
        checkpoint(part, hidden_SD[start : start + rows], start, use_reentrant=False)
        for start in range(0, len(hidden_SD), rows)
    ]
    return torch.stack(parts).sum()


def loss_by_weight(
    hidden_SD: torch.Tensor,
    weight_VD: torch.Tensor,
    bias_V: torch.Tensor | None,
    edges: Edges,
    change: LogitChange,
    *,
    logits_bytes: int = LOGITS_BYTES,
) -> torch.Tensor:
    """The loss through a plain linear projection; a scalar, differentiable once."""
    if torch.is_autocast_enabled(hidden_SD.device.type):
        hidden_SD = hidden_SD.to(torch.get_autocast_dtype(hidden_SD.device.type))
    with torch.autocast(hidden_SD.device.type, enabled=False):
        loss: torch.Tensor = _ChunkedLoss.apply(
            hidden_SD,
            weight_VD,
            bias_V,
            edges,
            change,
            chunk_rows(weight_VD.shape[0], hidden_SD.dtype, logits_bytes),
            # inside a Function gradients are always off, and what its inputs want says nothing of no_grad
            torch.is_grad_enabled(),
        )
    return loss


def chunk_rows(vocabulary: int, dtype: torch.dtype, logits_bytes: int = LOGITS_BYTES) -> int:
    """Sources projected at a time."""
    wide = torch.promote_types(dtype, torch.float32)
    return max(1, logits_bytes // (vocabulary * wide.itemsize))


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_SD: torch.Tensor,
        weight_VD: torch.Tensor,
        bias_V: torch.Tensor | None,
        edges: Edges,
        change: LogitChange,
        rows: int,
        wants_gradients: bool,
    ) -> torch.Tensor:
        wants_hidden, wants_weight, wants_bias = (wants_gradients and each for each in ctx.needs_input_grad[:3])
        product_VD = weight_VD.to(hidden_SD.dtype)
        wide = torch.promote_types(hidden_SD.dtype, torch.float32)
        loss = torch.zeros((), dtype=wide, device=hidden_SD.device)
        grad_hidden_SD = torch.empty_like(hidden_SD) if wants_hidden else None
        grad_weight_VD: torch.Tensor | None = None
        grad_bias_V = torch.zeros_like(bias_V, dtype=wide) if wants_bias and bias_V is not None else None
        for start in range(0, len(hidden_SD), rows):
            part = edges.within(start, start + rows)
            chunk_SD = hidden_SD[start : start + rows]
            logits_SV = multiply_transposed(chunk_SD, product_VD, bias_V).to(wide)
            part_loss, slope_SV = _loss_and_slope(
                logits_SV, part, change, wants_slope=wants_hidden or wants_weight or wants_bias
            )
            loss += part_loss
            if slope_SV is None:
                continue
            if grad_bias_V is not None:
                grad_bias_V += slope_SV.sum(0)
            slope_SV = slope_SV.to(hidden_SD.dtype)
            if grad_hidden_SD is not None:
                grad_hidden_SD[start : start + rows] = multiply_transposed(slope_SV, product_VD.t())
            if wants_weight:
                share_VD = multiply_transposed(slope_SV.t(), chunk_SD.t()).to(weight_VD.dtype)
                grad_weight_VD = share_VD if grad_weight_VD is None else grad_weight_VD.add_(share_VD)
        ctx.save_for_backward(grad_hidden_SD, grad_weight_VD, grad_bias_V)
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # not in place: the graph may be kept and walked again
        scaled = [None if part is None else part * gradients[0].to(part.dtype) for part in ctx.saved_tensors]
        return (*scaled, None, None, None, None)


def _loss_and_slope(
    logits_SV: torch.Tensor, edges: Edges, change: LogitChange, *, wants_slope: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The chunk's loss and its derivative by the projection's output, which takes the logits' place."""
    logits_SV = change(logits_SV)
    weights_E = edges.weights_E.to(logits_SV.dtype)
    chosen_E = logits_SV[edges.rows_E, edges.targets_E]
    flatter_SV = None if change.cap is None or not wants_slope else 1 - (logits_SV / change.cap) ** 2
    # logsumexp and softmax in one pass over the chunk, in place: a second chunk of logits is the dearest thing here
    highest_S1 = logits_SV.amax(-1, keepdim=True)
    sums_S = logits_SV.sub_(highest_S1).exp_().sum(-1)
    loss = (weights_E * ((highest_S1[:, 0] + sums_S.log())[edges.rows_E] - chosen_E)).sum()
    if not wants_slope:
        return loss, None
    weights_S = torch.zeros_like(sums_S).index_add_(0, edges.rows_E, weights_E)
    slope_SV = logits_SV.mul_((weights_S / sums_S)[:, None])
    slope_SV.index_put_((edges.rows_E, edges.targets_E), -weights_E, accumulate=True)
    if flatter_SV is not None:
        slope_SV *= flatter_SV
    return loss, slope_SV if change.scale == 1.0 else slope_SV.mul_(change.scale)
