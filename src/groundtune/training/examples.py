"""What is trained on: token ids with the tokens that count, one by one or as a few large arrays.

Rendering conversations to these is :mod:`groundtune.chat`'s work, packing documents :mod:`groundtune.training.documents`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.errors import TrainingError
from groundtune.prefix import TokenisedExamples


@dataclass(frozen=True, slots=True)
class Tokenised:
    """One example as token ids, and which of them the model is to learn to produce.

    >>> Tokenised((0, 4, 9, 6), (False, False, True, True)).supervised_tokens
    2
    >>> Tokenised((0, 4, 9, 6), (False, False, True, True), (0.0, 0.0, 0.5, 0.5)).target_weights
    (0.0, 0.0, 0.5, 0.5)
    """

    input_ids: tuple[int, ...]
    trained: tuple[bool, ...]
    """As long as `input_ids`. The first token is never trained, whatever its mark: nothing comes before it."""
    weights: tuple[float, ...] = ()
    """Of the loss of each token, as long as `input_ids`; what is not trained has none, whatever is said here. Without
    any, every trained token weighs 1."""

    def __post_init__(self) -> None:
        for what, values in (("marks", self.trained), ("weights", self.weights or self.trained)):
            if len(self.input_ids) != len(values):
                raise TrainingError(
                    f"an example has {len(self.input_ids)} token ids and {len(values)} {what}; expected one for each"
                )

    @property
    def target_weights(self) -> tuple[float, ...]:
        """Of each token as a target; 0: not trained."""
        if not self.weights:
            return self.trained
        return tuple(weight if trained else 0.0 for weight, trained in zip(self.weights, self.trained, strict=True))

    @property
    def supervised_tokens(self) -> int:
        return sum(weight > 0 for weight in self.target_weights[1:])


@dataclass(frozen=True, slots=True)
class SamplePrompt:
    """A question answered before and after training, for people to read."""

    question: str
    input_ids: tuple[int, ...]
    """The rendered prompt, up to where the answer begins."""
    reference: str


Examples = Sequence[Tokenised] | TokenisedExamples
"""One by one, or as arrays: of a million examples these are taken as they are, and no object is made of any of them."""


def in_columns(examples: Examples) -> TokenisedExamples:
    """The same examples as a few large arrays; arrays come back as they are."""
    if isinstance(examples, TokenisedExamples):
        return examples
    return TokenisedExamples.from_sequences(
        [example.input_ids for example in examples], [example.target_weights for example in examples]
    )


def check_examples(examples: TokenisedExamples, what: str) -> None:
    """Raises `TrainingError` when there are none, or when one has no token to train."""
    if not len(examples):
        raise TrainingError(f"there are no {what} examples; see the dataset stage's counts for where they went")
    without = np.flatnonzero(examples.needed == 0)
    if len(without):
        more = f", and {len(without) - 1} more have none" if len(without) > 1 else ""
        raise TrainingError(f"{what} example {without[0]} has no trained token{more}; leave it out of the dataset")
