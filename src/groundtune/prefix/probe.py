"""Asks a model, before anything is trained, whether branches of a row stay strangers and get what they would get alone.

A model whose layers carry state along the sequence (Mamba, gated delta nets), that looks ahead, or that counts positions
itself computes something else on a tree than on its branches. Two questions find that out on a few tokens: does a
changed token reach a sibling branch, and does each branch come out as it does in a plain pass? What this module does not
do: decide what happens then.

Legend: T tokens of the probe's row, D width.
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedModel

from groundtune.architecture import evaluating
from groundtune.errors import TrainingError
from groundtune.prefix.attention import INSTEAD
from groundtune.prefix.batch import tree_mask
from groundtune.prefix.causal import body_of
from groundtune.prefix.model import PreparedModel

TRUNK, BRANCH = 12, 6
"""Tokens that the probe's branches share, and of each branch."""

SUBTREE_END = np.array([TRUNK + 2 * BRANCH] * TRUNK + [TRUNK + BRANCH] * BRANCH + [TRUNK + 2 * BRANCH] * BRANCH)
DEPTH = np.array([*range(TRUNK + BRANCH), *range(TRUNK, TRUNK + BRANCH)])

REACHED = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""Largest difference, relative to the largest hidden state, that is rounding."""


MOVED = {**REACHED, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""The same for two passes of the same shapes, which round alike save where experts get other tokens."""


def probe_model(prepared: PreparedModel) -> None:
    """Raises `TrainingError` when the model cannot share prefixes; returns, with the model as it was, when it can."""
    model = prepared.causal
    try:
        with evaluating(model), torch.no_grad():
            _probe(prepared, model)
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        if isinstance(error, TrainingError):
            raise
        reason = str(error).strip().partition("\n")[0][:200]
        raise TrainingError(
            f"{type(model).__name__} cannot compute a row of shared prefixes ({reason}); {INSTEAD}"
        ) from error


def _probe(prepared: PreparedModel, model: PreTrainedModel) -> None:
    device = model.device
    vocabulary = model.config.get_text_config().vocab_size
    ids_T = torch.from_numpy(np.random.default_rng(0).integers(0, vocabulary, TRUNK + 2 * BRANCH)).to(device)
    first, second = slice(TRUNK, TRUNK + BRANCH), slice(TRUNK + BRANCH, TRUNK + 2 * BRANCH)
    hidden_TD = _tree_states(model, ids_T)
    changed_T = ids_T.clone()
    changed_T[first] = (changed_T[first] + 1) % vocabulary
    changed_TD = _tree_states(model, changed_T)
    for what, where in (("its sibling", second), ("the tokens before it", slice(0, TRUNK))):
        reached = _difference(hidden_TD[where], changed_TD[where])
        if reached > MOVED.get(hidden_TD.dtype, 1e-4):
            raise TrainingError(
                f"{type(model).__name__} lets one branch of a shared prefix reach {what} (hidden states move by {reached:.1e}): it "
                f"carries state along the sequence, and sharing would train something else; {INSTEAD}"
            )
    with prepared.plainly():
        for branch in (first, second):
            alone_T = torch.cat([ids_T[:TRUNK], ids_T[branch]])
            alone_TD = body_of(model)(input_ids=alone_T[None], use_cache=False).last_hidden_state[0]
            apart = _difference(alone_TD[TRUNK:], hidden_TD[branch])
            if apart > REACHED.get(hidden_TD.dtype, 1e-4):
                raise TrainingError(
                    f"{type(model).__name__} computes a branch of a shared prefix otherwise than alone (hidden states differ by "
                    f"{apart:.1e}): its positions or its attention are not the plain ones; {INSTEAD}"
                )


def _tree_states(model: PreTrainedModel, ids_T: torch.Tensor) -> torch.Tensor:
    """Hidden states of the probe's row, [T, D]."""
    depth_T = torch.from_numpy(DEPTH).to(ids_T.device)
    mask = tree_mask(torch.from_numpy(SUBTREE_END).to(ids_T.device), depth_T, len(ids_T))
    outputs = body_of(model)(input_ids=ids_T[None], position_ids=depth_T[None], attention_mask=mask, use_cache=False)
    hidden: torch.Tensor = outputs.last_hidden_state[0]
    return hidden


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp_min(1e-30))
