"""One training from first step to last, interrupted or not: what pretraining and fine-tuning share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainingArguments

from groundtune.config import PretrainConfig
from groundtune.files import atomic_folder, make_folder, write_json, writing
from groundtune.models import cpu_threads, quiet_transformers
from groundtune.prefix import PreparedModel, probe_model
from groundtune.training.callbacks import Watch, view_of
from groundtune.training.checkpoints import (
    FoundCheckpoint,
    find_checkpoint,
    fingerprint_run,
    remove_checkpoints,
    saving,
)
from groundtune.training.corpus import Mixture, SequencePacker, SequenceSteps
from groundtune.training.diagnosis import Diagnosis, Finding, Watched
from groundtune.training.distribution import (
    check_spreading,
    checkpoint_settings,
    is_spread,
    unspread_note,
    whole_weights,
)
from groundtune.training.examples import Examples
from groundtune.training.memory import Remedies, RowBudget, explaining
from groundtune.training.objective import Objective
from groundtune.training.plan import Plan
from groundtune.training.precision import choose_bfloat16
from groundtune.training.preference import PreferenceSteps, PreferenceTrainer
from groundtune.training.preflight import Preflight
from groundtune.training.processes import Processes
from groundtune.training.records import Journal, TrainingRecord, load_journal, write_metrics, write_timings
from groundtune.training.sampling import Asking
from groundtune.training.schedule import Schedule
from groundtune.training.steps import OptimizerSteps, Packer
from groundtune.training.trainer import SupervisedTrainer, training_arguments
from groundtune.training.watching import STYLES
from groundtune.training.zero import deepspeed_process, leave_engine, tell_precision

FINDINGS_NAME = "findings.json"

WHOLE_LOGITS_NOTE = (
    "the logits of all supervised tokens of a batch were held at once: this architecture does something between hidden "
    "states and logits that cannot be done in chunks; lower train.max_pack_tokens if memory runs out"
)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Where a training starts: at its newest checkpoint, or at nothing."""

    fingerprint: str
    checkpoint: Path | None
    journal: Journal
    notes: tuple[str, ...]
    """What was wrong with the checkpoints found."""


def run_training(
    plan: Plan,
    model: nn.Module,
    train: Examples | Mixture,
    valid: Examples | Mixture,
    keep_weights: Callable[[], None],
    asking: Asking | None = None,
) -> tuple[TrainingRecord, Processes]:
    """Train `model` (a causal model, or peft's around one) in place, from the newest checkpoint of this very run when there
    is one.

    `keep_weights` is called whenever the weights are those to keep (`Occasions.keep`; without validation after every
    epoch), on the first process only. Checkpoints are left in place: `finish_training` removes them when everything else is written, which is
    again the first process's work; hence what is returned. `asking` says what the model is asked before, during and after.

    Raises:
        TrainingError: an example longer than a batch may be, a model that sharing is wrong for, a loss that is no number.
    """
    check_spreading(plan.computing, quantised=getattr(model, "is_quantized", False))
    with deepspeed_process(plan.computing):
        return _run(plan, model, train, valid, keep_weights, asking)


def _run(
    plan: Plan,
    model: nn.Module,
    train: Examples | Mixture,
    valid: Examples | Mixture,
    keep_weights: Callable[[], None],
    asking: Asking | None,
) -> tuple[TrainingRecord, Processes]:
    packer, held_out = plan.packer(train), plan.packer(valid) if len(valid) else None
    arguments = training_arguments(
        plan.config,
        plan.computing,
        epochs=plan.epochs,
        seed=plan.seed,
        folder=plan.folder,
        validate=held_out is not None,
        max_steps=plan.occasions.max_steps,
    )
    processes = Processes.joined(arguments.device, spread=is_spread(plan.computing, arguments))
    beginning = _begin(plan, model, packer, held_out, processes)
    arguments.eval_on_start = held_out is not None and beginning.checkpoint is None
    steps = _steps(plan, packer, processes)
    journal = beginning.journal
    resumed_from = journal.steps_done
    diagnosis = _diagnosis(plan, len(steps), journal, asking)
    with (
        quiet_transformers(),
        cpu_threads(plan.computing.threads) as threads,
        writing(plan.folder),
        view_of(plan, len(steps)) as view,
    ):
        model.to(arguments.device)
        with prepared_for(plan, model) as prepared:
            watch = Watch(plan, view, journal, steps, processes, diagnosis, asking)
            callbacks = watch.callbacks(
                prepared, validates=held_out is not None, keep_weights=_plainly(prepared, keep_weights, processes)
            )
            say = partial(view.say, style=STYLES["warning"]) if processes.first else _unsaid
            notes = _train(plan, prepared, arguments, steps, held_out, processes, beginning, callbacks, say)
    findings = _told(diagnosis)
    if processes.first:
        write_metrics(plan.folder, journal)
        write_json(plan.folder / FINDINGS_NAME, findings)
    # what the first process writes is read by all
    processes.wait()
    stopped = plan.occasions.early_stopping.note(journal, plan.total_steps(len(steps)))
    notes = (
        *unspread_note(plan.computing, processes),
        *beginning.notes,
        *notes,
        *(finding.text for finding in findings),
        *_unused_evaluations(plan, held_out),
        *_unused_preflight(plan),
        *journal.memory_notes,
        *((stopped,) if stopped else ()),
    )
    record = _record(journal, steps, held_out, threads=threads, resumed_from=resumed_from, notes=notes)
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    samples = asking.answers(journal.samples, journal.best_step) if asking else ()
    return replace(record, trained_parameters=trained, samples=samples), processes


