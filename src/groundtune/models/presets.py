"""The shape of a model from scratch: what a configuration or the name of a preset means to transformers.

A preset's twin in Llama's layout is a plain ``LlamaForCausalLM``, so llama.cpp, vLLM and everything else that loads Llama
load its weights; llama.cpp gives the same greedy tokens. Its converter stops at a tokenizer that it has not seen, which
every new one is. Told that the pre-tokenizer is "ufakzeka", one that the llama.cpp of llama-cpp-python 0.3.36 knows, it gives exactly the
ids of ours for text without combining marks: that pattern cuts nowhere else, and no merge of ours reaches over where it leaves
pieces together.

What this module does not do: make weights (:mod:`groundtune.models.llama`) or read them (:mod:`groundtune.models.loading`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import LlamaConfig

from groundtune.config import PRESETS, ModelConfig
from groundtune.errors import TrainingError
from groundtune.models.alibi import AlibiConfig
from groundtune.models.tokenizer import BEGIN_OF_TEXT, END_OF_TEXT, END_OF_TURN, PAD, SPECIAL_TOKENS

INITIAL_DEVIATION = 0.02
"""Standard deviation of fresh weights, as in GPT-2 and Llama."""

PRESET_VOCABULARY = 64_000
"""Rows of a preset's embedding, where no tokenizer or checkpoint says otherwise."""


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Token ids a model has to know."""

    begin: int
    stops: Sequence[int]
    """Any of them ends an answer."""
    padding: int


FIXED_IDS = SpecialIds(
    begin=SPECIAL_TOKENS.index(BEGIN_OF_TEXT),
    stops=(SPECIAL_TOKENS.index(END_OF_TEXT), SPECIAL_TOKENS.index(END_OF_TURN)),
    padding=SPECIAL_TOKENS.index(PAD),
)
"""Those of every tokenizer that groundtune trains."""


def architecture(config: ModelConfig, *, vocabulary: int, ids: SpecialIds, dropout: float = 0.0) -> LlamaConfig:
    """Llama's configuration, or `AlibiConfig` (one of Llama's kind), with input and output embedding tied.

    Args:
        vocabulary: rows of the embedding.
        dropout: of the attention weights; these architectures have no other place for it.
    """
    positions: dict[str, Any] = {"rope_parameters": {"rope_type": "default", "rope_theta": config.rotary_base}}
    kind = AlibiConfig if config.positions == "alibi" else LlamaConfig
    return kind(
        vocab_size=vocabulary,
        hidden_size=config.width,
        intermediate_size=config.feed_forward,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        max_position_embeddings=config.context_tokens,
        initializer_range=INITIAL_DEVIATION,
        attention_dropout=dropout,
        tie_word_embeddings=True,
        bos_token_id=ids.begin,
        eos_token_id=list(ids.stops),
        pad_token_id=ids.padding,
        **(positions if config.positions == "rotary" else {}),
    )


def preset_architecture(name: str, *, vocabulary: int = PRESET_VOCABULARY, dropout: float = 0.0) -> LlamaConfig:
    """The preset `name` with the special tokens at their fixed ids.

    >>> preset_architecture("tiny-v2").hidden_size
    512

    Raises:
        TrainingError: there is no such preset.
    """
    known = next((preset for preset in PRESETS if preset == name), None)
    if known is None:
        raise TrainingError(f"there is no preset {name!r}; known ones: {', '.join(PRESETS)}")
    return architecture(ModelConfig(preset=known), vocabulary=vocabulary, ids=FIXED_IDS, dropout=dropout)
