"""Manners of an answer: its language, its form, its length.

What this module does not do: stopping and loops (:mod:`groundtune.evaluation.measures.words`), refusals
(:mod:`groundtune.evaluation.measures.refusals`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from groundtune.evaluation.measures.function_words import FUNCTION_WORDS
from groundtune.evaluation.measures.identifiers import identifiers
from groundtune.evaluation.measures.lists import Form, forms
from groundtune.evaluation.measures.measure import Observed
from groundtune.evaluation.measures.words import normalise_answer
from groundtune.language import detect_language, lower_case
from groundtune.types import Language

FEWEST_WORDS = 8
"""Of an answer whose language is looked at, its codes and numbers aside."""

LENGTH_FACTOR = 2
LENGTH_WORDS = 5
"""So many words more or less than the reference are always near enough: the reference may be one name, the answer a sentence."""

_ASKS_FOR_STEPS = re.compile(
    r"\b(?:adım adım|adımlar\w* (?:nelerdir|neler|sırala\w*|yaz\w*|listele\w*)|hangi adımlar|"
    r"step[ -]by[ -]step|(?:what are|list|give|name) (?:me )?the steps|which steps|numbered steps)\b"
)


def switched_language(observed: Observed) -> bool | None:
    """Whether the answer is in another configured language, or not in Latin letters as Turkish and English are; None where it is too short.

    Where both languages are known by their function words (Turkish, English), those of the other must also be two at least and
    more than double those of the question's, for names and borrowed words alone mislead the detection.
    """
    asked = observed.question.language
    bare = identifiers(observed.text).bare
    if asked in FUNCTION_WORDS and _is_latin(bare) is False:
        return True  # Turkish and English are asked in Latin letters
    words = re.findall(r"[^\W\d_]+", bare)
    if len(words) < FEWEST_WORDS:
        return None
    others = [each for each in sorted(observed.prompts) if each != asked and _may_be(words, each, asked)]
    return detect_language(bare, [asked, *others]) != asked if others else False


def _is_latin(text: str) -> bool | None:
    """Whether most letters are Latin ones; None for fewer letters than there are words in a text whose language is looked at."""
    letters = [letter for letter in text if letter.isalpha()]
    if len(letters) < FEWEST_WORDS:
        return None
    return sum(unicodedata.name(letter, "").startswith("LATIN") for letter in letters) * 2 > len(letters)


def _may_be(words: Sequence[str], other: Language, asked: Language) -> bool:
    """Whether the function words of `words` leave room for `other`; they do where those of either are not known."""
    if asked not in FUNCTION_WORDS or other not in FUNCTION_WORDS:
        return True
    # words of both languages ("en", "on", "her", "o") tell nothing
    both = FUNCTION_WORDS[asked] & FUNCTION_WORDS[other]
    own, foreign = (
        sum(lower_case(word, each) in FUNCTION_WORDS[each] - both for word in words) for each in (asked, other)
    )
    return foreign > 2 * own + 1


def follows_form(observed: Observed) -> bool | None:
    """Whether the answer has the form that was asked for; None where none was.

    A form is asked for where every reference has one, or where the question says that it wants the steps. Numbered steps ask
    for numbers; a list may be numbered or not.
    """
    shapes = [forms(reference) for reference in observed.question.references]
    if all(shapes):
        wanted = {_most_particular(shape) for shape in shapes}
    elif _ASKS_FOR_STEPS.search(lower_case(observed.question.question, observed.question.language)):
        wanted = {"numbered steps"}
    else:
        return None
    return not wanted.isdisjoint(forms(observed.text))


def _most_particular(shape: tuple[Form, ...]) -> Form:
    return "table" if "table" in shape else shape[0]


def length_verdict(observed: Observed) -> int | None:
    """-1, 0 or 1: shorter than half, within half and double (or five words of it), longer than double the nearest reference."""
    found, wanted = _lengths(observed)
    if not wanted:
        return None
    if abs(found - wanted) <= LENGTH_WORDS or wanted / LENGTH_FACTOR <= found <= wanted * LENGTH_FACTOR:
        return 0
    return 1 if found > wanted else -1


def _lengths(observed: Observed) -> tuple[int, int]:
    language = observed.question.language
    found = len(normalise_answer(observed.text, language).split())
    lengths = [len(normalise_answer(each, language).split()) for each in observed.question.references]
    return found, min(lengths, key=lambda length: abs(length - found))
