"""The figures of measured optimizer steps: tokens a second, seconds a step, and what they say of a whole training.

What this module does not do: measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from groundtune.training.steps import Sharing
from groundtune.training.stopwatch import Memory
from groundtune.training.work import MatrixRates, ModelSizes, Work


@dataclass(frozen=True, slots=True)
class Speeds:
    """Figures of the measured steps."""

    steps: int
    seconds: float
    dataset_tokens_per_second: float
    computed_tokens_per_second: float
    supervised_tokens_per_second: float
    step_seconds_median: float
    step_seconds_quartiles: tuple[float, float]
    """A quarter of the steps took less, and a quarter more."""
    expected_epoch_seconds: float
    """Of an epoch: its computed tokens at the measured rate. Without validation and saving."""
    expected_training_seconds: float
    """Of all epochs, likewise."""
    operations_per_second: float
    """By the formula of :mod:`groundtune.training.work`."""
    share_of_matrix_rate: float
    """Of the best library's, the mean of before and after."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What some optimizer steps took."""

    sharing: Sharing
    warm_up_steps: int
    """Taken before, and not measured."""
    speeds: Speeds
    memory: Memory
    matrix_rates_before: MatrixRates
    matrix_rates_after: MatrixRates
    work: Work
    """Of the measured steps together."""
    step_seconds: tuple[float, ...]
    """Of every measured step, in order."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the steps were computed, and by what model."""

    device: str
    precision: str
    threads: int
    model: str
    sizes: ModelSizes
    notes: tuple[str, ...]


def speeds_of(
    seconds: Sequence[float], work: Work, sizes: ModelSizes, *, best_rate: float, epoch_tokens: int, epochs: int
) -> Speeds:
    """Of steps that took `seconds` for `work`, before an epoch that computes `epoch_tokens`."""
    total = sum(seconds)
    low, _, high = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else [*seconds] * 3
    epoch_seconds = epoch_tokens * total / work.computed_tokens
    operations_per_second = sizes.operations(work) / total
    return Speeds(
        steps=len(seconds),
        seconds=total,
        dataset_tokens_per_second=work.dataset_tokens / total,
        computed_tokens_per_second=work.computed_tokens / total,
        supervised_tokens_per_second=work.supervised_tokens / total,
        step_seconds_median=median(seconds),
        step_seconds_quartiles=(low, high),
        expected_epoch_seconds=epoch_seconds,
        expected_training_seconds=epoch_seconds * epochs,
        operations_per_second=operations_per_second,
        share_of_matrix_rate=operations_per_second / best_rate,
    )


def time_ratio(shared: Measured, plain: Measured) -> float:
    """How many times longer the steps that both measured took without sharing."""
    both = min(len(shared.step_seconds), len(plain.step_seconds))
    return sum(plain.step_seconds[:both]) / sum(shared.step_seconds[:both])


def growth_ratio(shared: Measured, plain: Measured) -> float | None:
    """How many times more memory the steps added without sharing to what was held before; None when that was nothing.

    What is measured second finds memory that the first one left with the process, so this rather says too little of it.
    """
    grown = shared.memory.peak - shared.memory.before
    return (plain.memory.peak - plain.memory.before) / grown if grown > 0 else None
