"""Times the optimizer steps of a trainer, and the memory they take; stops it when there are enough.

What this module does not do: decide what the steps are, or judge their speed.
"""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from groundtune.progress import ProgressBar
from groundtune.training.steps import OptimizerSteps
from groundtune.training.watching import peak_memory_bytes

WARM_UP_STEPS = 1
"""Not measured: the first step makes the optimizer's states and touches all memory for the first time."""

WARM_UP_STEPS_CUDA = 3
"""There the first steps also compile, and again when a row has another length."""

PROCESS = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class Limit:
    """When a measurement ends: at what comes first, but never before one step is measured."""

    seconds: float | None = None
    steps: int | None = None

    def reached(self, seconds: float, steps: int) -> bool:
        """
        >>> Limit(seconds=5, steps=3).reached(1.0, 3), Limit(seconds=5).reached(9.0, 0)
        (True, False)
        """
        if steps < 1:
            return False
        return (self.steps is not None and steps >= self.steps) or (
            self.seconds is not None and seconds >= self.seconds
        )


class StepClock(TrainerCallback):
    """Notes the seconds of every step after the warm-up, from the end of the one before; then ends the training."""

    def __init__(self, steps: OptimizerSteps, limit: Limit, device: torch.device, label: str) -> None:
        self.seconds: list[float] = []
        self.warm_up_steps = WARM_UP_STEPS_CUDA if device.type == "cuda" else WARM_UP_STEPS
        self._steps = steps
        self._limit = limit
        self._device = device
        self._last = 0.0
        by_count = limit.steps is not None and limit.seconds is None
        total = limit.steps if by_count else round(limit.seconds or 0)
        self._bar = ProgressBar(label, total=total or 1, unit="steps" if by_count else "s")
        self._by_count = by_count

    @override
    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._steps.epoch = state.global_step // len(self._steps)

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if state.global_step > self.warm_up_steps:
            self.seconds.append(now - self._last)
        self._last = now
        self._show()
        if self._limit.reached(sum(self.seconds), len(self.seconds)):
            control.should_training_stop = True

    @override
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the progress bar away."""
        self._bar.__exit__(None, None, None)

    def _show(self) -> None:
        done = len(self.seconds) if self._by_count else min(round(sum(self.seconds)), self._bar.total)
        note = f"step {len(self.seconds)}, {self.seconds[-1]:.2f} s" if self.seconds else "warming up"
        self._bar.advance(done - self._bar.done, note=note)


@dataclass(frozen=True, slots=True)
class Memory:
    """Of this process, in bytes."""

    before: int
    """Resident when watching began: the model is in it, gradients and the optimizer's states are not."""
    now: int
    """Resident."""
    peak: int
    """Resident at most since then; where the system cannot forget what was before, since the process began."""
    cuda_peak: int | None
    """Allocated by torch on the GPU at most; None without one."""


class MemoryWatch:
    """Watches memory from now on. Linux resets a process' high-water mark on request (proc_pid_clear_refs(5))."""

    def __init__(self, device: torch.device) -> None:
        with suppress(OSError):
            (PROCESS / "clear_refs").write_text("5")
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._device = device
        self._before = _resident()

    def read(self) -> Memory:
        """Until now."""
        on_gpu = self._device.type == "cuda"
        now = _resident()
        return Memory(
            before=self._before,
            now=now,
            # the kernel counts pages per processor and adds up late
            peak=max(now, _high_water_mark() if sys.platform == "linux" else peak_memory_bytes()),
            cuda_peak=torch.cuda.max_memory_allocated(self._device) if on_gpu else None,
        )


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


def _high_water_mark() -> int:
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", (PROCESS / "status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return peak_memory_bytes()
