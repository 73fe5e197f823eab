"""The figures of both models over the same questions, and of the difference between them.

What this module does not do: ask questions (:mod:`groundtune.evaluation.comparison`) or put figures into words
(:mod:`groundtune.evaluation.report`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from groundtune.errors import EvaluationError
from groundtune.evaluation.intervals import Figure, mean, share, share_difference
from groundtune.evaluation.records import AnswerRecord, ModelAnswer
from groundtune.types import Split


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing measured about answers: over which questions, and which way is better."""

    key: str
    label: str
    meaning: str
    population: Literal["answerable", "unanswerable", "all"]
    better: Literal["higher", "lower"]
    is_rate: bool
    value: Callable[[ModelAnswer], float]

    def applies_to(self, record: AnswerRecord) -> bool:
        return self.population == "all" or record.answerable == (self.population == "answerable")


MEASURES: tuple[Measure, ...] = (
    Measure(
        "token_f1",
        "Token F1",
        "overlap of words with the reference answer, from 0 to 1",
        "answerable",
        "higher",
        False,
        lambda answer: answer.f1,
    ),
    Measure(
        "exact_match",
        "Exact match",
        "answers with the words of the reference, all and in order",
        "answerable",
        "higher",
        True,
        lambda answer: answer.exact_match,
    ),
    Measure(
        "false_answer_rate",
        "False answers",
        "unanswerable questions that were not refused",
        "unanswerable",
        "lower",
        True,
        lambda answer: not answer.refused,
    ),
    Measure(
        "over_refusal_rate",
        "Over-refusals",
        "answerable questions that were refused",
        "answerable",
        "lower",
        True,
        lambda answer: answer.refused,
    ),
    Measure(
        "stop_rate",
        "Stops by itself",
        "answers that ended before the length limit",
        "all",
        "higher",
        True,
        lambda answer: answer.stopped,
    ),
    Measure(
        "repetition_rate",
        "Repetition",
        "answers that run in circles",
        "all",
        "lower",
        True,
        lambda answer: answer.repetitive,
    ),
)


BY_KEY: Mapping[str, Measure] = {measure.key: measure for measure in MEASURES}


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean cross-entropy in nats over the assistant tokens of a split; make it with `Loss.of`."""

    mean: float
    tokens: int
    perplexity: float | None
    """``exp(mean)``; None where that is too large for a float."""

    @classmethod
    def of(cls, mean: float, tokens: int) -> Loss:
        """
        >>> Loss.of(0.0, 12)
        Loss(mean=0.0, tokens=12, perplexity=1.0)

        Raises:
            EvaluationError: for a loss that is not a finite number.
        """
        if not math.isfinite(mean):
            raise EvaluationError(
                f"the loss is {mean!r} over {tokens} tokens; the weights hold numbers that cannot be used: train again "
                "with a lower learning_rate"
            )
        return cls(mean, tokens, math.exp(mean) if mean < 700 else None)


Losses = Mapping[Split, Loss]
"""By split; a split that was not measured is absent."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures by `Measure.key`; ``difference`` is tuned minus base over the same questions, its interval paired."""

    base: dict[str, Figure]
    tuned: dict[str, Figure]
    difference: dict[str, Figure]
    losses_base: dict[Split, Loss] = field(default_factory=dict)
    losses_tuned: dict[Split, Loss] = field(default_factory=dict)


def score(
    records: Sequence[AnswerRecord], *, losses_base: Losses | None = None, losses_tuned: Losses | None = None, seed: int
) -> Scores:
    """Every measure for both models. A measure without a question (n = 0) has the value None."""
    base: dict[str, Figure] = {}
    tuned: dict[str, Figure] = {}
    difference: dict[str, Figure] = {}
    for measure in MEASURES:
        base[measure.key], tuned[measure.key], difference[measure.key] = compare(records, measure, seed=seed)
    return Scores(base, tuned, difference, dict(losses_base or {}), dict(losses_tuned or {}))


def compare(records: Sequence[AnswerRecord], measure: Measure, *, seed: int) -> tuple[Figure, Figure, Figure]:
    """One measure: base, tuned, and tuned minus base."""
    asked = [record for record in records if measure.applies_to(record)]
    base = [float(measure.value(record.base)) for record in asked]
    tuned = [float(measure.value(record.tuned)) for record in asked]
    if measure.is_rate:
        difference = share_difference([value > 0 for value in base], [value > 0 for value in tuned])
        return share(round(sum(base)), len(base)), share(round(sum(tuned)), len(tuned)), difference
    label = f"{seed}:{measure.key}"
    gains = [after - before for before, after in zip(base, tuned, strict=True)]
    return mean(base, seed=label), mean(tuned, seed=label), mean(gains, seed=label)
