"""Rounds of a pretraining: what each is trained with, which are done, and what all of them did together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from groundtune.config import ComputingConfig, PretrainConfig, RoundConfig
from groundtune.errors import DataError, TrainingError
from groundtune.files import parse_record, read_json, read_text, write_json, write_records
from groundtune.training.answers import SampleAnswer
from groundtune.training.records import METRICS_NAME, EpochRow, TrainingRecord

RECORD_NAME = "record.json"
ROUNDS_NAME = "rounds.json"


def rounds_of(config: PretrainConfig) -> tuple[PretrainConfig, ...]:
    """The settings of each round, those that are not its own filled in from `config`.

    >>> config = PretrainConfig(sequence_tokens=512, rounds=(RoundConfig(), RoundConfig(sequence_tokens=2048)))
    >>> [each.sequence_tokens for each in rounds_of(config)]
    [512, 2048]
    """
    # where the text stands is no part of what is learnt from it
    plain = config.model_copy(update={"rounds": (), "texts": (), "general": ()})
    return tuple(
        plain.model_copy(update=each.model_dump(exclude_none=True)) for each in config.rounds or (RoundConfig(),)
    )


def check_rounds(rounds: Sequence[PretrainConfig], limit: int | None, computing: ComputingConfig) -> None:
    """Raises `TrainingError` for sequences that the model, which has `limit` positions, or a forward pass cannot take."""
    for number, config in enumerate(rounds, start=1):
        where = "pretrain.sequence_tokens" if len(rounds) == 1 else f"pretrain.rounds, number {number}: sequence_tokens"
        if limit is not None and config.sequence_tokens > limit:
            raise TrainingError(
                f"{where} is {config.sequence_tokens}, and the model takes {limit} tokens; lower it, or raise "
                "model.context_tokens of a model from scratch"
            )
        if config.sequence_tokens > computing.max_pack_tokens:
            raise TrainingError(
                f"{where} is {config.sequence_tokens}, above train.max_pack_tokens ({computing.max_pack_tokens}), and a sequence is "
                "computed in one piece; raise train.max_pack_tokens, or lower it"
            )


def note_round(folder: Path, fingerprint: str, record: TrainingRecord) -> None:
    """A round is done: it is not done again."""
    write_json(folder / RECORD_NAME, {"fingerprint": fingerprint, "record": asdict(record)})


def finished_round(folder: Path, fingerprint: str) -> TrainingRecord | None:
    """What the round in `folder` did, if it is the one with this fingerprint, and done."""
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    try:
        value = read_json(path)
        if value["fingerprint"] != fingerprint:
            return None
        return parse_record(value["record"], TrainingRecord, where=str(path))
    except (DataError, KeyError, TypeError):
        # of an older version, say
        return None


def joined(records: Sequence[TrainingRecord]) -> TrainingRecord:
    """Rounds as one training: steps and epochs counted on, sums of time, the last round's examples and best weights."""
    if len(records) == 1:
        return records[0]
    last = records[-1]
    steps, epochs = _before(records, -1)
    seconds = sum(each.seconds for each in records)
    return replace(
        last,
        epochs=tuple(row for place, each in enumerate(records) for row in _epochs(records, place, each)),
        best_epoch=epochs + last.best_epoch,
        best_step=steps + last.best_step,
        steps=sum(each.steps for each in records),
        seconds=round(seconds, 3),
        tokens_per_second=_mean_rate([(each.tokens_per_second, each.seconds) for each in records]),
        unique_tokens_per_second=_mean_rate([(each.unique_tokens_per_second, each.seconds) for each in records]),
        peak_memory_bytes=max(each.peak_memory_bytes for each in records),
        resumed_from_step=max(
            (_before(records, place)[0] + each.resumed_from_step if each.resumed_from_step else 0)
            for place, each in enumerate(records)
        ),
        samples=_joined_samples(records),
        notes=tuple(f"round {number}: {note}" for number, each in enumerate(records, start=1) for note in each.notes),
        speeds=tuple(
            replace(row, step=row.step + _before(records, place)[0])
            for place, each in enumerate(records)
            for row in each.speeds
        ),
    )


def _before(records: Sequence[TrainingRecord], place: int) -> tuple[int, int]:
    """Steps and epochs of the rounds before one."""
    earlier = records[:place]
    return sum(each.steps for each in earlier), sum(each.epochs[-1].epoch for each in earlier if each.epochs)


def _epochs(records: Sequence[TrainingRecord], place: int, record: TrainingRecord) -> list[EpochRow]:
    """The epochs of a round, counted on. Before a later round nothing has happened since the last one."""
    steps, epochs = _before(records, place)
    return [
        replace(row, epoch=row.epoch + epochs, step=row.step + steps) for row in record.epochs if row.epoch or not place
    ]


def _mean_rate(rates: Sequence[tuple[float, float]]) -> float:
    """By time."""
    seconds = sum(each for _, each in rates)
    return round(sum(rate * each for rate, each in rates) / seconds, 1) if seconds else 0.0


def _joined_samples(records: Sequence[TrainingRecord]) -> tuple[SampleAnswer, ...]:
    """By beginning of a text: as it went on before the first round, during all of them, and after the last."""
    found = []
    for together in zip(*(each.samples for each in records), strict=True):
        rounds = []
        for place, sample in enumerate(together):
            steps, epochs = _before(records, place)
            rounds += [
                replace(row, step=row.step + steps, epoch=row.epoch + epochs, kept=row.kept and sample is together[-1])
                for row in sample.rounds
                if row.step or not place
            ]
        found.append(replace(together[-1], before=together[0].before, rounds=tuple(rounds)))
    return tuple(found)


def write_joined_metrics(out: Path, folders: Sequence[Path], records: Sequence[TrainingRecord]) -> None:
    """`metrics.jsonl` of all rounds, with the number of the round; steps and epochs counted on."""
    lines: list[dict[str, Any]] = []
    for place, folder in enumerate(folders):
        steps, epochs = _before(records, place)
        for text in read_text(folder / METRICS_NAME).splitlines():
            line = json.loads(text)
            if place and line["kind"] == "epoch" and not line["epoch"]:
                continue
            counted = {"step": line["step"] + steps, "epoch": line["epoch"] + epochs}
            lines.append({**line, **counted, "round": place + 1})
    write_records(out / METRICS_NAME, lines)


def round_table(rounds: Sequence[PretrainConfig], records: Sequence[TrainingRecord]) -> list[dict[str, Any]]:
    """A row for each round: what it was trained with and what came of it, without the clock."""
    return [
        {
            "round": number,
            **config.model_dump(include=set(RoundConfig.model_fields)),
            "steps": record.steps,
            "tokens_per_epoch": record.tokens_per_epoch,
            "train_loss": record.epochs[-1].train_loss if record.epochs else None,
            "valid_loss": _best_valid_loss(record),
        }
        for number, (config, record) in enumerate(zip(rounds, records, strict=True), start=1)
    ]


def _best_valid_loss(record: TrainingRecord) -> float | None:
    return next((row.valid_loss for row in record.epochs if row.step == record.best_step), None)
