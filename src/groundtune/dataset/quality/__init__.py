"""Filters of instruction data: copies, near copies, language, length, repetition, contamination, balance.

Every row that goes becomes a `LeftOut` with a reason of `Reason` and the figure it went by. This package does not read
data or write files (near copies use a temporary one), and does not decide which rows are held out.
"""

from groundtune.dataset.quality.balance import Balanced, balance, value_of
from groundtune.dataset.quality.benchmarks import read_questions
from groundtune.dataset.quality.contamination import decontaminate
from groundtune.dataset.quality.filters import apply_filters
from groundtune.dataset.quality.near import NearIndex, NearText
from groundtune.dataset.quality.reasons import Reason
from groundtune.dataset.quality.texts import answer_text, prompt_key, prompt_text

__all__ = [
    "Balanced",
    "NearIndex",
    "NearText",
    "Reason",
    "answer_text",
    "apply_filters",
    "balance",
    "decontaminate",
    "prompt_key",
    "prompt_text",
    "read_questions",
    "value_of",
]
