"""Running out of memory: how it shows, what is left, what to change, and rows that get shorter when it happens.

A GPU's allocator refuses, and so does a CPU's under a limit of the process; then the work that failed is thrown away and
done again in shorter rows. Linux otherwise grants memory it does not have and kills whoever touches it: against that
there is only :mod:`.preflight`. What this module does not do: estimate what a model needs (:mod:`groundtune.models`).
"""

from __future__ import annotations

import errno
import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from groundtune.config import ComputingConfig, OptimizerConfig, TrainConfig
from groundtune.errors import GroundtuneError, TrainingError
from groundtune.training.processes import Processes
from groundtune.training.records import Journal
from groundtune.training.steps import Packer

Result = TypeVar("Result")

REFUSALS = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""In the text of the RuntimeError of torch's CPU allocator (Linux, Windows), of CUDA and MPS, and of cuBLAS."""

_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+ ?\w+)")

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def is_out_of_memory(error: BaseException) -> bool:
    """
    >>> [is_out_of_memory(each) for each in (torch.OutOfMemoryError(), MemoryError(), RuntimeError("shapes differ"))]
    [True, True, False]
    """
    if isinstance(error, GroundtuneError):
        return False
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(part in str(error) for part in REFUSALS)


def what_was_asked(error: BaseException) -> str:
    """How much more the refused block was, where the message tells; it goes behind a figure or a name.

    >>> what_was_asked(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."))
    ' (2.00 GiB more were asked for)'
    >>> what_was_asked(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096000000 bytes."))
    ' (3.8 GiB more were asked for)'
    """
    found = _ASKED.search(str(error))
    if found is None:
        return ""
    asked = found[1]
    if asked.endswith("bytes"):
        asked = in_words(int(asked.removesuffix("bytes")))
    return f" ({asked} more were asked for)"


def in_words(amount: float) -> str:
    """
    >>> in_words(3.2 * 2**30), in_words(5 * 2**20)
    ('3.2 GiB', '5 MiB')
    """
    return f"{amount / 2**30:.1f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"


def free_again() -> None:
    """Give back what a failed try still holds. To be called where its exception is gone: a traceback keeps every tensor."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def available_bytes(control_groups: Path = CONTROL_GROUPS) -> int:
    """Memory this process could still take without swapping: the machine's, or less where its container is limited."""
    left = int(psutil.virtual_memory().available)
    room = control_group_room(control_groups)
    return left if room is None else min(left, room)


def control_group_room(folder: Path) -> int | None:
    """What the control group mounted at `folder` (version 2 or 1) has left, its file cache counted as free; None without a
    limit."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        try:
            most, taken = int((folder / limit).read_text()), int((folder / used).read_text())
            statistics = (folder / limit).with_name("memory.stat").read_text().split()
        except (OSError, ValueError):
            # "max" is no number: no limit
            continue
        figures = dict(zip(statistics[::2], statistics[1::2], strict=False))
        return max(0, most - taken + int(figures.get(cache, 0)))
    return None


@contextmanager
def explaining(remedies: Remedies, packer: Packer) -> Iterator[None]:
    """Running out of memory where no row of examples can be cut: in the optimizer, or while something is written."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        advice = remedies.text(row=packer.largest, longest=packer.longest)
        raise TrainingError(
            f"out of memory{what_was_asked(error)}, outside of the rows of examples; {advice}. The weights kept so far and the "
            "last checkpoint are whole"
        ) from error


