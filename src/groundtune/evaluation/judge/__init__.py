"""The judge: a language model reads answers, each by a rubric, and those of two systems side by side in both orders.

The shipped questions of everyday tasks are here too. What this package does not do: have questions answered, write files but
its ledger, or believe a verdict that depends on the order of the answers: that is a tie.
"""

from groundtune.evaluation.judge.cases import SetAnswers, document_case, set_answers, set_case
from groundtune.evaluation.judge.estimate import Estimate
from groundtune.evaluation.judge.people import agreement_with_people
from groundtune.evaluation.judge.records import (
    Case,
    JudgedPair,
    Judgement,
    JudgeSummary,
    Marked,
    Preference,
    SetScores,
    SetSlice,
)
from groundtune.evaluation.judge.running import SECTION, Judged, Usage, judge_cases
from groundtune.evaluation.judge.sets import SetQuestion, question_sets, sets_hash
from groundtune.evaluation.judge.summing import preferred_of, summarise
from groundtune.evaluation.judge.wording import words_hash

__all__ = [
    "SECTION",
    "Case",
    "Estimate",
    "JudgeSummary",
    "Judged",
    "JudgedPair",
    "Judgement",
    "Marked",
    "Preference",
    "SetAnswers",
    "SetQuestion",
    "SetScores",
    "SetSlice",
    "Usage",
    "agreement_with_people",
    "document_case",
    "judge_cases",
    "preferred_of",
    "question_sets",
    "set_answers",
    "set_case",
    "sets_hash",
    "summarise",
    "words_hash",
]
