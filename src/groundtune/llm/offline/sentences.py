"""Sentences of a paragraph, each a verbatim slice of it."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?:]['\"”’)\]*_]*(?=\s|$)")
_ABBREVIATIONS = frozenset(
    [
        "örn",
        "vb",
        "vs",
        "bkz",
        "dr",
        "no",
        "a.ş",
        "ltd",
        "şti",
        "e.g",
        "i.e",
        "etc",
        "inc",
        "mr",
        "approx",
        "vd",
        "yy",
        "min",
        "max",
        "maks",
        "fig",
    ]
)
_NEXT = re.compile(r"\s+['\"“‘(\[*_`]*[A-ZÇĞİÖŞÜ0-9\[*`]")


def split_sentences(text: str) -> list[str]:
    """Cut at a full stop, question or exclamation mark that a capital, a number or a mark-up sign follows.

    A colon ends a sentence only at the end of the text. Stops inside code spans and after abbreviations do not count.

    >>> split_sentences("Egeli Kablo A.Ş. canlıdır. Süre 00.15'te biter; `a. B` kalır. O gün açılan 147. lot budur.")
    ['Egeli Kablo A.Ş. canlıdır.', "Süre 00.15'te biter; `a. B` kalır.", 'O gün açılan 147. lot budur.']
    """
    sentences, start = [], 0
    for match in _END.finditer(text):
        end = match.end()
        if text[start:end].count("`") % 2 or text[start:end].count("**") % 2 or _is_open(text[start:end]):
            continue
        if end < len(text.rstrip()) and (
            match[0][0] == ":" or not _NEXT.match(text, end) or _is_abbreviation(text[start : match.start()])
        ):
            continue
        sentences.append(text[start:end].strip())
        start = end
    rest = text[start:].strip()
    return sentences + ([rest] if rest else [])


def _is_open(text: str) -> bool:
    return text.count("(") > text.count(")")


def _is_abbreviation(before: str) -> bool:
    words = before.split()
    if not words:
        return True
    word = words[-1].lower().strip("(*_\"'")
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha())


def ends_as_sentence(text: str) -> bool:
    """Whether `text` ends with a full stop, apart from closing marks."""
    return text.rstrip("*_\"'”’)").endswith(".")
