"""Next-token training of a model on running text: one round or several, on documents in memory or a corpus of token files.

Leaves in its folder: ``model/`` (safetensors, tokenizer, configuration), ``metrics.jsonl``, ``samples.json``, ``timings.json``
and ``tensorboard/``; of several rounds, all but the model in ``round-1/``, ``round-2/`` ... too, and the table ``rounds.json``.
Killed and called again it goes on exactly, like fine-tuning; a round that is done is not done again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import ComputingConfig, PretrainConfig
from groundtune.errors import TrainingError
from groundtune.files import TEMPORARY_PREFIX, make_folder, write_json
from groundtune.models import decode_answer, load_model, position_limit
from groundtune.training.checkpoints import fingerprint_run, remove_checkpoints
from groundtune.training.corpus import Corpus, Mixture, normalised, side_of, too_short
from groundtune.training.curves import draw_curves
from groundtune.training.distribution import whole_weights
from groundtune.training.documents import Separators, encode_text, pack_documents
from groundtune.training.examples import Examples, SamplePrompt, in_columns
from groundtune.training.finetuning import dropout_notes
from groundtune.training.plan import Occasions, Plan
from groundtune.training.processes import Processes
from groundtune.training.records import TrainingRecord, write_timings
from groundtune.training.rounds import (
    RECORD_NAME,
    ROUNDS_NAME,
    check_rounds,
    finished_round,
    joined,
    note_round,
    round_table,
    rounds_of,
    write_joined_metrics,
)
from groundtune.training.running import finish_training, replace_folder_with_weights, run_training
from groundtune.training.sampling import SAMPLES_NAME, Asking
from groundtune.training.watching import CHECKPOINT_SECONDS

MODEL_NAME = "model"

PROMPT_TOKENS, ANSWER_TOKENS = 24, 40
"""Of the beginning of a text that is shown to the model, and of how it goes on."""

SAMPLE_CHARACTERS = 2000
"""Enough for both."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Texts that are held in memory, the few of a documentation, on their two sides."""

    train: list[str]
    valid: list[str]


def pretrain(
    texts: Iterable[str] | Corpus,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    *,
    config: PretrainConfig,
    seed: int,
    out: Path,
    computing: ComputingConfig,
    recall_share: float = 0.0,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    curves: bool = False,
) -> TrainingRecord:
    """Train `model` on `texts` and write it to ``out/model``. With no epochs it is written as it is.

    Args:
        texts: a few in memory, or any amount as `store_corpus` leaves it; of a corpus, `valid_share` was decided there.
        model: with the dropout of the first round; trained in place by that round, and read again for each further one.
        recall_share: share of the documents' sequences that repeat parts of their own text; see `pack_documents`.
        checkpoint_seconds: how much work a kill may cost; a checkpoint is also written after every epoch.
        curves: draw ``curves.png`` of all rounds in the end, which takes a second.

    Raises:
        TrainingError: no text, text shorter than a sequence, sequences longer than the model or a batch takes, or a loss that
            is no number.
        StorageError: the folder cannot be written.
    """
    rounds = rounds_of(config)
    check_rounds(rounds, position_limit(model), computing)
    material = texts if isinstance(texts, Corpus) else _divided(texts, config.valid_share)
    several = len(rounds) > 1
    folders = [out / f"round-{number}" if several else out for number in range(1, len(rounds) + 1)]
    places = [folder / MODEL_NAME for folder in (*folders[:-1], out)]
    asking = _asking(material, tokenizer, config, model)
    records: list[TrainingRecord] = []
    for number, (settings, folder, place) in enumerate(zip(rounds, folders, places, strict=True)):
        if number:
            model = load_model(places[number - 1], tokenizer=tokenizer, dropout=settings.dropout)
        label = f"pretraining, round {number + 1}" if several else "pretraining"
        plan = _plan(label, settings, computing, seed + number, folder, checkpoint_seconds)
        work = _Round(plan, model, tokenizer, place, asking, recall_share)
        examples = _examples(material, tokenizer, settings, recall_share, plan.seed)
        if number < len(rounds) - 1:
            records.append(work.done_once(*examples))
            continue
        record, processes = work.run(*examples)
        if processes.first:
            _finish(out, rounds, folders, [*records, record], curves=curves)
        # what the first process writes is read by all
        processes.wait()
        return joined([*records, record])
    raise AssertionError("there is a last round")


