"""Losses of a model over held-out examples, whole and by kind of question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from groundtune.errors import EvaluationError
from groundtune.types import Example

FIELDS = ("type", "difficulty", "rule", "language")


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean cross-entropy in nats over assistant tokens; make it with `Loss.of`."""

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


@dataclass(frozen=True, slots=True)
class LossSlice:
    """The loss over the examples of one kind: ``field="type"``, ``name="list"``."""

    field: str
    name: str
    examples: int
    loss: Loss


@dataclass(frozen=True, slots=True)
class SplitLoss:
    """The loss over a split, and over each kind of example in it."""

    whole: Loss
    slices: tuple[LossSlice, ...] = field(default_factory=tuple)


def split_loss(examples: Sequence[Example], sums: Sequence[float], tokens: Sequence[int]) -> SplitLoss:
    """From the summed cross entropy and the supervised tokens of each example.

    Raises:
        EvaluationError: no supervised token, or a sum that is not a finite number.
    """
    if not sum(tokens):
        raise EvaluationError(
            f"{len(examples)} examples have no supervised token between them; there is no loss of nothing"
        )

    def over(places: Sequence[int]) -> Loss:
        counted = sum(tokens[place] for place in places)
        return Loss.of(math.fsum(sums[place] for place in places) / counted, counted)

    slices = []
    for name_of_field in FIELDS:
        values = [str(getattr(example, name_of_field)) for example in examples]
        for name in sorted(set(values)):
            places = [place for place, value in enumerate(values) if value == name and tokens[place]]
            if places:
                slices.append(LossSlice(name_of_field, name, len(places), over(places)))
    return SplitLoss(over(range(len(examples))), tuple(slices))
