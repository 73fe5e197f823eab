"""Evaluation: what the tuned model answers beside the base model, in figures with intervals, and the one-file report.

What this package does not do: load models or generate (the caller passes answering functions), write files, judge
meaning. :mod:`groundtune.evaluation.report` turns the figures of a whole run into ``report.html``.
"""

from groundtune.evaluation.comparison import Answerer, Evaluation, EvaluationSummary, QuestionCounts, Slice, evaluate
from groundtune.evaluation.intervals import Figure
from groundtune.evaluation.metrics import (
    exact_match,
    is_refusal,
    is_repetitive,
    normalise_answer,
    repetition_rate,
    token_f1,
)
from groundtune.evaluation.records import Answered, AnswerRecord, ModelAnswer
from groundtune.evaluation.sampling import choose_questions, choose_shown
from groundtune.evaluation.scores import MEASURES, Loss, Losses, Measure, Scores, score

__all__ = [
    "MEASURES",
    "AnswerRecord",
    "Answered",
    "Answerer",
    "Evaluation",
    "EvaluationSummary",
    "Figure",
    "Loss",
    "Losses",
    "Measure",
    "ModelAnswer",
    "QuestionCounts",
    "Scores",
    "Slice",
    "choose_questions",
    "choose_shown",
    "evaluate",
    "exact_match",
    "is_refusal",
    "is_repetitive",
    "normalise_answer",
    "repetition_rate",
    "score",
    "token_f1",
]
