"""A page cut into passages along its headings, each about `target` tokens, every source line in exactly one.

How: blocks are gathered into sections (a heading and what follows it); a heading without text joins what follows; small
neighbours are merged; then each unit is cut between blocks where the sum of deviations from the target is least. A table or
a code block is never cut, so a passage can be larger than the target; a list item or quotation is cut only when it is far
larger by itself, and a paragraph between the lines of which one ends a sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from groundtune.documents.blocks import Block, parse_blocks
from groundtune.documents.plain import prose
from groundtune.documents.reading import Page
from groundtune.documents.tokens import TokenCounter

TINY_TOKENS = 40
"""A section under this joins a neighbour of its own branch, whatever its depth."""
MERGED_DEPTH = 4
"""Sections this deep or deeper are merged with their siblings while both stay under half the target."""
MERGE_LIMIT = 1.5
"""A tiny section does not join a sibling when both together are over this many targets."""
CUT_COST = 0.35
"""Of a cut inside a section, in units of the squared relative deviation from the target. With it a section stays whole
up to 1.64 targets: there (s-1)^2 = 2(s/2-1)^2 + 0.35."""
SPLIT_LEAD_COST = 0.5
"""Added to a cut after a paragraph that ends with a colon and leads to what follows."""
OUTLINE_CUT_COST = 2.0
"""Of a cut between two headings without text, the second not below the first."""
SPLIT_LIMIT = 1.64
"""Targets over which a list item or quotation is cut inside, where a block of its own begins."""
LONGEST_PIECE = 2.5
"""Targets; longer pieces of several blocks are not considered."""

_SENTENCE_END = re.compile(r"[.!?…:][\"'”’)\]*_`]*(?:\s*\\)?\s*\Z")


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk before it is given its place in the corpus."""

    text: str
    title: str
    depth: int
    path: tuple[str, ...]
    """Headings from the top of the page down to this section, itself included."""
    line_start: int
    line_end: int
    has_table: bool
    has_code: bool
    prose: str
    """Sentences without code, tables and markup, for language detection."""


@dataclass(frozen=True, slots=True)
class _Section:
    index: int
    path: tuple[str, ...]
    depth: int
    blocks: tuple[Block, ...]
    sizes: tuple[int, ...]
    """Tokens of each block."""

    @property
    def tokens(self) -> int:
        return sum(self.sizes)

    @property
    def is_bare(self) -> bool:
        return all(block.bare for block in self.blocks)


_Unit = list[_Section]
"""Neighbouring sections that are kept together, unless too long."""


def chunk_page(page: Page, count: TokenCounter, target: int) -> list[Passage]:
    """The passages of a page, in order; none when it holds no text.

    Every non-blank line of the file lies in exactly one ``[line_start, line_end]``: front matter in the first, a comment in
    the one before or around it.
    """
    texts = [line.text for line in page.lines]
    numbers = [line.number for line in page.lines]
    blocks = [piece for block in parse_blocks(texts) for piece in _split_long(block, texts, count, target)]
    sections = _sections(_fuse(blocks, numbers), texts, count)
    units = _merge_small(_join_bare(sections), target)
    pieces = [piece for unit in units for piece in _cut(unit, texts, target)]
    starts = [numbers[piece[0][1].start] for piece in pieces]
    return [_passage(piece, texts, _line_range(page.filled, starts, index)) for index, piece in enumerate(pieces)]


def first_title(page: Page) -> str:
    """The page's first heading of depth 1, or ""."""
    return next((block.title for block in parse_blocks([line.text for line in page.lines]) if block.depth == 1), "")


def _split_long(block: Block, texts: Sequence[str], count: TokenCounter, target: int) -> list[Block]:
    """A paragraph over the target, or a list item or quotation far over it, as several blocks."""
    if block.end - block.start < 2 or not (block.is_paragraph or block.inner):
        return [block]
    tokens = count(_text(block, texts))
    if block.is_paragraph and tokens > target:
        ends = [row + 1 for row in range(block.start, block.end - 1) if _SENTENCE_END.search(texts[row])]
        return _split_at(block, ends, texts)
    if block.inner and tokens > SPLIT_LIMIT * target:
        return _split_at(block, [start for start, _, _ in block.inner], texts)
    return [block]


