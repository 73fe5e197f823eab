"""Fine-tuning on tokenised examples, with loss on the tokens they mark.

Leaves in the run's folder: ``best/`` (weights of the epoch with the lowest validation loss, tokenizer, configuration),
``metrics.jsonl``, ``timings.json``, ``samples.json`` and ``tensorboard/``. Killed at any moment and called again with
the same arguments, it goes on from its newest checkpoint and ends, on a CPU, with the same bits as an unbroken run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import TrainConfig
from groundtune.errors import TrainingError
from groundtune.files import make_folder, write_json
from groundtune.models import cpu_threads, dropout_settings, generate_answers, load_model, position_limit
from groundtune.models.loading import HIDDEN_DROPOUTS
from groundtune.training.examples import SamplePrompt, Tokenised, check_examples
from groundtune.training.records import SampleAnswer, TrainingRecord
from groundtune.training.running import Plan, finish_training, prepared_for, replace_folder_with_weights, run_training
from groundtune.training.watching import CHECKPOINT_SECONDS

BEST_NAME = "best"
SAMPLES_NAME = "samples.json"


def fine_tune(
    train: Sequence[Tokenised],
    valid: Sequence[Tokenised],
    *,
    base: Path | str,
    tokenizer: PreTrainedTokenizerBase,
    config: TrainConfig,
    seed: int,
    run_folder: Path,
    sample_prompts: Sequence[SamplePrompt] = (),
    sample_tokens: int = 96,
    stop_ids: Collection[int] | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainingRecord:
    """Fine-tune the model of `base` and keep its best epoch in ``run_folder/best``.

    Args:
        valid: without any, the last epoch is kept.
        sample_prompts: answered greedily before and after training, at most `sample_tokens` each.
        stop_ids: tokens that end an answer; by default those of the model's generation configuration.
        checkpoint_seconds: how much work a kill may cost; a checkpoint is also written after every epoch.

    Raises:
        TrainingError: no examples, an example without a trained token or longer than a batch may be, a base that cannot be
            loaded or that sharing is wrong for, a loss that is no number.
        StorageError: the folder cannot be written.
    """
    check_examples(train, "training")
    if valid:
        check_examples(valid, "validation")
    make_folder(run_folder)
    model = load_model(base, tokenizer=tokenizer, dropout=config.dropout)
    check_lengths(model, (*train, *valid), sample_prompts, sample_tokens, base)
    stops = model_stop_ids(model) if stop_ids is None else stop_ids
    best = run_folder / BEST_NAME
    plan = Plan(
        label="fine-tuning",
        config=config,
        epochs=config.epochs,
        computing=config,
        examples_per_step=config.examples_per_step,
        sharing=config.sharing,
        probe=config.probe,
        seed=seed,
        folder=run_folder,
        checkpoint_seconds=checkpoint_seconds,
    )
    with cpu_threads(config.threads), prepared_for(plan, model):
        # a model that cannot be trained is refused before it is asked anything
        pass
    before = _answer(model, tokenizer, sample_prompts, sample_tokens, stops, config.threads)
    record, processes = run_training(
        plan, model, train, valid, lambda: replace_folder_with_weights(model, tokenizer, best)
    )
    after = _answer(load_model(best), tokenizer, sample_prompts, sample_tokens, stops, config.threads)
    samples = tuple(
        SampleAnswer(prompt.question, prompt.reference, old, new)
        for prompt, old, new in zip(sample_prompts, before, after, strict=True)
    )
    record = replace(record, samples=samples, notes=(*record.notes, *_dropout_notes(model, config.dropout)))
    if processes.first:
        write_json(run_folder / SAMPLES_NAME, samples)
        finish_training(run_folder, record)
    return record


def check_lengths(
    model: PreTrainedModel,
    examples: Sequence[Tokenised],
    prompts: Sequence[SamplePrompt],
    answer_tokens: int,
    base: Path | str,
) -> None:
    """Raises `TrainingError` for what is longer than the model's positions: a table of learnt ones has no row for it."""
    limit = position_limit(model)
    longest = max(len(example.input_ids) for example in examples)
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
