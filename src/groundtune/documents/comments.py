"""HTML comments taken out of Markdown, except inside code, without moving any line.

The rule is CommonMark's: a comment at the start of a line runs to the first ``-->``, over blank lines too; one that begins
inside a line must end before the next blank line. A comment that does not end is ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.documents.blocks import code_lines
from groundtune.documents.plain import code_spans

_LINE_START = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t>]+)*\Z")


@dataclass(frozen=True, slots=True)
class Uncommented:
    """Lines without comments, and what was found on the way."""

    lines: tuple[str, ...]
    """As many as went in; a line that was all comment is empty."""
    num_comments: int
    unclosed: tuple[int, ...]
    """1-based numbers of the lines where a comment begins that never ends; their text is kept."""


def remove_comments(lines: Sequence[str]) -> Uncommented:
    """Take the comments out.

    >>> remove_comments(["a <!-- b -->c", "`<!-- kept -->`"]).lines
    ('a c', '`<!-- kept -->`')
    """
    if not any("<!--" in line for line in lines):
        return Uncommented(tuple(lines), 0, ())
    code = code_lines(lines)
    kept = list(lines)
    comments = 0
    unclosed: list[int] = []
    # knowing where the last mark is keeps a file full of comments that never end from being searched again and again
    last = max((row for row, line in enumerate(lines) if "-->" in line), default=-1)
    row, column = 0, 0
    while row < len(kept):
        opening = -1 if row in code else _opening(kept[row], column)
        if opening < 0:
            row, column = row + 1, 0
            continue
        closing = _closing(kept, row, opening) if row <= last else None
        if closing is None:
            unclosed.append(row + 1)
            column = opening + len("<!--")
            continue
        comments += 1
        row, column = _blank_out(kept, (row, opening), closing)
    return Uncommented(tuple(kept), comments, tuple(unclosed))


def _opening(line: str, column: int) -> int:
    """Where the next comment begins at or after `column`, or -1; not in inline code, not after a backslash."""
    at = line.find("<!--", column)
    if at < 0:
        return -1
    spans = code_spans(line)
    while at >= 0:
        inside = any(start <= at < end for start, end in spans)
        if not inside and (at == 0 or line[at - 1] != "\\"):
            return at
        at = line.find("<!--", at + 1)
    return -1


def _closing(lines: Sequence[str], row: int, opening: int) -> tuple[int, int] | None:
    """Row and column just after the ``-->`` of the comment that opens at `opening`."""
    over_blank_lines = bool(_LINE_START.match(lines[row][:opening]))
    # "<!-->" is a whole comment
    at = lines[row].find("-->", opening + 2)
    current = row
    while at < 0:
        current += 1
        if current >= len(lines) or (not over_blank_lines and not lines[current].strip()):
            return None
        at = lines[current].find("-->")
    return current, at + len("-->")


def _blank_out(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> tuple[int, int]:
    """Delete the text between two positions; returns where to go on."""
    (first, opening), (last, after) = start, end
    if first == last:
        lines[first] = _trimmed(lines[first][:opening], lines[first][after:])
        return first, min(opening, len(lines[first]))
    lines[first] = _trimmed(lines[first][:opening], "")
    for row in range(first + 1, last):
        lines[row] = ""
    lines[last] = _trimmed("", lines[last][after:])
    return last, 0


def _trimmed(before: str, after: str) -> str:
    """What is left of a line; nothing, when only quotation marks of its container are left."""
    rest = before + after
    return "" if not rest.strip(" \t>") else rest
