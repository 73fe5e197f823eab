"""A row as tensors, in the form that any Hugging Face decoder hands through to its attention.

The tree travels as a four-dimensional integer `attention_mask`: transformers' mask functions take one of four dimensions
for finished and give it to every layer as it is. Legend: T tokens of the row, S supervised edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch

from groundtune.errors import TrainingError
from groundtune.prefix.columns import IGNORED
from groundtune.prefix.loss import Edges

if TYPE_CHECKING:
    from groundtune.prefix.rows import Row

COLUMNS = 3
"""Of the mask: where the token's subtree ends, its depth, and a filler."""


def tree_mask(subtree_end_T: torch.Tensor, depth_T: torch.Tensor, dataset_tokens: int) -> torch.Tensor:
    """int64 [1, 1, T, 3]. The filler makes its sum the number of dataset tokens: that is how TRL counts a batch's tokens."""
    mask_TC = torch.zeros(len(depth_T), COLUMNS, dtype=torch.int64, device=depth_T.device)
    mask_TC[:, 0] = subtree_end_T
    mask_TC[:, 1] = depth_T
    mask_TC[0, 2] = dataset_tokens - int(subtree_end_T.sum() + depth_T.sum())
    return mask_TC[None, None]


def is_tree_mask(mask: object) -> TypeGuard[torch.Tensor]:
    """Whether `mask` came from `tree_mask`: no other mask of four dimensions holds 64-bit integers in three columns."""
    return (
        isinstance(mask, torch.Tensor)
        and mask.ndim == 4
        and mask.dtype == torch.int64
        and mask.shape[:2] == (1, 1)
        and mask.shape[-1] == COLUMNS
    )


def row_tensors(row: Row) -> dict[str, torch.Tensor]:
    """What `PreparedModel.row_loss` takes: ``input_ids`` and ``position_ids`` [1, T], ``attention_mask`` [1, 1, T, 3],
    ``edge_sources``, ``edge_targets`` and ``edge_weights`` [S]."""
    depth_T = torch.from_numpy(row.position_ids)
    return {
        "input_ids": torch.from_numpy(row.input_ids.astype(np.int64, copy=False))[None],
        "position_ids": depth_T[None],
        "attention_mask": tree_mask(torch.from_numpy(row.subtree_end), depth_T, row.dataset_tokens),
        "edge_sources": torch.from_numpy(row.edge_sources),
        "edge_targets": torch.from_numpy(row.edge_targets),
        "edge_weights": torch.from_numpy(row.edge_weights),
    }


def edges_of(kwargs: dict[str, Any]) -> Edges | None:
    """Take the edges out of a call's arguments: ours, or one label a token as TRL and Trainer know them. None: a plain call."""
    if "edge_sources" in kwargs:
        return Edges.of(*(kwargs.pop(f"edge_{name}") for name in ("sources", "targets", "weights")))
    labels = kwargs.get("shift_labels")
    if not is_tree_mask(kwargs.get("attention_mask")):
        return None
    if labels is None:
        if kwargs.get("labels") is None:
            return None
        raise TrainingError(
            "a row came with labels but without shift_labels: in a tree the next token is not the one to be predicted; "
            "use the batches of collate_row or row_tensors as they are"
        )
    del kwargs["shift_labels"]
    kwargs.pop("labels", None)
    flat_T = labels.reshape(-1)
    sources_E = (flat_T != IGNORED).nonzero().squeeze(1)
    return Edges.of(sources_E, flat_T[sources_E], torch.ones(len(sources_E), device=flat_T.device))
