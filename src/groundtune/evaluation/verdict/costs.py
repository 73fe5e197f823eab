"""What the tuned model costs to run and what tuning cost in what the model could do before, for the top of the page."""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.speed import Speed
from groundtune.evaluation.forgetting import GeneralSummary
from groundtune.evaluation.measures import BY_KEY
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.data import ReportData


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure, with what stands beside it in small print."""

    label: str
    value: str
    note: str


def costs(data: ReportData) -> list[Cost]:
    """False answers, speed, size and forgetting, as far as they were measured."""
    return [
        *_false_answers(data.evaluation),
        *_speed(data.speed.get("base"), data.speed.get("tuned")),
        *(forgotten(data.general) if data.general is not None else ()),
    ]


def _false_answers(summary: EvaluationSummary | None) -> list[Cost]:
    if summary is None or not summary.questions.asked:
        return []
    measure, compared = BY_KEY["false_answer_rate"], summary.comparisons[0]
    before, after = (summary.figures[system][measure.key] for system in (compared.first, compared.second))
    if after.value is None:
        return []
    change = compared.differences[measure.key]
    difference, across = wording.difference(change, measure), wording.difference_interval(change, measure)
    return [
        Cost(
            measure.label,
            wording.figure(after, measure),
            f"{wording.interval_words(wording.interval(after, measure))}, n = {after.n:,}; base {wording.figure(before, measure)}, "
            f"difference {difference} ({across})",
        )
    ]


def _speed(base: Speed | None, tuned: Speed | None) -> list[Cost]:
    if tuned is None:
        return []
    timed = f", median of {wording.plural(tuned.questions, 'question')} on {tuned.device}"
    told = []
    if tuned.tokens_per_second is not None:
        before = (
            f"base {base.tokens_per_second:,.0f}"
            if base and base.tokens_per_second is not None
            else "base not measured"
        )
        told.append(Cost("Tokens per second", f"{tuned.tokens_per_second:,.0f}", before + timed))
    if tuned.first_token_seconds is not None:
        before = (
            f"base {wording.short_seconds(base.first_token_seconds)}"
            if base and base.first_token_seconds is not None
            else "base not measured"
        )
        told.append(Cost("First token after", wording.short_seconds(tuned.first_token_seconds), before + timed))
    memory = f", {wording.size(tuned.peak_memory_bytes)} of memory at most" if tuned.peak_memory_bytes else ""
    parameters = f"{wording.compact(tuned.parameters)} parameters{memory}"
    return [*told, Cost("Size of the weights", wording.size(tuned.weights_bytes), parameters)]


def forgotten(general: GeneralSummary) -> list[Cost]:
    """Perplexity on general text and general tasks, as far as they were measured."""
    told = []
    if (texts := general.texts) is not None and texts.rise.value is not None:
        before, after = texts.before.perplexity.value, texts.after.perplexity.value
        told.append(
            Cost(
                "Perplexity on general text",
                f"{wording.signed_percent(texts.rise.value)}",
                f"{wording.decimal(before, 1)} → {wording.decimal(after, 1)}; 95% interval of the change "
                f"{wording.percent_span(texts.rise)}, n = {texts.rise.n:,} {texts.unit}",
            )
        )
    if (tasks := general.tasks) is not None and tasks.whole.difference.value is not None:
        whole = tasks.whole
        told.append(
            Cost(
                "General tasks solved",
                f"{wording.percent(whole.before.value)} → {wording.percent(whole.after.value)}",
                f"95% interval of the change {wording.points_span(whole.difference)}, n = {whole.difference.n:,}, chance "
                f"{wording.percent(tasks.chance)}",
            )
        )
    return told
