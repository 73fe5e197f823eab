"""Sentences of Turkish and English technical prose, as offsets.

Where a full stop may be either, a sentence rather stays together: half a sentence shown to a model as uncovered is worse than two
whole ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.types import Language

_END = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’»)\]*_]*(?=\s)")
_BEGIN = re.compile(r"\s+([\"'“‘«(\[*_`<]*)(\S)")
_HARD_BREAK = re.compile(r"(?:[ ]{2,}|\\)\n")
# stops in these end nothing, but for one at the very end of a bold passage or of a whole sentence in parentheses
_OPAQUE = re.compile(
    r"`[^`\n]+`|!?\[[^\]\n]*\]\([^)\n]*\)|\[![^\]\n]*\]|\*\*[^*\n]{1,80}\*\*|\([^()\n]*\)|https?://\S+"
)
_STOPS = re.compile(r"[.!?…]")
_LAST_STOP = re.compile(r"\.(?:\*\*|\))$")

_TITLES = ("dr", "prof", "doç", "av", "yrd", "mr", "mrs", "ms", "st", "sn")
_REFERENCES = (
    "bkz",
    "örn",
    "yak",
    "cf",
    "incl",
    "excl",
    "approx",
    "resp",
    "vol",
    "ed",
    "ltd",
    "şti",
    "inc",
    "tic",
    "san",
)
ABBREVIATIONS = frozenset((*_TITLES, *_REFERENCES))
"""A stop after one of these ends no sentence. Words that close an enumeration (``vb.``, ``vs.``, ``etc.``) are not among them:
before a capital they end it."""
CLOSING = frozenset(("vb", "vs", "vd", "etc"))
BEFORE_A_FIGURE = frozenset(
    ("no", "nr", "fig", "eq", "sec", "art", "md", "tel", "min", "max", "maks", "s", "p", "pp", "ch", "v")
)
"""A stop after one of these ends no sentence where a figure follows."""

_LONGEST_ORDINAL = 2
"""Digits of a Turkish ordinal before a capital (``3. Bölüm``); a longer figure before a stop is rather the end (``2026. Bu``)."""


def sentence_spans(text: str, start: int, end: int, language: Language) -> Iterator[tuple[int, int]]:
    """The sentences of ``text[start:end]``, without the blanks around them.

    >>> text = "Süre 1.250,50 saattir (bkz. Ek 2. Kısım). Egeli Kablo A.Ş. canlıdır. 3. Bölüm'e bakın."
    >>> [text[first:last] for first, last in sentence_spans(text, 0, len(text), "tr")]
    ['Süre 1.250,50 saattir (bkz. Ek 2. Kısım).', 'Egeli Kablo A.Ş. canlıdır.', "3. Bölüm'e bakın."]
    """
    for first, last in _lines(text, start, end):
        masked = _OPAQUE.sub(_without_stops, text[first:last])
        begin = 0
        for match in _END.finditer(masked):
            if _ends(masked, begin, match, language):
                yield from _trimmed(text, first + begin, first + match.end())
                begin = match.end()
        yield from _trimmed(text, first + begin, last)


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Pieces between hard line breaks."""
    for match in _HARD_BREAK.finditer(text, start, end):
        yield start, match.start()
        start = match.end()
    yield start, end


def _without_stops(match: re.Match[str]) -> str:
    piece = match[0]
    last = _LAST_STOP.search(piece)
    if last is None or (piece[0] == "(" and not piece[1].isupper()):
        return _STOPS.sub("x", piece)
    return _STOPS.sub("x", piece[: last.start()]) + last[0]


def _ends(masked: str, begin: int, match: re.Match[str], language: Language) -> bool:
    following = _BEGIN.match(masked, match.end())
    if following is None:
        return False
    capital = following[2].isupper() or following[2].isdigit()
    if not capital and not following[1].strip("("):
        return False
    if match[0][0] != "." or match[0].startswith(".."):
        return True
    before = masked[begin : match.start()].split()
    word = before[-1].strip("\"'“”‘’«»([*_").casefold() if before else ""
    if not word:
        return False
    if word.isdigit():
        return len(before) > 1 and (language != "tr" or len(word) > _LONGEST_ORDINAL)
    if word in ABBREVIATIONS or (len(word) == 1 and word.isalpha()) or (word == "vs" and language != "tr"):
        return False
    if word in CLOSING:
        return capital
    if word in BEFORE_A_FIGURE and following[2].isdigit():
        return False
    return re.fullmatch(r"(?:\w\.)+\w", word) is None  # e.g, A.Ş


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if piece.strip():
        yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
