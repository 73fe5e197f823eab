"""Where the blocks of a Markdown text begin and end, by line: headings, paragraphs, list items, tables, code.

markdown-it-py decides, so a ``#`` inside code, a list or a quotation is no heading. Only its block stage runs; inline
markup is never parsed. A block here is what the chunker never cuts (a long paragraph of several lines excepted).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from groundtune.documents.plain import plain_title

_ADMONITION = re.compile(r"[ \t]*(?:!!!|\?\?\?\+?|===!?\+?)[ \t]+\S")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_LISTS = ("bullet_list_open", "ordered_list_open")
_CODE = ("fence", "code_block")
_INNER = {
    "paragraph_open": "text",
    "heading_open": "text",
    "list_item_open": "text",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}
_LONGEST_HTML_TABLE = 2000
"""Lines; an HTML table that is not closed within these is taken to end at its first blank line."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines ``[start, end)``, 0-based. Every non-blank line of a text is in exactly one block."""

    start: int
    end: int
    depth: int = 0
    """1 to 6 for a heading of the text's own outline, 0 otherwise."""
    title: str = ""
    bare: bool = False
    """A heading and nothing else."""
    has_table: bool = False
    has_code: bool = False
    is_prose: bool = True
    is_paragraph: bool = False
    is_whole: bool = False
    """Put together from several blocks of the parser, such as an HTML table with blank lines in it."""
    inner: tuple[tuple[int, int, str], ...] = ()
    """Start, end and kind (`"text"`, `"table"`, `"code"`) of the blocks inside a list item or quotation: a very long one may
    be cut where they begin."""


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable(["inline", "text_join"])
    return parser


def _parse(lines: Sequence[str]) -> list[Token]:
    return _parser().parse("\n".join(lines))


def code_lines(lines: Sequence[str]) -> set[int]:
    """0-based numbers of the lines inside fenced or indented code, fences included."""
    return {row for token in _parse(lines) if token.type in _CODE and token.map for row in range(*token.map)}


def parse_blocks(lines: Sequence[str]) -> list[Block]:
    """The blocks of a text in order; lines no token claims (link definitions) belong to the block before them.

    >>> [(b.start, b.end, b.depth, b.title) for b in parse_blocks(["# A", "", "text", "more", "", "- one", "- two"])]
    [(0, 1, 1, 'A'), (2, 4, 0, ''), (5, 6, 0, ''), (6, 7, 0, '')]
    """
    # a comment that is never closed is ordinary text here, but to a parser it would swallow the rest of the file
    tokens = _parse([line.replace("<!--", "(!--") for line in lines])
    found: list[Block] = []
    inner: list[list[tuple[int, int, str]]] = []
    for index, token in enumerate(tokens):
        if token.map is None or token.nesting < 0:
            continue
        start, end = token.map
        if not _opens_block(token):
            kind = _INNER.get(token.type)
            if found and kind and token.level > 0:
                inner[-1].append((start, end, kind))
        elif found and _continues(found[-1], token, lines):
            has_code = found[-1].has_code or _has_fence(token, lines)
            found[-1] = replace(found[-1], is_paragraph=False, is_whole=True, has_code=has_code)
        else:
            found.append(_block(token, tokens[index + 1] if index + 1 < len(tokens) else None))
            inner.append([])
    return _close_gaps([_with_inner(*pair) for pair in zip(found, inner, strict=True)], lines)


def _opens_block(token: Token) -> bool:
    if token.type == "list_item_open":
        return token.level == 1
    return token.level == 0 and token.type not in _LISTS


def _block(token: Token, following: Token | None) -> Block:
    start, end = token.map or (0, 0)
    if token.type == "heading_open":
        title = plain_title(following.content) if following is not None else ""
        return Block(start, end, depth=int(token.tag[1]), title=title, bare=True)
    if token.type == "html_block":
        return Block(start, end, has_table="<table" in token.content.lower())
    is_table, is_code = token.type == "table_open", token.type in _CODE
    return Block(
        start,
        end,
        has_table=is_table,
        has_code=is_code,
        is_prose=not (is_table or is_code),
        is_paragraph=token.type == "paragraph_open",
    )


def _with_inner(block: Block, inner: list[tuple[int, int, str]]) -> Block:
    kinds = {kind for _, _, kind in inner}
    return replace(
        block,
        has_table=block.has_table or "table" in kinds,
        has_code=block.has_code or "code" in kinds,
        inner=() if block.is_whole else tuple(inner),
    )


def _continues(block: Block, token: Token, lines: Sequence[str]) -> bool:
    """Whether a token belongs to the block before it: the indented body of an admonition or tab, which CommonMark takes
    for code, and an HTML table that blank lines cut in pieces."""
    if token.type == "code_block" and not block.depth:
        return bool(_ADMONITION.match(lines[block.start]))
    if block.has_table and not block.depth and block.is_prose and token.type != "heading_open" and token.map:
        if token.map[0] - block.start > _LONGEST_HTML_TABLE:
            return False
        before = "\n".join(lines[block.start : token.map[0]]).lower()
        return before.count("<table") > before.count("</table")
    return False


def _has_fence(token: Token, lines: Sequence[str]) -> bool:
    return token.map is not None and bool(_FENCE.search("\n".join(lines[slice(*token.map)])))


def _close_gaps(found: list[Block], lines: Sequence[str]) -> list[Block]:
    """Let each block run to the next one, without blank lines at its end."""
    # no-break spaces alone are a paragraph to the parser and nothing to a reader
    kept = [block for block in found if any(line.strip() for line in lines[block.start : block.end])]
    if not kept:
        kept = [Block(0, len(lines))] if any(line.strip() for line in lines) else []
    closed = []
    for index, block in enumerate(kept):
        start = block.start if index else 0
        end = kept[index + 1].start if index + 1 < len(kept) else len(lines)
        while not lines[start].strip():
            start += 1
        while not lines[end - 1].strip():
            end -= 1
        bare = block.bare and not any(line.strip() for line in lines[block.end : end])
        closed.append(replace(block, start=start, end=end, bare=bare))
    return closed
