"""Evaluation: what the tuned model answers beside the base model, in figures with intervals, and the one-file report.

What this package does not do: load models or generate (the caller passes answering functions), write files, judge
meaning. :mod:`groundtune.evaluation.report` turns the figures of a whole run into ``report.html``.
"""

from groundtune.evaluation.comparison import Answerer, Evaluation, EvaluationSummary, QuestionCounts, evaluate
from groundtune.evaluation.intervals import Figure
from groundtune.evaluation.losses import Loss, LossSlice, SplitLoss, split_loss
from groundtune.evaluation.measures import MEASURES, Measure
from groundtune.evaluation.questions import Question, question_of
from groundtune.evaluation.records import Answered, AnswerRecord, ModelAnswer
from groundtune.evaluation.retrieval_scores import RetrievalScores
from groundtune.evaluation.scores import Comparison, Slice
from groundtune.evaluation.speed import Speed
from groundtune.evaluation.systems import COMPARED, SYSTEMS, System

__all__ = [
    "COMPARED",
    "MEASURES",
    "SYSTEMS",
    "AnswerRecord",
    "Answered",
    "Answerer",
    "Comparison",
    "Evaluation",
    "EvaluationSummary",
    "Figure",
    "Loss",
    "LossSlice",
    "Measure",
    "ModelAnswer",
    "Question",
    "QuestionCounts",
    "RetrievalScores",
    "Slice",
    "Speed",
    "SplitLoss",
    "System",
    "evaluate",
    "question_of",
    "split_loss",
]
