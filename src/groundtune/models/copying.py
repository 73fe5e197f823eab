"""First weights with which a small Llama can already copy from its context.

A model answers from a context by copying from it, and copying takes two attention layers working together: one notes
behind each token which tokens came before it, the next looks for the place where the last two tokens stood before and
takes what followed (an induction head; Olsson et al. 2022, "In-context Learning and Induction Heads"). Gradient descent
finds this pair only after millions of tokens, which a demonstration on a CPU does not have. So it is written into the
first weights of three heads; everything stays an ordinary Llama, and every weight goes on being trained.

It lasts only if training has a use for it: with `recall_share` (:func:`groundtune.training.pack_documents`) it grows,
with plain text alone it is worn away within fifty thousand tokens.

How it is written, by dimensions of the hidden state: 0 is the same for every token; the first dimensions after it, and
more up to the last ones, hold the token's embedding; the last ones are empty in the embedding and take the notes.

Legend: D width, H head size, N size of a note; "pair m" is the rotary pair of dimensions m and m + H/2.
"""

from __future__ import annotations

import math

import torch
from transformers import LlamaForCausalLM

from groundtune.errors import TrainingError

SMALLEST_HEAD = 32
"""Half of a head's dimensions turn too fast to compare tokens at a distance; of a smaller head too few are left."""

EMBEDDING_DEVIATION = 0.06
CONSTANT_SHARE = 0.5
"""Size of the constant dimension beside the norm of a whole embedding."""
RESIDUAL_SCALE = 0.05
"""What the other heads and the feed-forward layers add at first, against what they would: little, or it drowns the notes."""

BACKWARD_PAIRS = 8
"""Fast rotary pairs with which a head looks back by an exact number of tokens."""
BACKWARD_SCORE = 8.0
"""Attention score of each of them at exactly that distance."""
LAST_SCORE, SECOND_LAST_SCORE = 30.0, 20.0
"""Attention scores for a place where the last token, and the one before it, stood."""
COPY_GAIN = 10.0
"""How loudly the token found is said, against the embeddings it is said among."""


def start_with_copying(model: LlamaForCausalLM) -> None:
    """Overwrite the fresh weights of `model`, drawing from the global random state.

    Raises:
        TrainingError: the model has fewer than two layers or heads, or heads too small.
    """
    config = model.config
    size = _head_size(model)
    if config.num_hidden_layers < 2 or config.num_attention_heads < 2 or size < SMALLEST_HEAD or size % 8:
        raise TrainingError(
            f"a model that starts out copying needs 2 layers, 2 heads and a head size (width / heads) that is a multiple of 8 "
            f"from {SMALLEST_HEAD}; found {config.num_hidden_layers} layers, {config.num_attention_heads} heads of {size}"
        )
    with torch.no_grad():
        _quiet_start(model)
        embedded, constant, scale = _embed(model, notes=size // 2)
        _note_previous_tokens(model, constant, scale)
        _find_and_copy(model, embedded, scale)


def _quiet_start(model: LlamaForCausalLM) -> None:
    """Matrices that keep the size of what they are given, and residual branches that add little."""
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed_tokens" not in name:
            branch_end = name.endswith(("o_proj.weight", "down_proj.weight"))
            weight.normal_(0.0, (RESIDUAL_SCALE if branch_end else 1.0) / math.sqrt(weight.shape[1]))


def _embed(model: LlamaForCausalLM, *, notes: int) -> tuple[float, float, float]:
    """Draw the embedding; returns a token dimension's and the constant's size behind the norm, and the norm's divisor."""
    embedding_VD = model.model.embed_tokens.weight
    width = embedding_VD.shape[1]
    embedding_VD.normal_(0.0, EMBEDDING_DEVIATION)
    embedding_VD[:, width - notes :] = 0.0
    constant = CONSTANT_SHARE * EMBEDDING_DEVIATION * math.sqrt(width)
    embedding_VD[:, 0] = constant
    scale = math.sqrt((constant**2 + EMBEDDING_DEVIATION**2 * (width - notes - 1)) / width)
    return EMBEDDING_DEVIATION / scale, constant / scale, scale


def _note_previous_tokens(model: LlamaForCausalLM, constant: float, scale: float) -> None:
    """Two heads of the first layer: one copies a part of the last token into the first note, one of the token before it."""
    size = _head_size(model)
    note, half = size // 4, size // 2
    first_note = model.config.hidden_size - 2 * note
    weight = math.sqrt(BACKWARD_SCORE * math.sqrt(size)) / constant
    for distance in (1, 2):
        query, key, value, output = _head(model, layer=0, head=distance - 1)
        for pair in range(min(BACKWARD_PAIRS, half)):
            # rotated by their positions, query and key agree in this pair at this distance and nowhere near
            angle = distance * _rotary_frequency(model, pair)
            key[pair, 0] = weight
            query[pair, 0] = weight * math.cos(angle)
            query[pair + half, 0] = -weight * math.sin(angle)
        for place in range(note):
            value[place, 1 + place] = 1.0
            output[first_note + (distance - 1) * note + place, place] = scale


def _find_and_copy(model: LlamaForCausalLM, embedded: float, scale: float) -> None:
    """A head of the second layer: finds where the last two tokens stood before, and says the token that followed."""
    size = _head_size(model)
    note = size // 4
    first_note = model.config.hidden_size - 2 * note
    second_note = first_note + note
    query, key, value, output = _head(model, layer=1, head=0)
    # only slow pairs compare alike over hundreds of tokens; both comparisons get slower and faster ones
    slow = [dimension for pair in range(size // 4, size // 2) for dimension in (pair, pair + size // 2)]
    for dimensions, asked, noted, score in (
        (slow[0::4] + slow[1::4], 1, first_note, LAST_SCORE),
        (slow[2::4] + slow[3::4], first_note, second_note, SECOND_LAST_SCORE),
    ):
        weight = math.sqrt(score * math.sqrt(size) / note) / embedded
        for place, dimension in enumerate(dimensions):
            query[dimension, asked + place] = weight
            key[dimension, noted + place] = weight
    for place in range(size):
        value[place, 1 + place] = 1.0
        output[1 + place, place] = COPY_GAIN * scale


def _head_size(model: LlamaForCausalLM) -> int:
    return model.config.hidden_size // model.config.num_attention_heads


def _head(model: LlamaForCausalLM, *, layer: int, head: int) -> tuple[torch.Tensor, ...]:
    """Query, key and value rows [H, D] and output columns [D, H] of a head, emptied. Heads may share key and value."""
    attention = model.model.layers[layer].self_attn
    size = _head_size(model)
    shared = head * attention.k_proj.out_features // attention.q_proj.out_features
    own, common = slice(head * size, (head + 1) * size), slice(shared * size, (shared + 1) * size)
    parts = (
        attention.q_proj.weight[own],
        attention.k_proj.weight[common],
        attention.v_proj.weight[common],
        attention.o_proj.weight[:, own],
    )
    for part in parts:
        part.zero_()
    return parts


def _rotary_frequency(model: LlamaForCausalLM, pair: int) -> float:
    """Radians a token by which the rotary position turns this pair."""
    return float(model.model.rotary_emb.inv_freq[pair])
