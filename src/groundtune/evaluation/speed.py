"""How fast a model answers on this machine, and how large it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one model, one question at a time, as a person who waits sees it. Medians over the questions timed."""

    questions: int
    """Timed; 0 where none was."""
    first_token_seconds: float | None
    """From the whole prompt to the first token of the answer."""
    tokens_per_second: float | None
    """After the first token."""
    batched_questions_per_second: float | None
    """Of the evaluation itself, many at a time."""
    weights_bytes: int
    parameters: int
    peak_memory_bytes: int
    device: str
    """``cpu (4 threads)``, or the name of the GPU."""
