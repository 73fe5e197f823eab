"""A small Llama-style model from scratch, and a description of any model in numbers.

Rotary positions, grouped-query attention, SwiGLU, RMSNorm, input and output embedding tied. It is transformers' own
Llama, so everything that loads Llama loads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import ModelConfig
from groundtune.errors import TrainingError
from groundtune.models.copying import start_with_copying
from groundtune.models.tokenizer import END_OF_TURN

INITIAL_DEVIATION = 0.02
"""Standard deviation of fresh weights, as in GPT-2 and Llama."""

ROTARY_BASE = 1e7
"""With the usual 10,000 and heads of 64, most dimensions turn too fast to compare tokens far apart."""

VOCABULARY_MULTIPLE = 64
"""The embedding has room for the next multiple: matrix kernels like whole blocks. The extra rows are never a target."""


def build_llama(
    config: ModelConfig,
    tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
    dropout: float = 0.0,
    copying_start: bool = False,
) -> LlamaForCausalLM:
    """A model with fresh weights drawn from `seed`, float32 on the CPU. The global random state is left as it was.

    Args:
        dropout: of the attention weights; this architecture has no other place for it.
        copying_start: whether the first weights can already copy from the context (:mod:`groundtune.models.copying`).

    Raises:
        TrainingError: the tokenizer lacks begin, end or padding tokens, or the model is too small to start out copying.
    """
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(tokenizer, name) is None:
            raise TrainingError(
                f"the tokenizer has no {name.removesuffix('_id')}; train one with `groundtune tokenizer`"
            )
    stops = [tokenizer.eos_token_id]
    end_of_turn = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    if end_of_turn not in (None, tokenizer.unk_token_id, *stops):
        stops.append(end_of_turn)
    architecture = LlamaConfig(
        vocab_size=_round_up(len(tokenizer), VOCABULARY_MULTIPLE),
        hidden_size=config.width,
        intermediate_size=config.feed_forward,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        max_position_embeddings=config.context_tokens,
        initializer_range=INITIAL_DEVIATION,
        rope_parameters={"rope_type": "default", "rope_theta": ROTARY_BASE},
        attention_dropout=dropout,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=stops,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(architecture)
        if copying_start:
            start_with_copying(model)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=stops, pad_token_id=tokenizer.pad_token_id
    )
    return model


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model in numbers; a figure its configuration does not name is None."""

    architecture: str
    parameters: int
    """Tied weights counted once."""
    embedding_parameters: int
    layers: int | None
    width: int | None
    heads: int | None
    kv_heads: int | None
    feed_forward: int | None
    vocabulary: int | None
    context_tokens: int | None


def describe_model(model: PreTrainedModel) -> ModelSummary:
    """Sizes of a loaded model."""
    config = model.config.get_text_config()

    def figure(name: str) -> int | None:
        value = getattr(config, name, None)
        return value if isinstance(value, int) else None

    embedding = model.get_input_embeddings()
    return ModelSummary(
        architecture=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        embedding_parameters=sum(parameter.numel() for parameter in embedding.parameters()),
        layers=figure("num_hidden_layers"),
        width=figure("hidden_size"),
        heads=figure("num_attention_heads"),
        kv_heads=figure("num_key_value_heads"),
        feed_forward=figure("intermediate_size"),
        vocabulary=figure("vocab_size"),
        context_tokens=figure("max_position_embeddings"),
    )
