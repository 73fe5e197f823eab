"""How fast a model answers on this machine, and how large it is: the values of ``speed.json``, which only a clock can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Timed:
    """One question, asked alone."""

    first_token_seconds: float
    """From the whole prompt to the first token of the answer."""
    seconds: float
    """To its end."""
    new_tokens: int
    """Computed, the stop token included."""

    @property
    def tokens_per_second(self) -> float | None:
        """After the first token; None of an answer that has no more, or is over within what the clock tells apart."""
        rest = self.seconds - self.first_token_seconds
        return (self.new_tokens - 1) / rest if self.new_tokens > 1 and rest > 0 else None


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one model, one question at a time, as a person who waits sees it. Medians over the questions timed."""

    questions: int
    """Timed; 0 where none was."""
    first_token_seconds: float | None
    tokens_per_second: float | None
    """After the first token."""
    batched_questions_per_second: float | None
    """Of the evaluation itself, many at a time; None where every answer was kept from an earlier one."""
    weights_bytes: int
    parameters: int
    peak_memory_bytes: int
    """Of the whole process until then (on a GPU: of what torch took of it), in which both models are."""
    device: str
    """``cpu (4 threads)``, or the name of the GPU."""


def typical(timed: Sequence[Timed]) -> tuple[float | None, float | None]:
    """Median seconds to the first token and median tokens per second.

    >>> typical([Timed(0.5, 2.5, 5), Timed(0.7, 0.7, 1)])
    (0.6, 2.0)
    >>> typical([])
    (None, None)
    """
    firsts = [each.first_token_seconds for each in timed]
    rates = [rate for each in timed if (rate := each.tokens_per_second) is not None]
    return median(firsts) if firsts else None, median(rates) if rates else None
