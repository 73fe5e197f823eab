"""Callbacks of a training: the clock, the progress bar, TensorBoard, and when to write a checkpoint."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from groundtune.progress import ProgressBar
from groundtune.training.processes import Processes
from groundtune.training.records import Journal, StepRow, write_metrics
from groundtune.training.steps import OptimizerSteps

CHECKPOINT_SECONDS = 30.0
"""Work lost to a kill is at most about this, and the time of one step."""


def peak_memory_bytes() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class RunWatcher(TrainerCallback):
    """Keeps journal, bar and TensorBoard up to date, keeps the best weights, and asks for checkpoints by the clock.

    Nothing here changes what is learnt: the clock decides only when a checkpoint is written. Every process keeps the
    journal; the first one shows and writes, and its clock counts.
    """

    def __init__(
        self,
        bar: ProgressBar,
        folder: Path,
        *,
        journal: Journal,
        steps: OptimizerSteps,
        processes: Processes,
        keep_weights: Callable[[], None],
        checkpoint_seconds: float,
    ) -> None:
        self._bar = bar
        self._folder = folder
        self._journal = journal
        self._steps = steps
        self._processes = processes
        self._keep_weights = keep_weights
        self._checkpoint_seconds = checkpoint_seconds
        self._saved = self._timed = time.monotonic()
        self._board: Any = None

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._processes.first:
            from torch.utils.tensorboard import SummaryWriter  # half a second to load: only when something is trained

            self._board = SummaryWriter(str(self._folder / "tensorboard"), purge_step=state.global_step + 1)
        if state.global_step:
            self._advance(state.global_step)
        self._saved = self._timed = time.monotonic()

    @override
    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._steps.epoch = state.global_step // len(self._steps)

    @override
    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._count_time()

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._journal.train_seconds += self._count_time()
        # not on an epoch's last step: Trainer would take the epoch for finished and skip its validation
        ends_epoch = state.global_step % len(self._steps) == 0
        due = time.monotonic() - self._saved >= self._checkpoint_seconds
        if not ends_epoch and self._processes.of_first(due):
            control.should_save = True

    @override
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        assert logs is not None, "SupervisedTrainer.log gives them"
        row = StepRow(
            step=state.global_step,
            epoch=round(state.epoch or 0.0, 6),
            train_loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            grad_norm=logs["grad_norm"],
        )
        self._journal.count_step(row, weight=logs["step_weight"], tokens=int(logs["step_tokens"]))
        self._advance(note=f"loss {row.train_loss:.2f}")
        for name in ("train_loss", "learning_rate", "grad_norm"):
            self._draw(name, getattr(row, name), row.step)

    @override
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not control.should_evaluate:
            self._close_epoch(state, None)

    @override
    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        assert metrics is not None, "SupervisedTrainer.evaluate gives them"
        self._close_epoch(state, metrics["eval_loss"])
        self._draw("valid_loss", metrics["eval_loss"], state.global_step)

    @override
    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._saved = time.monotonic()

    @override
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._count_time()
        if self._board is not None:
            self._board.close()

    def _close_epoch(self, state: TrainerState, valid_loss: float | None) -> None:
        self._count_time()
        kept = self._journal.close_epoch(round(state.epoch or 0), state.global_step, valid_loss)
        if self._processes.first:
            if kept:
                self._keep_weights()
            write_metrics(self._folder, self._journal)

    def _advance(self, steps: int = 1, *, note: str | None = None) -> None:
        if self._processes.first:
            self._bar.advance(steps, note=note)

    def _draw(self, name: str, value: float, step: int) -> None:
        if self._board is not None:
            self._board.add_scalar(name, value, step)

    def _count_time(self) -> float:
        """Add what has passed since the last call to the journal's clocks; returns it, in seconds."""
        now = time.monotonic()
        passed, self._timed = now - self._timed, now
        self._journal.epoch_seconds += passed
        self._journal.total_seconds += passed
        self._journal.peak_memory_bytes = max(self._journal.peak_memory_bytes, peak_memory_bytes())
        return passed
