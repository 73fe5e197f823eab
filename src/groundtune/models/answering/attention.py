"""The attention implementation `groundtune_answering`: a step of many answers, whose keys lie in rows of a shared cache.

A model that is asked so runs all tokens of a step as one row of its own batch; only its attention knows to which answer
each belongs. The step is handed over beside the model's arguments, so nothing is assumed of an architecture but that its
attention goes through transformers' interface; :mod:`.check` finds out whether that is so.

Legend: B batch, H query heads, G key heads, Q queries, K keys, E width of a head, N tokens of a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

ATTENTION = "groundtune_answering"


class UnsharableError(Exception):
    """The model's attention depends on something that a step does not reproduce; caught inside this package."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a layer scores keys."""

    scale: float
    window: int | None = None
    slopes_H: torch.Tensor | None = None
    """ALiBi: a score falls by so much for each position between query and key."""
    cap: float | None = None
    """Scores are ``cap * tanh(score / cap)``."""
    sinks_H: torch.Tensor | None = None
    """A score that each head gives to nothing."""


class Step(Protocol):
    """One call of the model."""

    def attend(
        self, layer: int, query_HNE: torch.Tensor, key_GNE: torch.Tensor, value_GNE: torch.Tensor, scoring: Scoring
    ) -> torch.Tensor:
        """Keep keys and values, and return what the queries see, [N, H, E]."""


_step: ContextVar[Step] = ContextVar("groundtune_answering_step")


@contextmanager
def answering(model: PreTrainedModel, step: Step) -> Iterator[None]:
    """Inside the block the model's attention is that of `step`."""
    before, token = implementations(model), _step.set(step)
    # the setting alone: `set_attn_implementation`, which checks and walks all modules, has been tried by `check`
    model.config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = before
        _step.reset(token)


def implementations(model: PreTrainedModel) -> dict[str, Any]:
    """The attention of a model and of its parts, as the setting takes it back."""
    config = model.config
    parts = {name: getattr(config, name, None) for name in config.sub_configs}
    return {"": config._attn_implementation} | {
        name: part._attn_implementation for name, part in parts.items() if part is not None
    }


def step_mask(tokens: int, device: torch.device) -> torch.Tensor:
    """int64 [1, 1, N, 3]: transformers takes a mask of four dimensions for finished and hands it on. Its content is nothing."""
    return torch.zeros(1, 1, tokens, 3, dtype=torch.int64, device=device)


def answering_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 (what is seen is the step's matter)
    scaling: float | None = None,
    dropout: float = 0.0,  # noqa: ARG001 (nothing is dropped in evaluation mode)
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention function. Queries [1, H, N, E]; returns [1, N, H, E]."""
    if kwargs.get("position_bias") is not None or getattr(module, "is_causal", True) is False:
        raise UnsharableError("its attention has a bias of its own or looks ahead")
    if query.shape[0] != 1 or key.shape[2] != query.shape[2]:
        raise UnsharableError("its attention does not get the tokens of the step alone")
    scoring = Scoring(
        scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=kwargs.get("sliding_window"),
        slopes_H=kwargs.get("alibi_slopes"),
        cap=kwargs.get("softcap"),
        sinks_H=kwargs.get("s_aux"),
    )
    layer: Any = module.layer_idx
    return _step.get().attend(layer, query[0], key[0], value[0], scoring)[None], None


def attend(
    query_BHQE: torch.Tensor,
    key_BGKE: torch.Tensor,
    value_BGKE: torch.Tensor,
    mask: torch.Tensor | None,
    scoring: Scoring,
) -> torch.Tensor:
    """What queries see, [B, H, Q, E].

    Args:
        mask: to add, [B, 1 or H, Q, K]; None is causal, with as many keys as queries.
    """
    batch, heads, queries, width = query_BHQE.shape
    shared = heads // key_BGKE.shape[1]
    if mask is None:
        key_BGKE, value_BGKE = (each.repeat_interleave(shared, dim=1) for each in (key_BGKE, value_BGKE))
        return nn.functional.scaled_dot_product_attention(
            query_BHQE, key_BGKE, value_BGKE, is_causal=True, scale=scoring.scale
        )
    # queries of heads with the same keys stand below one another: keys are read once and never repeated
    packed = query_BHQE.reshape(batch, -1, shared * queries, width)
    if shared > 1 and mask.shape[1] == 1:
        mask = mask[:, :, None].expand(-1, -1, shared, -1, -1)
    mask = mask.reshape(batch, -1, shared * queries, mask.shape[-1])
    if scoring.cap is None and scoring.sinks_H is None:
        seen = nn.functional.scaled_dot_product_attention(
            packed, key_BGKE, value_BGKE, attn_mask=mask, scale=scoring.scale
        )
    else:
        seen = _attend_densely(packed, key_BGKE, value_BGKE, mask, scoring)
    return seen.reshape(batch, heads, queries, -1)


def _attend_densely(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scoring: Scoring
) -> torch.Tensor:
    """Capped scores and sinks, which torch's own attention does not have."""
    scores = (query @ key.transpose(-1, -2)) * scoring.scale
    if scoring.cap is not None:
        scores = scoring.cap * torch.tanh(scores / scoring.cap)
    scores = scores + mask
    keys = scores.shape[-1]
    if scoring.sinks_H is not None:
        groups = key.shape[1]
        sinks = scoring.sinks_H.to(scores.dtype).view(1, groups, -1, 1)
        sinks = sinks.repeat_interleave(scores.shape[2] // sinks.shape[2], dim=2)
        scores = torch.cat([scores, sinks.expand(len(scores), -1, -1, -1)], dim=-1)
    wide = torch.promote_types(scores.dtype, torch.float32)
    return torch.softmax(scores, dim=-1, dtype=wide)[..., :keys].to(value.dtype) @ value


AttentionInterface.register(ATTENTION, answering_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
