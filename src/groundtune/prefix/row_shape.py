"""What attention needs to know of a row, whoever computes it.

Legend: H query heads, T tokens of the row.
"""

from __future__ import annotations

from typing import Any

import torch

from groundtune.prefix.layout import Layout, lay_out
from groundtune.prefix.segments import Bias, BlockPlan


class RowShape:
    """What attention needs to know of a row, made at the first layer and used by all."""

    def __init__(self, mask: torch.Tensor) -> None:
        self.subtree_end_T = mask[0, 0, :, 0]
        self.depth_T = mask[0, 0, :, 1]
        self._layout: Layout | None = None
        self._plans: dict[tuple[Any, ...], BlockPlan] = {}
        self._longest: int | None = None
        self.prepared: dict[Any, Any] = {}
        """What a kernel keeps between layers."""

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence in the row."""
        if self._longest is None:
            self._longest = int(self.depth_T.max()) + 1
        return self._longest

    def plan(self, bias: Bias, dtype: torch.dtype) -> BlockPlan:
        slopes = None if bias.slopes_H is None else tuple(bias.slopes_H.tolist())
        key = (bias.window, slopes, dtype)
        if key not in self._plans:
            if self._layout is None:
                self._layout = lay_out(self.subtree_end_T.cpu().numpy(), self.depth_T.cpu().numpy())
            self._plans[key] = BlockPlan(self._layout, bias, dtype)
        return self._plans[key]

    def allowed(self, window: int | None) -> torch.Tensor:
        """Who sees whom, bool [T, T]: for the dense way only."""
        place_T = torch.arange(len(self.depth_T), device=self.depth_T.device)
        seen_TT = (place_T[None, :] <= place_T[:, None]) & (place_T[:, None] < self.subtree_end_T[None, :])
        if window is not None:
            seen_TT &= self.depth_T[:, None] - self.depth_T[None, :] < window
        return seen_TT
