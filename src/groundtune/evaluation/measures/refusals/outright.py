"""Answers whose form says that they answer, whatever they deny: an amount, a yes or no, "no limit", what a code stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundtune.evaluation.measures.refusals import english, turkish
from groundtune.evaluation.measures.refusals.denial import Denial
from groundtune.evaluation.measures.refusals.reading import Asked, Clause, asks_whether, beginnings

HOW_MUCH = re.compile(r"\b(?:how (?:long|many|much|often|far|tall|high|deep|big|old|fast|heavy)|kac\w*|ne kadar\w*)\b")
_AMOUNT_ASKED = re.compile(
    r"\bwhat (?:is|are|was|were) .*\b(?:limit|quota|price|fee|cost|number|amount|period|maximum|minimum)\b|"
    r"\b(?:limit|kota|sinir|sure|ucret|fiyat|tutar|miktar|sayi|bedel)\w* (?:ne|nedir)\b"
)
_AMOUNT = re.compile(
    r"^(?:(?:about|only|up to|at most|at least|en fazla|en az|yaklasik) )?"
    r"(?:\d[\d ]*|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|bir|iki|uc|dort|bes|alti|yedi|sekiz|dokuz|on(?= (?:gun|ay|yil|hafta|saat|dakika|saniye|adet|kisi|tl|lira|kez|defa|kat|metre)\b)|yirmi|otuz)"
    r"(?: (?!of\b)[a-z]+){0,2}$"
)
_NO_LIMIT = re.compile(
    r"^(?:there (?:is|are) no (?:\w+ )?(?:limit|quota|cap|maximum|minimum)s?|(?:\w+ ){0,2}(?:limit|kota|sinir)\w* (?:yok|yoktur|bulunmuyor))$"
)
_LIMIT_ASKED = re.compile(r"\b(?:limit|quota|cap|maximum|minimum|kota|sinir)\w*\b")
_SAID_ASKED = re.compile(r"\b(?:mention|state|say|specify|describe|list|bahse[dt]|belirt|yaz)\w*\b")
_NO = re.compile(r"^(?:yes|no|evet|hayir)$")
_CODE = re.compile(r"^\W*([A-Za-z]+-?\d+)\s*:\s*\S")


def answers_outright(text: str, parts: Sequence[Clause], wanted: Asked, *, first_denies: bool) -> bool:
    """Whether the first clause of an answer to `wanted` is an answer by its form alone; `first_denies` says that it was read as a no."""
    first = parts[0].text
    code = _CODE.match(text)
    if code is not None and code[1].lower() in wanted.text:
        return not any(names_texts(each.text) or _surely_denies(each.text) for each in parts)
    if _NO.match(first) and asks_whether(wanted.text) and _SAID_ASKED.search(wanted.text):
        return True
    if (
        _AMOUNT.match(first)
        and not (first_denies or names_texts(first))
        and (HOW_MUCH.search(wanted.text) or _AMOUNT_ASKED.search(wanted.text))
    ):
        return True
    return (
        _NO_LIMIT.match(first) is not None
        and _LIMIT_ASKED.search(wanted.text) is not None
        and not wanted.beginnings.isdisjoint(beginnings(first))
    )


def names_texts(text: str) -> bool:
    return bool(english.NAMES_TEXTS.search(text) or turkish.NAMES_TEXTS.search(text))


def _surely_denies(text: str) -> bool:
    return Denial.CERTAIN in (english.denial(text), turkish.denial(text))
