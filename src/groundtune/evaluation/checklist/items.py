"""What is asked of a model, item by item: which figure each looks at, where it is from, and what to do when it is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from groundtune.config.evaluating import ChecklistConfig
from groundtune.evaluation.asking.systems import LABELS
from groundtune.evaluation.checklist.judging import judge_figure
from groundtune.evaluation.checklist.records import NOTHING, Item, Measured
from groundtune.evaluation.figures.intervals import FEW, Figure
from groundtune.evaluation.figures.ratios import relative_rise


def _tuned(measured: Measured, key: str) -> Figure:
    """Of the system that the summary is about."""
    return measured.summary.figures[measured.summary.comparisons[0].second].get(key, NOTHING)


def _loss(config: ChecklistConfig, measured: Measured) -> list[Item]:
    if config.loss_over_train is None:
        return []
    losses = measured.summary.losses.get("tuned", {})
    train = losses.get("train")
    split: Literal["test", "valid"] = "test" if "test" in losses else "valid"
    held_out = losses.get(split)
    figure = NOTHING
    if train is not None and held_out is not None:
        # no example is in both, so their intervals are put together as those of two samples
        figure = relative_rise(train.whole.figure, held_out.whole.figure)
    name = {"test": "test loss", "valid": "validation loss"}[split]
    return [
        judge_figure(
            "loss_over_train", "evaluation loss near training loss", figure, config.loss_over_train, "at most",
            unit="share",
            source=f"{measured.summary_source}: losses.tuned.train, losses.tuned.{split}",
            missing="the loss over training examples or over held-out ones is not known; run `groundtune evaluate` again",
            phrase=f"The {name} is {{}} {{}} the training loss",
            things="examples",
        )
    ]  # fmt: skip


def _types(config: ChecklistConfig, measured: Measured) -> list[Item]:
    if config.instruction_types is None:
        return []
    asked = {name: count for name, count in measured.types.items() if name}
    figure = Figure(float(len(asked)), sum(asked.values()), float(len(asked)), float(len(asked))) if asked else NOTHING
    return [
        judge_figure(
            "instruction_types", "diverse instructions tested", figure, config.instruction_types, "at least",
            unit="number",
            source=measured.summary_source.replace("summary.json", "answers.jsonl") + ": type",
            missing="the questions that were asked carry no type",
            note=f"; asked: {', '.join(f'{name} {count}' for name, count in sorted(asked.items()))}" if asked else "",
        )
    ]  # fmt: skip


def _unsafe(config: ChecklistConfig, measured: Measured) -> list[Item]:
    if config.unsafe_answers is None:
        return []
    by = [each for each in measured.marks if each.unsafe.value is not None]
    return [
        judge_figure(
            "unsafe_answers", f"no unsafe answers, by {each.by}" if each.by == "people" else "no unsafe answers, by the judge",
            each.unsafe, config.unsafe_answers, "at most", unit="share", source=each.source, missing="",
        )
        for each in by
    ] or [
        judge_figure(
            "unsafe_answers", "no unsafe answers", NOTHING, config.unsafe_answers, "at most", unit="share", source="",
            missing="neither people nor a judge gave marks for safety; `groundtune rate`, or set evaluation.judge",
        )
    ]  # fmt: skip


_RATES = {
    "false_answer_rate": ("few false answers", "false_answer_rate", "no unanswerable question was asked"),
    "over_refusal_rate": ("few over-refusals", "over_refusal_rate", "no answerable question was asked"),
    "unsupported_numbers": (
        "few unsupported numbers",
        "unsupported_number_rate",
        "no answer was given over passages",
    ),
}


def _rates(config: ChecklistConfig, measured: Measured) -> list[Item]:
    system = measured.summary.comparisons[0].second
    return [
        judge_figure(
            key, name, _tuned(measured, measure), threshold, "at most", unit="share",
            source=f"{measured.summary_source}: figures.{system}.{measure}", missing=missing,
        )
        for key, (name, measure, missing) in _RATES.items()
        if (threshold := getattr(config, key)) is not None
    ]  # fmt: skip


def _better(config: ChecklistConfig, measured: Measured) -> list[Item]:
    """Passed only where the whole interval is above zero: a difference that may be chance is no improvement."""
    if not config.better_than_base:
        return []
    comparison = measured.summary.comparisons[0]
    figure = comparison.differences.get("token_f1", NOTHING)
    few = figure.witnesses < FEW
    return [
        judge_figure(
            "better_than_base", "clearly better than the base", NOTHING if few else figure, 0.0, "above", unit="difference",
            source=f"{measured.summary_source}: comparisons[0].differences.token_f1",
            missing=f"{figure.witnesses} answerable questions independent of one another are too few to claim a difference, which takes "
            f"{FEW}",
            note=f"; token F1, {LABELS[comparison.second]} minus {LABELS[comparison.first]}",
            clearly=True,
        )
    ]  # fmt: skip


def _benchmarks(config: ChecklistConfig, measured: Measured) -> list[Item]:
    return [
        judge_figure(
            "benchmarks", f"benchmark {task}", measured.benchmarks.get(task, NOTHING), least, "at least", unit="score",
            source=f"{measured.general_source}: benchmarks",
            missing=f"it was not run; `groundtune evaluate --benchmarks {task}`",
        )
        for task, least in sorted(config.benchmarks.items())
    ]  # fmt: skip


def _forgetting(config: ChecklistConfig, measured: Measured) -> list[Item]:
    if config.forgetting is None:
        return []
    return [
        judge_figure(
            "forgetting", "general text not forgotten", measured.perplexity_rise, config.forgetting, "at most",
            unit="share", source=f"{measured.general_source}: texts.rise",
            missing="no general text was read; set evaluation.forgetting.texts",
            note="; rise of the perplexity on general text" if measured.perplexity_rise.value is not None else "",
        )
    ]  # fmt: skip


def _marks(config: ChecklistConfig, measured: Measured) -> list[Item]:
    asked = (
        ("human_score", "people", "score by people", "nobody has rated answers; `groundtune rate`"),
        ("judge_score", "judge", "score by the judge", "no judge gave marks; set evaluation.judge"),
    )
    items = []
    for key, by, name, missing in asked:
        threshold = getattr(config, key)
        found = next((each for each in measured.marks if each.by == by), None)
        if threshold is not None:
            items.append(
                judge_figure(
                    key, name, found.overall if found else NOTHING, threshold, "at least", unit="mark",
                    source=found.source if found else "", missing=missing,
                )
            )  # fmt: skip
    return items


def _speed(config: ChecklistConfig, measured: Measured) -> list[Item]:
    speed = measured.speed
    n = speed.questions if speed else 0
    note = f"; on {speed.device}" if speed else ""
    missing = "the clock was not looked at; set evaluation.speed to true"
    items = []
    if config.tokens_per_second is not None:
        figure = Figure(speed.tokens_per_second if speed else None, n)
        items.append(
            judge_figure(
                "tokens_per_second", "fast enough", figure, config.tokens_per_second, "at least",
                unit="tokens per second", source=measured.speed_source, missing=missing, note=note,
            )
        )  # fmt: skip
    if config.first_token_seconds is not None:
        figure = Figure(speed.first_token_seconds if speed else None, n)
        items.append(
            judge_figure(
                "first_token_seconds", "first token soon enough", figure, config.first_token_seconds, "at most",
                unit="seconds", source=measured.speed_source, missing=missing, note=note,
            )
        )  # fmt: skip
    return items


def _size(config: ChecklistConfig, measured: Measured) -> list[Item]:
    if config.model_gigabytes is None:
        return []
    size = None if measured.weights_bytes is None else measured.weights_bytes / 1e9
    return [
        judge_figure(
            "model_gigabytes", "small enough", NOTHING if size is None else Figure(size, 1, size, size),
            config.model_gigabytes, "at most", unit="gigabytes", source=measured.weights_source,
            missing="the model's weights were not found",
        )
    ]  # fmt: skip


ITEMS: tuple[Callable[[ChecklistConfig, Measured], list[Item]], ...] = (
    _loss,
    _types,
    _unsafe,
    _rates,
    _better,
    _benchmarks,
    _forgetting,
    _marks,
    _speed,
    _size,
)
