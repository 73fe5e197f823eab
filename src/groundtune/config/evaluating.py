"""The section of the evaluation."""

from __future__ import annotations

from pydantic import Field

from groundtune.config.section import Positive, Section


class EvaluationConfig(Section):
    max_questions: int = Field(120, ge=0)
    """Test questions answered by the base and by the tuned model; 0 asks all."""
    max_new_tokens: Positive = 96
    batch_questions: Positive = 16
    show_questions: int = Field(3, ge=0)
    """Answers of both models shown at the end of a run."""
