"""Markdown markup taken off: titles as a reader sees them, prose for language detection, where inline code is.

Regular expressions over short pieces of text; the structure of a document is :mod:`groundtune.documents.blocks`.
"""

from __future__ import annotations

import html
import re

CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_FENCED = re.compile(r"^[ \t>]*(`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t>]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_TABLE_ROW = re.compile(r"^[ \t>]*\|.*$", re.MULTILINE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<https?:[^<>\s]*>")
_TEMPLATE_TAG = re.compile(r"\{[%{][^{}\n]*[%}]\}")
_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^()]*\)|\[[^\]]*\])")
_LINK = re.compile(r"\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\))?[^()]*\)|\[[^\]]*\])")
_URL = re.compile(r"https?://\S+")
_ATTRIBUTES = re.compile(r"\s*\{[:#.][^{}]*\}\s*$")
_STRONG = re.compile(r"(\*\*\*|\*\*|\*)(?=\S)(.+?)(?<=\S)\1")
_UNDERLINED = re.compile(r"(?<!\w)(___|__|_)(?=\S)(.+?)(?<=\S)\1(?!\w)")
_LONGEST_TITLE = 1000
"""Characters; what a heading has beyond them is no title, and emphasis in it would be slow to find."""
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def code_spans(line: str) -> list[tuple[int, int]]:
    """Start and end of every inline code span of a line.

    >>> code_spans("use `a` or ``b`c``")
    [(4, 7), (11, 18)]
    """
    return [match.span() for match in CODE_SPAN.finditer(line)]


def plain_title(content: str) -> str:
    """A heading as it is read.

    >>> plain_title('<a name="x"></a>Use **[Lots](lots.md)** of `stk_lots` {#lots}')
    'Use Lots of stk_lots'
    """
    text = _ATTRIBUTES.sub("", _TAG.sub("", content[:_LONGEST_TITLE]))
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = CODE_SPAN.sub(r"\2", text)
    text = _UNDERLINED.sub(r"\2", _STRONG.sub(r"\2", text))
    return " ".join(html.unescape(_ESCAPE.sub(r"\1", text)).split())


def without_code(text: str) -> str:
    """`text` without fenced blocks and inline code; what was around them stays apart."""
    return CODE_SPAN.sub("\ufffc", _FENCED.sub("\n", text))


def prose(text: str) -> str:
    """The sentences of a Markdown text: no code, tables, addresses, tags.

    >>> prose("Open `x.y`, see [Stock](../stok/a.md).")
    'Open  , see Stock.'
    """
    text = _TABLE_ROW.sub("", without_code(text)).replace("\ufffc", " ")
    text = _TEMPLATE_TAG.sub(" ", _TAG.sub(" ", text))
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    return _URL.sub(" ", text)
