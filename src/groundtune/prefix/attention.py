"""The attention implementation `groundtune_tree`: a row's tree where there is one, plain attention everywhere else.

Registered with transformers, so that every decoder whose attention goes through its interface can use it by name. How
the scores are computed depends on the device alone: on the CPU block by block (:mod:`.segments`), on CUDA by
FlexAttention (:mod:`.flex`). What those kernels cannot do (dropout of attention weights, capped scores on the CPU,
attention sinks) is computed densely, slower and exactly. What this module refuses, by name: attention that would not be
the plain model's.

Legend: H query heads, T tokens of the row, E head width.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from groundtune.architecture import rotates_otherwise_beyond
from groundtune.errors import TrainingError
from groundtune.prefix.batch import is_tree_mask
from groundtune.prefix.row_shape import RowShape
from groundtune.prefix.segments import Bias, attend_in_segments

ATTENTION = "groundtune_tree"

INSTEAD = "train it without sharing (train.sharing: plain)"
"""What to do with a model that the tree cannot be used for."""


def _shape_of(mask: torch.Tensor) -> RowShape:
    # kept on the tensor itself: all layers of a forward pass, and its recomputation under checkpointing, get the same one
    kept: RowShape | None = getattr(mask, "_groundtune_shape", None)
    if kept is not None:
        return kept
    shape = RowShape(mask)
    mask.__dict__["_groundtune_shape"] = shape
    return shape


def tree_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention function. Queries [1, H, T, E]; returns [1, T, H, E].

    Raises:
        TrainingError: the model's attention depends on something that a tree does not reproduce.
    """
    if not is_tree_mask(attention_mask):
        kwargs.pop("alibi_slopes", None)  # an ALiBi model has put them into a plain mask
        return _attend_plainly(module, query, key, value, attention_mask, scaling, dropout, kwargs), None
    if torch.is_autocast_enabled(query.device.type):
        # as autocast does for torch's own attention: rotary positions can leave queries and keys wider than values
        dtype = torch.get_autocast_dtype(query.device.type)
        query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    shape = _shape_of(attention_mask)
    window = _window(module, shape, kwargs)
    _check(module, shape, query, kwargs)
    slopes_H, cap, sinks = (kwargs.get(name) for name in ("alibi_slopes", "softcap", "s_aux"))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    bias = Bias(window if window is not None and window < shape.longest else None, slopes_H)
    odd = dropout > 0 or sinks is not None or query.shape[-1] != value.shape[-1]
    if query.device.type == "cpu" and not odd and cap is None:
        attended = attend_in_segments(query, key, value, plan=shape.plan(bias, query.dtype), scale=scale)
    elif query.device.type == "cuda" and not odd:
        # here, because it loads torch's compiler
        from groundtune.prefix.flex import attend_flexibly

        attended = attend_flexibly(query, key, value, shape=shape, bias=bias, scale=scale, cap=cap)
    else:
        attended = attend_densely(
            query, key, value, shape=shape, bias=bias, scale=scale, cap=cap, sinks=sinks, dropout=dropout
        )
    return attended.transpose(1, 2).contiguous(), None


def _attend_plainly(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
    dropout: float,
    kwargs: dict[str, Any],
) -> torch.Tensor:
    """Attention without a tree; by the model's own code where sdpa leaves something out."""
    own = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    attend = sdpa_attention_forward
    if own is not None and any(kwargs.get(name) is not None for name in ("softcap", "s_aux")):
        attend, mask = own, _additive(mask, query, key)
    attended: torch.Tensor = attend(module, query, key, value, mask, dropout=dropout, scaling=scaling, **kwargs)[0]
    return attended


def _additive(mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor | None:
    """sdpa's mask as eager attention takes it: None stands for causal, booleans for what is seen."""
    if mask is None and query.shape[2] > 1:
        seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
        mask = seen.tril(key.shape[2] - query.shape[2])[None, None]
    if mask is None or mask.dtype != torch.bool:
        return mask
    lowest = max(torch.finfo(query.dtype).min, torch.finfo(torch.float32).min)
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, lowest)


