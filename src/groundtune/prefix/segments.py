"""Attention over a tree of tokens on the CPU, block by block, without a mask over the row.

Each block of the layout (:mod:`.layout`) is one call of torch's flash attention, which also gives the logarithm of each
query's sum of exponentials. Two blocks of the same query are merged by those sums, as in ring attention (Liu et al.
2023, arXiv:2310.01889); the backward pass asks the same kernel for each block's gradients with the merged sums, which
makes them those of the whole softmax. Nothing of the size [T, T] is ever made, except where a sliding window cuts
through a block.

Legend: H query heads, G key heads, T tokens of the row, Q and K queries and keys of a block, E head width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from groundtune.prefix.layout import Chain, Layout, Rectangle

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_flash_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward

BATCHED_CHAIN_TOKENS = 96
"""Chains up to this length are computed together: alone, each costs more to call than to compute."""

PADDING_SHARE = 0.4
"""A chain joins a batch of longer ones when at most this share of the batch's length is padding for it."""


@dataclass(frozen=True, slots=True)
class Bias:
    """What is added to the scores by distance."""

    window: int | None
    """A query sees keys nearer than this many positions; None for all."""
    slopes_H: torch.Tensor | None
    """ALiBi: minus slope times distance."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Queries and keys of one kernel call, as ranges of the row."""

    queries: slice
    keys: slice
    causal: bool
    mask: torch.Tensor | None
    """Added to the scores, [1 or H, Q, K]."""
    offset_HQ: torch.Tensor | None
    """What `mask` leaves out of every score of a query: the ALiBi distance to the block's last key."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Short chains side by side, filled up to the longest by repeating the last token."""

    chains: int
    places: torch.Tensor
    """[chains * longest] the token in the row of each place."""
    kept: torch.Tensor
    """The places that are no filling."""
    tokens: torch.Tensor
    """The row's tokens at `kept`: every token of these chains once."""
    filling: torch.Tensor
    """The other places."""

    def gather(self, whole: torch.Tensor) -> torch.Tensor:
        """[chains, H, longest, E] of a [1, H, T, E]."""
        rows = whole[0].transpose(0, 1).index_select(0, self.places)
        chains: torch.Tensor = rows.unflatten(0, (self.chains, -1))
        return chains.transpose(1, 2)

    def scatter(self, whole: torch.Tensor, part: torch.Tensor) -> None:
        """Write a [chains, H, longest, E] to its tokens of a [1, H, T, E]."""
        rows = part.transpose(1, 2).flatten(0, 1).index_select(0, self.kept)
        whole[0].transpose(0, 1).index_copy_(0, self.tokens, rows)


