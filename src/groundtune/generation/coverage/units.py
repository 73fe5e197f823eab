"""The smallest things worth a question: sentences, data rows of tables, code blocks; each with its offsets in the chunk's text.

A scan by lines, not a Markdown parser: offsets must be those of the raw text, and ten thousand chunks take a second. Indented
code and HTML tables are read as prose.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from groundtune.generation.coverage.sentences import sentence_spans
from groundtune.types import Language

Kind = Literal["sentence", "row", "code"]
Block = tuple[str, int, int]
"""``sentence`` (prose that holds some), ``row``, ``code`` or a reason to skip; start; end."""
KINDS: tuple[Kind, ...] = ("sentence", "row", "code")

_WHOLE: dict[str, Kind] = {"row": "row", "code": "code"}

HEADING = "heading"
TABLE_HEADER = "table header"
MARKUP = "mark-up"
LINKS_ONLY = "links or images alone"
LEAD_IN = "lead-in that ends with a colon"
VERY_SHORT = "very short"

SHORTEST_LETTERS = 10
"""Letters and digits of a sentence, row or code block worth a question; ``Lot zorunludur.`` has 13."""
SHORTEST_WORDS = 2
SHORTEST_LABEL = 3
"""Words of a list item without a full stop: ``Bitiş tarihi`` is a label."""

# these are matched against a line without the blanks and quote marks around it
_FENCE = re.compile(r"`{3,}|~{3,}")
_HEADING = re.compile(r"#{1,6}(?:\s|$)")
_UNDERLINE = re.compile(r"(?:=+|-{2,})$")
_RULE = re.compile(r"(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_DELIMITER = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?$")
_MARKUP = re.compile(
    r"\[![A-Z]+\]$|"  # > [!NOTE]
    r":::|"
    r"(?:!!!|\?\?\?\+?) |=== [\"']|"  # admonitions and tabs of MkDocs
    r"\{[{%].*[}%]\}$|"  # templates
    r"(?:</?[A-Za-z][^>]*>\s*|<!--.*?-->\s*)+$"
)
_TAG = re.compile(r"</?(?:li|td|th|tr|p|dt|dd|div|ul|ol|table|br|h[1-6]|blockquote)\b")
_ANY_TAG = re.compile(r"<[^>\n]+>")
_DEFINITION = re.compile(r"\[[^\]]+\]:\s*\S+")
_ITEM = re.compile(r"\s*(?:>\s*)*(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_QUOTE = re.compile(r"\s*>[\s>]*")
_LINK = re.compile(r"!?\[(?:[^\[\]\n]|\[[^\[\]\n]*\])*\](?:\([^)\n]*\)|\[[^\]\n]*\])?|<?https?://\S+|<[^>\n]+>")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Unit:
    """``text[start:end]`` of a chunk, without blanks around it."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str
    bare: str
    """Without the blanks and quote marks around it."""


def split_units(text: str, language: Language) -> tuple[list[Unit], Counter[str]]:
    """The units of a chunk in order, which never overlap, and what is not worth a question, by reason.

    >>> text = "# Stok\\n\\nLot zorunludur. Bkz:\\n\\n| Kod | Ad |\\n|---|---|\\n| STK-1 | Makara kartı |\\n"
    >>> units, skipped = split_units(text, "tr")
    >>> [(unit.kind, text[unit.start:unit.end]) for unit in units]
    [('sentence', 'Lot zorunludur.'), ('row', '| STK-1 | Makara kartı |')]
    >>> dict(skipped)
    {'heading': 1, 'lead-in that ends with a colon': 1, 'table header': 1}
    """
    units: list[Unit] = []
    skipped: Counter[str] = Counter()
    for kind, start, end in _blocks(text):
        if kind == "sentence":
            for first, last in sentence_spans(text, start, end, language):
                _keep_or_skip(text, Unit("sentence", first, last), units, skipped)
        elif whole := _WHOLE.get(kind):
            _keep_or_skip(text, Unit(whole, start, end), units, skipped)
        else:
            skipped[kind] += 1
    return units, skipped


def _keep_or_skip(text: str, unit: Unit, units: list[Unit], skipped: Counter[str]) -> None:
    reason = _why_not(text[unit.start : unit.end], unit.kind)
    if reason is None:
        units.append(unit)
    else:
        skipped[reason] += 1


