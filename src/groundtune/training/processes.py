"""The processes of one training: who is first, and the few words they exchange. Alone, nothing is exchanged.

Gradients are exchanged by torch's DistributedDataParallel; launching is torchrun's or accelerate's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Processes:
    count: int
    index: int
    """Of this process, from 0."""
    device: torch.device
    """Where a number has to be to be exchanged."""

    @classmethod
    def joined(cls, device: torch.device) -> Processes:
        """Those of the process group, which `TrainingArguments` sets up when it is asked for its device."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls(1, 0, device)
        return cls(distributed.get_world_size(), distributed.get_rank(), device)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and shows progress."""
        return self.index == 0

    def wait(self) -> None:
        """Until all have come here."""
        if self.count > 1:
            distributed.barrier()

    def total(self, value: float) -> float:
        """The sum of what all processes bring; the same number on each of them."""
        if self.count == 1:
            return value
        summed = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(summed)
        return float(summed)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """As `total`, for a tensor on the CPU."""
        if self.count == 1:
            return values
        carried = values.to(self.device)
        distributed.all_reduce(carried)
        return carried.to(values.device)

    def of_first(self, value: Value) -> Value:
        """What the first process brings."""
        if self.count == 1:
            return value
        carrier = [value]
        distributed.broadcast_object_list(carrier, src=0, device=self.device)
        return carrier[0]
