"""Which database tables a passage names.

Precision before recall: a snake_case name such as ``stk_lots`` looks just like a field (``lot_no``). Over the whole corpus
a name is taken for a table when SQL uses it as one (after FROM, JOIN, INTO, UPDATE, TABLE), or when it stands in inline
code next to the word "tablo" or "table". Further names in inline code are taken when they share a prefix of two to four letters
that at least three names have and at least two such confirmed tables have, unless they are seen used as fields.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from groundtune.types import Chunk

MIN_SHARED_PREFIX = 3
"""Distinct names in inline code that must share a prefix."""
MIN_CONFIRMED = 2
"""Of them, names that are certainly tables."""

_NAME = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+"
_WORD = re.compile(rf"(?<![\w/-]){_NAME}(?![\w-])")
_SQL_TABLE_USE = (
    r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE(?:\s+IF\s+(?:NOT\s+)?EXISTS)?)\s+(?:[\w\"`\[\]]+\.)?[\"`\[]?" rf"({_NAME})\b"
)
_SQL_TABLE = re.compile(_SQL_TABLE_USE)
_SQL_TABLE_ANY_CASE = re.compile(_SQL_TABLE_USE, re.IGNORECASE)
_SQL_WITH = re.compile(rf"\b({_NAME})\s+AS\s*(?:NOT\s+)?(?:MATERIALIZED\s*)?\(", re.IGNORECASE)
_SQL_FENCE = re.compile(
    r"^[ \t>]*(`{3,}|~{3,})[ \t]*(?:sql|pgsql|tsql|plsql)\b[^\n]*\n(.*?)(?:^[ \t>]*\1|\Z)", re.M | re.S | re.I
)
_SPANNED = re.compile(rf"`({_NAME})(?:\.[a-z_0-9*]+)?`")
_LIST_ITEM = r"(?:\s*,\s*|,?\s+(?:ve|veya|ile|and|or)\s+)`[^`\n]+`"
# "`a` tablosu", "`a`, `b` ve `c` tabloları": after a list the word is plural, or it speaks of the last name only
_TABLE_AFTER = re.compile(
    rf"\s+(?:(?:adlı|isimli|database)\s+)?(?:tablo|tables?\b)|(?:{_LIST_ITEM})+\s+(?:tablolar|tables\b)", re.IGNORECASE
)
# "tablolar: `a`, `b`", "table `a`"; not "tablosunda `x`" and "tablonun `x` alanı", which name a field
_TABLE_BEFORE = re.compile(
    r"\b(?:tablo(?:lar)?\s*:|tables?\b\s*:?)\s*(?:`[^`\n]+`(?:\s*,\s*|,?\s+(?:ve|veya|ile|and|or)\s+))*\Z",
    re.IGNORECASE,
)
_FIELD = re.compile(rf"\.({_NAME})\b|[\"']({_NAME})[\"']\s*:|[?&{{]({_NAME})[=}}]")
_FIELD_ROW = re.compile(rf"^[ \t]*\|[ \t]*`({_NAME})`[ \t]*\|", re.MULTILINE)
_FIELD_HEADER = re.compile(r"^[ \t]*\|[ \t]*(?:alan|sütun|field|column|parametre|parameter|anahtar|key)\b", re.I | re.M)
_NEAR = 80


class TableNames:
    """The table names of a corpus, found once and then looked up in every passage."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        in_sql: set[str] = set()
        called_tables: set[str] = set()
        fields: set[str] = set()
        spanned: set[str] = set()
        for chunk in chunks:
            if "_" not in chunk.text:
                continue
            in_sql.update(_tables_in_sql(chunk.text))
            called_tables.update(_called_tables(chunk.text))
            fields.update(_fields(chunk.text))
            spanned.update(_SPANNED.findall(chunk.text))
        confirmed = in_sql | (called_tables - fields)
        self.names = frozenset(confirmed | _by_prefix(confirmed, spanned - fields))

    def find(self, text: str) -> tuple[str, ...]:
        """Tables named in `text`, sorted.

        >>> TableNames([]).find("`stk_lots`")
        ()
        """
        return tuple(sorted({word for word in _WORD.findall(text) if word in self.names})) if self.names else ()


def _tables_in_sql(text: str) -> set[str]:
    # keywords in capitals are SQL anywhere; in lower case ("from", "update") only where the text says that it is SQL
    sql = "\n".join(match[2] for match in _SQL_FENCE.finditer(text))
    named = {*_SQL_TABLE.findall(text), *_SQL_TABLE_ANY_CASE.findall(sql)}
    return named - set(_SQL_WITH.findall(sql))


def _called_tables(text: str) -> Iterable[str]:
    """Names in inline code beside the word "table" or "tablo"."""
    for match in _SPANNED.finditer(text):
        after = text[match.end() : match.end() + _NEAR].partition("\n")[0]
        before = text[max(0, match.start() - _NEAR) : match.start()].rpartition("\n")[2]
        if "." not in match[0] and (_TABLE_AFTER.match(after) or _TABLE_BEFORE.search(before)):
            yield match[1]


def _fields(text: str) -> Iterable[str]:
    """Names seen where only a field, a key or a parameter can stand."""
    for groups in _FIELD.findall(text):
        yield from filter(None, groups)
    if _FIELD_HEADER.search(text):
        yield from _FIELD_ROW.findall(text)


def _by_prefix(confirmed: set[str], candidates: set[str]) -> set[str]:
    sharing = Counter(_prefix(name) for name in candidates | confirmed)
    certain = Counter(_prefix(name) for name in confirmed)
    return {
        name
        for name in candidates
        if 2 <= len(_prefix(name)) <= 4
        and sharing[_prefix(name)] >= MIN_SHARED_PREFIX
        and certain[_prefix(name)] >= MIN_CONFIRMED
    }


def _prefix(name: str) -> str:
    return name.partition("_")[0]
