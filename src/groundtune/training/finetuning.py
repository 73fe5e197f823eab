"""Fine-tuning on tokenised examples, with loss on the tokens they mark.

Leaves in the run's folder: ``best/`` (the weights of the lowest validation loss, or the adapter's, tokenizer, configuration),
``metrics.jsonl``, ``timings.json``, ``samples.json`` and ``tensorboard/``. Killed at any moment and called again with
the same arguments, it goes on from its newest checkpoint and ends, on a CPU, with the same bits as an unbroken run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import TrainConfig
from groundtune.errors import TrainingError
from groundtune.files import make_folder, write_json
from groundtune.models import cpu_threads, dropout_settings, load_model, position_limit
from groundtune.models.loading import HIDDEN_DROPOUTS
from groundtune.prefix import TokenisedExamples
from groundtune.training.adapting import replace_folder_with_adapter
from groundtune.training.answers import SampleRound
from groundtune.training.curves import draw_curves
from groundtune.training.diagnosis import Diagnosis, Sample, Watched
from groundtune.training.examples import Examples, SamplePrompt, check_examples, in_columns
from groundtune.training.measuring import measure_loss
from groundtune.training.phases import Phases
from groundtune.training.plan import Occasions, Plan
from groundtune.training.records import TrainingRecord
from groundtune.training.reporting import check_reporters
from groundtune.training.running import finish_training, prepared_for, replace_folder_with_weights, run_training
from groundtune.training.sampling import SAMPLES_NAME, Asking, with_kept
from groundtune.training.trainable import Trainable, load_trainable
from groundtune.training.watching import CHECKPOINT_SECONDS

BEST_NAME = "best"


def fine_tune(
    train: Examples,
    valid: Examples,
    *,
    base: Path | str,
    tokenizer: PreTrainedTokenizerBase,
    config: TrainConfig,
    seed: int,
    run_folder: Path,
    phases: Sequence[int] | None = None,
    phase_names: Sequence[str] = (),
    sample_prompts: Sequence[SamplePrompt] = (),
    sample_tokens: int = 96,
    stop_ids: Collection[int] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    curves: bool = False,
) -> TrainingRecord:
    """Fine-tune the model of `base`, or an adapter on it, and keep its best weights in ``run_folder/best``.

    Args:
        train: one by one, or as arrays (`groundtune.prefix.TokenisedExamples`), which are taken as they are.
        valid: without any, the last epoch is kept.
        phases: of each training example, from 0: in every epoch all steps of one phase come before those of the next.
        phase_names: by number; shown in the progress and in ``metrics.jsonl``.
        sample_prompts: answered greedily before training, after each epoch, every ``sample_steps`` steps, and by the weights
            that are kept; at most `sample_tokens` each.
        stop_ids: tokens that end an answer; by default those of the model's generation configuration.
        checkpoint_seconds: how much work a kill may cost; a checkpoint is also written after every epoch.
        curves: draw ``curves.png`` in the end, which takes a second.

    Raises:
        TrainingError: no examples, an example without a trained token or longer than a batch may be, phases that are not one
            for each example, a base that cannot be loaded or that sharing is wrong for, a layer, module or weight by a name
            that is in none, a package that is not installed, a loss that is no number.
        StorageError: the folder cannot be written.
    """
    check_reporters(config.report_to)
    lessons, held_out = in_columns(train), in_columns(valid)
    check_examples(lessons, "training")
    if len(held_out):
        check_examples(held_out, "validation")
    plan = _plan(config, seed, run_folder, checkpoint_seconds)
    if phases is not None:
        plan = replace(plan, phases=Phases.of(phases, phase_names, len(lessons)))
    make_folder(run_folder)
    loaded = load_trainable(base, tokenizer=tokenizer, config=config, seed=seed)
    for examples in (lessons, held_out):
        check_lengths(loaded.model, examples, sample_prompts, sample_tokens, base)
    stops = model_stop_ids(loaded.model) if stop_ids is None else stop_ids
    with cpu_threads(config.threads), prepared_for(plan, loaded.trained):
        # a model that cannot be trained is refused before it is asked anything
        pass
    asking = Asking(sample_prompts, tokenizer, sample_tokens, stops, every_steps=config.sample_steps)
    keep_weights = _keeper(loaded, tokenizer, run_folder / BEST_NAME, base)
    record, processes = run_training(plan, loaded.trained, lessons, held_out, keep_weights, asking)
    record = _with_kept(record, loaded, asking, held_out, config, run_folder / BEST_NAME, first=processes.first)
    if processes.first:
        _finish(record, run_folder, config, curves=curves)
    return record


def _keeper(loaded: Trainable, tokenizer: PreTrainedTokenizerBase, best: Path, base: Path | str) -> Callable[[], None]:
    """Writes the weights as they are, or the adapter's."""
    if loaded.trained is loaded.model:
        return partial(replace_folder_with_weights, loaded.model, tokenizer, best)
    return partial(replace_folder_with_adapter, loaded.trained, tokenizer, best, base=base)


