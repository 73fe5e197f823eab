"""A passage of Markdown as paragraphs, lists, tables and code, every piece a verbatim slice of the passage.

Line by line and forgiving: what is not recognised is a paragraph. What this module does not do: render, or follow links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from groundtune.llm.passages import Passage

_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*\s*$")
_ITEM = re.compile(r"^( {0,3})(?:(\d{1,3})[.)]|[-*+])\s+(?=\S)")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(\|\s*:?-{2,}:?\s*)*\|?\s*$")
_NOTE_LABEL = re.compile(r"^(?:\*\*[^*]{2,20}:?\*\*:?|\[![A-Z]+\])\s*")


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text: a paragraph, or one line of a block quote without its mark and label."""

    trail: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class ItemList:
    trail: tuple[str, ...]
    ordered: bool
    items: tuple[str, ...]
    """Texts without their markers, verbatim."""
    text: str
    """The whole list, verbatim."""
    intro: str
    """The paragraph just before, or empty."""


@dataclass(frozen=True, slots=True)
class Row:
    cells: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    trail: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Code:
    trail: tuple[str, ...]
    language: str
    body: str
    intro: str


Block = Paragraph | ItemList | Table | Code


@dataclass(frozen=True, slots=True)
class Page:
    """A passage with its blocks."""

    passage: Passage
    blocks: tuple[Block, ...]
    headings: tuple[str, ...]
    """Heading lines as they stand in the text, verbatim."""

    @property
    def number(self) -> int:
        return self.passage.number

    @property
    def module(self) -> str:
        return self.passage.breadcrumb[0] if self.passage.breadcrumb else ""

    @property
    def submodule(self) -> str:
        crumbs = self.passage.breadcrumb
        return crumbs[1] if len(crumbs) > 1 else self.module

    @property
    def title(self) -> str:
        return self.passage.breadcrumb[-1] if self.passage.breadcrumb else ""


def read_page(passage: Passage) -> Page:
    """Cut a passage into its blocks.

    >>> page = read_page(Passage(1, ("Stok", "Sayım"), "## Sayım\\n\\nSayım aylıktır.\\n\\n1. Açın.\\n2. Sayın."))
    >>> [type(block).__name__ for block in page.blocks], page.blocks[0].trail
    (['Paragraph', 'ItemList'], ('Stok', 'Sayım'))
    """
    scanner = _Scanner(passage)
    blocks = tuple(scanner.blocks())
    return Page(passage, blocks, tuple(scanner.heading_lines))


