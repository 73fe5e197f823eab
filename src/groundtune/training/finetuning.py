"""Fine-tuning on tokenised examples, with loss on the tokens they mark.

Leaves in the run's folder: ``best/`` (the weights of the lowest validation loss, or the adapter's, tokenizer, configuration),
``metrics.jsonl``, ``timings.json``, ``samples.json`` and ``tensorboard/``. Killed at any moment and called again with
the same arguments, it goes on from its newest checkpoint and ends, on a CPU, with the same bits as an unbroken run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import TrainConfig
from groundtune.errors import TrainingError
from groundtune.files import make_folder, write_json
from groundtune.models import cpu_threads, dropout_settings, generate_answers, load_model, position_limit
from groundtune.models.loading import HIDDEN_DROPOUTS
from groundtune.prefix import TokenisedExamples
from groundtune.training.adapting import attach_adapter, replace_folder_with_adapter
from groundtune.training.diagnosis import Diagnosis, Sample, Watched
from groundtune.training.examples import Examples, SamplePrompt, check_examples, in_columns
from groundtune.training.phases import Phases
from groundtune.training.plan import Occasions, Plan
from groundtune.training.records import SampleAnswer, TrainingRecord
from groundtune.training.reporting import check_reporters
from groundtune.training.running import finish_training, prepared_for, replace_folder_with_weights, run_training
from groundtune.training.watching import CHECKPOINT_SECONDS

BEST_NAME = "best"
SAMPLES_NAME = "samples.json"


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
) -> TrainingRecord:
    """Fine-tune the model of `base`, or an adapter on it, and keep its best weights in ``run_folder/best``.

    Args:
        train: one by one, or as arrays (`groundtune.prefix.TokenisedExamples`), which are taken as they are.
        valid: without any, the last epoch is kept.
        phases: of each training example, from 0: in every epoch all steps of one phase come before those of the next.
        phase_names: by number; shown in the progress and in ``metrics.jsonl``.
        sample_prompts: answered greedily before and after training, at most `sample_tokens` each.
        stop_ids: tokens that end an answer; by default those of the model's generation configuration.
        checkpoint_seconds: how much work a kill may cost; a checkpoint is also written after every epoch.

    Raises:
        TrainingError: no examples, an example without a trained token or longer than a batch may be, phases that are not one
            for each example, a base that cannot be loaded or that sharing is wrong for, an adapter's target that is in no
            layer, a package that is not installed, a loss that is no number.
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
    model = load_model(base, tokenizer=tokenizer, dropout=config.dropout)
    for examples in (lessons, held_out):
        check_lengths(model, examples, sample_prompts, sample_tokens, base)
    stops = model_stop_ids(model) if stop_ids is None else stop_ids
    best = run_folder / BEST_NAME
    # the very model where there is no adapter; with one, the model inside it answers as it did
    trained = model if config.adapter is None else attach_adapter(model, config.adapter, seed=seed)
    with cpu_threads(config.threads), prepared_for(plan, trained):
        # a model that cannot be trained is refused before it is asked anything
        pass
    before = _answer(model, tokenizer, sample_prompts, sample_tokens, stops, config.threads)
    if config.adapter is None:
        keep_weights = partial(replace_folder_with_weights, model, tokenizer, best)
    else:
        keep_weights = partial(replace_folder_with_adapter, trained, tokenizer, best, base=base)
    record, processes = run_training(plan, trained, lessons, held_out, keep_weights)
    after = _answer(load_model(best), tokenizer, sample_prompts, sample_tokens, stops, config.threads)
    samples = tuple(
        SampleAnswer(prompt.question, prompt.reference, old, new)
        for prompt, old, new in zip(sample_prompts, before, after, strict=True)
    )
    record = replace(
        record,
        samples=samples,
        notes=(*record.notes, *_sample_notes(record, samples), *_dropout_notes(model, config.dropout)),
    )
    if processes.first:
        write_json(run_folder / SAMPLES_NAME, samples)
        finish_training(run_folder, record)
    return record


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


def _answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[SamplePrompt],
    max_new_tokens: int,
    stop_ids: Collection[int],
    threads: int,
) -> list[str]:
    with cpu_threads(threads):
        answers = generate_answers(
            model,
            tokenizer,
            [prompt.input_ids for prompt in prompts],
            max_new_tokens=max_new_tokens,
            batch_questions=max(len(prompts), 1),
            stop_ids=stop_ids,
        )
    return [answer.text for answer in answers]


def _sample_notes(record: TrainingRecord, samples: Sequence[SampleAnswer]) -> tuple[str, ...]:
    """What is wrong with the answers after training."""
    asked = [Sample(record.steps, each.question, each.after) for each in samples]
    found = Diagnosis(Watched(total_steps=record.steps)).add_samples(asked, epoch=float(record.epochs[-1].epoch))
    return tuple(finding.text for finding in found)


def _dropout_notes(model: PreTrainedModel, dropout: float) -> tuple[str, ...]:
    """Which kinds of dropout were asked for and are not in the architecture."""
    if not dropout:
        return ()
    found = dropout_settings(model.config)
    if not found:
        return (f"dropout {dropout} had no effect: {type(model).__name__} has none",)
    if not set(found) & set(HIDDEN_DROPOUTS):
        return (f"dropout {dropout} is on the attention weights only: {type(model).__name__} has none elsewhere",)
    return ()