def _divided(texts: Iterable[str], valid_share: float) -> Documents:
    sides: dict[str, list[str]] = {"train": [], "valid": []}
    for text in texts:
        sides[side_of([normalised(text)], valid_share)].append(text)
    if valid_share and not any(text.strip() for text in sides["train"]) and any(map(str.strip, sides["valid"])):
        raise TrainingError(
            f"all {len(sides['valid'])} texts are held out by pretrain.valid_share; lower it, or give more texts"
        )
    return Documents(sides["train"], [text for text in sides["valid"] if text.strip()])


def _examples(
    material: Documents | Corpus,
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainConfig,
    recall_share: float,
    seed: int,
) -> tuple[Examples | Mixture, Examples | Mixture]:
    """What a round is trained and validated on."""
    tokens = config.sequence_tokens
    if isinstance(material, Corpus):
        separators = Separators.of(tokenizer)
        train = material.mixture(
            tokens,
            separators=separators,
            recall_share=recall_share,
            general_share=config.general_share,
            seed=seed,
        )
        return train, material.held_out(tokens)
    packed = pack_documents(material.train, tokenizer, sequence_tokens=tokens, recall_share=recall_share, seed=seed)
    if len(packed[0].input_ids) < tokens and config.epochs:
        raise TrainingError(too_short(len(packed[0].input_ids), tokens))
    held_out = pack_documents(material.valid, tokenizer, sequence_tokens=tokens) if material.valid else ()
    return in_columns(packed), in_columns(held_out)


def _plan(
    label: str, config: PretrainConfig, computing: ComputingConfig, seed: int, folder: Path, checkpoint_seconds: float
) -> Plan:
    return Plan(
        label=label,
        config=config,
        epochs=config.epochs,
        computing=computing,
        examples_per_step=config.batch_sequences,
        # sequences of running text share next to nothing
        sharing="plain",
        probe=False,
        seed=seed,
        folder=make_folder(folder),
        checkpoint_seconds=checkpoint_seconds,
        occasions=Occasions(max_steps=config.max_steps),
    )


@dataclass(frozen=True, slots=True)
class _Round:
    plan: Plan
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    place: Path
    """Where its model is written."""
    asking: Asking | None
    recall_share: float

    def done_once(self, train: Examples | Mixture, valid: Examples | Mixture) -> TrainingRecord:
        """The record of a round that others follow: of an earlier session, if it was done there."""
        parts = [part if isinstance(part, Mixture) else in_columns(part) for part in (train, valid)]
        fingerprint = fingerprint_run(self.plan.settings(), parts, self.model.state_dict())
        found = finished_round(self.plan.folder, fingerprint) if self.place.is_dir() else None
        if found is not None:
            return found
        record, processes = self.run(train, valid)
        if processes.first:
            write_timings(self.plan.folder, record)
            write_json(self.plan.folder / SAMPLES_NAME, record.samples)
            note_round(self.plan.folder, fingerprint, record)
            remove_checkpoints(self.plan.folder)
        # the others read the model that the first one has written
        processes.wait()
        return record

    def run(self, train: Examples | Mixture, valid: Examples | Mixture) -> tuple[TrainingRecord, Processes]:
        """Train, and write the model: the best one where there is validation, else the last."""
        write = partial(replace_folder_with_weights, self.model, self.tokenizer, self.place)
        record, processes = run_training(
            self.plan, self.model, train, valid, write if len(valid) else _nothing, self.asking
        )
        if not (len(valid) and record.best_step):
            with whole_weights(self.model, processes):
                if processes.first:
                    write()
        notes = (*record.notes, *_mixture_notes(train, self.plan, record), *self._recall_notes(train))
        return replace(record, notes=(*notes, *dropout_notes(self.model, self.plan.config.dropout))), processes

    def _recall_notes(self, train: Examples | Mixture) -> tuple[str, ...]:
        if not self.recall_share or not isinstance(train, Mixture) or train.recall is not None:
            return ()
        return (
            f"pretrain.recall_share {self.recall_share} had no effect: such sequences repeat text of the documents, and none of "
            "theirs is trained on",
        )


