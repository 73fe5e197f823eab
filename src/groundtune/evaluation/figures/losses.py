"""Losses of a model over held-out examples, whole and by kind of question."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.errors import EvaluationError
from groundtune.types import Conversation, Example

Kinds = Mapping[str, str]
"""What an example is, by field; empty where that is not known."""

FIELDS = ("type", "difficulty", "rule", "language", "source", "category")

MOST_KINDS = 50
"""A field with more values than this is a text of its own in each row rather than a kind, and is not told apart."""


def kinds_of(row: Example | Conversation) -> Kinds:
    """Of a grounded example, or of a row of instruction data."""
    if isinstance(row, Example):
        grounded = {"type": row.type.value, "difficulty": row.difficulty.value, "rule": row.rule.value}
        return grounded | {"language": row.language}
    named = {field: row.fields.get(field) for field in ("category", "difficulty")}
    told = {field: value for field, value in named.items() if isinstance(value, str)}
    return told | {"language": row.language, "source": row.origin.source}


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


def split_loss(kinds: Sequence[Kinds], sums: Sequence[float], tokens: Sequence[int]) -> SplitLoss:
    """From what each example is, its summed cross entropy and its supervised tokens.

    Raises:
        EvaluationError: no supervised token, or a sum that is not a finite number.
    """
    if not sum(tokens):
        raise EvaluationError(
            f"{len(kinds)} examples have no supervised token between them; there is no loss of nothing"
        )

    def over(places: Sequence[int]) -> Loss:
        counted = sum(tokens[place] for place in places)
        return Loss.of(math.fsum(sums[place] for place in places) / counted, counted)

    slices = []
    for name_of_field in FIELDS:
        values = [each.get(name_of_field, "") for each in kinds]
        named = sorted(set(values) - {""})
        for name in named if len(named) <= MOST_KINDS else ():
            places = [place for place, value in enumerate(values) if value == name and tokens[place]]
            if places:
                slices.append(LossSlice(name_of_field, name, len(places), over(places)))
    return SplitLoss(over(range(len(kinds))), tuple(slices))
