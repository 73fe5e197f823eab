"""The summed cross entropy of a row's edges, projected to the vocabulary in chunks.

Only the sources of edges are projected, each once however many targets it has, and only `LOGITS_BYTES` of logits exist
at a time: gradients are formed chunk by chunk in the forward pass (as Liger and torch's linear_cross_entropy do), so
memory does not grow with vocabulary times tokens.

Label smoothing (Szegedy et al. 2016, arXiv:1512.00567) of a share s makes an edge's loss ``(1 - s)`` times its cross entropy
plus `s` times the mean of ``-log p`` over the whole vocabulary of the projection, unused entries too: that of
``torch.nn.functional.cross_entropy(label_smoothing=s)`` on the logits as the architecture leaves them, scaled and capped.

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

BLOCK_BYTES = 16 * 2**20
"""Of one block of logits. glibc maps anew what is larger than 32 MB, and touching it for the first time costs as much as the product."""


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


def edge_loss(logits_SV: torch.Tensor, edges: Edges, *, smoothing: float = 0.0) -> torch.Tensor:
    """Weighted sum of cross entropies when the logits are there; a scalar, in at least float32."""
    wide_SV = logits_SV.to(torch.promote_types(logits_SV.dtype, torch.float32))
    totals_S = wide_SV.logsumexp(-1)
    chosen_E = wide_SV[edges.rows_E, edges.targets_E]
    if smoothing:
        chosen_E = (1 - smoothing) * chosen_E + smoothing * wide_SV.mean(-1)[edges.rows_E]
    return (edges.weights_E.to(wide_SV.dtype) * (totals_S[edges.rows_E] - chosen_E)).sum()


def each_edge_loss(
    project: Callable[[torch.Tensor], torch.Tensor], hidden_SD: torch.Tensor, edges: Edges, rows: int
) -> torch.Tensor:
    """[E] the cross entropy of every edge, its weight left out, in at least float32; `rows` sources at a time. Not differentiable,
    and never smoothed."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(hidden_SD), rows):
            logits_SV = project(hidden_SD[start : start + rows])
            part = edges.within(start, start + len(logits_SV))
            wide_SV = logits_SV.to(torch.promote_types(logits_SV.dtype, torch.float32))
            parts.append(wide_SV.logsumexp(-1)[part.rows_E] - wide_SV[part.rows_E, part.targets_E])
    return torch.cat(parts)


