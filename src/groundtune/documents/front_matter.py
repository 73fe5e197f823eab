"""The YAML block some Markdown files begin with: title, module, submodule and language; other keys are left alone.

The block is read as a tree of nodes, not as values: ``revision: 2026-09`` stays text, and every key knows its line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from groundtune.errors import DataError

_KEY_LINE = re.compile(r"[\"']?[A-Za-z_][\w .-]*[\"']?\s*:(\s|$)")
_KNOWN = ("title", "module", "submodule", "language")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What a file says of itself; None where it says nothing."""

    title: str | None = None
    module: str | None = None
    submodule: str | None = None
    language: str | None = None
    language_line: int = 0
    num_lines: int = 0
    """Lines the block takes, both fences included; 0 where there is none."""


def read_front_matter(lines: Sequence[str], where: str, *, use_keys: bool = True) -> FrontMatter:
    """The front matter of a file's `lines`; with ``use_keys=False`` only how many lines it takes, whatever they hold.

    A first line ``---`` without keys below it is a thematic break, not front matter.

    >>> read_front_matter(["---", "title: Lot Takibi", "---", "# Lot"], "x.md").title
    'Lot Takibi'

    Raises:
        DataError: with ``file:line``, when the block is not closed, not YAML, or holds a list where text is expected.
    """
    if not lines or lines[0].rstrip() != "---":
        return FrontMatter()
    end = next((row for row in range(1, len(lines)) if lines[row].rstrip() in ("---", "...")), None)
    inside = lines[1:end]
    if end is None:
        if len(lines) > 1 and _KEY_LINE.match(lines[1]):
            raise DataError(f"{where}:1: the front matter is opened and never closed; end it with a line '---'")
        return FrontMatter()
    if not any(line.strip() for line in inside):
        return FrontMatter(num_lines=end + 1)
    if not any(_KEY_LINE.match(line) for line in inside):
        return FrontMatter()
    if not use_keys:
        return FrontMatter(num_lines=end + 1)
    return _from_yaml("\n".join(inside), where, num_lines=end + 1)


def _from_yaml(text: str, where: str, *, num_lines: int) -> FrontMatter:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        # the block starts on line 2 of the file, and marks count from 0
        line = mark.line + 2 if mark else 1
        raise DataError(f"{where}:{line}: the front matter is not valid YAML ({problem})") from error
    except RecursionError as error:
        raise DataError(f"{where}:2: the front matter is nested too deeply to be read") from error
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{where}:2: the front matter is not 'key: value' lines; mend it or take the fences away")
    found: dict[str, str] = {}
    rows: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        if name not in _KNOWN:
            continue
        rows[name] = key.start_mark.line + 2
        if not isinstance(value, yaml.ScalarNode):
            raise DataError(f"{where}:{rows[name]}: front matter key {name!r} holds a list or mapping; expected text")
        text = unicodedata.normalize("NFC", " ".join(value.value.split()))
        if text and value.tag != "tag:yaml.org,2002:null":
            found[name] = text
    return FrontMatter(**found, language_line=rows.get("language", 0), num_lines=num_lines)
