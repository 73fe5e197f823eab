"""Text without what typography and Markdown put on it, and the way back: every plain character knows its place in the original.

Taken as the same are composed and decomposed letters, runs of blanks, straight and typographic quotation marks, dashes, an
ellipsis and three points. Left out are soft hyphens and other marks without width, asterisks and underscores of emphasis,
backticks, backslashes before punctuation, and of links all but their words. Letters, digits and their order stay.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

_SAME = {
    **dict.fromkeys("‘’‚‛′´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
}
_WEIGHTLESS = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_DECORATION = re.compile(
    r"""
      (?P<escape>\\)[!-/:-@\[-`{-~]            # \_ \* \|: the backslash alone
    | (?P<link>!?\[)(?=[^\[\]\n]*\]\([^()\s]*\))  # [words](address): the bracket before
    | (?P<address>(?<=[^\s\[])\]\([^()\s]*\))    # ... and all behind the words
    | (?P<ticks>`+)
    | (?P<stars>(?<![\s\d])\*+ | \*+(?![\s\d*]) | (?<=\d)\*\*+ | \*\*+(?=\d))  # but not of a product, 3 * 4 or 3*4
    """,
    re.VERBOSE,
)
_UNDERLINED = re.compile(r"(?<!\w)(_{1,3})(?=[^\s_])[^\n]*?[^\s_](\1)(?!\w)")
"""_words_, but not stk_lots."""

_COLLAPSED = re.compile(r"[^\S ]|  |[\u0300-\u036f\u00ad\u200b-\u200d\u2060\ufeff‘’‚‛′´“”„‟″«»‐-―−…*`_\\\]]")


@dataclass(frozen=True, slots=True)
class PlainText:
    """`text`, with the place in the original of each character and of the end of it."""

    text: str
    starts: array[int]
    ends: array[int]
    original: str

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]``, which is not empty, stands in the original, with the marks that cling to it."""
        first, last = self.starts[start], self.ends[end - 1]
        # a mark that belongs to nothing else in the plain text: **13** rather than 13
        before = self.ends[start - 1] if start else 0
        after = self.starts[end] if end < len(self.text) else len(self.original)
        while first > before and not self.original[first - 1].isspace():
            first -= 1
        while last < after and not self.original[last].isspace():
            last += 1
        return first, last

    def place(self, offset: int) -> int:
        """The first plain character at or after an offset of the original."""
        return bisect_left(self.starts, offset)


@lru_cache(maxsize=512)
def plain_text(text: str) -> PlainText:
    """
    >>> plain = plain_text("Lot **13** ‘karakter’dir")
    >>> plain.text, plain.original[slice(*plain.span(4, 6))]
    ("Lot 13 'karakter'dir", '**13**')
    """
    if _COLLAPSED.search(text) is None and unicodedata.is_normalized("NFC", text):
        places = array("I", range(len(text) + 1))
        return PlainText(text, places[:-1], places[1:], text)
    hidden = bytearray(len(text))
    spans = [match.span(match.lastgroup or 0) for match in _DECORATION.finditer(text)]
    spans += [match.span(group) for match in _UNDERLINED.finditer(text) for group in (1, 2)]
    for start, end in spans:
        hidden[start:end] = b"\1" * (end - start)
    letters: list[str] = []
    starts, ends = array("I"), array("I")
    place = 0
    while place < len(text):
        end = place + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        cluster = text[place:end]
        if not hidden[place] and cluster not in _WEIGHTLESS:
            for letter in _plain(cluster):
                if letter == " " and letters and letters[-1] == " ":
                    continue  # blanks run together
                letters.append(letter)
                starts.append(place)
                ends.append(end)
        place = end
    return PlainText("".join(letters), starts, ends, text)


def _plain(cluster: str) -> str:
    if cluster in _SAME:
        return _SAME[cluster]
    if cluster.isspace():
        return " "
    return cluster if cluster.isascii() else unicodedata.normalize("NFC", cluster)
