"""What is trained on: token ids with the tokens that count.

Rendering conversations to these is :mod:`groundtune.chat`'s work, packing documents :mod:`groundtune.training.documents`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.errors import TrainingError
from groundtune.prefix import TokenisedExamples


@dataclass(frozen=True, slots=True)
class Tokenised:
    """One example as token ids, and which of them the model is to learn to produce.

    >>> Tokenised((0, 4, 9, 6), (False, False, True, True)).supervised_tokens
    2
    """

    input_ids: tuple[int, ...]
    trained: tuple[bool, ...]
    """As long as `input_ids`. The first token is never trained, whatever its mark: nothing comes before it."""

    def __post_init__(self) -> None:
        if len(self.input_ids) != len(self.trained):
            raise TrainingError(
                f"an example has {len(self.input_ids)} token ids and {len(self.trained)} marks; expected a mark for each"
            )

    @property
    def supervised_tokens(self) -> int:
        return sum(self.trained[1:])


@dataclass(frozen=True, slots=True)
class SamplePrompt:
    """A question answered before and after training, for people to read."""

    question: str
    input_ids: tuple[int, ...]
    """The rendered prompt, up to where the answer begins."""
    reference: str


def in_columns(examples: Sequence[Tokenised]) -> TokenisedExamples:
    """The same examples as a few large arrays; a trained token weighs 1."""
    return TokenisedExamples.from_sequences(
        [example.input_ids for example in examples], [example.trained for example in examples]
    )


def check_examples(examples: Sequence[Tokenised], what: str) -> None:
    """Raises `TrainingError` when there are none, or when one has no token to train."""
    if not examples:
        raise TrainingError(f"there are no {what} examples; see the dataset stage's counts for where they went")
    for place, example in enumerate(examples):
        if example.supervised_tokens == 0:
            raise TrainingError(f"{what} example {place} has no trained token; leave it out of the dataset")