def _with_kept(
    record: TrainingRecord,
    loaded: Trainable,
    asking: Asking,
    held_out: TokenisedExamples,
    config: TrainConfig,
    best: Path,
    *,
    first: bool,
) -> TrainingRecord:
    """The record with what the kept weights answer, and all notes."""
    kept = load_model(best)
    with cpu_threads(config.threads):
        last = SampleRound(record.best_step, record.best_place, asking.ask(kept))
    notes = (
        *loaded.notes,
        *record.notes,
        *_sample_notes(record, asking.samples(last)),
        *dropout_notes(loaded.model, config.dropout),
        *(_merged_notes(record, kept, held_out, config) if first else ()),
    )
    return replace(record, samples=with_kept(record.samples, last), notes=notes)


def _finish(record: TrainingRecord, folder: Path, config: TrainConfig, *, curves: bool) -> None:
    write_json(folder / SAMPLES_NAME, record.samples)
    if curves:
        draw_curves(
            folder,
            name=config.name,
            max_grad_norm=config.max_grad_norm,
            loss_per="supervised token" if config.preference is None else "pair",
        )
    finish_training(folder, record)


def _plan(config: TrainConfig, seed: int, folder: Path, checkpoint_seconds: float) -> Plan:
    return Plan(
        label="fine-tuning",
        config=config,
        epochs=config.epochs,
        computing=config,
        examples_per_step=config.examples_per_step,
        sharing=config.sharing,
        probe=config.probe,
        seed=seed,
        folder=folder,
        checkpoint_seconds=checkpoint_seconds,
        occasions=Occasions.of(config),
        preference=config.preference,
    )


def check_lengths(
    model: PreTrainedModel,
    examples: TokenisedExamples,
    prompts: Sequence[SamplePrompt],
    answer_tokens: int,
    base: Path | str,
) -> None:
    """Raises `TrainingError` for what is longer than the model's positions: a table of learnt ones has no row for it."""
    limit = position_limit(model)
    longest = int(examples.lengths.max(initial=0))
    asked = max((len(prompt.input_ids) + answer_tokens for prompt in prompts), default=0)
    if limit is not None and max(longest, asked) > limit:
        raise TrainingError(
            f"{base}: takes {limit} tokens; the longest example has {longest}, the longest prompt with its answer may have {asked}. "
            "Lower dataset.max_tokens, train.sample_tokens or evaluation.max_new_tokens"
        )


def model_stop_ids(model: PreTrainedModel) -> frozenset[int]:
    """The end tokens of the model's generation configuration."""
    ends = model.generation_config.eos_token_id if model.generation_config is not None else None
    return frozenset([ends] if isinstance(ends, int) else ends or ())


def _sample_notes(record: TrainingRecord, samples: Sequence[Sample]) -> tuple[str, ...]:
    """What is wrong with the answers of the weights that were kept, where that was not said during the training."""
    found = Diagnosis(Watched(total_steps=record.steps)).add_samples(samples, epoch=record.best_place)
    return tuple(
        each.text
        for each in found
        if not any(note.endswith(each.remedy) and each.message in note for note in record.notes)
    )


def _merged_notes(
    record: TrainingRecord, kept: PreTrainedModel, held_out: TokenisedExamples, config: TrainConfig
) -> tuple[str, ...]:
    """An adapter trained on a base in 4 bits is kept for the base as it was: how much that changes."""
    if config.adapter is None or config.adapter.quantise is None:
        return ()
    use = "chat and evaluation add the adapter to the base's own weights"
    measured = [(row.step, row.valid_loss) for row in record.epochs]
    measured += [(row.step, row.valid_loss) for row in record.evaluations]
    trained = next((loss for step, loss in measured if step == record.best_step and loss is not None), None)
    # of pairs there is no loss without the reference
    if trained is None or config.preference is not None:
        return (f"the adapter was trained on a base in 4 bits ({config.adapter.quantise}), and {use}",)
    merged = measure_loss(
        kept, held_out, max_pack_tokens=config.max_pack_tokens, sharing=config.sharing, threads=config.threads
    )
    return (
        f"validation loss of the weights that are kept: {trained:.4f} on the base in 4 bits ({config.adapter.quantise}), as they were "
        f"trained, and {merged:.4f} on the base in full precision; {use}",
    )


def dropout_notes(model: PreTrainedModel, dropout: float) -> tuple[str, ...]:
    """Which kinds of dropout were asked for and are not in the architecture."""
    if not dropout:
        return ()
    found = dropout_settings(model.config)
    if not found:
        return (f"dropout {dropout} had no effect: {type(model).__name__} has none",)
    if not set(found) & set(HIDDEN_DROPOUTS):
        return (f"dropout {dropout} is on the attention weights only: {type(model).__name__} has none elsewhere",)
    return ()
