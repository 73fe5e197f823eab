"""The shipped questions of everyday tasks: eight categories, two turns each, in Turkish and in English.

Written for this project. The second turn rests on the answer to the first. What this module does not do: ask them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from groundtune.files import parse_record, sha256_text
from groundtune.types import Language

CATEGORIES = ("writing", "roleplay", "reasoning", "maths", "coding", "extraction", "stem", "humanities")

SET_LANGUAGES: tuple[Language, ...] = ("tr", "en")


@dataclass(frozen=True, slots=True)
class SetQuestion:
    """A line of a set."""

    id: str
    """``tr-maths-1``."""
    category: str
    turns: tuple[str, str]
    references: tuple[str, str]
    """A short right answer to each turn; empty text where there is no one right answer."""

    @property
    def language(self) -> Language:
        """
        >>> SetQuestion("tr-maths-1", "maths", ("", ""), ("", "")).language
        'tr'
        """
        return self.id.split("-")[0]


@lru_cache(maxsize=1)
def question_sets() -> tuple[SetQuestion, ...]:
    """All of them, Turkish ones first, by category."""
    return tuple(
        parse_record(json.loads(line), SetQuestion, where=f"{language}.jsonl:{number}")
        for language in SET_LANGUAGES
        for number, line in enumerate(_text(language).splitlines(), start=1)
    )


def sets_hash() -> str:
    """sha256 of the questions."""
    return sha256_text("\n".join(map(_text, SET_LANGUAGES)))


def _text(language: Language) -> str:
    return (resources.files(__package__) / "question_sets" / f"{language}.jsonl").read_text(encoding="utf-8")
