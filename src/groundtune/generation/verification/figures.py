"""Whether every number, code and identifier of an answer stands in its evidence.

Exact tokens are those of :mod:`groundtune.generation.verification.tokens`. Numbers are compared by value as their language writes them:
Turkish 1.250 and 1250 are one, and so are English 1,250 and 1250, but Turkish 1,250 is one and a quarter. Numbers written out
(``üç``, ``twenty-four``) count as their digits, in the answer and in the evidence.

The evidence is what was quoted, the whole line a quote stands in (a sentence, a list item, a row of a table) and the first row
of its table. A token that the question names may also stand elsewhere in a cited chunk or in its titles: it says what is
asked about, not what is so. What this module does not do: tell whether the number stands for the right thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from groundtune.generation.verification.tokens import exact_tokens, stands_in
from groundtune.generation.verification.words import words_of, written_numbers
from groundtune.language import lower_case
from groundtune.types import Chunk, Evidence, Language

_NAMES = re.compile(
    r"https?://[^\s)>\]]+|[\w.+-]+@[\w-]+\.\w+|(?<![\w/.`])/[\w{}.-]+(?:/[\w{}.-]+)*"  # addresses and paths
    r"|\b[a-zçğıöşü]+[A-ZÇĞİÖŞÜ]\w*|\b[\w-]+\.(?:ya?ml|json|csv|xlsx?|docx?|pdf|md|py|sql|xml|txt|html?|exe|ini|toml)\b"
)
"""Identifiers outside of code that `exact_tokens` does not know: they need only stand in the evidence somewhere."""
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
_GROUPED = {"tr": re.compile(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?"), "en": re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")}
_TABLE_RULE = re.compile(r"^\s*\|?[\s:|-]+\|?\s*$")


@dataclass(frozen=True, slots=True)
class Source:
    """A text with its tokens, read once."""

    text: str
    tokens: frozenset[str]
    numbers: frozenset[str]
    """Values of the numbers, in digits and in words."""

    @staticmethod
    def of(text: str, language: Language) -> Source:
        values = {value_of(number, language) for number in _NUMBER.findall(text)}
        values |= {str(value) for value, _ in written_numbers(_small_words(text, language), language)}
        return Source(text, exact_tokens(text), frozenset(values))

    def holds(self, token: str, language: Language) -> bool:
        return token in self.tokens or value_of(token, language) in self.numbers or stands_in(token, self.text)


def missing_figures(
    answer: str, question: str, evidence: Sequence[Evidence], chunks: Sequence[Chunk], language: Language
) -> list[str]:
    """Exact tokens and written-out numbers of `answer` that its evidence does not have, sorted.

    Args:
        question: with the questions before it.
        chunks: those that `evidence` cites.
    """
    tokens = exact_tokens(answer)
    words = _small_words(answer, language)
    written = {str(value) for value, sure in written_numbers(words, language) if sure}
    names = {name.rstrip(".,;:") for name in _NAMES.findall(answer)}
    if not (tokens or written or names):
        return []
    quoted = Source.of(quoted_lines(evidence, chunks), language)
    missing = {token for token in (*tokens, *written, *names) if not quoted.holds(token, language)}
    missing -= {name for name in names if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", quoted.text)}
    if missing:
        asked = Source.of(question, language)
        named = {token for token in missing if asked.holds(token, language)}
        if named:
            cited = Source.of(
                "\n".join((*(c.text for c in chunks), *(t for c in chunks for t in c.breadcrumb))), language
            )
            missing -= {token for token in named if cited.holds(token, language)}
    return sorted(missing)


def quoted_lines(evidence: Iterable[Evidence], chunks: Iterable[Chunk]) -> str:
    """The lines the quotes stand in, and the heads of their tables."""
    texts = {chunk.chunk_id: chunk.text for chunk in chunks}
    lines: dict[str, None] = {}
    for item in evidence:
        text = texts[item.chunk_id]
        start = text.rfind("\n", 0, item.start) + 1
        end = text.find("\n", item.end)
        lines[text[start : len(text) if end < 0 else end]] = None
        if text[start:].lstrip().startswith("|"):
            lines[_table_head(text, start)] = None
    return "\n".join(lines)


def _table_head(text: str, start: int) -> str:
    """The first row of the table whose row begins at `start`."""
    head = ""
    for line in reversed(text[:start].split("\n")[:-1]):
        if not line.lstrip().startswith("|"):
            break
        head = line if not _TABLE_RULE.match(line) else head
    return head


def value_of(number: str, language: Language) -> str:
    """A number as it would stand without separators of thousands and with a decimal point; other tokens as they are.

    >>> [value_of(number, "tr") for number in ("1.250", "1,250", "1.250,5", "3.11.2")]
    ['1250', '1.250', '1250.5', '3.11.2']
    >>> [value_of(number, "en") for number in ("1.250", "1,250", "1,250.5")]
    ['1.250', '1250', '1250.5']
    """
    points_of_thousands, decimal = (".", ",") if language == "tr" else (",", ".")
    if _GROUPED["tr" if language == "tr" else "en"].fullmatch(number):
        return number.replace(points_of_thousands, "").replace(decimal, ".")
    if language == "tr" and number.count(",") == 1 and number.replace(",", "").isdigit():
        return number.replace(",", ".")
    return number


def _small_words(text: str, language: Language) -> list[str]:
    return words_of(lower_case(text, language))
