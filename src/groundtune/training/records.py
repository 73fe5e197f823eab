"""What a training did: the table of epochs, and the journal that survives a kill.

The journal is written into every checkpoint; `metrics.jsonl` holds its deterministic part (no clock), `timings.json` the rest.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune.files import read_record, write_json, write_records
from groundtune.training.answers import SampleAnswer, SampleRound
from groundtune.training.pace import Pace, SpeedRow

METRICS_NAME = "metrics.jsonl"
TIMINGS_NAME = "timings.json"
JOURNAL_NAME = "journal.json"

LOSS_DIGITS = 6


@dataclass(frozen=True, slots=True)
class EpochRow:
    """A row of the table. Losses are means over supervised tokens (natural logarithm)."""

    epoch: int
    """0 is before training."""
    step: int
    train_loss: float | None
    """Over the epoch, as the weights changed; None before training."""
    valid_loss: float | None
    """None without validation examples."""
    best: bool
    """Whether this was the lowest validation loss so far."""
    seconds: float
    """Training and validation of this epoch."""


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """A validation in the middle of an epoch (`train.eval_steps`)."""

    step: int
    epoch: float
    """1.5: half of the second one was done."""
    valid_loss: float
    best: bool
    """Whether this was the lowest validation loss so far, those at the end of epochs included."""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What a training did, for the command line and the report."""

    epochs: tuple[EpochRow, ...]
    best_epoch: int
    """The epoch whose weights were kept: of the lowest validation loss, or the last one without validation and where
    `train.keep` asks for the last ones. With `train.eval_steps` it may be the middle of that epoch that was kept."""
    steps: int
    train_examples: int
    valid_examples: int
    tokens_per_epoch: int
    """As in the dataset."""
    unique_tokens_per_epoch: int
    """Computed in an epoch, without padding: what examples of a step share counts once. The mean, since epochs differ a little."""
    supervised_tokens_per_epoch: int
    seconds: float
    """Training and validation, all sessions of an interrupted run together."""
    tokens_per_second: float
    """Tokens of the training examples, without padding, over the time spent training."""
    unique_tokens_per_second: float
    """Tokens computed over the same time."""
    peak_memory_bytes: int
    """Of the whole process."""
    threads: int
    resumed_from_step: int
    """0 for a run that was not interrupted."""
    samples: tuple[SampleAnswer, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader should know: dropout that the architecture does not have, a setting that could not be followed."""
    evaluations: tuple[EvaluationRow, ...] = ()
    """In the middle of epochs."""
    best_step: int = 0
    """The optimizer step behind which the weights were kept."""
    trained_parameters: int = 0
    """Of the adapter, where there is one; otherwise all of the model's."""
    speeds: tuple[SpeedRow, ...] = ()
    """A hundred or so over the training."""

    @property
    def best_place(self) -> float:
        """How many epochs were done when the weights were as they were kept."""
        rows = [float(row.epoch) for row in self.epochs if row.step == self.best_step]
        return [*rows, *(row.epoch for row in self.evaluations if row.step == self.best_step), 0.0][0]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One optimizer step, or the last one of several that are noted together (`train.log_steps`)."""

    step: int
    epoch: float
    train_loss: float
    """Over the supervised tokens of all steps since the row before."""
    learning_rate: float
    grad_norm: float
    """Before clipping."""
    phase: str = ""
    supervised_tokens: int = 0
    """In all steps so far: what was learnt from."""
    computed_tokens: int = 0
    """In all steps so far, padding left out; what examples of a row share counts once."""


@dataclass(slots=True)
class Journal:
    """The running state of a training beside weights and optimizer."""

    steps: list[StepRow] = field(default_factory=list)
    epochs: list[EpochRow] = field(default_factory=list)
    evaluations: list[EvaluationRow] = field(default_factory=list)
    steps_done: int = 0
    best_loss: float | None = None
    best_epoch: int = 0
    best_step: int = 0
    noted_loss_sum: float = 0.0
    """Since the last row of `steps`."""
    noted_weight: float = 0.0
    epoch_loss_sum: float = 0.0
    epoch_weight: float = 0.0
    computed_tokens: int = 0
    """In all steps so far, padding left out."""
    dataset_tokens: int = 0
    """The same, each example counted whole."""
    supervised_tokens: int = 0
    samples: list[SampleRound] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)
    epoch_seconds: float = 0.0
    train_seconds: float = 0.0
    """Optimizer steps only, validation and saving left out."""
    total_seconds: float = 0.0
    peak_memory_bytes: int = 0
    max_pack_tokens: int = 0
    """What rows were cut down to when memory ran out; 0: it has not."""
    memory_notes: list[str] = field(default_factory=list)
    tried_with: str = ""
    """Device and settings that the largest batch was tried with before the first step."""
    preferred: float | None = None
    """Of the validation pairs, the share preferred as they should be, when last measured."""

    def count_step(
        self,
        row: StepRow,
        *,
        weight: float,
        tokens: int,
        dataset_tokens: int = 0,
        supervised: int = 0,
        noted: bool = True,
    ) -> StepRow | None:
        """Count a step of which `weight` is that of its targets and `supervised` their number, `tokens` those computed and
        `dataset_tokens` those of its examples; if `noted`, add and return a row for all steps since the last one."""
        self.steps_done = row.step
        self.computed_tokens += tokens
        self.dataset_tokens += dataset_tokens
        self.supervised_tokens += supervised
        self.epoch_loss_sum += row.train_loss * weight
        self.epoch_weight += weight
        self.noted_loss_sum += row.train_loss * weight
        self.noted_weight += weight
        if not noted:
            return None
        self.steps.append(
            replace(
                row,
                train_loss=self.noted_loss_sum / self.noted_weight,
                supervised_tokens=self.supervised_tokens,
                computed_tokens=self.computed_tokens,
            )
        )
        self.noted_loss_sum = self.noted_weight = 0.0
        return self.steps[-1]

    def close_epoch(self, epoch: int, step: int, valid_loss: float | None, *, keep_last: bool = False) -> bool:
        """Add the row of an epoch; returns whether its weights are to be kept: they are the best so far, or the last ones
        are wanted, or there is no validation."""
        best = epoch > 0 and self._is_best(valid_loss)
        self.epochs.append(
            EpochRow(
                epoch=epoch,
                step=step,
                train_loss=_rounded(self.epoch_loss_sum / self.epoch_weight) if self.epoch_weight else None,
                valid_loss=_rounded(valid_loss),
                best=best,
                seconds=round(self.epoch_seconds, 3),
            )
        )
        self.epoch_loss_sum, self.epoch_weight, self.epoch_seconds = 0.0, 0.0, 0.0
        kept = best or (epoch > 0 and (keep_last or valid_loss is None))
        if kept:
            self.best_epoch, self.best_step = epoch, step
        return kept

    def note_pace(self, every: int) -> None:
        """Note the speed of the last `every` steps, where so many were taken since it was noted."""
        self.pace.note(
            every,
            step=self.steps_done,
            seconds=self.train_seconds,
            dataset_tokens=self.dataset_tokens,
            computed_tokens=self.computed_tokens,
        )

    def add_evaluation(self, epoch: float, step: int, valid_loss: float, *, keep_last: bool = False) -> bool:
        """Add the row of a validation inside an epoch; returns whether its weights are to be kept."""
        best = self._is_best(valid_loss)
        self.evaluations.append(EvaluationRow(step, round(epoch, 6), round(valid_loss, LOSS_DIGITS), best))
        if best and not keep_last:
            self.best_epoch, self.best_step = math.ceil(epoch), step
        return best and not keep_last

    def _is_best(self, valid_loss: float | None) -> bool:
        best = valid_loss is not None and (self.best_loss is None or valid_loss < self.best_loss)
        if best:
            self.best_loss = valid_loss
        return best


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, LOSS_DIGITS)


def save_journal(folder: Path, journal: Journal) -> None:
    write_json(folder / JOURNAL_NAME, journal)


def load_journal(folder: Path) -> Journal:
    """Raises `DataError` when the file is not what `save_journal` writes."""
    path = folder / JOURNAL_NAME
    return read_record(path, Journal)


def write_metrics(folder: Path, journal: Journal) -> None:
    """`metrics.jsonl`: a line for every optimizer step noted, every validation inside an epoch and every epoch, in the order
    they happened."""
    lines: list[dict[str, Any]] = [{"kind": "step", **asdict(row)} for row in journal.steps]
    for line in lines:
        if not line["phase"]:
            del line["phase"]
    lines += [{"kind": "evaluation", **asdict(row)} for row in journal.evaluations]
    for row in journal.epochs:
        lines.append({"kind": "epoch", **asdict(row)})
        del lines[-1]["seconds"]  # the file is the same for every run of the same training
    # stable: what happens behind the same step stands in the order it was added here
    lines.sort(key=lambda line: line["step"])
    write_records(folder / METRICS_NAME, lines)


def write_timings(folder: Path, record: TrainingRecord) -> None:
    """`timings.json`: what depends on the machine and the clock."""
    write_json(
        folder / TIMINGS_NAME,
        {
            "seconds": record.seconds,
            "tokens_per_second": record.tokens_per_second,
            "unique_tokens_per_second": record.unique_tokens_per_second,
            "peak_memory_bytes": record.peak_memory_bytes,
            "threads": record.threads,
            "resumed_from_step": record.resumed_from_step,
            "epochs": [{"epoch": row.epoch, "seconds": row.seconds} for row in record.epochs],
            "speeds": [asdict(row) for row in record.speeds],
        },
    )