def loss_by_module(
    project: Callable[[torch.Tensor], torch.Tensor],
    hidden_SD: torch.Tensor,
    edges: Edges,
    rows: int,
    *,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """The loss through any projection (an adapter on the head, say): chunks of `rows`, each computed again in the backward pass."""

    def part(hidden: torch.Tensor, start: int) -> torch.Tensor:
        return edge_loss(project(hidden), edges.within(start, start + len(hidden)), smoothing=smoothing)

    parts = [
        checkpoint(part, hidden_SD[start : start + rows], start, use_reentrant=False)
        for start in range(0, max(len(hidden_SD), 1), rows)
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
    smoothing: float = 0.0,
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
            smoothing,
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
        smoothing: float,
    ) -> torch.Tensor:
        wants_hidden, wants_weight, wants_bias = (wants_gradients and each for each in ctx.needs_input_grad[:3])
        wide = torch.promote_types(hidden_SD.dtype, torch.float32)
        gradients = _Gradients(
            torch.zeros_like(hidden_SD) if wants_hidden else None,
            # written by the first chunk; without any source there is none
            (torch.empty_like if len(hidden_SD) else torch.zeros_like)(weight_VD) if wants_weight else None,
            torch.zeros_like(bias_V, dtype=wide) if wants_bias and bias_V is not None else None,
        )
        product_VD = weight_VD.to(hidden_SD.dtype)
        loss = torch.zeros((), dtype=wide, device=hidden_SD.device)
        for start in range(0, len(hidden_SD), rows):
            chunk = slice(start, min(start + rows, len(hidden_SD)))
            part = edges.within(chunk.start, chunk.stop)
            logits = _Logits(hidden_SD[chunk], product_VD, bias_V, change, smoothing)
            loss += logits.loss(part)
            if gradients.wanted:
                targets = logits.become_slopes(part)
                gradients.take(chunk, hidden_SD[chunk], product_VD, logits)
                if targets is not None:
                    gradients.take_targets(chunk, hidden_SD[chunk], product_VD, targets)
        ctx.gradients = gradients
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        found: _Gradients | None = ctx.gradients
        if found is None:
            raise RuntimeError(
                "the gradients of this loss were handed out already; call backward once for each row_loss"
            )
        # scaled in place: they are as large as the projection itself
        ctx.gradients = None
        scaled = [None if part is None else part.mul_(gradients[0].to(part.dtype)) for part in found.parts]
        return (*scaled, None, None, None, None, None)


@dataclass(slots=True)
class _Gradients:
    hidden_SD: torch.Tensor | None
    weight_VD: torch.Tensor | None
    bias_V: torch.Tensor | None

    @property
    def parts(self) -> tuple[torch.Tensor | None, ...]:
        return self.hidden_SD, self.weight_VD, self.bias_V

    @property
    def wanted(self) -> bool:
        return any(part is not None for part in self.parts)

    def take(self, chunk: slice, chunk_SD: torch.Tensor, product_VD: torch.Tensor, slopes: _Logits) -> None:
        """Add what the chunk's slopes, the derivatives by the projection's output, say of all three."""
        for number, (vocabulary, block_SV) in enumerate(zip(slopes.ranges, slopes.blocks, strict=True)):
            slope_SV = block_SV.to(chunk_SD.dtype)
            factors_S1 = slopes.factors(number)
            if self.bias_V is not None:
                self.bias_V[vocabulary] += block_SV.sum(0) if factors_S1 is None else factors_S1[:, 0] @ block_SV
            if self.hidden_SD is not None:
                part_SD = multiply_transposed(slope_SV, product_VD[vocabulary].t())
                self.hidden_SD[chunk] += part_SD if factors_S1 is None else part_SD.mul_(factors_S1)
            if self.weight_VD is not None:
                # in place, without a copy of this block: beta 0 does not read what is not written yet
                part_VD = self.weight_VD[vocabulary]
                factored_SD = chunk_SD if factors_S1 is None else chunk_SD * factors_S1
                if slope_SV.dtype == part_VD.dtype:
                    part_VD.addmm_(slope_SV.t(), factored_SD, beta=1 if chunk.start else 0)
                else:
                    share_VD = slope_SV.t() @ factored_SD
                    part_VD.add_(share_VD) if chunk.start else part_VD.copy_(share_VD)

    def take_targets(self, chunk: slice, chunk_SD: torch.Tensor, product_VD: torch.Tensor, targets: _Targets) -> None:
        """Add what the targets' own logits say, where the slopes leave that out."""
        if self.bias_V is not None:
            self.bias_V.index_add_(0, targets.ids_E, targets.slopes_E.to(self.bias_V.dtype))
        if self.hidden_SD is not None:
            towards_ED = product_VD.index_select(0, targets.ids_E).mul_(targets.slopes_E[:, None])
            self.hidden_SD[chunk].index_add_(0, targets.rows_E, towards_ED)
        if self.weight_VD is not None:
            sources_ED = chunk_SD.index_select(0, targets.rows_E).mul_(targets.slopes_E[:, None])
            self.weight_VD.index_add_(0, targets.ids_E, sources_ED.to(self.weight_VD.dtype))


@dataclass(frozen=True, slots=True)
class _Targets:
    """What the targets' logits add to the derivatives beside the softmax: `slopes_E` at (`rows_E`, `ids_E`)."""

    rows_E: torch.Tensor
    ids_E: torch.Tensor
    slopes_E: torch.Tensor


class _Logits:
    """The logits of a chunk of sources, in blocks of the vocabulary that the allocator can use again (`BLOCK_BYTES`)."""

    def __init__(
        self,
        chunk_SD: torch.Tensor,
        weight_VD: torch.Tensor,
        bias_V: torch.Tensor | None,
        change: LogitChange,
        smoothing: float,
    ) -> None:
        wide = torch.promote_types(chunk_SD.dtype, torch.float32)
        size = max(1, BLOCK_BYTES // (max(len(chunk_SD), 1) * wide.itemsize))
        vocabulary = len(weight_VD)
        self._change = change
        self._narrow = chunk_SD.dtype != wide
        self._smoothing = smoothing
        self.ranges = [slice(start, min(start + size, vocabulary)) for start in range(0, vocabulary, size)]
        self.blocks = []
        for columns in self.ranges:
            bias = None if bias_V is None else bias_V[columns].to(chunk_SD.dtype)
            self.blocks.append(change(multiply_transposed(chunk_SD, weight_VD[columns], bias).to(wide)))

    def loss(self, edges: Edges) -> torch.Tensor:
        """The weighted sum of cross entropies of `edges`. Each block becomes a softmax of its own, in place: reading and
        writing logits is dear, and what turns these into the softmax of all is one number a source and block."""
        weights_E = edges.weights_E.to(self.blocks[0].dtype)
        sharp_E = weights_E * (1 - self._smoothing)
        loss: torch.Tensor = torch.zeros_like(self.blocks[0][0, 0])
        weights_S = torch.zeros_like(self.blocks[0][:, 0]).index_add_(0, edges.rows_E, weights_E)
        self._spread_S1 = (weights_S * (self._smoothing / self.ranges[-1].stop))[:, None]
        totals = []
        self._flatter: list[torch.Tensor | None] = []
        for columns, block_SV in zip(self.ranges, self.blocks, strict=True):
            inside_E = _inside(edges, columns)
            rows_E, targets_E = edges.rows_E[inside_E], edges.targets_E[inside_E] - columns.start
            loss -= (sharp_E[inside_E] * block_SV[rows_E, targets_E]).sum()
            if self._smoothing:
                loss -= (self._spread_S1[:, 0] * block_SV.sum(-1)).sum()
            cap = self._change.cap
            self._flatter.append(None if cap is None else 1 - (block_SV / cap) ** 2)
            highest_S = block_SV.amax(-1)
            torch.softmax(block_SV, -1, out=block_SV)
            # the highest logit's share is 1 / sum(exp(logit - highest))
            totals.append(highest_S - block_SV.amax(-1).log_())
        self._totals_BS = torch.stack(totals)
        totals_S = self._totals_BS.logsumexp(0)
        self._factors_BS1 = ((self._totals_BS - totals_S).exp_() * weights_S * self._change.scale)[..., None]
        return loss.add_((weights_E * totals_S[edges.rows_E]).sum())

    def become_slopes(self, edges: Edges) -> _Targets | None:
        """Turn the blocks into the loss's derivatives by the projection's output, up to `factors`. After `loss`, once.

        In half precision into all of it; otherwise without the targets' own logits, which are returned: the difference of
        a likely target's share and 1 would be lost in rounding only where the products are in half precision.
        """
        weights_E = edges.weights_E.to(self.blocks[0].dtype) * (-self._change.scale * (1 - self._smoothing))
        slopes_E = torch.zeros_like(weights_E)
        for number, (columns, block_SV) in enumerate(zip(self.ranges, self.blocks, strict=True)):
            inside_E = _inside(edges, columns)
            places = edges.rows_E[inside_E], edges.targets_E[inside_E] - columns.start
            flatter_SV = self._flatter[number]
            if self._narrow or self._smoothing:
                block_SV.mul_(self._factors_BS1[number])
            if self._smoothing:
                block_SV.sub_(self._spread_S1 * self._change.scale)
            if self._narrow:
                block_SV.index_put_(places, weights_E[inside_E], accumulate=True)
            else:
                slopes_E[inside_E] = weights_E[inside_E] * (1.0 if flatter_SV is None else flatter_SV[places])
            if flatter_SV is not None:
                block_SV.mul_(flatter_SV)
        return None if self._narrow else _Targets(edges.rows_E, edges.targets_E, slopes_E)

    def factors(self, number: int) -> torch.Tensor | None:
        """What the rows of block `number` are still to be multiplied with, [S, 1]; None: nothing."""
        return None if self._narrow or self._smoothing else self._factors_BS1[number]


def _inside(edges: Edges, columns: slice) -> torch.Tensor:
    """Indices of the edges whose targets are in a block of the vocabulary."""
    inside_E: torch.Tensor = (edges.targets_E >= columns.start) & (edges.targets_E < columns.stop)
    return inside_E.nonzero().squeeze(1)
