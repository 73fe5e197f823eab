"""A small decoder whose only sense of place is ALiBi: Llama's layers, with a penalty on distance instead of rotation.

Pre-norm RMSNorm, SwiGLU, grouped-query attention, input and output embedding tied unless the configuration says otherwise.
Importing this module registers it, so that ``AutoModelForCausalLM`` loads a folder whose ``model_type`` is
``groundtune_alibi``; :mod:`groundtune.registration` imports it when it is needed. The layers are transformers' Llama; only
the rotation is left out and the bias put in.

Head h of a query at position p adds ``-slope_h * (p - q)`` to its score for a key at position q (Press et al. 2021, "Train
Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation"). Positions count the tokens that are not
padding. The bias reaches the attention function in one of two ways, never both:

- in `attention_mask`, as [B, H, Q, K] floats, with `alibi_slopes=None`: every attention function that adds its mask;
- as `alibi_slopes` [H], with the mask handed on untouched: attentions of our own, whose mask describes rows and not pairs.

What this module does not do: FlashAttention and FlexAttention of transformers (they do not take the bias; asking for them is
an error), and fresh models from a configuration of groundtune.

Legend: B rows of a batch, H heads, Q queries, K keys (those in the cache included), T = Q without a cache, D head size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, Cache, LlamaConfig, initialization
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaForCausalLM,
    LlamaMLP,
    LlamaModel,
    LlamaPreTrainedModel,
    LlamaRMSNorm,
    eager_attention_forward,
)

OWN_ATTENTIONS = ("groundtune_tree", "groundtune_answering")
"""The attentions of :mod:`groundtune.prefix` and :mod:`groundtune.models.answering`, which add the bias themselves. Named here
because low rooms do not import one another."""


def alibi_slopes(heads: int) -> torch.Tensor:
    """The slope of each head, float32 [heads].

    For a power of two the slopes are ``2^(-8/heads), 2^(-16/heads), ...``; for any other number those of the power of two
    below it, and then every second one of the power of two above it, as the authors of ALiBi do.

    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    >>> [round(slope, 4) for slope in alibi_slopes(3).tolist()]
    [0.0625, 0.0039, 0.25]
    """
    if heads < 1:
        raise ValueError(f"expected at least one head, found {heads}")

    def geometric(count: int) -> list[float]:
        return [2.0 ** (-8.0 * place / count) for place in range(1, count + 1)]

    below = 2 ** int(math.log2(heads))
    return torch.tensor(geometric(below) + geometric(2 * below)[0::2][: heads - below], dtype=torch.float32)


class AlibiConfig(LlamaConfig):
    """Llama's configuration without rotary positions, and with tied embeddings by default."""

    model_type = "groundtune_alibi"
    tie_word_embeddings: bool = True

    def convert_rope_params_to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse rotary settings, where Llama would fill in its own.

        Raises:
            ValueError: the configuration has rotary settings, so it was written for another architecture.
        """
        given = [name for name in ("rope_theta", "rope_scaling", "rope_parameters") if kwargs.pop(name, None)]
        if given or self.rope_parameters:
            raise ValueError(
                f"{', '.join(given) or 'rope_parameters'}: {self.model_type} has no rotary positions; leave it out"
            )
        self.rope_parameters = None
        return kwargs


class AlibiAttention(LlamaAttention):
    """Llama's attention without the rotation of queries and keys."""

    def forward(  # type: ignore[override]
        self,
        hidden_states: torch.Tensor,
        position_embeddings: None = None,  # noqa: ARG002 (Llama's layer names it; there are none here)
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As in Llama; `alibi_slopes` and `position_ids` reach the attention function in `kwargs`."""
        shape_BT = hidden_states.shape[:-1]
        query_BHTD, key_BHKD, value_BHKD = (
            projection(hidden_states).view(*shape_BT, -1, self.head_dim).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if past_key_values is not None:
            key_BHKD, value_BHKD = past_key_values.update(key_BHKD, value_BHKD, self.layer_idx)
        attend: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        seen, weights = attend(
            self,
            query_BHTD,
            key_BHKD,
            value_BHKD,
            attention_mask,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
            **kwargs,
        )
        return self.o_proj(seen.reshape(*shape_BT, -1)), weights


class AlibiDecoderLayer(LlamaDecoderLayer):
    """Llama's layer (with its gradient checkpointing) around `AlibiAttention`."""

    def __init__(self, config: AlibiConfig, layer_idx: int) -> None:
        nn.Module.__init__(self)
        self.hidden_size = config.hidden_size
        self.self_attn = AlibiAttention(config=config, layer_idx=layer_idx)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class NoRotation(nn.Module):
    """Stands where Llama computes its rotary embedding."""

    def forward(self, hidden_states: torch.Tensor, position_ids: torch.Tensor) -> None:
        """Nothing."""


class AlibiPreTrainedModel(LlamaPreTrainedModel):
    """What transformers wants to know about the architecture."""

    config: AlibiConfig
    config_class = AlibiConfig
    _no_split_modules = ["AlibiDecoderLayer"]  # noqa: RUF012
    # transformers' integrations of both have no place for the bias
    _supports_flash_attn = False
    _supports_flex_attn = False
    _can_record_outputs = {"hidden_states": AlibiDecoderLayer, "attentions": AlibiAttention}  # noqa: RUF012

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AlibiModel):
            # not among the saved weights: loading makes it without a value
            initialization.copy_(module.alibi_slopes, alibi_slopes(self.config.num_attention_heads))


