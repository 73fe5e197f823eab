"""Text to the terms that are counted: words by their stem, codes as a whole and in their parts.

What this module does not do: score anything.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

from groundtune.language import lower_case
from groundtune.retrieval.stopwords import STOP_WORDS
from groundtune.types import Language

STEM_LETTERS = 5
"""Turkish stems are cut to this many letters, so that suffixes which the stemmer leaves and softened final consonants
matter less. Recall@1 and @3 on Turkish XQuAD (1,190 questions, 240 passages): 0.911 and 0.970; without the cut 0.898 and
0.965, with neither stemmer nor cut 0.834 and 0.924."""

MINIMUM_STEMMED = 4
"""Shorter words are left as they are."""

_SNOWBALL = {"tr": "turkish", "en": "english"}
_SUFFIX = re.compile(r"(?<=\w)['’ʼ′][^\W\d_]+")
_SUFFIX_LANGUAGES = frozenset({"tr", "en"})
_COMPOUND = re.compile(r"\w+(?:[-./:,+_]\w+)*")
_PART = re.compile(r"[^\W_]+")
_SIZE = re.compile(r"\d+(?:x\d+)+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PLAIN = str.maketrans("çğıöşüâîû²³", "cgiosuaiu23")


def split_terms(text: str, language: Language, stop_words: frozenset[str] | None = None) -> list[str]:
    """The terms of `text`, in order, with repeats, without `stop_words` (None takes those of `language`).

    Diacritics are dropped, so that "siparis" finds "sipariş".

    >>> split_terms("EX-2'de açılan siparişler", "tr")
    ['ex-2', 'ex', '2', 'acila', 'sipar']
    >>> split_terms("NYY 4x16: /api/v2/lots, lot_no", "en")
    ['nyy', '4x16', '4', '16', 'api/v2/lots', 'api', 'v2', 'lot', 'lot_no', 'lot']
    """
    if stop_words is None:
        stop_words = STOP_WORDS.get(language, frozenset())
    text = unicodedata.normalize("NFC", text)
    if language in _SUFFIX_LANGUAGES:
        text = _SUFFIX.sub(" ", text)
    return [term for match in _COMPOUND.finditer(text) for term in _terms_of(match.group(), language, stop_words)]


@lru_cache(maxsize=200_000)
def _terms_of(compound: str, language: Language, stop_words: frozenset[str]) -> tuple[str, ...]:
    """The whole, if it has parts, then the parts: ``lot_no`` is ``lot_no``, ``lot`` and ``no``."""
    terms: list[str] = []
    parts = _PART.findall(compound)
    if len(parts) > 1:
        terms.append(_plain(compound, language))
    for part in parts:
        words = _CAMEL.split(part)
        if len(words) > 1:
            terms.append(_plain(part, language))
        for word in words:
            terms += _word_terms(word, language, stop_words)
    return tuple(terms)


def _word_terms(word: str, language: Language, stop_words: frozenset[str]) -> list[str]:
    lowered = lower_case(word, language)
    if _SIZE.fullmatch(lowered):
        return [lowered, *lowered.split("x")]
    return [] if lowered in stop_words else [_stem(lowered, language)]


def _plain(text: str, language: Language) -> str:
    return lower_case(text, language).translate(_PLAIN)


def _stem(word: str, language: Language) -> str:
    if len(word) < MINIMUM_STEMMED or not word.isalpha():
        return word.translate(_PLAIN)
    stemmer = _stemmer(language)
    stem: str = stemmer.stemWord(word) if stemmer else word
    stem = stem.translate(_PLAIN)
    return stem[:STEM_LETTERS] if language == "tr" else stem


@lru_cache(maxsize=8)
def _stemmer(language: Language) -> Any:
    """The Snowball stemmer of `language`; None for a language without one."""
    import snowballstemmer  # loads every language's: only when something is stemmed

    name = _SNOWBALL.get(language)
    return snowballstemmer.stemmer(name) if name else None
