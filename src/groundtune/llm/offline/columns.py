"""What the columns of a table hold, told by their headers in Turkish and English."""

from __future__ import annotations

import re
from dataclasses import dataclass

from groundtune.language import lower_case
from groundtune.llm.offline.structure import Row, Table, plain
from groundtune.llm.offline.topics import Topic, running

_HEADERS: dict[str, tuple[str, ...]] = {
    "code": ("kod", "hata kodu", "hata", "code", "error code", "error"),
    "field": ("alan", "sütun", "alan adı", "kolon", "field", "column", "field name"),
    "parameter": ("parametre", "anahtar", "ayar", "parameter", "setting", "key"),
    "status": ("durum", "durumlar", "status", "state"),
    "role": ("rol", "role"),
    "screen": ("ekran", "screen"),
    "line": ("hat", "line"),
    "warehouse": ("depo", "warehouse"),
    "operation": ("operasyon", "operation"),
    "meaning": (
        "anlam", "anlamı", "açıklama", "açıklaması", "tanım", "tanımı", "etkisi", "görevi", "işlevi", "neden", "nedeni", "hareket",
        "meaning", "description", "effect", "purpose", "explanation", "cause", "reason", "movement",
    ),
    "remedy": ("çözüm", "çözümü", "ne yapmalı?", "yapılacak", "remedy", "solution", "action", "fix", "what to do"),
    "required": ("zorunlu", "zorunlu mu", "zorunlu mu?", "required", "mandatory"),
    "type": ("tür", "tip", "türü", "veri türü", "type", "data type"),
    "default": ("varsayılan", "varsayılan değer", "default", "default value"),
    "value": ("değer", "value"),
    "unit": ("birim", "unit"),
    "unasked": ("http", "yön", "sign", "no", "sıra", "#", "örnek", "example"),
}  # fmt: skip
_HOLDS = {header: kind for kind, headers in _HEADERS.items() for header in headers}
_NAMES = frozenset(["code", "field", "parameter", "status", "role", "screen", "line", "warehouse", "operation"])
_ERROR_KEY = re.compile(r"^`?[A-Z]{2,5}-\d{2,5}`?$")
_EMPTY = frozenset(["-", "–", "—", ""])


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one table. `holds` says what is in each; it is empty where the header is not known."""

    topic: Topic
    headers: tuple[str, ...]
    holds: tuple[str, ...]
    are_errors: bool
    """The first column holds error codes."""

    @property
    def named(self) -> str:
        """The kind of thing the first column names, or empty."""
        return self.holds[0] if self.holds[0] in _NAMES else ""

    def label(self, column: int) -> str:
        """The header in running text, without a unit in brackets."""
        return running(re.sub(r"\s*\([^)]*\)$", "", self.headers[column]), self.topic.language)

    def amount(self, row: Row, column: int) -> str:
        """A cell with its unit, from the header's brackets or the unit column, and without a closing stop."""
        cell = plain(row.cells[column]).rstrip(".")
        bare = re.fullmatch(r"[±+-]?[\d.,]+(?:[–-][\d.,]+)?", cell) is not None
        if not bare:
            return cell
        unit = ""
        if self.holds[column] in ("value", "default") and "unit" in self.holds:
            unit = plain(row.cells[self.holds.index("unit")])
        elif brackets := re.search(r"\(([^)]*)\)$", self.headers[column]):
            unit = brackets[1].split(",")[0]
        if unit in _EMPTY or len(unit) > 14:
            return cell
        if unit == "%":
            return f"%{cell}" if self.topic.language == "tr" else f"{cell}%"
        return f"{cell} {unit}"

    def is_telling(self, column: int) -> bool:
        """Whether the column may be asked about by its header."""
        header = self.headers[column]
        if len(header) < 3:
            return False
        return self.holds[column] not in ("unit", "unasked", "remedy", "type", "required") and not re.search(
            r"[?,;:]", header
        )


def columns_of(table: Table, topic: Topic) -> Columns | None:
    """The columns of `table`, or None when a header is missing."""
    headers = tuple(plain(cell) for cell in table.header)
    if len(headers) < 2 or not all(headers):
        return None
    holds = tuple(_HOLDS.get(lower_case(header, topic.language), "") for header in headers)
    titled = re.search(r"\b(?:hata|error)", lower_case(f"{topic.heading} {headers[0]}", topic.language)) is not None
    errors = titled and holds[0] == "code" and all(_ERROR_KEY.match(plain(row.cells[0])) for row in table.rows)
    return Columns(topic, headers, holds, errors)


def is_empty(cell: str) -> bool:
    return cell in _EMPTY


def has_figure(text: str) -> bool:
    return any(letter.isdigit() for letter in text)
