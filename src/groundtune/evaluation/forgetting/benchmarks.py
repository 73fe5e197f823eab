"""What lm-evaluation-harness found for a model, and two of such findings side by side.

What this module does not do: run the harness (:mod:`groundtune.evaluation.forgetting.harness`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.errors import EvaluationError
from groundtune.evaluation.figures.intervals import Z95, Figure, mean, share_difference
from groundtune.evaluation.forgetting.summary import BenchmarkScore

METRICS = ("acc_norm", "acc", "exact_match", "f1", "mcc")
"""The one figure of a task is the first of these that it has, else the first it has at all."""

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """One task, or a group of tasks that the harness sums up itself."""

    name: str
    questions: int
    few_shot: int | None
    metrics: dict[str, float]
    """By metric and filter as the harness writes them: ``"acc,none"``."""
    errors: dict[str, float]
    """Standard errors, by the same names; those that it gives none of are absent."""
    higher_is_better: dict[str, bool]
    """By metric."""
    values: dict[str, tuple[float, ...]]
    """Of each question in order, by metric and filter; of metrics that are numbers for a single question."""


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """What one model scored on one benchmark: a task, a group or a tag."""

    benchmark: str
    harness: str
    """Version of lm_eval."""
    rows: tuple[BenchmarkRow, ...]
    shortened: int
    """Prompts that were longer than the model takes: the harness cuts off their beginning."""


def read_results(benchmark: str, found: Mapping[str, Any], *, harness: str, shortened: int) -> BenchmarkResult:
    """From what ``lm_eval.simple_evaluate`` returns, samples included."""
    members = found.get("group_subtasks") or {}
    rows = []
    for name, figures in sorted(found["results"].items()):
        leaves = _leaves(name, members)
        numbers = {
            key: float(value) for key, value in figures.items() if "," in key and isinstance(value, (int, float))
        }
        metrics = {key: value for key, value in numbers.items() if not _metric(key).endswith("_stderr")}
        if not metrics:
            # a group without a figure of its own
            continue
        rows.append(
            BenchmarkRow(
                name=name,
                questions=sum(found["n-samples"][leaf]["effective"] for leaf in leaves),
                few_shot=_agreed([found["n-shot"].get(leaf) for leaf in leaves]),
                metrics=metrics,
                errors={
                    key: numbers[error]
                    for key in metrics
                    if (error := _error_of(key)) in numbers and math.isfinite(numbers[error])
                },
                higher_is_better={
                    metric: bool(better)
                    for metric, better in (found["higher_is_better"].get(name) or {}).items()
                    if better is not None
                },
                values={
                    key: values
                    for key in metrics
                    if (values := _values(leaves, key, found["samples"])) and _stand_for(values, metrics[key])
                },
            )
        )
    return BenchmarkResult(benchmark, harness, tuple(rows), shortened)


def _leaves(name: str, members: Mapping[str, Sequence[str]]) -> list[str]:
    """The tasks of a group, of its groups too; of a task itself alone."""
    inside = members.get(name)
    return [leaf for member in inside for leaf in _leaves(member, members)] if inside else [name]


def _metric(key: str) -> str:
    """
    >>> _metric("exact_match,strict-match")
    'exact_match'
    """
    return key.partition(",")[0]


def _error_of(key: str) -> str:
    """
    >>> _error_of("acc,none")
    'acc_stderr,none'
    """
    metric, _, filtered = key.partition(",")
    return f"{metric}_stderr,{filtered}"


def _agreed(values: Sequence[int | None]) -> int | None:
    return values[0] if len(set(values)) == 1 else None


def _values(leaves: Sequence[str], key: str, samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[float, ...]:
    metric, _, filtered = key.partition(",")
    some = [
        sample.get(metric)
        for leaf in leaves
        for sample in sorted(samples.get(leaf, ()), key=lambda each: each["doc_id"])
        if sample["filter"] == filtered
    ]
    return tuple(float(value) for value in some) if all(isinstance(value, (int, float)) for value in some) else ()  # type: ignore[arg-type]


def _stand_for(values: Sequence[float], score: float) -> bool:
    """Whether a score is the mean of its questions, each counted alike; only then can two be paired by question."""
    return abs(math.fsum(values) / len(values) - score) < _TOLERANCE


def compare_benchmarks(
    before: Sequence[BenchmarkResult], after: Sequence[BenchmarkResult], *, seed: int
) -> tuple[BenchmarkScore, ...]:
    """A score for each benchmark; for each of its tasks where the harness has no figure for the whole.

    Raises:
        EvaluationError: the two were not scored on the same tasks.
    """
    scores = []
    for first, second in zip(before, after, strict=True):
        names = [row.name for row in first.rows]
        if first.benchmark != second.benchmark or names != [row.name for row in second.rows]:
            raise EvaluationError(
                f"{first.benchmark!r} and {second.benchmark!r} were not scored on the same tasks of lm_eval; delete the folder "
                "general of the work folder, and run the same command again"
            )
        for one, other in zip(first.rows, second.rows, strict=True):
            if one.name == first.benchmark or first.benchmark not in names:
                scores.append(_score(one, other, seed))
    return tuple(scores)


def _score(before: BenchmarkRow, after: BenchmarkRow, seed: int) -> BenchmarkScore:
    key = main_metric(before.metrics)
    metric = _metric(key)
    pairs = before.values.get(key), after.values.get(key)
    paired = pairs[0] is not None and pairs[1] is not None and len(pairs[0]) == len(pairs[1])
    return BenchmarkScore(
        task=before.name,
        metric=metric,
        higher_is_better=before.higher_is_better.get(metric, True),
        few_shot=before.few_shot,
        before=_figure(before, key),
        after=_figure(after, key),
        difference=(
            _paired_difference(pairs[0] or (), pairs[1] or (), f"{seed}:{before.name}:{key}")
            if paired
            else _difference(before, after, key)
        ),
        paired=paired,
    )


def main_metric(metrics: Mapping[str, float]) -> str:
    """Which of a task's figures stands for it.

    >>> main_metric({"acc,none": 0.5, "acc_norm,none": 0.6})
    'acc_norm,none'
    """
    return min(metrics, key=lambda key: METRICS.index(_metric(key)) if _metric(key) in METRICS else len(METRICS))


def _figure(row: BenchmarkRow, key: str) -> Figure:
    value, error = row.metrics[key], row.errors.get(key)
    if error is None:
        return Figure(value, row.questions)
    low, high = value - Z95 * error, value + Z95 * error
    if _metric(key) in METRICS and 0 <= value <= 1:
        low, high = max(low, 0.0), min(high, 1.0)
    return Figure(value, row.questions, low, high)


def _paired_difference(before: Sequence[float], after: Sequence[float], seed: str) -> Figure:
    if {*before, *after} <= {0.0, 1.0}:
        return share_difference([value == 1 for value in before], [value == 1 for value in after])
    return mean([second - first for first, second in zip(before, after, strict=True)], seed=seed)


def _difference(before: BenchmarkRow, after: BenchmarkRow, key: str) -> Figure:
    difference = after.metrics[key] - before.metrics[key]
    if key not in before.errors or key not in after.errors:
        return Figure(difference, after.questions)
    margin = Z95 * math.hypot(before.errors[key], after.errors[key])
    return Figure(difference, after.questions, difference - margin, difference + margin)
