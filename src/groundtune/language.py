"""Which language a text is in, and Turkish-aware lower case.

Detection is py3langid (a kept reimplementation of langid.py) restricted to the candidates; text too short to tell is
given to the first candidate, which is the documentation's main language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from groundtune.types import Language

MINIMUM_LETTERS = 12
"""With fewer letters than this nothing is decided and the first candidate is taken."""


def lower_case(text: str, language: Language) -> str:
    """Lower case by the rules of `language`: Turkish has dotted İ/i and dotless I/ı.

    >>> lower_case("ISIL İŞLEM", "tr"), lower_case("INSULATION", "en")
    ('ısıl işlem', 'insulation')
    """
    if language == "tr":
        text = text.replace("İ", "i").replace("I", "ı")
    return unicodedata.normalize("NFC", text.lower())


def detect_language(text: str, candidates: Sequence[Language]) -> Language:
    """The likeliest of `candidates`.

    >>> detect_language("Mal kabul kaydı nasıl oluşturulur?", ["tr", "en"])
    'tr'
    >>> detect_language("How is a goods receipt created?", ["tr", "en"])
    'en'
    """
    if not candidates:
        raise ValueError("candidates: at least one language is needed")
    if len(candidates) == 1 or sum(map(str.isalpha, text)) < MINIMUM_LETTERS:
        return candidates[0]
    # the same set in another order is the same question
    language, _ = _identifier(tuple(sorted(set(candidates)))).classify(text)
    return str(language)


@lru_cache(maxsize=8)
def _identifier(candidates: tuple[Language, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # 0.3 s to load: only when asked

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(list(candidates))
    if hasattr(identifier, "_full_model"):
        # 80 MB of languages that are no candidates, kept for going back to them
        identifier._full_model = None
    return identifier