class _Scanner:
    """Walks the lines once; keeps the open headings and the last paragraph."""

    def __init__(self, passage: Passage) -> None:
        self._lines = passage.text.split("\n")
        self._crumbs = passage.breadcrumb
        self._open: list[tuple[int, str]] = []
        self._at = 0
        self._intro = ""
        self.heading_lines: list[str] = []

    def blocks(self) -> Iterator[Block]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if heading := _HEADING.match(line):
                self._enter(len(heading[1]), heading[2], line)
            elif not line.strip():
                self._at += 1
            elif fence := _FENCE.match(line):
                yield self._code(fence)
            elif self._table_starts():
                yield self._table()
            elif _ITEM.match(line):
                yield self._list()
            else:
                yield from self._paragraph()

    def _enter(self, level: int, title: str, line: str) -> None:
        self._open = [entry for entry in self._open if entry[0] < level] + [(level, plain(title))]
        self.heading_lines.append(line)
        self._intro = ""
        self._at += 1

    @property
    def _trail(self) -> tuple[str, ...]:
        """Breadcrumb and open headings without what both say."""
        titles = [title for _, title in self._open]
        crumbs = list(self._crumbs)
        for index, crumb in enumerate(crumbs):
            if titles and plain(crumb) == titles[0]:
                crumbs = crumbs[:index]
                break
        return (*(plain(crumb) for crumb in crumbs), *titles)

    def _code(self, fence: re.Match[str]) -> Code:
        self._at += 1
        start = self._at
        while self._at < len(self._lines) and not self._lines[self._at].strip().startswith(fence[1]):
            self._at += 1
        body = "\n".join(self._lines[start : self._at])
        self._at += 1
        return Code(self._trail, fence[2].lower(), body, self._intro)

    def _table_starts(self) -> bool:
        return (
            "|" in self._lines[self._at]
            and self._at + 1 < len(self._lines)
            and "|" in self._lines[self._at + 1]
            and _TABLE_RULE.match(self._lines[self._at + 1]) is not None
        )

    def _table(self) -> Table:
        header = split_cells(self._lines[self._at])
        self._at += 2
        rows = []
        while self._at < len(self._lines) and "|" in self._lines[self._at]:
            text = self._lines[self._at].strip()
            cells = split_cells(text)
            if len(cells) == len(header) and cells[0]:
                rows.append(Row(cells, text))
            self._at += 1
        return Table(self._trail, header, tuple(rows))

    def _list(self) -> ItemList:
        """Items of one marker kind; nested lists belong to their item, blank lines inside are allowed."""
        first = _ITEM.match(self._lines[self._at])
        assert first is not None
        ordered = first[2] is not None
        start, items = self._at, list[list[str]]()
        end = self._at
        while self._at < len(self._lines):
            line = self._lines[self._at]
            marker = _ITEM.match(line)
            if marker and len(marker[1]) <= len(first[1]) + 1:
                if (marker[2] is not None) != ordered:
                    break
                items.append([line[marker.end() :]])
            elif line.strip() and not line.startswith((" ", "\t")) and (_HEADING.match(line) or not self._lazy(items)):
                break
            elif items:
                items[-1].append(line)
            self._at += 1
            if line.strip():
                end = self._at
        texts = tuple("\n".join(lines).rstrip() for lines in items)
        block = ItemList(self._trail, ordered, texts, "\n".join(self._lines[start:end]), self._intro)
        self._intro = ""
        return block

    def _lazy(self, items: list[list[str]]) -> bool:
        """A line without indentation continues an item only directly below text."""
        return bool(items) and bool(self._lines[self._at - 1].strip()) and not _FENCE.match(self._lines[self._at])

    def _paragraph(self) -> Iterator[Paragraph]:
        quoted = self._lines[self._at].startswith(">")
        lines: list[str] = []
        while self._at < len(self._lines) and self._continues(quoted, first=not lines):
            lines.append(self._lines[self._at])
            self._at += 1
        if not quoted:
            self._intro = "\n".join(lines).strip()
            yield Paragraph(self._trail, self._intro)
            return
        for line in lines:
            text = _NOTE_LABEL.sub("", line.lstrip("> ").strip())
            if text:
                yield Paragraph(self._trail, text)

    def _continues(self, quoted: bool, *, first: bool) -> bool:
        line = self._lines[self._at]
        if first:
            return True
        if quoted:
            return line.startswith(">")
        return bool(line.strip()) and not (
            _HEADING.match(line)
            or _FENCE.match(line)
            or _ITEM.match(line)
            or line.startswith(">")
            or self._table_starts()
        )


def split_cells(line: str) -> tuple[str, ...]:
    """Cells of a table line; a pipe inside a code span or after a backslash does not cut.

    >>> split_cells("| `a|b` | c \\\\| d |")
    ('`a|b`', 'c \\\\| d')
    """
    cells, cell, code = [], "", False
    for index, letter in enumerate(line.strip()):
        if letter == "`":
            code = not code
        if letter == "|" and not code and (index == 0 or line.strip()[index - 1] != "\\"):
            cells.append(cell.strip())
            cell = ""
        else:
            cell += letter
    cells.append(cell.strip())
    if cells and not cells[0]:
        cells = cells[1:]
    if cells and not cells[-1]:
        cells = cells[:-1]
    return tuple(cells)


_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)(?:\{[^}]*\})?")
_TAG = re.compile(r"</?(?:a|b|br|div|em|font|i|img|kbd|p|span|strong|sub|sup|u)\b[^>]*>", re.IGNORECASE)
_DIRECTIVE = re.compile(r":::\w[^:]*:::")
_BOLD = re.compile(r"\*\*(.+?)\*\*|(?<!\w)__(\S.*?)__(?!\w)")
_EMPHASIS = re.compile(r"(?<![\w*])\*([^*\s][^*]*?)\*(?![\w*])|(?<!\w)_([^_\s][^_]*?)_(?!\w)")
_CODE_SPAN = re.compile(r"(`[^`]+`)")


def plain(text: str) -> str:
    """Without links, emphasis and HTML tags, and on one line; code spans are left as they are.

    >>> plain("**Stok > Lotlar** ekranı, [Lot](lot.md), *yeni* `lot_*no`<br>")
    'Stok > Lotlar ekranı, Lot, yeni `lot_*no`'
    """
    # links and emphasis may hold code spans: the spans are taken out first and put back last
    spans = _CODE_SPAN.findall(text)
    text = _CODE_SPAN.sub("\x00", text)
    text = _LINK.sub(r"\1", _TAG.sub("", _DIRECTIVE.sub("", text)))
    text = _BOLD.sub(lambda match: match[1] or match[2], text)
    text = _EMPHASIS.sub(lambda match: match[1] or match[2], text)
    for span in spans:
        text = text.replace("\x00", span, 1)
    return " ".join(text.split())
