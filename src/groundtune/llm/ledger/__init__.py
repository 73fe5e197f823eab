"""The book of everything that was ever asked: one SQLite file, one transaction for each finished request.

It keeps requests, answers, failures, money and notes, for generation and augmentation alike. It does not judge answers, know
groups or pairs, or send anything.
"""

from groundtune.llm.ledger.book import AnswerState, Entry, Failure, Ledger
from groundtune.llm.ledger.spending import Spending

__all__ = ["AnswerState", "Entry", "Failure", "Ledger", "Spending"]