class RandomState:
    """Where the random numbers of a device and of the CPU stand, so that a try leaves no trace in what comes after it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cpu = torch.get_rng_state()
        self._other = torch.get_device_module(device).get_rng_state() if device.type in ("cuda", "mps") else None

    def restore(self) -> None:
        torch.set_rng_state(self._cpu)
        if self._other is not None:
            torch.get_device_module(self._device).set_rng_state(self._other)


@dataclass(frozen=True, slots=True)
class Remedies:
    """The settings that make a training smaller and are not set yet."""

    max_pack_tokens: int
    same_run: tuple[str, ...]
    """A run goes on from its checkpoint with them."""
    other_run: tuple[str, ...]
    """What is learnt changes with them: the training begins anew."""

    @classmethod
    def of(cls, config: OptimizerConfig, computing: ComputingConfig, *, bfloat16: bool) -> Remedies:
        other = [] if bfloat16 else ["train.precision: bfloat16"]
        if isinstance(config, TrainConfig):
            if config.adapter is None:
                other += ["train.adapter (LoRA)", "train.adapter.quantise: nf4"]
            elif config.adapter.quantise is None:
                other += ["train.adapter.quantise: nf4"]
        same = () if computing.gradient_checkpointing else ("train.gradient_checkpointing: true",)
        return cls(computing.max_pack_tokens, same, (*other, "a smaller model"))

    def text(self, *, row: int, longest: int) -> str:
        """What to do, in the order of what helps at the least cost. `row`: tokens of the one that did not fit; `longest`: of
        the longest example, which a row has to hold.

        >>> Remedies(4096, ("train.gradient_checkpointing: true",), ("a smaller model",)).text(row=4000, longest=700)
        'lower train.max_pack_tokens (now 4096; at least 700, the longest example), then try train.gradient_checkpointing: true, a smaller model'
        """
        tries = ", ".join((*self.same_run, *self.other_run))
        if longest < row:
            return (
                f"lower train.max_pack_tokens (now {self.max_pack_tokens}; at least {longest}, the longest example), "
                f"then try {tries}"
            )
        return f"lower dataset.max_tokens (a row cannot be shorter than the longest example, {longest} tokens), or try {tries}"


class RowBudget:
    """The most tokens a row may have, in all packers of a training. Falls for good when memory runs out; the journal keeps it,
    so that a continued run begins with it."""

    def __init__(
        self,
        packers: Sequence[Packer],
        *,
        processes: Processes,
        journal: Journal,
        remedies: Remedies,
        say: Callable[[str], None],
    ) -> None:
        self._packers = packers
        self._processes = processes
        self._journal = journal
        self.remedies = remedies
        self._say = say
        if journal.max_pack_tokens:
            self._limit(journal.max_pack_tokens)

    def within(self, compute: Callable[[bool], Result], packer: Packer, doing: str) -> Result:
        """The result of `compute`, which packs by `packer`; tried again in shorter rows as long as memory runs out.

        Args:
            compute: is told whether a try before this one failed. It undoes what that has left.
            doing: what is computed, for the message: "in step 12".

        Raises:
            TrainingError: rows cannot be shorter, or several processes are at it: the others are in the middle of the
                same step, waiting for gradients.
        """
        again = False
        while True:
            try:
                return compute(again)
            except (RuntimeError, MemoryError, OSError) as error:
                if not is_out_of_memory(error):
                    raise
                asked = what_was_asked(error)
            free_again()
            self._fall(packer, doing, asked)
            again = True

    def _fall(self, packer: Packer, doing: str, asked: str) -> None:
        row = packer.largest
        smaller = packer.half()
        if smaller is None:
            raise TrainingError(
                f"out of memory {doing}{asked}, in a row of {row} tokens that cannot be cut; "
                f"{self.remedies.text(row=row, longest=packer.longest)}. The weights kept so far and the last checkpoint "
                "are whole"
            )
        if self._processes.count > 1:
            raise TrainingError(
                f"out of memory {doing}{asked}, on process {self._processes.index + 1} of {self._processes.count}, in a row of "
                f"{row} tokens; several processes cannot cut a step anew while they compute it: set train.max_pack_tokens to "
                f"{smaller} and run the same command again, which goes on from the last checkpoint"
            )
        self._limit(smaller)
        self._journal.max_pack_tokens = smaller
        text = (
            f"out of memory {doing}{asked}, in a row of {row} tokens: it was computed again, and everything after it, in rows of "
            f"at most {smaller} (train.max_pack_tokens is {self.remedies.max_pack_tokens})"
        )
        self._journal.memory_notes.append(text)
        self._say(text)

    def _limit(self, tokens: int) -> None:
        for packer in self._packers:
            packer.limit(tokens)
