"""The learning rate of every optimizer step, as a share of its peak: a linear warm-up, then cosine, linear or constant.

Own, because no schedule of transformers is all of these with an end above zero, and with a first step that is not at zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from groundtune.config import OptimizerConfig, TrainConfig

Shape = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A rate for each step, by its number from 0.

    >>> [round(Schedule("linear", 0.2, None, 0.5).share(step, 10), 3) for step in (0, 1, 2, 9)]
    [0.5, 1.0, 0.938, 0.5]
    >>> [round(Schedule("cosine", 0.0, 0, 0.0).share(step, 3), 3) for step in range(3)]
    [0.854, 0.5, 0.146]
    """

    shape: Shape
    warmup_share: float
    """Of all steps, rounded up."""
    warmup_steps: int | None
    """In place of the share."""
    final_share: float
    """Reached in the last step. An end at zero lies one step behind it, which would train nothing otherwise."""

    @classmethod
    def of(cls, config: OptimizerConfig) -> Schedule:
        """Pretraining has no choice of shape: it is a cosine."""
        if isinstance(config, TrainConfig):
            return cls(config.schedule, config.warmup_share, config.warmup_steps, config.final_lr_share)
        return cls("cosine", config.warmup_share, None, config.final_lr_share)

    def share(self, step: int, steps: int) -> float:
        """Of the peak, in step number `step` (from 0) of `steps`."""
        warmup = math.ceil(self.warmup_share * steps) if self.warmup_steps is None else self.warmup_steps
        if step < warmup:
            return (step + 1) / warmup
        if self.shape == "constant":
            return 1.0
        way = steps - warmup + (1 if self.final_share == 0 else 0)
        # asked once more behind the last step
        progress = min(1.0, (step - warmup + 1) / max(1, way))
        left = 1.0 - progress if self.shape == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))
        return left * (1.0 - self.final_share) + self.final_share
