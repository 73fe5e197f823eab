"""Error analysis: what went wrong with each failed answer, what failures have in common, and the way back to their sources.

What this package does not do: read files (the pipeline hands in where a question comes from), ask models, or judge meaning: a
right answer in other words counts as wrong where its token F1 is low.
"""

from groundtune.evaluation.errors.analysis import Count, ErrorAnalysis, Failure, KindOfFailure, analyse_errors
from groundtune.evaluation.errors.clusters import Cluster
from groundtune.evaluation.errors.kinds import FAILURE_KINDS, LOW_F1, FailureKind, failure_signs, missing_evidence
from groundtune.evaluation.errors.lineage import EvidencePlace, LedgerEntry, Lineage, TrainingRow, lines_of

__all__ = [
    "FAILURE_KINDS",
    "LOW_F1",
    "Cluster",
    "Count",
    "ErrorAnalysis",
    "EvidencePlace",
    "Failure",
    "FailureKind",
    "KindOfFailure",
    "LedgerEntry",
    "Lineage",
    "TrainingRow",
    "analyse_errors",
    "failure_signs",
    "lines_of",
    "missing_evidence",
]
