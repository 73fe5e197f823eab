"""Losses of a model over held-out examples, whole and by kind of question."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from groundtune.errors import EvaluationError
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.joining import joined
from groundtune.evaluation.figures.ratios import weighted_change, weighted_mean
from groundtune.types import OMIT_DEFAULT, Conversation, Example

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


def clusters_of(rows: Sequence[Example | Conversation]) -> list[int]:
    """A number for each, the same for those that hang together, whose losses are high and low together: by their evidence chunks,
    as the questions of `join_records`; or by the row of instruction data that they are of, however often that was mixed in."""
    return joined([_rests_on(row) for row in rows])


def _rests_on(row: Example | Conversation) -> list[Hashable]:
    if isinstance(row, Conversation):
        return [(row.origin.source, row.origin.row)]
    return [*row.evidence_chunk_ids]


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean cross-entropy in nats over assistant tokens; make it with `Loss.of`."""

    mean: float
    tokens: int
    perplexity: float | None
    """``exp(mean)``; None where that is too large for a float."""
    examples: int = 0
    """With a token among them; 0 where it was not counted."""
    low: float | None = None
    high: float | None = None
    """95% interval of the mean over examples, clusters of them taken together; None where there is none."""
    groups: int = field(default=0, metadata=OMIT_DEFAULT)
    """As `Figure.groups`."""
    change: Figure | None = field(default=None, metadata=OMIT_DEFAULT)
    """From another model's loss over the same examples to this one, paired; None where there is no other."""

    @property
    def figure(self) -> Figure:
        """The mean; n is the number of examples, since the tokens of one are not independent."""
        return Figure(self.mean, self.examples, self.low, self.high, groups=self.groups)

    @classmethod
    def of(cls, mean: float, tokens: int) -> Loss:
        """Without an interval.

        >>> Loss.of(0.0, 12) == Loss(mean=0.0, tokens=12, perplexity=1.0)
        True

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
    loss: Loss


@dataclass(frozen=True, slots=True)
class SplitLoss:
    """The loss over a split, and over each kind of example in it."""

    whole: Loss
    slices: tuple[LossSlice, ...] = field(default_factory=tuple)


def split_loss(
    kinds: Sequence[Kinds],
    sums: Sequence[float],
    tokens: Sequence[int],
    clusters: Sequence[Hashable] | None = None,
    *,
    before: Sequence[float] | None = None,
) -> SplitLoss:
    """From what each example is, its summed cross entropy and its supervised tokens.

    Args:
        clusters: what each shares with others (`clusters_of`); None: each stands by itself.
        before: the sums of another model over the same examples and tokens, from which the change is told.

    Raises:
        EvaluationError: no supervised token, or a sum that is not a finite number.
    """
    if not sum(tokens):
        raise EvaluationError(
            f"{len(kinds)} examples have no supervised token between them; there is no loss of nothing"
        )

    shared = range(len(sums)) if clusters is None else clusters

    def over(places: Sequence[int]) -> Loss:
        nats, counted = [sums[place] for place in places], [tokens[place] for place in places]
        loss = Loss.of(math.fsum(nats) / sum(counted), sum(counted))
        named = [shared[place] for place in places]
        figure = weighted_mean(nats, counted, named)
        change = None if before is None else weighted_change([before[place] for place in places], nats, counted, named)
        return replace(loss, examples=figure.n, low=figure.low, high=figure.high, groups=figure.groups, change=change)

    slices = []
    for name_of_field in FIELDS:
        values = [each.get(name_of_field, "") for each in kinds]
        named = sorted(set(values) - {""})
        for name in named if len(named) <= MOST_KINDS else ():
            places = [place for place, value in enumerate(values) if value == name and tokens[place]]
            if places:
                slices.append(LossSlice(name_of_field, name, over(places)))
    return SplitLoss(over(range(len(kinds))), tuple(slices))
