"""Whether what an answer says stands in its passages.

Words are compared by their stems (Snowball), and in Turkish also by their beginnings, for its endings are more than a stemmer
knows: two words are taken for the same where they share their first five letters, or one is the first four or more of the
other. Numbers and codes are compared whole.

What this module does not do: understand. Words that all stand in the passages can still be put together to a falsehood, and a
number that was counted or worked out rightly stands nowhere; it is named all the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from groundtune.evaluation.measures.function_words import FUNCTION_WORDS
from groundtune.evaluation.measures.identifiers import fold, identifiers, stands_in
from groundtune.evaluation.measures.measure import Observed
from groundtune.evaluation.measures.quantities import Quantity, quantities, read_number, spelled_numbers
from groundtune.evaluation.measures.words import normalise_answer
from groundtune.language import lower_case
from groundtune.types import Language

PREFIX_LETTERS = 5
WHOLE_WORD_LETTERS = 4

_STEMMERS = {
    "tr": "turkish",
    "en": "english",
    "de": "german",
    "fr": "french",
    "es": "spanish",
    "it": "italian",
    "nl": "dutch",
    "pt": "portuguese",
    "ru": "russian",
}
_JOINED_ENDINGS = frozenset({"tr", "fi", "hu", "et", "az"})
"""Languages that put ending upon ending."""
_WORD = re.compile(r"[^\W\d_]{2,}")
_DIGITS = re.compile(r"[0-9]+(?:[.,:/-][0-9]+)*")
_HARD = str.maketrans("bcdğg", "pçtkk")
"""The last letter of a Turkish stem softens before a vowel: kitap, kitabı; ağaç, ağacı."""


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The words of a text: as they stand, their stems, and the beginnings of four and five letters."""

    words: frozenset[str]
    stems: frozenset[str]
    beginnings: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Figures:
    """The numbers of a text, in every way they can be read."""

    readings: frozenset[str]
    digits: frozenset[str]
    """Runs of digits, each by itself."""


def evidence_support(observed: Observed) -> float | None:
    """Share of the different content words of the answer that stand in its passages; None without passages or content words."""
    if not observed.passages:
        return None
    language = observed.question.language
    words = dict.fromkeys(_content_words(_finished(observed), language))
    if not words:
        return None
    parts = [_vocabulary(passage, language) for passage in observed.passages]
    return sum(any(_stands(word, part, language) for part in parts) for word in words) / len(words)


def unsupported_numbers(observed: Observed) -> tuple[str, ...]:
    """Numbers and codes of the answer that stand nowhere in its passages, the question or the conversation before it.

    Empty where it had no passages. A number is compared by value, its own form read by the rules of the question's language and
    that of the passages by those of either; the sign and the unit are not looked at. A spelled number up to ten in the passages
    covers its digits. The numbers of a numbered list claim nothing; a code that was copied in part, a count or a sum is named.
    The last word of an answer that was cut off is left out, for it may be half a number.
    """
    if not observed.passages:
        return ()
    question = observed.question
    said = [each for exchange in question.history for each in (exchange.question, exchange.answer)]
    sources = (*observed.passages, question.question, *said)
    text = _finished(observed)
    found = [code for code in identifiers(text).codes if not _code_stands(code, sources)]
    known = [_figures(source, question.language) for source in sources]
    found += [each.text for each in quantities(text, question.language) if not _number_stands(each, known)]
    return tuple(dict.fromkeys(found))


def _finished(observed: Observed) -> str:
    """The answer without a last word that the length limit may have cut."""
    if observed.stopped:
        return observed.text
    cut = re.search(r"\S+$", observed.text)
    return observed.text[: cut.start()] if cut else observed.text


def _code_stands(code: str, sources: Sequence[str]) -> bool:
    if any(stands_in(code, _folded(source)) for source in sources):
        return True
    # a way through menus may be told in the passages without its marks: all its names are there
    steps = code.split(" > ")
    return len(steps) > 1 and all(any(stands_in(step, _folded(source)) for source in sources) for step in steps)