def _nothing() -> None:
    """Without validation the last weights are kept, and they are at hand in the end."""


def _mixture_notes(train: Examples | Mixture, plan: Plan, record: TrainingRecord) -> tuple[str, ...]:
    if not isinstance(train, Mixture) or train.general is None:
        return ()
    total = train.own + train.drawn
    passes = record.steps * plan.examples_per_step / total * train.drawn / max(len(train.general), 1)
    if not train.drawn:
        return ("pretrain.general_share is so small that no sequence of the general texts was drawn",)
    if passes <= 1:
        return ()
    return (
        f"the general texts hold {len(train.general)} sequences, and an epoch takes {train.drawn}: they were gone through "
        f"{passes:.1f} times",
    )


def _finish(
    out: Path,
    rounds: Sequence[PretrainConfig],
    folders: Sequence[Path],
    records: Sequence[TrainingRecord],
    *,
    curves: bool,
) -> None:
    """Write what is told of all rounds, then remove what was needed to go on."""
    record = joined(records)
    write_json(folders[-1] / SAMPLES_NAME, records[-1].samples)
    if len(rounds) > 1:
        write_timings(folders[-1], records[-1])
        write_joined_metrics(out, folders, records)
        write_json(out / ROUNDS_NAME, round_table(rounds, records))
        write_json(out / SAMPLES_NAME, record.samples)
    if curves:
        draw_curves(out, name="pretraining", max_grad_norm=rounds[0].max_grad_norm)
    finish_training(out, record)
    for folder in folders:
        remove_checkpoints(folder)
        if folder != out:
            (folder / RECORD_NAME).unlink(missing_ok=True)
            shutil.rmtree(folder / MODEL_NAME, ignore_errors=True)
    _remove_others(out, folders)


def _remove_others(out: Path, folders: Sequence[Path]) -> None:
    """What a pretraining of other rounds has left."""
    for path in sorted(out.glob("round-*")):
        if path not in folders:
            shutil.rmtree(path, ignore_errors=True)
    for path in sorted(out.glob(f"{TEMPORARY_PREFIX}*")):
        # of a kill while it was being written
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if folders == [out]:
        (out / ROUNDS_NAME).unlink(missing_ok=True)
    else:
        (out / "findings.json").unlink(missing_ok=True)
        shutil.rmtree(out / "tensorboard", ignore_errors=True)


def _asking(
    material: Documents | Corpus, tokenizer: PreTrainedTokenizerBase, config: PretrainConfig, model: PreTrainedModel
) -> Asking | None:
    """Beginnings of the first texts that are held out, or else of the first ones, to be gone on from."""
    limit = position_limit(model)
    room = min(PROMPT_TOKENS + ANSWER_TOKENS, limit or PROMPT_TOKENS + ANSWER_TOKENS)
    prompt_tokens = min(PROMPT_TOKENS, room // 2)
    prompts = [
        SamplePrompt(
            decode_answer(tokenizer, ids[:prompt_tokens]),
            tuple(ids[:prompt_tokens]),
            decode_answer(tokenizer, ids[prompt_tokens:room]),
        )
        for ids in _first_texts(material, tokenizer, config.samples)
        if len(ids) > prompt_tokens
    ]
    if not prompts:
        return None
    return Asking(prompts, tokenizer, room - prompt_tokens, {tokenizer.eos_token_id}, judged=False)


def _first_texts(material: Documents | Corpus, tokenizer: PreTrainedTokenizerBase, count: int) -> list[list[int]]:
    if isinstance(material, Corpus):
        held_out = any(store.valid.texts for store in material.own)
        files = [store.valid if held_out else store.train for store in material.own]
        return [ids.tolist() for file in files for ids in file.first_texts(count)][:count]
    texts = [text for text in material.valid or material.train if text.strip()][:count]
    before = Separators.of(tokenizer).before
    return [[*before, *encode_text(tokenizer, text[:SAMPLE_CHARACTERS])] for text in texts]