def _window(module: nn.Module, shape: RowShape, kwargs: dict[str, Any]) -> int | None:
    """The sliding window of this layer; a model that has one must say so in its call."""
    window = kwargs.get("sliding_window")
    if window is not None:
        return int(window)
    config = getattr(module, "config", None)
    configured = getattr(config, "sliding_window", None)
    if not isinstance(configured, int) or shape.longest <= configured:
        return None
    types, layer = getattr(config, "layer_types", None), getattr(module, "layer_idx", None)
    sliding = types[layer] == "sliding_attention" if types and layer is not None else True
    if sliding and getattr(config, "use_sliding_window", True):
        raise TrainingError(
            f"{type(module).__name__} slides over {configured} tokens but does not tell its attention so, and a row holds a "
            f"sequence of {shape.longest}; lower dataset.max_tokens to {configured}, or {INSTEAD}"
        )
    return None


def _check(module: nn.Module, shape: RowShape, query: torch.Tensor, kwargs: dict[str, Any]) -> None:
    """Refuse what would silently be another model's attention."""
    name = type(module).__name__
    if query.shape[0] != 1:
        raise TrainingError(f"a row is a batch of one, found {query.shape[0]}; give row_tensors() of one row at a time")
    if getattr(module, "is_causal", True) is False or kwargs.get("is_causal") is False:
        raise TrainingError(f"{name} looks ahead in its sequence; a shared prefix would see its branches: {INSTEAD}")
    if kwargs.get("position_bias") is not None:
        raise TrainingError(f"{name} adds a bias of its own to the scores, made for plain sequences: {INSTEAD}")
    limit = rotates_otherwise_beyond(getattr(module, "config", None))
    if limit is not None and shape.longest > limit:
        raise TrainingError(
            f"{name} rotates all tokens of a batch by its longest sequence once that is beyond {limit} tokens, and a row holds one of "
            f"{shape.longest}; lower dataset.max_tokens to {limit}, or {INSTEAD}"
        )
    chunk = getattr(getattr(module, "config", None), "attention_chunk_size", None)
    if isinstance(chunk, int) and shape.longest > chunk:
        raise TrainingError(
            f"{name} attends in chunks of {chunk} tokens and a row holds a sequence of {shape.longest}; {INSTEAD}"
        )


def attend_densely(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    shape: RowShape,
    bias: Bias,
    scale: float,
    cap: float | None = None,
    sinks: torch.Tensor | None = None,
    dropout: float = 0.0,
) -> torch.Tensor:
    """Every score of the row at once, [1, H, T, E]: for what the fast kernels leave out.

    Args:
        cap: scores are ``cap * tanh(score / cap)``.
        sinks: [H], a score each head gives to nothing.
        dropout: of the attention weights. A weight between two tokens of a shared prefix is dropped for all its branches.
    """
    groups = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    scores_HTT = (query[0] @ key[0].transpose(-1, -2)) * scale
    if cap is not None:
        scores_HTT = cap * torch.tanh(scores_HTT / cap)
    if bias.slopes_H is not None:
        distance_TT = shape.depth_T[:, None] - shape.depth_T[None, :]
        scores_HTT = scores_HTT - (bias.slopes_H[:, None, None] * distance_TT).to(scores_HTT.dtype)
    if ("allowed", bias.window) not in shape.prepared:
        shape.prepared["allowed", bias.window] = shape.allowed(bias.window)
    scores_HTT = scores_HTT.masked_fill(~shape.prepared["allowed", bias.window], -torch.inf)
    if sinks is not None:
        column = sinks.to(scores_HTT.dtype)[:, None, None].expand(-1, scores_HTT.shape[1], 1)
        scores_HTT = torch.cat([scores_HTT, column], dim=-1)
    wide = torch.promote_types(scores_HTT.dtype, torch.float32)
    weights_HTT = nn.functional.softmax(scores_HTT, dim=-1, dtype=wide)[..., : query.shape[2]].to(value.dtype)
    weights_HTT = nn.functional.dropout(weights_HTT, p=dropout, training=dropout > 0)
    return (weights_HTT @ value[0])[None]


AttentionInterface.register(ATTENTION, tree_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
