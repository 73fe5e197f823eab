"""One training from first step to last, interrupted or not: what pretraining and fine-tuning share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import OptimizerConfig
from groundtune.files import atomic_folder, make_folder, writing
from groundtune.models import cpu_threads, quiet_transformers
from groundtune.progress import ProgressBar
from groundtune.training.batches import LengthGroupedBatches
from groundtune.training.checkpoints import find_checkpoint, fingerprint_run, remove_checkpoints, saving
from groundtune.training.examples import Tokenised
from groundtune.training.records import Journal, TrainingRecord, load_journal, write_metrics, write_timings
from groundtune.training.trainer import SupervisedTrainer, training_arguments
from groundtune.training.watching import RunWatcher

PLAIN_LOSS_NOTE = (
    "the logits of all tokens were computed: this architecture does something between hidden states and logits that "
    "cannot be done for the supervised tokens alone"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training needs to know besides model and examples."""

    label: str
    """Of the progress bar."""
    config: OptimizerConfig
    epochs: int
    batch_size: int
    accumulation_steps: int
    seed: int
    folder: Path
    """Holds checkpoints while training; metrics, timings and TensorBoard in the end."""
    checkpoint_seconds: float
    threads: int


def run_training(
    plan: Plan,
    model: PreTrainedModel,
    train: Sequence[Tokenised],
    valid: Sequence[Tokenised],
    keep_weights: Callable[[], None],
) -> TrainingRecord:
    """Train `model` in place, from the newest checkpoint of this very run when there is one.

    `keep_weights` is called after every epoch that is the best so far (every epoch, without validation). Checkpoints
    are left in place: `finish_training` removes them when everything else is written.
    """
    fingerprint = fingerprint_run(_settings(plan), (train, valid), model.state_dict())
    make_folder(plan.folder)
    checkpoint = find_checkpoint(plan.folder, fingerprint)
    if checkpoint is None:
        shutil.rmtree(plan.folder / "tensorboard", ignore_errors=True)
    journal = load_journal(checkpoint) if checkpoint else Journal()
    resumed_from = journal.steps[-1].step if journal.steps else 0
    batches = LengthGroupedBatches(
        [len(example.input_ids) for example in train], batch_size=plan.batch_size, seed=plan.seed
    )
    steps_per_epoch = -(-len(batches) // plan.accumulation_steps)
    arguments = training_arguments(
        plan.config,
        epochs=plan.epochs,
        batch_size=plan.batch_size,
        accumulation_steps=plan.accumulation_steps,
        seed=plan.seed,
        folder=plan.folder,
        validate=bool(valid),
        first_evaluation=checkpoint is None,
    )
    with (
        quiet_transformers(),
        cpu_threads(plan.threads) as threads,
        writing(plan.folder),
        ProgressBar(plan.label, total=steps_per_epoch * plan.epochs, unit="steps") as bar,
    ):
        watcher = RunWatcher(
            bar,
            plan.folder,
            journal=journal,
            batches=batches,
            steps_per_epoch=steps_per_epoch,
            keep_weights=keep_weights,
            checkpoint_seconds=plan.checkpoint_seconds,
        )
        trainer = SupervisedTrainer(
            model,
            arguments,
            train,
            valid,
            batches=batches,
            folder=plan.folder,
            fingerprint=fingerprint,
            journal=journal,
            callbacks=[watcher],
        )
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    write_metrics(plan.folder, journal)
    notes = () if trainer.supervised_loss.gathered else (PLAIN_LOSS_NOTE,)
    return _record(journal, train, valid, threads=threads, resumed_from=resumed_from, notes=notes)


def _settings(plan: Plan) -> dict[str, Any]:
    """What the result depends on: not where it is written, how it is called or how many threads compute it."""
    config = plan.config.model_dump(exclude={"name", "samples", "threads"})
    return {
        "config": config,
        "epochs": plan.epochs,
        "batch_size": plan.batch_size,
        "accumulation_steps": plan.accumulation_steps,
        "seed": plan.seed,
    }


def _record(
    journal: Journal,
    train: Sequence[Tokenised],
    valid: Sequence[Tokenised],
    *,
    threads: int,
    resumed_from: int,
    notes: tuple[str, ...],
) -> TrainingRecord:
    tokens = sum(len(example.input_ids) for example in train)
    epochs = sum(row.epoch > 0 for row in journal.epochs)
    return TrainingRecord(
        epochs=tuple(journal.epochs),
        best_epoch=journal.best_epoch,
        steps=len(journal.steps),
        train_examples=len(train),
        valid_examples=len(valid),
        tokens_per_epoch=tokens,
        supervised_tokens_per_epoch=sum(example.supervised_tokens for example in train),
        seconds=round(journal.total_seconds, 3),
        tokens_per_second=round(tokens * epochs / max(journal.train_seconds, 1e-9), 1),
        peak_memory_bytes=journal.peak_memory_bytes,
        threads=threads,
        resumed_from_step=resumed_from,
        notes=notes,
    )


def finish_training(folder: Path, record: TrainingRecord) -> None:
    """Write `timings.json` and remove the checkpoints. To be called when everything else is written."""
    write_timings(folder, record)
    remove_checkpoints(folder)


def save_weights(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write model (safetensors) and tokenizer as files into `folder`, which must be there."""
    with quiet_transformers(), saving(folder):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def replace_folder_with_weights(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Make `folder` hold this model and tokenizer and nothing else; it is whole at any moment."""
    with atomic_folder(folder) as temporary:
        save_weights(model, tokenizer, temporary)
