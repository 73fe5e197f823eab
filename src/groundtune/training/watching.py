"""The callback of a training: its journal and clock, and when to validate, keep weights and write a checkpoint."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from groundtune.errors import TrainingError
from groundtune.training.diagnosis import Diagnosis, Finding, Sample, Severity, StepTiming
from groundtune.training.live import RunView
from groundtune.training.plan import Occasions
from groundtune.training.processes import Processes
from groundtune.training.records import Journal, write_metrics
from groundtune.training.steps import OptimizerSteps

STYLES: dict[Severity, str] = {"note": "dim", "warning": "yellow", "fatal": "bold red"}

CHECKPOINT_SECONDS = 30.0
"""Work lost to a kill is at most about this, and the time of one step."""


def peak_memory_bytes() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class RunWatcher(TrainerCallback):
    """Keeps the journal and the weights that are wanted, tells what is found to be wrong, and asks for validations and
    checkpoints.

    Nothing here changes what is learnt: the clock decides only when a checkpoint is written. Every process keeps the
    journal; the first one tells and writes, and its clock counts.
    """

    def __init__(
        self,
        view: RunView,
        folder: Path,
        *,
        journal: Journal,
        steps: OptimizerSteps,
        processes: Processes,
        occasions: Occasions,
        validates: bool,
        keep_weights: Callable[[], None],
        checkpoint_seconds: float,
        diagnosis: Diagnosis,
        stop_when_lost: bool,
    ) -> None:
        self._view = view
        self._folder = folder
        self._journal = journal
        self._steps = steps
        self._processes = processes
        self._occasions = occasions
        self._eval_steps = occasions.eval_steps if validates else 0
        self._keep_weights = keep_weights
        self._checkpoint_seconds = checkpoint_seconds
        self._diagnosis = diagnosis
        self._stop_when_lost = stop_when_lost
        self._waited = 0.0
        self._measured = math.nan
        self._stopped = False
        self._saved = self._timed = self._free = time.monotonic()

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._saved = self._timed = self._free = time.monotonic()

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
        self._waited = time.monotonic() - self._free

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        computed = self._count_time()
        self._journal.train_seconds += computed
        self._free = time.monotonic()
        self._tell(self._diagnosis.add_timing(StepTiming(state.global_step, self._waited, computed)))
        due = self._processes.of_first(time.monotonic() - self._saved >= self._checkpoint_seconds)
        # not where an epoch ends: Trainer would take it for finished and skip its validation, and has both at hand there
        if not self._ends_epoch(state):
            control.should_save = control.should_save or due or _is_due(state, self._occasions.save_steps)
            control.should_evaluate = control.should_evaluate or _is_due(state, self._eval_steps)

    @override
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self._free = time.monotonic()
        if logs is not None and "loss" in logs:
            self._tell(self._diagnosis.add_step(self._journal.steps[-1]))

    @override
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._stopped:
            # measured a moment ago, which is what stopped it
            control.should_evaluate = control.should_save = False
            self._close_epoch(state, self._measured)
        elif not control.should_evaluate:
            self._close_epoch(state, None)
        if state.global_step % len(self._steps):
            # ended inside an epoch by `max_steps`: continued from a checkpoint here, Trainer would take one more step
            control.should_save = False

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
        self._free = time.monotonic()
        self._measured = metrics["eval_loss"]
        self._note_validation(state)
        if self._occasions.early_stopping.is_due(self._journal):
            self._stopped = control.should_training_stop = True
            # continued from a checkpoint here, Trainer would take one more step
            control.should_save = False

    def _note_validation(self, state: TrainerState) -> None:
        if self._ends_epoch(state):
            self._close_epoch(state, self._measured)
            return
        epoch = state.global_step / len(self._steps)
        self._keep(
            self._journal.add_evaluation(
                epoch, state.global_step, self._measured, keep_last=self._occasions.keep == "last"
            )
        )
        self._tell(self._diagnosis.add_evaluation(self._journal.evaluations[-1]))

    @override
    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._saved = self._free = time.monotonic()

    @override
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._count_time()

    def _ends_epoch(self, state: TrainerState) -> bool:
        return state.global_step % len(self._steps) == 0 or state.global_step >= state.max_steps

    def _close_epoch(self, state: TrainerState, valid_loss: float | None) -> None:
        self._count_time()
        epoch = -(-state.global_step // len(self._steps))
        keep_last = self._occasions.keep == "last"
        self._keep(self._journal.close_epoch(epoch, state.global_step, valid_loss, keep_last=keep_last))
        self._tell(self._diagnosis.add_epoch(self._journal.epochs[-1]))

    def add_samples(self, samples: Sequence[Sample], epoch: float) -> None:
        """Answers of the model as it is. That it was asked is nothing that the next step waits for."""
        self._free = time.monotonic()
        self._tell(self._diagnosis.add_samples(samples, epoch=epoch))

    def _tell(self, findings: Sequence[Finding]) -> None:
        """What is wrong, to the one who watches. Raises `TrainingError` where the run is lost and is to be stopped then."""
        for finding in findings:
            if self._processes.first:
                self._view.say(finding.text, style=STYLES[finding.severity])
                self._view.show(finding=finding.text, finding_style=STYLES[finding.severity])
            if finding.should_stop and self._stop_when_lost:
                raise TrainingError(f"{finding.text} (train.stop_when_lost)")

    def _keep(self, wanted: bool) -> None:
        if wanted:
            self._keep_weights()
        if self._processes.first:
            write_metrics(self._folder, self._journal)

    def _count_time(self) -> float:
        """Add what has passed since the last call to the journal's clocks; returns it, in seconds."""
        now = time.monotonic()
        passed, self._timed = now - self._timed, now
        self._journal.epoch_seconds += passed
        self._journal.total_seconds += passed
        self._journal.peak_memory_bytes = max(self._journal.peak_memory_bytes, peak_memory_bytes())
        return passed


def _is_due(state: TrainerState, every: int) -> bool:
    """
    >>> [_is_due(TrainerState(global_step=step), 2) for step in (1, 2)], _is_due(TrainerState(global_step=2), 0)
    ([False, True], False)
    """
    return every > 0 and state.global_step % every == 0