class BlockPlan:
    """The kernel calls of a row; made once and used by every layer with the same `bias`."""

    def __init__(self, layout: Layout, bias: Bias, dtype: torch.dtype) -> None:
        self._depth_T = torch.from_numpy(layout.depth)
        self._bias = bias
        self._dtype = dtype
        self.chains = [self._chain(chain) for chain in layout.chains if not self._joins_batch(chain)]
        self.rectangles = [block for rectangle in layout.rectangles for block in self._rectangle(rectangle)]
        self.batches = [
            self._gathered(chains) for chains in _alike([chain for chain in layout.chains if self._joins_batch(chain)])
        ]

    def _joins_batch(self, chain: Chain) -> bool:
        plain = self._bias.slopes_H is None and (self._bias.window is None or self._bias.window >= len(chain))
        return plain and len(chain) <= BATCHED_CHAIN_TOKENS

    def _chain(self, chain: Chain) -> _Block:
        whole = slice(chain.start, chain.end)
        mask, offset_HQ = self._distances(whole, whole)
        if mask is None:
            return _Block(whole, whole, True, None, None)
        later = torch.ones(len(chain), len(chain), dtype=torch.bool).triu(1)
        return _Block(whole, whole, False, mask.masked_fill(later, -torch.inf), offset_HQ)

    def _rectangle(self, rectangle: Rectangle) -> Iterator[_Block]:
        for queries in self._within_window(rectangle):
            key_start = rectangle.key_start
            if self._bias.window is not None:
                # keys too far even from the nearest query
                nearest = int(self._depth_T[queries].min())
                key_start = max(key_start, key_start + nearest - self._bias.window + 1 - rectangle.key_depth)
            keys = slice(key_start, rectangle.key_end)
            mask, offset_HQ = self._distances(queries, keys)
            yield _Block(queries, keys, False, mask, offset_HQ)

    def _within_window(self, rectangle: Rectangle) -> Iterator[slice]:
        """The stretches of queries that see at least the rectangle's last key: a softmax over nothing is undefined."""
        queries = np.arange(rectangle.query_start, rectangle.query_end)
        if self._bias.window is not None:
            last_depth = rectangle.key_depth + rectangle.key_end - 1 - rectangle.key_start
            depth_Q = self._depth_T[rectangle.query_start : rectangle.query_end].numpy()
            queries = queries[depth_Q - last_depth < self._bias.window]
        for stretch in np.split(queries, np.flatnonzero(np.diff(queries) != 1) + 1):
            if len(stretch):
                yield slice(int(stretch[0]), int(stretch[-1]) + 1)

    def _distances(self, queries: slice, keys: slice) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Mask and offset of a block; None where distance does not matter."""
        query_Q, key_K = self._depth_T[queries], self._depth_T[keys]
        window, slopes_H = self._bias.window, self._bias.slopes_H
        mask = offset_HQ = None
        if slopes_H is not None:
            # relative to the last key, so that near keys keep all their digits
            reference = key_K[-1]
            mask = (slopes_H[:, None] * (key_K - reference).to(slopes_H.dtype)).to(self._dtype)[:, None, :]
            offset_HQ = slopes_H[:, None] * (reference - query_Q).to(slopes_H.dtype)
        if window is not None and int(query_Q.max() - key_K.min()) >= window:
            outside_QK = query_Q[:, None] - key_K[None, :] >= window
            if mask is None:
                mask = torch.zeros(1, 1, 1, dtype=self._dtype)
            mask = mask.expand(mask.shape[0], *outside_QK.shape).masked_fill(outside_QK, -torch.inf)
        if mask is not None:
            mask = mask.expand(mask.shape[0], len(query_Q), len(key_K))
        return mask, offset_HQ

    @staticmethod
    def _gathered(chains: list[Chain]) -> _Batch:
        longest = max(len(chain) for chain in chains)
        within = np.arange(longest)[None, :]
        lengths = np.array([len(chain) for chain in chains])[:, None]
        starts = np.array([chain.start for chain in chains])[:, None]
        places = torch.from_numpy((starts + np.minimum(within, lengths - 1)).ravel())
        real = torch.from_numpy((within < lengths).ravel())
        kept = real.nonzero().squeeze(1)
        return _Batch(len(chains), places, kept, places[kept], (~real).nonzero().squeeze(1))


def _alike(chains: list[Chain]) -> Iterator[list[Chain]]:
    """Groups of chains of nearly the same length."""
    group: list[Chain] = []
    for chain in sorted(chains, key=len, reverse=True):
        if group and len(chain) < (1 - PADDING_SHARE) * len(group[0]):
            yield group
            group = []
        group.append(chain)
    if group:
        yield group


class _TreeAttention(torch.autograd.Function):
    """Softmax attention over the blocks of a plan. Queries [1, H, T, E], keys and values [1, G, T, E]."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, plan: BlockPlan, scale: float
    ) -> torch.Tensor:
        shared = key, value
        key, value = _repeated(key, query), _repeated(value, query)
        output = _by_token(query)
        total_HT = query.new_empty(query.shape[1:3], dtype=_sum_dtype(query.dtype))
        # every token is in one chain: these write all of output, what follows adds to it
        for batch in plan.batches:
            part, part_total = _flash(*(batch.gather(each) for each in (query, key, value)), 0.0, True, scale=scale)
            batch.scatter(output, part)
            total_HT.index_copy_(1, batch.tokens, part_total.transpose(0, 1).flatten(1).index_select(1, batch.kept))
        for block in plan.chains:
            part, part_total = _attend(query, key, value, block, scale)
            output[:, :, block.queries] = part
            total_HT[:, block.queries] = part_total[0]
        for block in plan.rectangles:
            part, part_total = _attend(query, key, value, block, scale)
            _merge(output[0, :, block.queries], total_HT[:, block.queries], part[0], part_total[0])
        ctx.save_for_backward(query, *shared, output, total_HT)
        ctx.plan, ctx.scale = plan, scale
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient = gradients[0]
        query, key, value, output, total_HT = ctx.saved_tensors
        key_heads = key.shape[1]
        key, value = _repeated(key, query), _repeated(value, query)
        found = [_by_token(query) for _ in range(3)]
        for batch in ctx.plan.batches:
            inputs = [batch.gather(each) for each in (gradient, query, key, value, output)]
            # a filling query must hand nothing to the keys that it sees
            inputs[0].transpose(1, 2).flatten(0, 1).index_fill_(0, batch.filling, 0)
            total = total_HT.index_select(1, batch.places).unflatten(1, (batch.chains, -1)).transpose(0, 1)
            parts = _flash_backward(*inputs, total.contiguous(), 0.0, True, scale=ctx.scale)
            for whole, part in zip(found, parts, strict=True):
                batch.scatter(whole, part)
        for block in ctx.plan.chains:
            parts = _block_gradients(gradient, query, key, value, output, total_HT, block, ctx.scale)
            for whole, part in zip(found, parts, strict=True):
                whole[:, :, block.queries] = part
        for block in ctx.plan.rectangles:
            parts = _block_gradients(gradient, query, key, value, output, total_HT, block, ctx.scale)
            for whole, part, where in zip(found, parts, (block.queries, block.keys, block.keys), strict=True):
                whole[:, :, where] += part
        return found[0], _added(found[1], key_heads), _added(found[2], key_heads), None, None


