"""Whether a question and its answer are in the wanted language.

Codes, paths and quoted words are left out first: they are the same in every language. The question with its answer must be in
the language, and each of them by itself, as far as there are letters enough to tell. Turkish without any of its own letters is not
Turkish: they make up an eighth of its text. What this module does not do: find single foreign words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundtune.generation.verification.reasons import Fault, Reason
from groundtune.language import detect_language
from groundtune.types import Language

OTHERS: tuple[Language, ...] = ("en", "tr", "de", "fr", "es", "it", "pt", "nl", "ru", "pl", "ar", "zh", "ja")
"""Languages that long text may turn out to be in, besides those of the documentation."""

_NOT_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\*\*[^*]+ > [^*]+\*\*|\S+ > [^.,;?]+|\b[A-ZÇĞİÖŞÜ0-9]{2,}(?:[-_][\wÇĞİÖŞÜ]+)*\b|[\d%°]+\S*|“[^”]*”"
    r"|https?://\S+|/\S+",
    re.DOTALL,
)
_LEAST_LETTERS = 24
"""With fewer nothing is decided: of the example's 1,634 pairs none was taken for the other language from 20 letters on."""

_ENOUGH_LETTERS = 120
"""From so many on every known language is a candidate, not only those of the documentation, and Turkish must have letters of
its own."""

_TURKISH_LETTERS = frozenset("çğıöşüÇĞİÖŞÜ")


def check_language(question: str, answer: str, language: Language, languages: Sequence[Language]) -> Fault | None:
    """What is in another language, if anything is.

    Args:
        languages: those of the documentation.
    """
    asked, said = _NOT_PROSE.sub(" ", question), _NOT_PROSE.sub(" ", answer)
    candidates = list(dict.fromkeys((language, *languages)))
    for name, text in (("question", asked), ("answer", said), ("question and answer", f"{asked} {said}")):
        letters = sum(map(str.isalpha, text))
        if letters < _LEAST_LETTERS:
            continue
        among = candidates if letters < _ENOUGH_LETTERS else list(dict.fromkeys((*candidates, *OTHERS)))
        found = detect_language(text, among)
        if found != language:
            return Fault(Reason.WRONG_LANGUAGE, f"{name} read as {found!r}, expected {language!r}")
        if language == "tr" and letters >= _ENOUGH_LETTERS and _TURKISH_LETTERS.isdisjoint(text):
            return Fault(Reason.WRONG_LANGUAGE, f"{name} has none of the letters ç, ğ, ı, ö, ş, ü")
    return None
