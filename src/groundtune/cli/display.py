"""What the verbs' output is made of: one kind of table, one console, figures that no width of terminal breaks.

Without a terminal everything is plain text, and a line is as long as it is: the reader may be a program.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from groundtune.evaluation.verdict.wording import THIN

PLAIN_WIDTH = 10_000
"""Columns where there is no terminal and COLUMNS is not set."""

LEAST_WORDS = 24
"""Columns below which words are not squeezed for the sake of figures beside them."""

_HELD = "\u2800"
"""Stands for a blank that a line must not end at: rich breaks lines at every kind of space."""

_BETWEEN_FIGURE_AND_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|bytes|kB|MB|GB|pp|GFLOP/s|×)(?:\W|$))|(?<=\d ×) ")

_STEERING = {
    code: "\ufffd"
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if chr(code) not in "\n\t"
}
"""Controls, which a terminal obeys, and those that turn the direction of writing, also of what stands behind them."""

Cell = str | Text

Facts = Sequence[tuple[str, str, str]]
"""Name, figure, and what to know about it."""


def visible(text: str) -> str:
    """What models and documents say, without what would steer the terminal.

    >>> visible("a\\x1b[2Jb\\tc\\u202ed")
    'a�[2Jb\\tc�d'
    """
    return text.translate(_STEERING)


class _Output(Console):
    """Only what rich itself sends steers the terminal, whatever is printed."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def output(*, stderr: bool = False) -> Console:
    """The console for results. Text is never taken for mark-up: brackets in names and answers stay what they are."""
    console = _Output(highlight=False, emoji=False, markup=False, stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


def has_colours(console: Console) -> bool:
    """Whether colours reach the reader, so that nothing need be marked in another way."""
    return console.color_system is not None and not console.no_color


def near(path: Path) -> Path:
    """As a person here would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def left_out(count: int, reason: str, places: Sequence[str] = ()) -> str:
    """
    >>> left_out(1200, "no text"), left_out(2, "no text", ["a.md", "b.md"])
    ('left out: 1,200 × no text', 'left out: 2 × no text (a.md, b.md)')
    """
    return f"left out: {count:,} × {reason}" + (f" ({', '.join(places)})" if places else "")


class Sheet:
    """A table: a title, headers, rows. The first column holds words, but with `figures`, and those named in `left`; the others
    hold figures, set to the right.

    Where the terminal is too narrow the gaps shrink first, then words are wrapped between words (those of the first column
    and, where `prose`, of the last), and at last the columns are shown in several blocks, each with the first column: a
    figure is never broken.
    """

    def __init__(
        self, title: str, *headers: str, left: Sequence[int] = (), prose: bool = False, figures: bool = False
    ) -> None:
        self.title = title
        self._headers = [_text(header, "dim") for header in headers]
        self._rows: list[tuple[list[Text], str]] = []
        last = len(headers) - 1
        self._wraps = {0, last} if prose else {0}
        self._left = {*left} if figures else {*self._wraps, *left}

    def row(self, *cells: Cell, style: str = "") -> None:
        """`style` is of every cell that has none."""
        if len(cells) != len(self._headers):
            raise ValueError(f"a row of {len(cells)} cells in a table of {len(self._headers)} columns")
        self._rows.append(([_text(cell) for cell in cells], style))

    def show(self, console: Console, *notes: str) -> None:
        """Nothing where there are no rows. Notes stand below; a blank line ends a table that has a title."""
        if not self._rows:
            return
        if self.title:
            console.print(Text(self.title, "bold"))
        for number, (columns, gap) in enumerate(self._blocks(console.width)):
            if number:
                console.print()
            widths = self._widths(columns, gap, console.width)
            if any(self._headers[column] for column in columns):
                for line in self._lines(console, self._low_headers(columns), columns, widths, gap):
                    console.print(line, soft_wrap=True)
            for cells, style in self._rows:
                for line in self._lines(console, cells, columns, widths, gap):
                    console.print(line, style=style, soft_wrap=True)
        for note in notes:
            console.print(Text(note, "dim"))
        if self.title:
            console.print()

    def _low_headers(self, columns: Sequence[int]) -> list[Text]:
        """Headers of fewer lines than others stand on the last ones."""
        height = max(self._headers[column].plain.count("\n") for column in columns)
        return [Text("\n" * (height - each.plain.count("\n"))).append_text(each) for each in self._headers]

    def _natural(self, column: int) -> int:
        """Columns that the widest cell takes."""
        cells = [self._headers[column], *(cells[column] for cells, _ in self._rows)]
        return max(line.cell_len for cell in cells for line in cell.split(allow_blank=True))

    def _least(self, column: int) -> int:
        natural = self._natural(column)
        return min(natural, LEAST_WORDS) if column in self._wraps else natural

    def _blocks(self, width: int) -> Iterator[tuple[list[int], int]]:
        """The columns that stand side by side, and the gap between them."""
        columns = list(range(len(self._headers)))
        for gap in (2, 1):
            if sum(map(self._natural, columns)) + gap * (len(columns) - 1) <= width:
                yield columns, gap
                return
        block, used = [0], self._least(0)
        for column in columns[1:]:
            needed = 2 + self._least(column)
            if used + needed > width and len(block) > 1:
                yield block, 2
                block, used = [0], self._least(0)
            block.append(column)
            used += needed
        yield block, 2

    def _widths(self, columns: Sequence[int], gap: int, width: int) -> list[int]:
        """What is left beside the figures is for the words: the first column takes what it needs, up to half of it if there is
        prose."""
        most = max(1, width - gap - self._least(0))
        figures = sum(min(self._natural(each), most) for each in columns if each not in self._wraps)
        left = width - gap * (len(columns) - 1) - figures
        prose = columns[-1] if columns[-1] in self._wraps and len(columns) > 1 else None
        first = min(self._natural(0), max(1, left))
        if prose is not None and first + self._natural(prose) > left:
            first = min(first, max(LEAST_WORDS, left // 2))
        rest = max(1, left - first)
        return [
            first if each == 0 else min(self._natural(each), rest) if each == prose else min(self._natural(each), most)
            for each in columns
        ]

    def _lines(
        self, console: Console, cells: Sequence[Text], columns: Sequence[int], widths: Sequence[int], gap: int
    ) -> Iterator[Text]:
        wrapped = [
            [_loosened(line) for line in _held(cells[column]).wrap(console, max(1, width))] or [Text()]
            for column, width in zip(columns, widths, strict=True)
        ]
        for number in range(max(map(len, wrapped))):
            line = Text()
            for place, (column, width) in enumerate(zip(columns, widths, strict=True)):
                piece = wrapped[place][number] if number < len(wrapped[place]) else Text()
                piece.rstrip()
                blanks = " " * max(0, width - piece.cell_len)
                between = " " * gap if place else ""
                line = Text.assemble(line, between, *((piece, blanks) if column in self._left else (blanks, piece)))
            line.rstrip()
            yield line


def _text(cell: Cell, style: str = "") -> Text:
    """A terminal has one width of space. What would steer it, and tabs, are replaced here already, so that columns are as wide
    as they are measured."""
    shown = cell.copy() if isinstance(cell, Text) else Text(cell.replace(THIN, " "), style)
    shown.plain = visible(shown.plain)
    shown.expand_tabs()
    return shown


def _held(text: Text) -> Text:
    """A figure and its unit as one word."""
    held = text.copy()
    held.plain = _BETWEEN_FIGURE_AND_UNIT.sub(_HELD, text.plain)
    return held


def _loosened(text: Text) -> Text:
    text.plain = text.plain.replace(_HELD, " ")
    return text


def show_facts(console: Console, title: str, facts: Facts) -> None:
    """Figures one below the other, each with its name before it and what to know about it behind."""
    sheet = Sheet(title, "", "", "", prose=True)
    for name, figure, note in facts:
        sheet.row(name, Text(figure, "bold"), Text(note, "dim"))
    sheet.show(console)


def show_labelled(console: Console, *rows: tuple[str, Cell], indent: int = 0) -> None:
    """Text with a name before each paragraph, wrapped beside it."""
    sheet = Sheet("", "", "", prose=True)
    for name, text in rows:
        sheet.row(Text(" " * indent + name, "dim"), text)
    sheet.show(console)
