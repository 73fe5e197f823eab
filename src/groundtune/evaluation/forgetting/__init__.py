"""Forgetting: what a model could do before it was tuned, measured before and after.

Three measurements: perplexity on general text, a small set of everyday tasks in Turkish and English that is shipped, and
tasks of lm-evaluation-harness. What this package does not do: load models, tokenise, read the user's texts, or write files.
"""

from groundtune.evaluation.forgetting.benchmarks import METRICS, BenchmarkResult, compare_benchmarks
from groundtune.evaluation.forgetting.harness import check_harness, check_tasks, harness_version, run_benchmark
from groundtune.evaluation.forgetting.scoring import Scored, TaskRecord, compare_tasks, sequences_of
from groundtune.evaluation.forgetting.summary import (
    CHANCE,
    BenchmarkScore,
    GeneralSummary,
    TaskSlice,
    TasksSummary,
    TextFigures,
    TextsSummary,
)
from groundtune.evaluation.forgetting.tasks import KINDS, GeneralTask, read_tasks
from groundtune.evaluation.forgetting.texts import GeneralText, Taken, Windows, compare_texts, cut_windows, take_texts

__all__ = [
    "CHANCE",
    "KINDS",
    "METRICS",
    "BenchmarkResult",
    "BenchmarkScore",
    "GeneralSummary",
    "GeneralTask",
    "GeneralText",
    "Scored",
    "Taken",
    "TaskRecord",
    "TaskSlice",
    "TasksSummary",
    "TextFigures",
    "TextsSummary",
    "Windows",
    "check_harness",
    "check_tasks",
    "compare_benchmarks",
    "compare_tasks",
    "compare_texts",
    "cut_windows",
    "harness_version",
    "read_tasks",
    "run_benchmark",
    "sequences_of",
    "take_texts",
]