def _number_stands(quantity: Quantity, known: Sequence[_Figures]) -> bool:
    readings = {reading.lstrip("-") for reading in quantity.readings}
    if any(not readings.isdisjoint(each.readings) for each in known):
        return True
    if quantity.kind in ("number", "version"):
        return False
    # a date or a time may be told in parts: "15-17 Mart 2024" holds 15 Mart 2024
    parts = {part.lstrip("0") or "0" for reading in quantity.readings for part in re.split("[-:]", reading)}
    return parts <= frozenset().union(*(each.digits for each in known))


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    return fold(text)


@lru_cache(maxsize=4096)
def _figures(text: str, language: Language) -> _Figures:
    readings = set(spelled_numbers(text, language))
    digits: set[str] = set()
    for run in _DIGITS.findall(text):
        parts = re.split(r"[-/:]", run)
        readings.update(parts, (read_number(part, each) for part in parts for each in ("tr", "en")))
        digits.update(part.lstrip("0") or "0" for part in re.split(r"[.,:/-]", run))
        if len(re.split(r"[.,]", run)) > 2 and read_number(run, "tr") == run:
            readings.update(re.split(r"[.,]", run))  # a list without spaces, or a date
    for quantity in quantities(text, language):
        readings.update(reading.lstrip("-") for reading in quantity.readings)
        if quantity.kind == "date":
            digits.update(
                str(int(part)) for reading in quantity.readings if reading[:4].isdigit() for part in reading.split("-")
            )
    return _Figures(frozenset(readings), frozenset(digits))


@lru_cache(maxsize=4096)
def _vocabulary(text: str, language: Language) -> _Vocabulary:
    words = frozenset(_WORD.findall(_plain(text, language)))
    return _Vocabulary(
        words,
        frozenset(stem(word, language) for word in words),
        frozenset(
            word[:length] for word in words for length in (WHOLE_WORD_LETTERS, PREFIX_LETTERS) if len(word) >= length
        ),
    )


def _content_words(text: str, language: Language) -> list[str]:
    functions = FUNCTION_WORDS.get(language, frozenset())
    return [word for word in _WORD.findall(_plain(text, language)) if word not in functions]


def _plain(text: str, language: Language) -> str:
    """Ending behind an apostrophe goes with its word's ending; names with underscores fall into their words."""
    return re.sub(r"(?<=\w)['’ʼ`´]\w{1,6}", "", lower_case(text, language)).replace("_", " ")


def _stands(word: str, known: _Vocabulary, language: Language) -> bool:
    if word in known.words or stem(word, language) in known.stems:
        return True
    if language not in _JOINED_ENDINGS:
        return False
    if len(word) <= WHOLE_WORD_LETTERS:
        return len(word) == WHOLE_WORD_LETTERS and word in known.beginnings
    return word[:PREFIX_LETTERS] in known.beginnings or any(
        word[:length] in known.words for length in range(WHOLE_WORD_LETTERS, len(word))
    )


@lru_cache(maxsize=65536)
def stem(word: str, language: Language) -> str:
    """
    >>> stem("depolarda", "tr") == stem("depo", "tr"), stem("kitabı", "tr") == stem("kitap", "tr"), stem("receipts", "en")
    (True, True, 'receipt')
    """
    stemmer = _stemmer(language)
    stemmed = str(stemmer.stemWord(word)) if stemmer is not None else word
    return stemmed[:-1] + stemmed[-1].translate(_HARD) if language == "tr" and stemmed else stemmed


@lru_cache(maxsize=16)
def _stemmer(language: Language) -> Any:
    import snowballstemmer  # loads every language's: only when something is stemmed

    name = _STEMMERS.get(language)
    return None if name is None else snowballstemmer.stemmer(name)


def says_something(text: str, language: Language) -> bool:
    """Whether there is a word or a number in it.

    >>> says_something(" ... ", "en"), says_something("42", "en")
    (False, True)
    """
    return any(map(str.isalnum, normalise_answer(text, language)))