def _split_at(block: Block, rows: Sequence[int], texts: Sequence[str]) -> list[Block]:
    """`block` cut before each of `rows`, each part saying what is in it."""
    bounds = [block.start, *sorted({row for row in rows if block.start < row < block.end}), block.end]
    inner = sorted((begin, kind) for begin, _, kind in block.inner)
    parts = []
    for start, end in pairwise(bounds):
        kinds = {kind for _, kind in inner[bisect_left(inner, (start, "")) : bisect_left(inner, (end, ""))]}
        while not texts[end - 1].strip():
            end -= 1
        parts.append(replace(block, start=start, end=end, has_table="table" in kinds, has_code="code" in kinds))
    return parts


def _fuse(blocks: Sequence[Block], numbers: Sequence[int]) -> list[Block]:
    """Blocks that share a source line (they came from one include) as one: a line is never in two chunks."""
    fused: list[Block] = []
    for block in blocks:
        if fused and numbers[fused[-1].end - 1] == numbers[block.start]:
            last = fused[-1]
            fused[-1] = replace(
                last,
                end=block.end,
                bare=last.bare and block.bare,
                has_table=last.has_table or block.has_table,
                has_code=last.has_code or block.has_code,
                is_prose=last.is_prose or block.is_prose,
                is_paragraph=False,
            )
        else:
            fused.append(block)
    return fused


def _sections(blocks: Sequence[Block], texts: Sequence[str], count: TokenCounter) -> list[_Section]:
    grouped: list[list[Block]] = []
    for block in blocks:
        if block.depth or not grouped:
            grouped.append([])
        grouped[-1].append(block)
    sections: list[_Section] = []
    open_headings: list[Block] = []
    for index, members in enumerate(grouped):
        heading = members[0]
        if heading.depth:
            while open_headings and open_headings[-1].depth >= heading.depth:
                open_headings.pop()
            open_headings.append(heading)
        path = tuple(one.title for one in open_headings)
        sizes = tuple(count(_text(block, texts)) for block in members)
        sections.append(_Section(index, path, heading.depth, tuple(members), sizes))
    return sections


def _join_bare(sections: Sequence[_Section]) -> list[_Unit]:
    """Put headings without text together with the section that follows; at the end of the page, with the one before."""
    units: list[_Unit] = []
    waiting: _Unit = []
    for section in sections:
        waiting.append(section)
        if not section.is_bare:
            units.append(waiting)
            waiting = []
    if waiting:
        if units:
            units[-1].extend(waiting)
        else:
            units.append(waiting)
    return units


def _merge_small(units: Sequence[_Unit], target: int) -> list[_Unit]:
    merged: list[_Unit] = []
    for unit in units:
        if merged and _may_merge(merged[-1], unit, target):
            merged[-1] = merged[-1] + unit
        else:
            merged.append(list(unit))
    return merged


def _may_merge(before: _Unit, after: _Unit, target: int) -> bool:
    """Whether two neighbouring units are of one branch and small enough to be one."""
    top, last, following = before[0], before[-1], after[0]
    is_below = len(following.path) > len(top.path) and following.path[: len(top.path)] == top.path
    is_sibling = following.path[:-1] == last.path[:-1]
    if not (is_below or is_sibling):
        return False
    sizes = sum(section.tokens for section in before), sum(section.tokens for section in after)
    if min(sizes) < TINY_TOKENS:
        # the first words of a branch are its introduction: they go with its first part however long that is
        return sum(sizes) <= MERGE_LIMIT * target or (is_below and sizes[0] < TINY_TOKENS)
    return following.depth >= MERGED_DEPTH and max(sizes) <= target / 2


_Piece = list[tuple[_Section, Block, int]]