def _why_not(piece: str, kind: Kind) -> str | None:
    if kind == "sentence":
        if "[" in piece or "http" in piece or "<" in piece:
            rest = _LINK.sub("", piece)
            if not _WORD.search(rest) and _LINK.search(piece):
                return LINKS_ONLY
        if piece.rstrip("*_ \t").endswith(":"):
            return LEAD_IN
    words = _WORD.findall(_ANY_TAG.sub("", piece) if kind == "sentence" else piece)
    ends = kind != "sentence" or piece.rstrip("*_\"'”’)").endswith((".", "!", "?", "…"))
    if len(words) < (SHORTEST_WORDS if ends else SHORTEST_LABEL) or sum(map(len, words)) < SHORTEST_LETTERS:
        return VERY_SHORT
    return None


def _blocks(text: str) -> Iterator[Block]:
    """Paragraphs and list items (``sentence``), rows, code and reasons to skip, in order, with their offsets."""
    lines = _read_lines(text)
    place, open_at, open_end = 0, -1, -1  # the second and third: of the paragraph that is being read
    while place < len(lines):
        line = lines[place]
        if open_at >= 0 and _UNDERLINE.match(line.bare):
            yield HEADING, open_at, open_end
            open_at = -1
            place += 1
            continue
        if open_at >= 0 and _closes(lines, place):
            yield "sentence", open_at, open_end
            open_at = -1
        if open_at < 0 and line.bare:
            taken = yield from _whole_block(text, lines, place)
            if taken:
                place += taken
                continue
            marker = _ITEM.match(line.text) or _QUOTE.match(line.text)
            open_at = line.start + (marker.end() if marker else 0)
        open_end = line.end
        place += 1
    if open_at >= 0:
        yield "sentence", open_at, open_end


def _read_lines(text: str) -> list[_Line]:
    lines, start = [], 0
    for piece in text.split("\n"):
        lines.append(_Line(start, start + len(piece), piece, piece.lstrip(" \t>").rstrip()))
        start += len(piece) + 1
    return lines


def _closes(lines: list[_Line], place: int) -> bool:
    """Whether the line ends the paragraph before it."""
    line = lines[place]
    return (
        not line.bare
        or _ITEM.match(line.text) is not None
        or (_QUOTE.match(line.text) is not None and _QUOTE.match(lines[place - 1].text) is None)
        or any(pattern.match(line.bare) for pattern in (_FENCE, _HEADING, _MARKUP, _TAG))
        or _is_table_start(lines, place)
    )


def _whole_block(text: str, lines: list[_Line], place: int) -> Generator[Block, None, int]:
    """A block that is known by its first line. Returns how many lines it takes; 0: none begins here."""
    line = lines[place]
    if fence := _FENCE.match(line.bare):
        return (yield from _code(text, lines, place, fence[0]))
    if _is_table_start(lines, place):
        return (yield from _table(lines, place))
    for pattern, reason in ((_HEADING, HEADING), (_RULE, MARKUP), (_DEFINITION, LINKS_ONLY), (_MARKUP, MARKUP)):
        if pattern.match(line.bare):
            yield reason, line.start, line.end
            return 1
    return 0


def _code(text: str, lines: list[_Line], place: int, fence: str) -> Generator[Block, None, int]:
    last = place + 1
    while last < len(lines) and not lines[last].bare.startswith(fence):
        last += 1
    start, end = lines[place].end, lines[last - 1].end
    body = text[start:end]
    if body.strip():
        yield "code", start + len(body) - len(body.lstrip()), start + len(body.rstrip())
    return last - place + 1


def _is_table_start(lines: list[_Line], place: int) -> bool:
    line = lines[place].bare
    if "|" not in line:
        return False
    if line.startswith("|") and line.endswith("|") and line.count("|") > 2:
        return True  # also the rest of a table whose head is in another chunk
    following = lines[place + 1].bare if place + 1 < len(lines) else ""
    return "|" in following and _DELIMITER.match(following) is not None


def _table(lines: list[_Line], place: int) -> Generator[Block, None, int]:
    last = place
    while last < len(lines) and "|" in lines[last].bare:
        last += 1
    headed = last > place + 1 and _DELIMITER.match(lines[place + 1].bare) is not None
    if headed:
        yield TABLE_HEADER, lines[place].start, lines[place].end
    for line in lines[place + 2 if headed else place : last]:
        if not _DELIMITER.match(line.bare):
            start = line.start + line.text.index(line.bare)
            yield "row", start, start + len(line.bare)
    return last - place