def _by_token(like: torch.Tensor) -> torch.Tensor:
    """An empty [1, H, T, E] whose tokens lie behind one another, as the model's projections want them."""
    return like.new_empty(like.shape[0], like.shape[2], like.shape[1], like.shape[3]).transpose(1, 2)


def _block_gradients(
    gradient: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    output: torch.Tensor,
    total_HT: torch.Tensor,
    block: _Block,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a block adds to the gradients of its queries, keys and values, under the sums over all blocks."""
    total = total_HT[None, :, block.queries]
    if block.offset_HQ is not None:
        total = total - block.offset_HQ
    parts: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = _flash_backward(
        gradient[:, :, block.queries],
        query[:, :, block.queries],
        key[:, :, block.keys],
        value[:, :, block.keys],
        output[:, :, block.queries],
        total.contiguous(),
        0.0,
        block.causal,
        attn_mask=_full_mask(block, query.shape[1]),
        scale=scale,
    )
    return parts


def _repeated(shared: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    """Each key head for all query heads that share it, [1, H, T, E]."""
    groups = query.shape[1] // shared.shape[1]
    return shared if groups == 1 else shared.repeat_interleave(groups, dim=1)


def _added(gradient: torch.Tensor, heads: int) -> torch.Tensor:
    """The gradient of `_repeated`."""
    return gradient if gradient.shape[1] == heads else gradient.unflatten(1, (heads, -1)).sum(2)


def _sum_dtype(dtype: torch.dtype) -> torch.dtype:
    """In which the kernel keeps the logarithms of its sums."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _full_mask(block: _Block, heads: int) -> torch.Tensor | None:
    return None if block.mask is None else block.mask.expand(heads, -1, -1)[None]


def _attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, block: _Block, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    part, total = _flash(
        query[:, :, block.queries],
        key[:, :, block.keys],
        value[:, :, block.keys],
        0.0,
        block.causal,
        attn_mask=_full_mask(block, query.shape[1]),
        scale=scale,
    )
    if block.offset_HQ is not None:
        total = total + block.offset_HQ
    return part, total


def _merge(output: torch.Tensor, total: torch.Tensor, part: torch.Tensor, part_total: torch.Tensor) -> None:
    """Take a further block of the same queries into `output` [H, Q, E] and `total` [H, Q], in place."""
    merged = torch.logaddexp(total, part_total)
    output.mul_((total - merged).exp_()[..., None]).add_(part * (part_total - merged).exp_()[..., None])
    total.copy_(merged)


def attend_in_segments(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *, plan: BlockPlan, scale: float
) -> torch.Tensor:
    """Attention of a row, [1, H, T, E]; differentiable.

    Args:
        query: [1, H, T, E].
        key, value: [1, G, T, E], each head shared by H / G query heads.
    """
    attended: torch.Tensor = _TreeAttention.apply(query, key, value, plan, scale)
    return attended
