"""First weights with which a small Llama can already copy from its context.

A model answers from a context by copying from it, and copying takes two attention layers working together: one notes
behind each token which tokens came before it, the next looks for the place where the last two tokens stood before and
takes what followed (an induction head; Olsson et al. 2022, "In-context Learning and Induction Heads"). Gradient descent
finds this pair only after millions of tokens, which a demonstration on a CPU does not have. So it is written into the
first weights of four heads; everything stays an ordinary Llama, and every weight goes on being trained.

It lasts only if training has a use for it: plain text alone wears it away. `PretrainConfig.recall_share`, `TrainConfig.drills`
and fine-tuning on answers that quote their context, make it grow.

How it is written, by dimensions of the hidden state: 0 is the same for every token; the first dimensions after it, and
more up to the last ones, hold the token's embedding; the last ones are empty in the embedding and take the notes.

Legend: D width, H head size; "pair m" is the rotary pair of dimensions m and m + H/2.
"""

from __future__ import annotations

import math

import torch
from transformers import LlamaForCausalLM

from groundtune.errors import TrainingError

SMALLEST_HEAD = 32
"""A third of a head's rotary pairs turn too fast to compare tokens at a distance; of a smaller head too few are left."""

EMBEDDING_DEVIATION = 0.04
CONSTANT = 4.0
"""Size of the constant dimension, in embedding deviations."""
INNER_DEVIATION, BRANCH_DEVIATION = 0.02, 0.01
"""Of all other weights; those that end a residual branch begin smaller, or they drown the notes."""

BACKWARD_FREQUENCY = 0.05
"""Rotary pairs that turn faster than this many radians a token are used to look back by an exact number of tokens."""
BACKWARD_SCORE = 14.0
"""Attention score of each of them at exactly that distance."""
NOTE_LOUDNESS = 2.0
"""Of a note, against the embedding it was copied from."""
MATCH_SCORE = 10.0
"""Attention score for a place where the last token stood, and again as much where the one before it stood too."""
COPY_GAIN = 5.0
"""How loudly the token found is said, against the embeddings it is said among."""


def start_with_copying(model: LlamaForCausalLM) -> None:
    """Overwrite the fresh weights of `model`, drawing from the global random state.

    Raises:
        TrainingError: the model has fewer than two layers or heads, heads too small, or no rotary positions.
    """
    config = model.config
    if config.rope_parameters is None:
        raise TrainingError(
            "a model that starts out copying finds its places by rotary positions, and this one has ALiBi; leave the start out"
        )
    size = _head_size(model)
    if config.num_hidden_layers < 2 or config.num_attention_heads < 2 or size < SMALLEST_HEAD or size % 8:
        raise TrainingError(
            f"a model that starts out copying needs 2 layers, 2 heads and a head size (width / heads) that is a multiple of 8 "
            f"from {SMALLEST_HEAD}; found {config.num_hidden_layers} layers, {config.num_attention_heads} heads of {size}"
        )
    with torch.no_grad():
        _quiet_start(model)
        scale = _embed(model)
        _note_previous_tokens(model, scale)
        _find_and_copy(model)


def _quiet_start(model: LlamaForCausalLM) -> None:
    """All matrices but the embedding, small."""
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed_tokens" not in name:
            branch_end = name.endswith(("o_proj.weight", "down_proj.weight"))
            weight.normal_(0.0, BRANCH_DEVIATION if branch_end else INNER_DEVIATION)


def _embed(model: LlamaForCausalLM) -> float:
    """Draw the embedding; returns the root mean square that the first norm divides by."""
    embedding_VD = model.model.embed_tokens.weight
    width, empty = embedding_VD.shape[1], 2 * _note_size(model)
    embedding_VD.normal_(0.0, EMBEDDING_DEVIATION)
    embedding_VD[:, width - empty :] = 0.0
    embedding_VD[:, 0] = CONSTANT * EMBEDDING_DEVIATION
    return EMBEDDING_DEVIATION * math.sqrt((width - empty - 1 + CONSTANT**2) / width)


def _note_previous_tokens(model: LlamaForCausalLM, scale: float) -> None:
    """Two heads of the first layer: one copies a part of the last token into the first note, one of the token before it."""
    size, note = _head_size(model), _note_size(model)
    first_note = model.config.hidden_size - 2 * note
    weight = math.sqrt(BACKWARD_SCORE * math.sqrt(size)) / (CONSTANT * EMBEDDING_DEVIATION / scale)
    for distance in (1, 2):
        query, key, value, output = _head(model, layer=0, head=distance - 1)
        for pair in range(size // 2):
            if _rotary_frequency(model, pair) < BACKWARD_FREQUENCY:
                break
            # rotated by their positions, query and key agree in this pair at this distance and nowhere near
            angle = distance * _rotary_frequency(model, pair)
            key[pair, 0] = weight
            query[pair, 0] = weight * math.cos(angle)
            query[pair + size // 2, 0] = -weight * math.sin(angle)
        for place in range(note):
            value[place, 1 + place] = 1.0
            output[first_note + (distance - 1) * note + place, place] = NOTE_LOUDNESS * scale


def _find_and_copy(model: LlamaForCausalLM) -> None:
    """Heads of the second layer: find where the last two tokens stood before, and say the token that followed.

    Two heads where the model has keys and values for two: each says another part of the token, so it is told apart better.
    """
    size, note, width = _head_size(model), _note_size(model), model.config.hidden_size
    first_note, second_note = width - 2 * note, width - note
    noted = 2 * note * NOTE_LOUDNESS**2
    scale = EMBEDDING_DEVIATION * math.sqrt((width - 2 * note - 1 + CONSTANT**2 + noted) / width)
    weight = math.sqrt(MATCH_SCORE * math.sqrt(size) / note) * scale / EMBEDDING_DEVIATION
    slowest = [dimension for pair in reversed(range(size // 2)) for dimension in (pair, pair + size // 2)]
    shared_by = model.config.num_attention_heads // (
        model.config.num_key_value_heads or model.config.num_attention_heads
    )
    for part, head in enumerate(range(0, model.config.num_attention_heads, shared_by)[:2]):
        query, key, value, output = _head(model, layer=1, head=head)
        for place in range(note):
            # the last token, against what is noted of each place's last one
            query[slowest[place], 1 + place] = weight
            key[slowest[place], first_note + place] = weight / NOTE_LOUDNESS
            # the token before it, against what is noted of each place's second last one
            query[slowest[note + place], first_note + place] = weight / NOTE_LOUDNESS
            key[slowest[note + place], second_note + place] = weight / NOTE_LOUDNESS
        said = range(1 + part * size, min(1 + (part + 1) * size, width - 2 * note))
        for place, dimension in enumerate(said):
            value[place, dimension] = 1.0
            output[dimension, place] = COPY_GAIN * scale


def _note_size(model: LlamaForCausalLM) -> int:
    """Dimensions of a note: as many as a head has slow rotary dimensions for two of them to be compared."""
    return _head_size(model) * 5 // 16


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
