"""Where a quote stands in its chunk: letter by letter, then apart from typography, then apart from slips of the pen.

What is kept as evidence is always the chunk's own words, in whole words: ``chunk.text[start:end]``. **The law of slips**: a
quote that is not in the chunk to the letter may stand for a passage of it only when it has the same words in the same order,
with the same numbers, codes and negations. A word may differ in one letter if it is a long one without digits, in capitals,
and in letters that lost their dots and accents; an article may be missing. So a quote that says something else is never found,
however alike the letters are ("yapılır" and "yapılmaz", "12" and "13", "before" and "after").

What this module does not do: look into other chunks than the one that was named.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel, Levenshtein

from groundtune.generation.verification.plain_text import PlainText, plain_text
from groundtune.generation.verification.words import TURNING, is_negated
from groundtune.language import lower_case
from groundtune.types import Language

_WORD = re.compile(r"(?:(?<!\w)[-+](?=\d))?\w+(?:[.,:/'@&%+-]+\w+)*[%°]?|[%°±<>=≤≥×÷€$₺]")
_LONG_WORD = 5
"""Letters of a word in which one may be another."""

_ARTICLES = {"en": frozenset({"the", "a", "an"}), "tr": frozenset({"de", "da", "ki"})}
_EDGES = " .,;:!?-\"'|"
_NEAR = 0.1
"""Below the similarity asked for by no more than this, a passage is near enough to say how the quote differs."""

_MORE_WORDS = 0.2
"""Of its length a passage may be longer or shorter than its quote."""


@dataclass(frozen=True, slots=True)
class Place:
    """A passage of a chunk: ``text[start:end]``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why a quote is not taken."""

    changed: bool
    """It is nearly there, but says something else."""
    detail: str


def find_quote(quote: str, text: str, language: Language, *, similarity: float) -> Place | NotFound:
    """The first passage of `text` that `quote` stands for.

    Args:
        similarity: how like the passage must be, from 0 to 1, edit similarity of characters; with 1 only typography may
            differ.

    >>> find_quote("13 karakterlik", "Lot numarası 13  karakterlik koddur.", "tr", similarity=0.9)
    Place(start=13, end=28)
    """
    found = _find(quote, text, language, similarity)
    if isinstance(found, Place) and language == "tr" and (negation := _NEGATED_BEHIND.match(text, found.end)):
        return NotFound(True, f"the quote stops before {negation[0].strip()!r}")
    return found


_NEGATED_BEHIND = re.compile(r"[\s*_`\"”]*değil\w*")
"""Turkish says no behind what it is said of: a quote of ``zorunlu değildir`` that ends too early says yes."""


def _find(quote: str, text: str, language: Language, similarity: float) -> Place | NotFound:
    if len(quote) > 2 * len(text) + 100:
        return NotFound(False, "the quote is longer than the chunk")
    place = _exact(quote.strip(), text) if any(map(str.isalnum, quote)) else None
    if place is not None:
        return place
    plain, wanted = plain_text(text), plain_text(quote).text.strip()
    if not any(map(str.isalnum, wanted)):
        return NotFound(False, "the quote has no words")
    inner = _exact(wanted, plain.text)
    if inner is not None:
        return Place(*plain.span(inner.start, inner.end))
    if similarity >= 1:
        return NotFound(False, "")
    return _nearly(wanted, plain, language, similarity)


def _exact(quote: str, text: str) -> Place | None:
    """The first occurrence that begins and ends with whole words and whole numbers: 3 is not in 13, nor 2 in 2.500."""
    start = text.find(quote)
    while start >= 0:
        end = start + len(quote)
        if not (_cuts(text, start) or _cuts(text, end)):
            return Place(start, end)
        start = text.find(quote, start + 1)
    return None


def _cuts(text: str, place: int) -> bool:
    """Whether `place` is inside a word or a number of `text`."""
    if not 0 < place < len(text):
        return False
    before, after = text[place - 1], text[place]
    if (before.isalnum() or before == "_") and (after.isalnum() or after == "_"):
        return True
    if unicodedata.combining(after):
        return True
    further = text[place - 2 : place - 1]
    if before in "-−+±" and after.isdigit() and not further.isalnum():
        return True  # -5 is not 5
    if before in ".,:" and after.isdigit() and further.isdigit():
        return True
    return before.isdigit() and after in ".,:" and text[place + 1 : place + 2].isdigit()


def _nearly(quote: str, plain: PlainText, language: Language, similarity: float) -> Place | NotFound:
    """The likest passage, if it is like enough and keeps the law of slips."""
    text = plain.text
    if len(quote) > len(text) * (1 + _MORE_WORDS):
        return NotFound(False, "")
    folded, letters = _folded(text), _folded(quote)
    found = fuzz.partial_ratio_alignment(letters, folded, score_cutoff=100 * (similarity - _NEAR))
    if found is None or found.dest_end <= found.dest_start:
        return NotFound(False, "")
    words = _words(text)
    mine = [match[0] for match in _WORD.finditer(quote)]
    faults = []
    for first, end in _windows(words, found.dest_start, found.dest_end, len(mine)):
        passage = text[words[first][0] : words[end - 1][1]]
        likeness = Indel.normalized_similarity(letters.strip(_EDGES), _folded(passage))
        fault = _difference(mine, [text[start:stop] for start, stop in words[first:end]], language)
        if not fault and likeness >= similarity:
            return Place(*plain.span(words[first][0], words[end - 1][1]))
        faults.append((likeness, fault or f"{likeness:.3f} like {passage[:60]!r}", bool(fault)))
    nearest = max(faults, default=(0.0, "", False))
    return NotFound(nearest[2], nearest[1]) if nearest[0] >= similarity - _NEAR else NotFound(False, "")


@lru_cache(maxsize=512)
def _words(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(match.span() for match in _WORD.finditer(text))


def _windows(words: tuple[tuple[int, int], ...], start: int, end: int, num_words: int) -> list[tuple[int, int]]:
    """Passages about the characters from `start` to `end`, a word more or less at each side, as slices of `words`; those of as
    many words as the quote first."""
    touched = [number for number, (first, last) in enumerate(words) if last > start and first < end]
    if not touched:
        return []
    windows = [
        (first, last)
        for first in range(max(0, touched[0] - 1), touched[0] + 2)
        for last in range(touched[-1], min(len(words), touched[-1] + 2) + 1)
        if first < last
    ]
    return sorted(windows, key=lambda window: (abs(window[1] - window[0] - num_words), window))


def _difference(quote: list[str], passage: list[str], language: Language) -> str:
    """The first thing in `quote` that is no slip of the pen for `passage`; empty when all is."""
    mine, theirs = [_key(word, language) for word in quote], [_key(word, language) for word in passage]
    idle = _ARTICLES.get(language, frozenset())
    for block in Levenshtein.opcodes(mine, theirs):
        if block.tag == "equal":
            continue
        ours, others = quote[block.src_start : block.src_end], passage[block.dest_start : block.dest_end]
        same = len(ours) == len(others)
        if same and all(_is_slip(one, other, language) for one, other in zip(ours, others, strict=True)):
            continue
        if not same and all(lower_case(word, language) in idle for word in (*ours, *others)):
            continue
        return f"{' '.join(ours)!r} stands for {' '.join(others)!r}"
    return ""


def _is_slip(one: str, other: str, language: Language) -> bool:
    """Whether `one` is `other` as a tired writer copies it.

    >>> _is_slip("numarasi", "numarası", "tr"), _is_slip("karakterik", "karakterlik", "tr")
    (True, True)
    >>> _is_slip("12", "13", "tr"), _is_slip("gelmek", "gelmez", "tr"), _is_slip("before", "after", "en")
    (False, False, False)
    """
    if _key(one, language) == _key(other, language):
        return True
    if not (one + other).isalpha() or (len(one) > 1 and one.isupper()) or (len(other) > 1 and other.isupper()):
        return False
    small, large = lower_case(one, language), lower_case(other, language)
    turning = TURNING.get(language, frozenset())
    if small in turning or large in turning or is_negated(small, language) != is_negated(large, language):
        return False
    small, large = _folded(small), _folded(large)
    if min(len(small), len(large)) < _LONG_WORD or small[0] != large[0]:
        return False
    # yapma and yapmak, gelmez and gelmek: what Turkish puts at the end says yes or no
    if language == "tr" and small[:-1] == large[:-1] and small[-3:-1] in ("ma", "me"):
        return False
    return Levenshtein.distance(small, large, score_cutoff=1) <= 1


def _key(word: str, language: Language) -> str:
    """For comparing: codes and numbers as they are, words without capitals and accents."""
    if any(letter.isdigit() or letter == "_" for letter in word):
        return word
    return _folded(lower_case(word, language))


_DOTLESS = str.maketrans("ıİ", "iI")


def _folded(text: str) -> str:
    """Small letters without marks; as many characters as before."""
    if text.isascii():
        return text.lower()
    text = text.translate(_DOTLESS)
    return "".join(_bare(letter) for letter in text)


@lru_cache(maxsize=4096)
def _bare(letter: str) -> str:
    small = unicodedata.normalize("NFD", letter)[0].lower()
    return small if len(small) == 1 else letter