def _cut(unit: _Unit, texts: Sequence[str], target: int) -> list[_Piece]:
    """A unit as pieces near the target: the partition of its blocks with the least total cost."""
    blocks: _Piece = [
        (section, block, size) for section in unit for block, size in zip(section.blocks, section.sizes, strict=True)
    ]
    costs = [_cut_cost(blocks[index - 1], blocks[index], texts) for index in range(1, len(blocks))]
    bounds = _best_bounds([size for _, _, size in blocks], costs, target)
    return [blocks[start:end] for start, end in pairwise(bounds)]


def _cut_cost(before: tuple[_Section, Block, int], after: tuple[_Section, Block, int], texts: Sequence[str]) -> float:
    """Of a cut between two blocks; infinite after a heading, which stays with what it announces."""
    if before[1].bare:
        # an outline, headings and no text, must end somewhere too
        return OUTLINE_CUT_COST if 0 < after[1].depth <= before[1].depth else float("inf")
    if before[0].index != after[0].index:
        return 0.0
    leads_on = texts[before[1].end - 1].rstrip().endswith(":")
    return CUT_COST + (SPLIT_LEAD_COST if leads_on else 0.0)


def _best_bounds(sizes: Sequence[int], cut_costs: Sequence[float], target: int) -> list[int]:
    """Where to cut: ``[0, …, len(sizes)]``, least sum of cut costs and squared relative deviations from `target`.

    What one block has over the target is free: it cannot be cut. Time is linear in blocks for a fixed target.

    >>> _best_bounds([100, 100, 100, 100], [0.35, 0.35, 0.35], target=200)
    [0, 2, 4]
    >>> _best_bounds([20, 900, 20], [float("inf"), 0.35], target=200)
    [0, 3]
    """
    infinite = float("inf")
    best = [0.0] + [infinite] * len(sizes)
    came_from = [0] * (len(sizes) + 1)
    for end in range(1, len(sizes) + 1):
        if end < len(sizes) and cut_costs[end - 1] == infinite:
            continue
        total = largest = 0
        for start in range(end - 1, -1, -1):
            total += sizes[start]
            largest = max(largest, sizes[start])
            if best[start] == infinite:
                continue
            size = total - max(0, largest - target)
            cost = best[start] + (size / target - 1) ** 2 + (cut_costs[start - 1] if start else 0.0)
            if cost < best[end]:
                best[end], came_from[end] = cost, start
            if size > LONGEST_PIECE * target:
                break
    bounds = [len(sizes)]
    while bounds[-1]:
        bounds.append(came_from[bounds[-1]])
    return bounds[::-1]


def _line_range(filled: Sequence[int], starts: Sequence[int], index: int) -> tuple[int, int]:
    """Lines from this piece's first to the last non-blank one before the next piece; the first piece begins the file."""
    start = filled[0] if index == 0 else starts[index]
    if index + 1 == len(starts):
        return start, filled[-1]
    return start, filled[bisect_left(filled, starts[index + 1]) - 1]


def _passage(piece: _Piece, texts: Sequence[str], lines: tuple[int, int]) -> Passage:
    """The text of a piece, described by the section it takes most from."""
    weights: dict[int, int] = {}
    for section, _, size in piece:
        weights[section.index] = weights.get(section.index, 0) + (0 if section.is_bare else size)
    main_index = max(weights, key=lambda index: (weights[index], -index))
    main = next(section for section, _, _ in piece if section.index == main_index)
    first, last = piece[0][1].start, piece[-1][1].end
    blocks = [block for _, block, _ in piece]
    return Passage(
        text="\n".join(texts[first:last]),
        title=main.path[-1] if main.depth and main.path else "",
        depth=main.depth,
        path=main.path,
        line_start=lines[0],
        line_end=lines[1],
        has_table=any(block.has_table for block in blocks),
        has_code=any(block.has_code for block in blocks),
        prose=prose("\n\n".join(_text(block, texts) for block in blocks if block.is_prose)),
    )


def _text(block: Block, texts: Sequence[str]) -> str:
    return "\n".join(texts[block.start : block.end])
