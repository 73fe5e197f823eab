"""Checks by code that every accepted pair has passed: shape, phrasing, evidence, figures, language, repetition.

A pair that fails is kept as a `Rejection` with one reason, the group and the pair as it was handed in. It asks no model
(:mod:`groundtune.generation.judging` does) and cannot tell whether an answer is good, only that it is grounded.
"""

from groundtune.generation.verification.checking import check_pairs, find_evidence, pair_id
from groundtune.generation.verification.duplicates import drop_repeated, normalise
from groundtune.generation.verification.figures import missing_figures
from groundtune.generation.verification.quotes import NotFound, Place, find_quote
from groundtune.generation.verification.reasons import Fault, Reason, Rejection, as_row

__all__ = [
    "Fault",
    "NotFound",
    "Place",
    "Reason",
    "Rejection",
    "as_row",
    "check_pairs",
    "drop_repeated",
    "find_evidence",
    "find_quote",
    "missing_figures",
    "normalise",
    "pair_id",
]
