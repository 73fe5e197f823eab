"""Sizes of an architecture, and whether shared prefixes fit it, from an empty model: modules without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from groundtune.models.explaining import explained
from groundtune.models.inspecting.memory import Shape
from groundtune.models.quiet import quiet_transformers

ATTENTION_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers that see tokens and nothing else. All others that transformers knows carry a state along the sequence, choose
tokens by position, or mix neighbours."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """A model in numbers; None where its configuration does not say."""

    parameters: int
    """Tied weights counted once."""
    embedding: int
    tied: bool
    """Whether the embedding is also the last layer."""
    linear: int
    """In linear layers but the last: what QLoRA stores in 4 bits."""
    lora: int
    """Of an adapter of the rank asked for on all linear layers but the last."""
    layers: int | None
    width: int | None
    heads: int | None
    kv_heads: int | None
    head_width: int | None
    feed_forward: int | None
    experts: int | None
    context_tokens: int | None
    window: int | None
    """Tokens that layers with a sliding window see."""
    positions: str
    vocabulary: int
    """Rows of the embedding."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whether prefixes can be shared in training (`train.sharing: tree`)."""

    applies: bool
    why: str
    up_to_tokens: int | None = None
    """Longer sequences are refused."""
    probed: bool = False
    """Whether the model itself was asked."""


def empty_model(config: Any, source: object) -> PreTrainedModel:
    """A causal model of `config` without memory for its weights. Raises `TrainingError` where transformers has none."""
    with torch.device("meta"), explained(str(source)), quiet_transformers():
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return model


def sizes_of(model: PreTrainedModel, *, rank: int) -> Sizes:
    """Sizes of an empty or a loaded model."""
    config = model.config.get_text_config()
    embedding: Any = model.get_input_embeddings()
    head: Any = model.get_output_embeddings()
    linear = [each for each in model.modules() if isinstance(each, (nn.Linear, Conv1D)) and each is not head]
    heads, width = _whole(config, "num_attention_heads", "n_head"), _whole(config, "hidden_size", "n_embd")
    head_width = _whole(config, "head_dim") or (width // heads if width and heads else None)
    return Sizes(
        parameters=sum(each.numel() for each in model.parameters()),
        embedding=embedding.weight.numel(),
        tied=head is not None and head.weight is embedding.weight,
        linear=sum(each.weight.numel() for each in linear),
        lora=sum(rank * sum(each.weight.shape) for each in linear),
        layers=_whole(config, "num_hidden_layers", "n_layer"),
        width=width,
        heads=heads,
        kv_heads=_whole(config, "num_key_value_heads") or heads,
        head_width=head_width,
        feed_forward=_whole(config, "intermediate_size", "n_inner", "ffn_dim") or _inner(config, width),
        experts=_whole(config, "num_local_experts", "num_experts", "n_routed_experts"),
        context_tokens=_whole(config, "max_position_embeddings", "n_positions"),
        window=_whole(config, "sliding_window") if getattr(config, "use_sliding_window", True) else None,
        positions=_positions(config),
        vocabulary=embedding.weight.shape[0],
    )


def _whole(config: Any, *names: str) -> int | None:
    """The first of these settings that is a number. A setting that is a list has one for each layer: the largest."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, (list, tuple)) and value and all(isinstance(each, int) for each in value):
            value = max(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _inner(config: Any, width: int | None) -> int | None:
    """GPT-2 leaves the width of its feed-forward block unsaid: four times its own."""
    return 4 * width if width and hasattr(config, "n_inner") else None


def _positions(config: Any) -> str:
    """
    >>> from transformers import LlamaConfig
    >>> _positions(LlamaConfig())
    'rotary (default)'
    """
    if getattr(config, "model_type", "") == "groundtune_alibi" or getattr(config, "alibi", False):
        return "ALiBi"
    parameters = getattr(config, "rope_parameters", None)
    if not isinstance(parameters, dict) or not parameters:
        return "not told"
    each = [parameters] if "rope_type" in parameters else [part for part in parameters.values() if part]
    kinds = dict.fromkeys(str(part.get("rope_type", "default")) for part in each if isinstance(part, dict))
    return f"rotary ({', '.join(kinds)})"


def shape_of(model: PreTrainedModel, sizes: Sizes) -> Shape | None:
    """What activations depend on; None where the configuration leaves something out."""
    config = model.config.get_text_config()
    known = (sizes.layers, sizes.width, sizes.heads, sizes.kv_heads, sizes.head_width, sizes.feed_forward)
    if any(each is None for each in known):
        return None
    layers, width, heads, kv_heads, head_width, feed_forward = (each or 0 for each in known)
    if sizes.experts:
        chosen = _whole(config, "num_experts_per_tok", "top_k_experts") or 1
        feed_forward = chosen * (_whole(config, "moe_intermediate_size") or feed_forward)
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    names |= {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    gated = bool(names & {"gate_proj", "gate_up_proj", "w3", "up_gate_proj"})
    return Shape(layers, width, heads * head_width, kv_heads * head_width, feed_forward, gated)


def sharing_of(model: PreTrainedModel) -> Sharing:
    """Whether prefixes can be shared, as far as the architecture tells. Training asks the model itself besides (`train.probe`)."""
    config = model.config.get_text_config()
    name = type(model).__name__
    layers = set(getattr(config, "layer_types", None) or ())
    other = sorted(layers - ATTENTION_LAYERS)
    if other or getattr(model, "_is_stateful", False):
        kinds = ", ".join(other).replace("_", " ") or "recurrent"
        return Sharing(False, f"{name} has layers that carry more than attention along the sequence ({kinds})")
    if not getattr(model, "_supports_attention_backend", False):
        return Sharing(False, f"{name} does not take its attention from transformers' interface")
    # encoders say that they are no decoders; the decoders of today say nothing
    if getattr(config, "is_decoder", None) is False:
        return Sharing(False, f"{name} looks ahead in its sequence")
    if getattr(config, "output_router_logits", False):
        return Sharing(
            False, f"{name} adds a loss of its routers; set output_router_logits to false in its config.json"
        )
    limit = _plain_up_to(config)
    if limit is not None:
        return Sharing(True, f"attention alone, and the same up to {limit:,} tokens; longer ones are refused", limit)
    return Sharing(True, "attention alone, through transformers' interface")


def _plain_up_to(config: Any) -> int | None:
    """Tokens of a sequence up to which attention and rotation do not depend on the rest of a batch."""
    chunk = getattr(config, "attention_chunk_size", None)
    limits = [chunk] if isinstance(chunk, int) else []
    parameters = getattr(config, "rope_parameters", None)
    parts = (parameters, *parameters.values()) if isinstance(parameters, dict) else ()
    for part in parts:
        if isinstance(part, dict) and part.get("rope_type") in ("dynamic", "longrope"):
            limit = part.get("original_max_position_embeddings") or _whole(config, "max_position_embeddings")
            limits += [limit] if limit else []
    return min(limits, default=None)