class AlibiModel(AlibiPreTrainedModel, LlamaModel):
    """The decoder without its head. `alibi_slopes` is a buffer, float [H], and not among the saved weights."""

    alibi_slopes: torch.Tensor

    def __init__(self, config: AlibiConfig) -> None:
        LlamaPreTrainedModel.__init__(self, config)
        self.padding_idx = config.pad_token_id
        self.vocab_size = config.vocab_size
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, self.padding_idx)
        self.layers = nn.ModuleList(AlibiDecoderLayer(config, place) for place in range(config.num_hidden_layers))
        self.norm = LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.rotary_emb = NoRotation()  # type: ignore[assignment]
        self.gradient_checkpointing = False
        self.register_buffer("alibi_slopes", alibi_slopes(config.num_attention_heads), persistent=False)
        self.post_init()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Llama's forward, which hands a mask of four dimensions on as it is: here it gets one that holds the bias.

        Args:
            attention_mask: padding [B, K] (1 for a token), or a mask [B, 1 or H, Q, K] of floats to add or of booleans, or
                for the attention "groundtune_tree" the integers [1, 1, T, 3] that describe a row.
            position_ids: [B, Q]; without a cache distances are their differences. With one, distances are counted over
                the tokens that are not padding.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("expected either input_ids or inputs_embeds, found both or neither")
        if inputs_embeds is None:
            inputs_embeds = self.embed_tokens(input_ids)
        slopes: torch.Tensor | None = self.alibi_slopes
        if not self._is_row(attention_mask):
            attention_mask = self._mask_with_bias(inputs_embeds, attention_mask, position_ids, past_key_values)
            slopes = None
        decoded: BaseModelOutputWithPast = super().forward(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            alibi_slopes=slopes,
            **kwargs,
        )
        return decoded

    def _is_row(self, mask: torch.Tensor | None) -> bool:
        """Whether this describes a row to an attention of our own rather than being a mask."""
        described = mask is not None and mask.ndim == 4 and mask.dtype == torch.int64
        return described and self.config._attn_implementation in OWN_ATTENTIONS

    def _mask_with_bias(
        self,
        inputs_embeds: torch.Tensor,
        padding: torch.Tensor | None,
        position_ids: torch.Tensor | None,
        past_key_values: Cache | None,
    ) -> torch.Tensor:
        """Float [B or 1, H, Q, K]: the bias where a query may look, the lowest number elsewhere."""
        mask = create_causal_mask(
            config=self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=padding,
            past_key_values=past_key_values,
            position_ids=position_ids,
            allow_is_causal_skip=False,
        )
        if not isinstance(mask, torch.Tensor):
            raise ValueError(
                f"the attention {self.config._attn_implementation!r} has no mask to put the ALiBi bias into; use 'sdpa' or 'eager'"
            )
        seen = 0 if past_key_values is None else past_key_values.get_seq_length()
        queries_BQ, keys_BK = _positions(padding, position_ids, seen, mask.shape[-2], mask.shape[-1], mask.device)
        # at least float32 also in a half-precision model: distances of thousands are counted exactly
        precise = torch.promote_types(self.alibi_slopes.dtype, torch.float32)
        distance_BQK = (queries_BQ[:, :, None] - keys_BK[:, None, :]).to(precise)
        bias_BHQK = (distance_BQK[:, None] * -self.alibi_slopes.to(precise)[:, None, None]).to(inputs_embeds.dtype)
        # not below float32's lowest: eager attention takes its softmax in float32, where a row of -inf is not a number
        lowest = max(torch.finfo(inputs_embeds.dtype).min, torch.finfo(torch.float32).min)
        if mask.dtype == torch.bool:
            return torch.where(mask, bias_BHQK, lowest)
        # the lowest number and a bias would be minus infinity, and a row of those has no softmax
        return (bias_BHQK + mask).clamp(min=lowest)


def _positions(
    padding: torch.Tensor | None,
    position_ids: torch.Tensor | None,
    seen: int | torch.Tensor,
    queries: int,
    keys: int,
    device: torch.device,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of queries [B or 1, Q] and keys [B or 1, K], of which only the differences matter."""
    if queries == keys and position_ids is not None:
        return position_ids, position_ids
    if padding is not None and padding.ndim == 2:
        counted_BK = padding.to(device=device, dtype=torch.int64).cumsum(-1) - 1
        # a cache of fixed size has places that no token has taken yet; they are masked, whatever stands here
        counted_BK = nn.functional.pad(counted_BK, (0, keys - counted_BK.shape[-1]))
    else:
        counted_BK = torch.arange(keys, device=device)[None]
    return counted_BK[:, seen + torch.arange(queries, device=device)], counted_BK


class AlibiForCausalLM(AlibiPreTrainedModel, LlamaForCausalLM):
    """The language model."""

    def __init__(self, config: AlibiConfig) -> None:
        LlamaPreTrainedModel.__init__(self, config)
        self.model = AlibiModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()


AutoConfig.register(AlibiConfig.model_type, AlibiConfig, exist_ok=True)
AutoModel.register(AlibiConfig, AlibiModel, exist_ok=True)
AutoModelForCausalLM.register(AlibiConfig, AlibiForCausalLM, exist_ok=True)
