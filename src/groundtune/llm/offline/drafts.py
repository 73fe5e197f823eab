"""A question with its answer and quotes, before it is chosen; and the order in which drafts are chosen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from groundtune.language import lower_case
from groundtune.types import Difficulty, QuestionType


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim slice of the numbered passage."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One pair the writer could hand in."""

    question: str
    answer: str
    type: QuestionType
    difficulty: Difficulty
    quotes: tuple[Quote, ...]
    subject: str
    """What it is about, as a reader would name it."""
    form: str
    """The structure it came from: ``definition``, ``value``, ``condition``, ``steps``, ``table row``, ..."""
    weight: int
    """How good such drafts usually read; the highest are handed in first."""


def choose(drafts: Iterable[Draft], count: int, *, max_words: int) -> list[Draft]:
    """The best `count` drafts, spread over types: the best of every type, then the second best of every type, and so on.

    Drafts that repeat a question, say nothing or are too long are left out.
    """
    by_type: dict[QuestionType, list[Draft]] = {}
    seen: set[str] = set()
    for draft in sorted(drafts, key=lambda draft: -draft.weight):
        key = " ".join(draft.question.lower().split())
        if key in seen or not is_sound(draft, max_words):
            continue
        seen.add(key)
        by_type.setdefault(draft.type, []).append(draft)
    chosen: list[Draft] = []
    while len(chosen) < count and any(by_type.values()):
        round_ = sorted((queue.pop(0) for queue in by_type.values() if queue), key=lambda draft: -draft.weight)
        chosen += round_[: count - len(chosen)]
    return chosen


_WELL_FORMED = re.compile(r"^[^\n]{10,220}\?$")


def is_sound(draft: Draft, max_words: int) -> bool:
    """Whether the question is one line that ends with a question mark, and the answer is there and short enough."""
    return (
        _WELL_FORMED.match(draft.question) is not None
        and draft.question.count("?") == 1
        and draft.question.count("(") == draft.question.count(")")
        and draft.question.count("`") % 2 == 0
        and "**" not in draft.question
        and "](" not in draft.question
        and "](" not in draft.answer
        and "{%" not in draft.answer
        and 0 < len(draft.answer.split()) <= max_words
    )


def stem(word: str, language: str) -> str:
    """The first five letters in lower case, without a suffix after an apostrophe: enough to tell that two words are kin."""
    bare = re.split(r"['’]", word.strip("`*_\"'().,;:?![]"))[0]
    small = lower_case(bare, language)
    if language == "en" and len(small) > 3 and not small.endswith("ss"):
        small = small.removesuffix("s")
    return small[:5]


def stems(text: str, language: str) -> frozenset[str]:
    """Stems of the words of three letters or more."""
    return frozenset(
        stem(word, language) for word in re.split(r"[\s/]+", text) if sum(letter.isalnum() for letter in word) >= 3
    )
