"""A row as tensors, in the form that any Hugging Face decoder hands through to its attention.

The tree travels as a four-dimensional integer `attention_mask`: transformers' mask functions take one of four dimensions
for finished and give it to every layer as it is. Legend: T tokens of the row, S supervised edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import torch

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
