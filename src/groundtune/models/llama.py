"""A small model from scratch in Llama's manner, and a description of any model in numbers.

Rotary positions or ALiBi, grouped-query attention, SwiGLU, RMSNorm, input and output embedding tied. With rotary positions
it is transformers' own Llama, so everything that loads Llama loads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import ModelConfig
from groundtune.errors import TrainingError
from groundtune.models.alibi import AlibiConfig, AlibiForCausalLM
from groundtune.models.copying import start_with_copying
from groundtune.models.presets import SpecialIds, architecture
from groundtune.models.tokenizer import END_OF_TURN

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

    It has a row of the embedding for every entry of the tokenizer, so a preset has its full size with 64,000 of them.

    Args:
        dropout: of the attention weights; this architecture has no other place for it.
        copying_start: whether the first weights can already copy from the context (:mod:`groundtune.models.copying`).

    Raises:
        TrainingError: the tokenizer lacks begin, end or padding tokens, or the model is too small to start out copying, or
            has no rotary positions to do it with.
    """
    ids = _special_ids(tokenizer)
    shape = architecture(config, vocabulary=_round_up(len(tokenizer), VOCABULARY_MULTIPLE), ids=ids, dropout=dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = fresh_model(shape)
        if copying_start:
            start_with_copying(model)
    return model


def fresh_model(shape: LlamaConfig) -> LlamaForCausalLM:
    """A model of this shape, its weights drawn from the global random state, that ends an answer at `shape.eos_token_id`."""
    model = AlibiForCausalLM(shape) if isinstance(shape, AlibiConfig) else LlamaForCausalLM(shape)
    model.generation_config = GenerationConfig(
        bos_token_id=shape.bos_token_id, eos_token_id=shape.eos_token_id, pad_token_id=shape.pad_token_id
    )
    return model


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> SpecialIds:
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(tokenizer, name) is None:
            raise TrainingError(
                f"the tokenizer has no {name.removesuffix('_id')}; train one with `groundtune tokenizer`"
            )
    stops = [tokenizer.eos_token_id]
    end_of_turn = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    if end_of_turn not in (None, tokenizer.unk_token_id, *stops):
        stops.append(end_of_turn)
    return SpecialIds(tokenizer.bos_token_id, stops, tokenizer.pad_token_id)


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
