"""What in an answer must be right to the letter: figures, codes, identifiers and paths."""

from __future__ import annotations

import re
from functools import lru_cache

_CODE_SPAN = re.compile(r"`([^`]+)`")
_LIST_NUMBER = re.compile(
    r"^[\s*_>#-]*\d{1,2}[.)][*_]*\s+|(?<!\w)\(?[1-9]\)\s|\b(?:adım|step)\s+\d{1,2}\b|\b\d{1,2}\.\s+adım\b",
    re.MULTILINE | re.IGNORECASE,
)
_EXACT = re.compile(
    r"""
      [A-Za-zÇĞİÖŞÜçğıöşü]+\d[\w.-]*           # H07V-K, REV2, L26-0930-0147
    | [A-ZÇĞİÖŞÜ]{2,}(?:[-_][A-ZÇĞİÖŞÜ0-9]+)+  # STK-204, DEPO_SORUMLUSU
    | [A-Za-z]\w*_\w+                          # stk_lots
    | \d+(?:[.,:/]\d+)*                        # 12, 9.999, 0,85, 00.15
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=16384)
def exact_tokens(text: str) -> frozenset[str]:
    """Figures, codes and identifiers of `text`; numbers that count the items of a list or its steps are not among them.

    >>> sorted(exact_tokens("1. `stk_lots` tablosunda STK-204, 9.999 lot ve %12'dir."))
    ['12', '9.999', 'STK-204', 'stk_lots']
    """
    text = _LIST_NUMBER.sub(" ", text)
    tokens = {match.rstrip(".,:-/") for match in _EXACT.findall(text)}
    for span in _CODE_SPAN.findall(text):
        # a span is code as a whole only when it is one word: "POST /api/lots" is checked by its parts
        if not re.search(r"\s", span):
            tokens.add(span)
    return frozenset(token for token in tokens if token)


def stands_in(token: str, source: str) -> bool:
    """Whether `token` is in `source` with no letter or digit grown onto it: 12 is not in 2012, nor 12 in 12,5."""
    return re.search(rf"(?<![\w.,])(?<!\d[.,:/]){re.escape(token)}(?![\w])(?![.,:/]\d)", source) is not None
