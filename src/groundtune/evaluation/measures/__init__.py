"""What one answer is worth: measures, each a pure function of a question, an answer and the passages it had.

What this package does not do: average or compare (:mod:`groundtune.evaluation.figures.scores`), or judge meaning.
"""

from groundtune.evaluation.measures.listing import BY_KEY, MEASURES
from groundtune.evaluation.measures.measure import Group, Measure, Observed
from groundtune.evaluation.measures.support import unsupported_numbers
from groundtune.evaluation.measures.words import (
    exact_match,
    is_refusal,
    is_repetitive,
    normalise_answer,
    repetition_rate,
    token_f1,
)

__all__ = [
    "BY_KEY",
    "MEASURES",
    "Group",
    "Measure",
    "Observed",
    "exact_match",
    "is_refusal",
    "is_repetitive",
    "normalise_answer",
    "repetition_rate",
    "token_f1",
    "unsupported_numbers",
]
