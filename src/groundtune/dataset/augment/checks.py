"""What code can check of a writer's answer: kept parts, new words, likeness, language.

What this module does not do: tell whether an answer is true, or whether two sentences mean the same; nothing here can.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from rapidfuzz.distance import LCSseq

from groundtune.dataset.augment.wording import wording
from groundtune.dataset.quality.languages import LEAST_LETTERS, OTHERS
from groundtune.dataset.quality.texts import caseless
from groundtune.language import detect_language, lower_case
from groundtune.types import Language

ROUGE_LIMIT = 0.7
"""A new instruction is kept when its ROUGE-L to every other is below this: Wang and others, *Self-Instruct: Aligning Language
Models with Self-Generated Instructions* (ACL 2023), 2.2."""

_PREFIX_LETTERS = {"tr": 4}
"""Turkish builds its forms at the end, and the stems of its verbs are short (aç-ıl-ır, aç-ıl-ma-sı)."""

_OTHER_PREFIX_LETTERS = 5
_SNOWBALL = {"tr": "turkish", "en": "english", "de": "german", "fr": "french", "es": "spanish", "it": "italian"}
_WORD = re.compile(r"\w+")

_CONTENT_LETTERS = 4

_LITERAL = re.compile(
    r"```.+?```|`[^`\n]+`|\"[^\"\n]+\"|“[^”\n]+”|«[^»\n]+»"  # code and quotations
    r"|https?://[^\s)>\]]+|[\w.+-]+@[\w-]+\.\w+"
    r"|\w+(?:[./\\:_]+\w+)+(?:\(\))?|\w+\(\)|\b[a-zçğıöşü]+[A-ZÇĞİÖŞÜ]\w*",  # paths, versions, snake_case, calls, camelCase
    re.DOTALL,
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SENTENCE_START = re.compile(r"(?:\A|[.!?:…]\s|\n)[\s\"'“«(*#\d.)-]*\w+")
_NAME = re.compile(r"\b[A-ZÇĞİÖŞÜ]\w+")
_ACRONYM = re.compile(r"\b[A-ZÇĞİÖŞÜ][A-ZÇĞİÖŞÜ0-9]+\b")


def kept_parts(instruction: str) -> list[str]:
    """What another wording must have letter by letter: code, quotations, addresses, numbers, names.

    A name is a word with a capital that does not begin a sentence, without what follows an apostrophe.

    >>> kept_parts("Mersin'deki ADR-12 sevkiyatını Ayşe için `ship_date` alanıyla 3,5 ton göster.")
    ['ship_date', '12', '3,5', 'ADR', 'Ayşe']
    """
    parts = [match[0].strip('`"“”«»') for match in _LITERAL.finditer(instruction)]
    rest = _LITERAL.sub(" ", instruction)
    parts += _NUMBER.findall(rest)
    starts = [match.end() for match in _SENTENCE_START.finditer(rest)]
    parts += [match[0] for match in _NAME.finditer(rest) if match.end() not in starts or _ACRONYM.fullmatch(match[0])]
    return list(dict.fromkeys(part for part in parts if part.strip()))


def lost_parts(instruction: str, rephrased: str) -> list[str]:
    """Kept parts of `instruction` that `rephrased` lacks."""
    return [part for part in kept_parts(instruction) if not _stands_in(part, rephrased)]


def invented_numbers(text: str, originals: Iterable[str]) -> list[str]:
    """Numbers of `text` that stand in none of `originals`."""
    known = {number for original in originals for number in _NUMBER.findall(original)}
    return [number for number in _NUMBER.findall(text) if number not in known]


def new_content_words(text: str, original: str, language: Language) -> list[str]:
    """Words of `text` with four letters or more that no word of `original` is another form of.

    Two words are forms of one when they have the same stem by Snowball (for languages it knows) or the same first five
    letters (in Turkish four); words that only hold a sentence together (``function_words`` of the prompts) are never new.

    >>> new_content_words("Depolar sayılır, raporlanır.", "Depoda ürünler yılda bir sayılır.", "tr")
    ['raporlanır']
    """
    ordinary = wording(language)["function_words"]
    known = {form for word in _WORD.findall(f"{original} {ordinary}") for form in _forms(word, language)}
    return [
        word
        for word in dict.fromkeys(_WORD.findall(text))
        if len(word) >= _CONTENT_LETTERS and not word.isdigit() and not known.intersection(_forms(word, language))
    ]


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words: Lin, *ROUGE: A Package for Automatic Evaluation of Summaries* (2004).

    >>> rouge_l("write a short poem".split(), "write a poem".split())
    0.8571428571428571
    """
    if not one or not other:
        return 0.0
    return 2 * LCSseq.similarity(one, other) / (len(one) + len(other))


def other_language(text: str, wanted: Language) -> Language | None:
    """The language of `text` when it is surely not `wanted`."""
    if sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return None
    found = detect_language(text, tuple(dict.fromkeys((wanted, *OTHERS))))
    return None if found == wanted else found


def _stands_in(part: str, text: str) -> bool:
    """As a word or the beginning of one, so that a name may take a suffix; a number as a whole."""
    end = r"(?!\d|[.,:]\d)" if part[-1].isdigit() else ""
    begin = r"(?<![\d.,:])" if part[0].isdigit() else r"(?<!\w)" if part[0].isalnum() else ""
    return re.search(begin + re.escape(part) + end, text) is not None


def _forms(word: str, language: Language) -> tuple[str, ...]:
    prefix = caseless(word)[: _PREFIX_LETTERS.get(language, _OTHER_PREFIX_LETTERS)]
    stemmer = _stemmer(language)
    # marked, because a stem may look like the beginning of another word
    return (prefix,) if stemmer is None else (prefix, f"={stemmer.stemWord(lower_case(word, language))}")


@lru_cache(maxsize=8)
def _stemmer(language: Language) -> Any:
    import snowballstemmer  # loads every language's: only when something is stemmed

    name = _SNOWBALL.get(language)
    return None if name is None else snowballstemmer.stemmer(name)
