"""What the model answered to the fixed questions, as it is kept: by round in the journal, by question in samples.json."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoundAnswer:
    """What a fixed question was answered behind one optimizer step."""

    step: int
    """0 is before training."""
    epoch: float
    answer: str
    kept: bool
    """Whether these are the weights that were kept."""


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """A fixed question with the model's answers before, during and after training."""

    question: str
    reference: str
    before: str
    """Empty for a training that was interrupted and continued with other questions."""
    after: str
    """Of the weights that were kept, read from where they are kept."""
    rounds: tuple[RoundAnswer, ...] = ()
    """By step, that of before training first."""


@dataclass(frozen=True, slots=True)
class SampleRound:
    """The answers to all fixed questions behind one optimizer step, in the questions' order."""

    step: int
    epoch: float
    answers: tuple[str, ...]
