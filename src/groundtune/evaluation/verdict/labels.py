"""How page, terminal and model card name the systems that were compared, and the marks that the page draws them with."""

from __future__ import annotations

from groundtune.evaluation.asking.systems import SYSTEMS
from groundtune.evaluation.comparison import EvaluationSummary

KINDS = {"base": "base", "base_context": "passages", "tuned_context": "tuned", "tuned": "tuned"}
"""Class in the stylesheet of each system's marks."""


def has_passages(summary: EvaluationSummary) -> bool:
    """Whether what was compared first had passages in its prompts."""
    return summary.comparisons[0].second in SYSTEMS and SYSTEMS[summary.comparisons[0].second].passages
