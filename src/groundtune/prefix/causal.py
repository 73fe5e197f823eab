"""What a causal model is made of, as far as rows have to know: its body, its head, and what happens between the two.

Nothing is assumed of an architecture: what is done between hidden states and logits is found by trying.

Legend: S distinct sources, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from groundtune.architecture import evaluating
from groundtune.errors import TrainingError
from groundtune.prefix.attention import INSTEAD
from groundtune.prefix.loss import LogitChange

AGREEMENT = {torch.float64: 1e-3, torch.float32: 1e-3, torch.float16: 4e-3, torch.bfloat16: 3e-2}
"""Largest relative difference between two ways of computing the same that counts as rounding."""

CHECK_TOKENS = 8
"""Tokens of the sequence on which the way from hidden states to logits is measured."""


def causal_model(model: nn.Module) -> PreTrainedModel:
    """The causal model itself, without a peft wrapper. Raises `TrainingError` for a model that cannot take rows."""
    unwrap: Callable[[], nn.Module] | None = getattr(model, "get_base_model", None)
    inner = model if unwrap is None else unwrap()
    if getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
        raise TrainingError(
            f"{type(model).__name__} puts virtual tokens before every sequence, which a row has no place for; {INSTEAD}"
        )
    if isinstance(inner, PreTrainedModel) and getattr(inner.config.get_text_config(), "output_router_logits", False):
        raise TrainingError(
            f"{type(inner).__name__} adds a loss of its routers, which counts tokens and is another on shared prefixes; set "
            "output_router_logits to false in its configuration"
        )
    if not isinstance(inner, PreTrainedModel) or inner.get_output_embeddings() is None:
        raise TrainingError(
            f"{type(model).__name__} is no causal language model of transformers; expected one, or a peft model around one"
        )
    return inner


def body_of(model: PreTrainedModel) -> nn.Module:
    """The model without its head, also where `base_model` is the model itself (Llama4)."""
    if model.base_model is not model:
        return model.base_model
    return next((part for part in model.children() if isinstance(part, PreTrainedModel)), model)


@contextmanager
def gathered(projection: nn.Module, sources_S: torch.Tensor) -> Iterator[None]:
    """Inside the block `projection` sees the hidden states of `sources_S` only, as [1, S, D]."""

    def pick(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = inputs[0]
        return (hidden.reshape(-1, hidden.shape[-1]).index_select(0, sources_S)[None], *inputs[1:])

    handle = projection.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def measure_logit_change(model: PreTrainedModel) -> LogitChange | None:
    """What the model does between its last hidden states and its logits, found by trying; None when it is nothing known."""
    config = model.config.get_text_config()
    device = model.device
    ids = torch.arange(CHECK_TOKENS, device=device)[None] % config.vocab_size
    try:
        with evaluating(model), torch.no_grad():
            hidden = body_of(model)(input_ids=ids, use_cache=False).last_hidden_state
            projected = model.get_output_embeddings()(hidden)
            wanted = model(input_ids=ids, use_cache=False).logits
    except (AttributeError, TypeError, RuntimeError):
        return None
    if projected.shape != wanted.shape:
        return None
    tolerance = AGREEMENT[wanted.dtype] * wanted.double().abs().max()
    for change in _candidates(config):
        if bool((change(projected.double()) - wanted.double()).abs().max() <= tolerance):
            return change
    return None


def _candidates(config: Any) -> Iterator[LogitChange]:
    """Changes of logits that configurations name. The plain one last: a change too small to see on these tokens would pass as none."""
    cap = getattr(config, "final_logit_softcapping", None)
    scales = [getattr(config, name, None) for name in ("logit_scale", "lm_head_multiplier", "output_multiplier")]
    scales += [1 / divisor for divisor in [getattr(config, "logits_scaling", None)] if divisor]
    scales += [getattr(config, "logits_scaling", None)]
    for scale in (*(scale for scale in scales if scale), 1.0):
        if cap:
            yield LogitChange(scale, cap)
        yield LogitChange(scale)
