"""Evaluation: what the tuned model answers beside the base model, in figures with intervals, and the one-file report.

What this package does not do: load models or generate (the caller passes answering functions), write files (but for the
judge's ledger and people's ratings), or judge meaning itself: :mod:`groundtune.evaluation.judge` has a language model do
that, :mod:`groundtune.evaluation.people` people. :mod:`groundtune.evaluation.report` turns the figures of a whole run into ``report.html``.
"""

from groundtune.evaluation.asking.question_files import QuestionFile, read_questions
from groundtune.evaluation.asking.questions import Question, question_of, question_of_conversation
from groundtune.evaluation.asking.sampling import choose_examples, choose_questions
from groundtune.evaluation.asking.systems import BARE_COMPARED, BARE_SYSTEMS, COMPARED, SYSTEMS, System
from groundtune.evaluation.comparison import Answerer, Context, Evaluation, EvaluationSummary, QuestionCounts, evaluate
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.losses import Kinds, Loss, LossSlice, SplitLoss, clusters_of, kinds_of, split_loss
from groundtune.evaluation.figures.records import Answered, AnswerRecord, ModelAnswer
from groundtune.evaluation.figures.retrieval_scores import RetrievalScores
from groundtune.evaluation.figures.scores import Comparison, Slice
from groundtune.evaluation.figures.speed import Speed, Timed, typical
from groundtune.evaluation.measures import MEASURES, Measure

__all__ = [
    "BARE_COMPARED",
    "BARE_SYSTEMS",
    "COMPARED",
    "MEASURES",
    "SYSTEMS",
    "AnswerRecord",
    "Answered",
    "Answerer",
    "Comparison",
    "Context",
    "Evaluation",
    "EvaluationSummary",
    "Figure",
    "Kinds",
    "Loss",
    "LossSlice",
    "Measure",
    "ModelAnswer",
    "Question",
    "QuestionCounts",
    "QuestionFile",
    "RetrievalScores",
    "Slice",
    "Speed",
    "SplitLoss",
    "System",
    "Timed",
    "choose_examples",
    "choose_questions",
    "clusters_of",
    "evaluate",
    "kinds_of",
    "question_of",
    "question_of_conversation",
    "read_questions",
    "split_loss",
    "typical",
]