def _diagnosis(plan: Plan, steps_per_epoch: int, journal: Journal, asking: Asking | None) -> Diagnosis:
    """With all that has happened before a checkpoint."""
    diagnosis = Diagnosis(_watched(plan, steps_per_epoch))
    judged = asking if asking is not None and asking.judged else None
    asked = [one for each in judged.fitting(journal.samples) for one in judged.samples(each)] if judged else []
    diagnosis.catch_up(journal.steps, journal.epochs, journal.evaluations, asked)
    return diagnosis


def _told(diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """In an order that does not depend on where a run was interrupted. Slow data is told by the clock, and what is kept by the
    training alone."""
    found = (finding for finding in diagnosis.findings if finding.kind != "slow_data")
    return tuple(sorted(found, key=lambda finding: (finding.step, finding.kind)))


def _watched(plan: Plan, steps_per_epoch: int) -> Watched:
    return Watched(
        total_steps=plan.total_steps(steps_per_epoch),
        max_grad_norm=plan.config.max_grad_norm,
        keeps_best=plan.occasions.keep == "best",
        section="pretrain" if isinstance(plan.config, PretrainConfig) else "train",
    )


def _steps(plan: Plan, packer: Packer, processes: Processes) -> OptimizerSteps:
    if plan.preference is not None:
        return PreferenceSteps(packer, examples_per_step=plan.examples_per_step, seed=plan.seed, processes=processes)
    if isinstance(packer, SequencePacker):
        return SequenceSteps(packer, sequences_per_step=plan.examples_per_step, processes=processes)
    return OptimizerSteps(
        packer, examples_per_step=plan.examples_per_step, seed=plan.seed, processes=processes, phases=plan.phases
    )


def _unused_evaluations(plan: Plan, held_out: Packer | None) -> tuple[str, ...]:
    if held_out is not None:
        return ()
    settings = {
        "train.eval_steps": plan.occasions.eval_steps,
        "train.early_stopping_patience": plan.occasions.early_stopping.patience,
    }
    return tuple(
        f"{name} {value} had no effect: there are no validation examples" for name, value in settings.items() if value
    )


def _unused_preflight(plan: Plan) -> tuple[str, ...]:
    if plan.computing.preflight and plan.computing.deepspeed is not None:
        return (
            "train.preflight had no effect, and rows are not cut when memory runs out: DeepSpeed cannot undo a batch",
        )
    return ()


def _unsaid(_text: str) -> None:
    """The first process says it."""


def _begin(plan: Plan, model: nn.Module, packer: Packer, held_out: Packer | None, processes: Processes) -> _Beginning:
    examples = [each.examples for each in (packer, held_out) if each is not None]
    settings = plan.settings() | checkpoint_settings(plan.computing, processes)
    fingerprint = fingerprint_run(settings, examples, model.state_dict())
    make_folder(plan.folder)
    found = find_checkpoint(plan.folder, fingerprint) if processes.first else FoundCheckpoint()
    checkpoint, damaged = processes.of_first((found.path, found.damaged))
    if checkpoint is None and processes.first:
        shutil.rmtree(plan.folder / "tensorboard", ignore_errors=True)
    journal = load_journal(checkpoint) if checkpoint else Journal()
    went_on = f"the run went on from {checkpoint.name}" if checkpoint else "the run began anew"
    return _Beginning(
        fingerprint, checkpoint, journal, tuple(f"{each}, and was not used: {went_on}" for each in damaged)
    )


@contextmanager
def prepared_for(plan: Plan, model: nn.Module) -> Iterator[PreparedModel]:
    """The model taking batches as the plan says; as it was afterwards. Raises `TrainingError` when it cannot."""
    sharing = plan.sharing == "tree"
    with PreparedModel(model, share=sharing, compiles=plan.computing.compile) as prepared:
        if sharing and plan.probe:
            probe_model(prepared)
        with _checkpointing(prepared.causal, plan.computing.gradient_checkpointing):
            yield prepared


@contextmanager
def _checkpointing(model: Any, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    # transformers before 5.23 knows the older name, and newer versions warn about it
    kind = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    getattr(model, f"{kind}_checkpointing_enable")({"use_reentrant": False})
    try:
        yield
    finally:
        getattr(model, f"{kind}_checkpointing_disable")()


def _plainly(prepared: PreparedModel, keep_weights: Callable[[], None], processes: Processes) -> Callable[[], None]:
    """Weights are saved as those of the model as it was, by the first process; all have to call it."""

    def keep() -> None:
        with prepared.plainly(), whole_weights(prepared.model, processes):
            if processes.first:
                keep_weights()

    return keep


def _train(
    plan: Plan,
    prepared: PreparedModel,
    arguments: TrainingArguments,
    steps: OptimizerSteps,
    held_out: Packer | None,
    processes: Processes,
    beginning: _Beginning,
    callbacks: list[TrainerCallback],
    say: Callable[[str], None],
) -> tuple[str, ...]:
    """The training itself; returns what a reader of its record should know."""
    bfloat16, refused = choose_bfloat16(plan.computing.precision, arguments.device)
    for note in beginning.notes:
        say(note)
    remedies = Remedies.of(plan.config, plan.computing, bfloat16=bfloat16)
    packers = [each for each in (steps.packer, held_out) if each is not None]
    rows = RowBudget(packers, processes=processes, journal=beginning.journal, remedies=remedies, say=say)
    objective = Objective.of(plan.config, prepared, seed=plan.seed)
    tell_precision(arguments, bfloat16=bfloat16)
    kind = SupervisedTrainer if plan.preference is None else partial(PreferenceTrainer, preference=plan.preference)
    with explaining(remedies, steps.packer):
        trainer = kind(
            prepared,
            arguments,
            steps,
            valid=held_out,
            processes=processes,
            bfloat16=bfloat16,
            folder=plan.folder,
            fingerprint=beginning.fingerprint,
            journal=beginning.journal,
            schedule=Schedule.of(plan.config),
            occasions=plan.occasions,
            callbacks=callbacks,
            # DeepSpeed keeps gradients of its own, and steps in a backward pass: neither can be undone
            rows=rows if plan.computing.deepspeed is None else None,
            objective=objective,
        )
        if plan.computing.preflight and plan.computing.deepspeed is None:
            trainer.add_callback(Preflight(trainer, plan.computing, remedies, say))
        trainer.train(resume_from_checkpoint=str(beginning.checkpoint) if beginning.checkpoint else None)
        if trainer.is_deepspeed_enabled:
            leave_engine(trainer.deepspeed, prepared.model)
    preferred = trainer.preferred_note if isinstance(trainer, PreferenceTrainer) else None
    whole_logits = None if prepared.chunked else WHOLE_LOGITS_NOTE
    return tuple(note for note in (refused, whole_logits, objective.note, preferred) if note)


def _record(
    journal: Journal,
    steps: OptimizerSteps,
    held_out: Packer | None,
    *,
    threads: int,
    resumed_from: int,
    notes: tuple[str, ...],
) -> TrainingRecord:
    statistics = steps.packer.statistics
    # no whole number where `max_steps` ended it
    epochs = journal.steps_done / len(steps)
    seconds = max(journal.train_seconds, 1e-9)
    return TrainingRecord(
        epochs=tuple(journal.epochs),
        best_epoch=journal.best_epoch,
        steps=journal.steps_done,
        train_examples=statistics.examples,
        valid_examples=len(held_out.examples) if held_out is not None else 0,
        tokens_per_epoch=statistics.tokens,
        unique_tokens_per_epoch=round(journal.computed_tokens / epochs) if epochs else 0,
        supervised_tokens_per_epoch=statistics.supervised_tokens,
        seconds=round(journal.total_seconds, 3),
        tokens_per_second=round(statistics.tokens * epochs / seconds, 1),
        unique_tokens_per_second=round(journal.computed_tokens / seconds, 1),
        peak_memory_bytes=journal.peak_memory_bytes,
        threads=threads,
        resumed_from_step=resumed_from,
        notes=notes,
        evaluations=tuple(journal.evaluations),
        best_step=journal.best_step,
        speeds=tuple(journal.pace.rows),
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
