"""The processes of one training: who is first, and the few words they exchange. Alone, nothing is exchanged.

Gradients are exchanged by torch's DistributedDataParallel or FSDP, or by DeepSpeed; launching is torchrun's or
accelerate's work. Between trainings, when one process may work for hours and the others wait, they speak through a store
of torch's launcher (`Meeting`), where nothing runs out of time.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from groundtune.errors import TrainingError

Value = TypeVar("Value")

POLL_SECONDS = 0.1
"""Between two looks at the store."""

GRACE_SECONDS = 5.0
"""How long one that lost touch waits to hear that another has failed, which is then the reason."""

FAILED = "failed"
"""The key under which the first process that fails says so."""


@dataclass(frozen=True, slots=True)
class Processes:
    count: int
    index: int
    """Of this process, from 0."""
    device: torch.device
    """Where a number has to be to be exchanged."""
    spread: bool = False
    """Whether each holds a part of the model or of its gradients: then none can compute anything without the others."""

    @classmethod
    def joined(cls, device: torch.device, *, spread: bool = False) -> Processes:
        """Those of the process group, which `TrainingArguments` sets up when it is asked for its device."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls(1, 0, device)
        return cls(distributed.get_world_size(), distributed.get_rank(), device, spread)

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


class OtherFailed(Exception):  # noqa: N818
    """Another process has failed and says why; this one has only to end."""

    def __init__(self, status: int) -> None:
        super().__init__(f"another process ended with {status}")
        self.status = status


class Meeting:
    """The same processes before, between and after trainings."""

    def __init__(self, store: Store, count: int, index: int) -> None:
        self._store = store
        self.count = count
        self.index = index

    @classmethod
    def joined(cls) -> Meeting:
        """Of the processes a launcher started. Raises `TrainingError` when they cannot be reached."""
        try:
            store, index, count = next(rendezvous("env://"))
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"process {os.environ.get('RANK')} cannot reach the first one at {os.environ.get('MASTER_ADDR')}:"
                f"{os.environ.get('MASTER_PORT')}; check the address, the port and the firewall of that machine"
            ) from error
        return cls(PrefixStore("groundtune", store), count, index)

    @property
    def first(self) -> bool:
        return self.index == 0

    def tell(self, key: str, value: str) -> None:
        self._store.set(key, value)

    def hear(self, key: str) -> str:
        """What is told under `key`, however long that takes. Raises `OtherFailed`."""
        while not self._store.check([key]):
            self.check_others()
            time.sleep(POLL_SECONDS)
        return str(self._store.get(key), "utf-8")

    def check_others(self) -> None:
        """Raises `OtherFailed` where one has failed."""
        if self._store.check([FAILED]):
            raise OtherFailed(int(self._store.get(FAILED).split()[0]))

    def is_first_to_fail(self, status: int) -> bool:
        """Say that this process fails with this exit status; whether no other one had said so before."""
        mark = f"{status} {self.index}".encode()
        return bool(self._store.compare_set(FAILED, "", mark.decode()) == mark)

    def hears_of_failure(self) -> bool:
        """Whether another process says, within a moment, that it has failed: then that is why it is out of touch."""
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until:
            try:
                self.check_others()
            except (OtherFailed, RuntimeError) as error:
                return isinstance(error, OtherFailed)
            time.sleep(POLL_SECONDS)
        return False

    def part(self) -> None:
        """Leave the group of a training, if there was one."""
        if distributed.is_initialized():
            distributed.destroy_process_group()


def is_lost_touch(error: BaseException) -> bool:
    """Whether an error is of the exchange between processes: what happens to those that go on when one of them ends."""
    found: BaseException | None = error
    while found is not None:
        text = str(found).lower()
        if isinstance(found, distributed.DistError):
            return True
        if isinstance(found, RuntimeError) and any(word in text for word in ("gloo", "nccl", "connection closed")):
            return True
        found = found.__cause__
    return False
