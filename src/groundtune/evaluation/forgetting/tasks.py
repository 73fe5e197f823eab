"""The general tasks that come with groundtune: two hundred questions with four choices, Turkish and English.

They ask for what every reader of the language knows: facts, arithmetic, grammar and the meaning of words, plain
inference, and what a passage of two sentences says. They were written for this project and tell models apart roughly;
what this module does not do is replace a benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from groundtune.files import read_records
from groundtune.types import OMIT_DEFAULT, Language

TaskKind = Literal["facts", "arithmetic", "language", "logic", "reading"]
KINDS: tuple[TaskKind, ...] = ("facts", "arithmetic", "language", "logic", "reading")
LANGUAGES: tuple[Language, ...] = ("tr", "en")
NUM_CHOICES = 4

_FOLDER = Path(__file__).parent / "sets"

_LABELS = {"tr": ("Metin", "Soru", "Cevap"), "en": ("Text", "Question", "Answer")}


@dataclass(frozen=True, slots=True)
class GeneralTask:
    """A line of the shipped files."""

    task_id: str
    """``{language}-{kind}-{nn}``."""
    language: Language
    kind: TaskKind
    question: str
    choices: tuple[str, ...]
    answer: int
    """Place of the right choice, from 0."""
    passage: str = field(default="", metadata=OMIT_DEFAULT)

    @property
    def stem(self) -> str:
        r"""What stands before each choice: plain text, in the same form for a base model and for a tuned one.

        >>> GeneralTask("en-arithmetic-00", "en", "arithmetic", "What is 1 plus 1?", ("2", "3", "4", "5"), 0).stem
        'Question: What is 1 plus 1?\nAnswer:'
        """
        text, question, answer = _LABELS[self.language]
        passage = f"{text}: {self.passage}\n" if self.passage else ""
        return f"{passage}{question}: {self.question}\n{answer}:"


@lru_cache(maxsize=1)
def read_tasks() -> tuple[GeneralTask, ...]:
    """All of them, Turkish first."""
    return tuple(task for language in LANGUAGES for task in read_records(_FOLDER / f"{language}.jsonl", GeneralTask))
