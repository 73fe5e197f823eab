"""Rows in languages that were not asked for.

Judged is the last answer; one of fewer than 60 letters together with its prompt, without fenced code. Where that is still
under 40 letters the row passes: on real data nearly every mistake of the detector was made on less. Azerbaijani is only
told from Turkish when it is among the languages asked for, because the detector takes short Turkish for it. What this module
does not do: judge system prompts, or code that no fence sets apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundtune.dataset.quality.reasons import Reason, left_out
from groundtune.dataset.quality.texts import answer_text, prompt_text
from groundtune.language import detect_language
from groundtune.types import Conversation, Language, LeftOut

OTHERS: tuple[Language, ...] = (
    *("en", "tr", "de", "fr", "es", "it", "pt", "nl", "ru", "uk", "pl", "cs", "sk", "sv", "da", "no", "fi", "el", "ar"),
    *("fa", "he", "hi", "bn", "zh", "ja", "ko", "vi", "th", "id", "ro", "hu", "bg", "sr", "hr", "ca"),
)
"""Languages a row may turn out to be in, besides those asked for."""

ENOUGH_LETTERS = 60
"""Of an answer, to be judged alone."""

LEAST_LETTERS = 40

_JUDGED_CHARACTERS = 2000
_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


class LanguageCheck:
    """Call it with one row after the other.

    Raises:
        ValueError: no languages are given.
    """

    def __init__(self, languages: Sequence[Language]) -> None:
        if not languages:
            raise ValueError("languages: at least one is needed")
        self._languages = tuple(languages)
        self._candidates = tuple(dict.fromkeys((*languages, *OTHERS)))

    def __call__(self, conversation: Conversation) -> LeftOut | None:
        text = _without_code(answer_text(conversation))
        if _letters(text) < ENOUGH_LETTERS:
            text = f"{_without_code(prompt_text(conversation))}\n{text}"
        if _letters(text) < LEAST_LETTERS:
            return None
        language = detect_language(text, self._candidates)
        if language in self._languages:
            return None
        wanted = ", ".join(self._languages)
        return left_out(conversation, Reason.OTHER_LANGUAGE, found=f"{language}, asked for {wanted}: {text.strip()!r}")


def _without_code(text: str) -> str:
    return _FENCED.sub(" ", text)[:_JUDGED_CHARACTERS]


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
