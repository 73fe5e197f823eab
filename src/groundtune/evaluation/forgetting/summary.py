"""What a model could do before it was tuned and can do after: the figures, as ``general.json`` holds them.

"before" is the model that tuning started from, "after" the one that it ended with. What this module does not do: measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundtune.evaluation.figures.intervals import Figure

CHANCE = 0.25
"""Share of right choices of a model that knows nothing: each task has four."""

SliceField = Literal["all", "language", "kind"]


@dataclass(frozen=True, slots=True)
class TextFigures:
    """Of one model over the general text. Each is computed from the whole text, not averaged over its parts."""

    loss: Figure
    """Cross entropy in nats for each token."""
    perplexity: Figure
    """``exp(loss)``: it compares models of one tokenizer only."""
    bits_per_byte: Figure
    """Of the text's UTF-8: it compares models of any tokenizer."""


@dataclass(frozen=True, slots=True)
class TextsSummary:
    """Perplexity on general text before and after, over the same tokens."""

    texts: int
    tokens: int
    bytes: int
    window_tokens: int
    """Longer texts are read in windows of so many tokens."""
    unit: Literal["texts", "windows"]
    """What the intervals resample, and what their ``n`` counts: windows where there are few texts."""
    before: TextFigures
    after: TextFigures
    loss_difference: Figure
    """After minus before, paired."""
    bits_per_byte_difference: Figure
    rise: Figure
    """Of the perplexity, as a share of what it was: 0.1 is a tenth more, below 0 is less. Paired."""


@dataclass(frozen=True, slots=True)
class TaskSlice:
    """Share of general tasks answered rightly, over all of them or those of one kind: ``field="kind"``, ``name="logic"``."""

    field: SliceField
    name: str
    before: Figure
    after: Figure
    difference: Figure
    """After minus before, paired."""


@dataclass(frozen=True, slots=True)
class TasksSummary:
    """The shipped multiple-choice tasks before and after."""

    whole: TaskSlice
    slices: tuple[TaskSlice, ...]
    """By language, then by kind."""
    chance: float
    gained: int
    """Tasks answered wrongly before and rightly after."""
    lost: int
    """Tasks answered rightly before and wrongly after."""


@dataclass(frozen=True, slots=True)
class BenchmarkScore:
    """One task of lm-evaluation-harness before and after."""

    task: str
    """Name of the task, or of the group of tasks, as the harness has it."""
    metric: str
    """``acc``, ``acc_norm``, ``exact_match`` ...: the first of `groundtune.evaluation.forgetting.METRICS` that the task has."""
    higher_is_better: bool
    few_shot: int | None
    """Examples shown before each question; None for a group whose tasks differ."""
    before: Figure
    """The interval is that of the harness's own standard error; ``low`` is None where it gives none."""
    after: Figure
    difference: Figure
    """After minus before; question by question where `paired`, else from the two standard errors, which is wider."""
    paired: bool


@dataclass(frozen=True, slots=True)
class GeneralSummary:
    """All of ``general.json``. A part that was not asked for is None or empty."""

    texts: TextsSummary | None = None
    tasks: TasksSummary | None = None
    benchmarks: tuple[BenchmarkScore, ...] = ()
    harness: str = ""
    """Version of lm_eval that scored the benchmarks."""
