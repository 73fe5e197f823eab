"""Attention over a tree of tokens on CUDA, by FlexAttention with a block mask.

One compiled kernel with dynamic shapes serves all rows; the mask is two comparisons of integers, and blocks of 128 x 128
that nobody looks at are not computed. The functions that say who sees whom also run uncompiled on the CPU, where the
tests compare them with the dense way.

Legend: H query heads, T tokens of the row, E head width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from groundtune.prefix.row_shape import RowShape
from groundtune.prefix.segments import Bias


@functools.cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=True)


def sees(shape: RowShape, window: int | None) -> Callable[..., torch.Tensor]:
    """FlexAttention's `mask_mod` of a row."""
    subtree_end_T, depth_T = shape.subtree_end_T, shape.depth_T

    def in_tree(_batch: Any, _head: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (key <= query) & (query < subtree_end_T[key])

    if window is None:
        return in_tree

    def in_window(batch: Any, head: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return in_tree(batch, head, query, key) & (depth_T[query] - depth_T[key] < window)

    return in_window


def scores(shape: RowShape, slopes_H: torch.Tensor | None, cap: float | None) -> Callable[..., torch.Tensor] | None:
    """FlexAttention's `score_mod`: capped scores and ALiBi; None when scores stay as they are."""
    if slopes_H is None and cap is None:
        return None
    depth_T = shape.depth_T

    def changed(score: torch.Tensor, _batch: Any, head: Any, query: Any, key: Any) -> torch.Tensor:
        if cap is not None:
            score = cap * torch.tanh(score / cap)
        if slopes_H is not None:
            score = score - slopes_H[head] * (depth_T[query] - depth_T[key])
        return score

    return changed


def attend_flexibly(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    shape: RowShape,
    bias: Bias,
    scale: float,
    cap: float | None = None,
    compiled: bool = True,
) -> torch.Tensor:
    """Attention of a row, [1, H, T, E]; keys and values may have fewer heads. Differentiable on CUDA."""
    tokens = query.shape[2]
    if ("blocks", bias.window) not in shape.prepared:
        # made once a row, for all its layers
        shape.prepared["blocks", bias.window] = create_block_mask(
            sees(shape, bias.window), B=None, H=None, Q_LEN=tokens, KV_LEN=tokens, device=query.device
        )
    attend = _compiled() if compiled else flex_attention
    attended: torch.Tensor = attend(
        query,
        key,
        value,
        score_mod=scores(shape, bias.slopes_H, cap),
        block_mask=shape.prepared["blocks", bias.window],
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return attended
