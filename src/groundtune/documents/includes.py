"""Text that a page takes from other files: ``[!INCLUDE [name](file.md)]`` (DocFX) and ``--8<-- "file"`` (MkDocs snippets).

A target is looked for beside the file that names it, then below the documents folder (``~/`` means that folder). What is
missing, circular or outside the documents folder leaves a gap and an entry in the log. Directives inside code are text,
except snippets, which MkDocs expands everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from groundtune.documents.blocks import code_lines
from groundtune.documents.comments import remove_comments
from groundtune.documents.front_matter import FrontMatter, read_front_matter
from groundtune.documents.plain import code_spans
from groundtune.documents.reading import Line, Page, read_source
from groundtune.documents.skips import ReadingLog
from groundtune.documents.sources import is_fragment, relative_name
from groundtune.errors import DataError

_DOCFX = re.compile(r"\[!INCLUDE\s*\[[^\]]*\]\s*\(\s*<?([^)<>\"]+?)>?(?:\s+\"[^\"]*\")?\s*\)\s*\]", re.IGNORECASE)
_SNIPPET = re.compile(r"([ \t]*)-{1,}8<-{1,}[ \t]+([\"'])(.+?)\2[ \t]*")
_CONTAINER = re.compile(r"([ \t>]*)((?:[-*+]|\d{1,9}[.)])[ \t]+)?")

MAX_INCLUDED_CHARACTERS = 5_000_000
"""That includes may bring into one page: fragments that include one another twice over grow without bound."""
MAX_DEPTH = 32
"""Files open at once."""


class PageReader:
    """Reads the pages of one documents folder, each included file once."""

    def __init__(self, root: Path, log: ReadingLog) -> None:
        self._root = root
        self._real_root = root.resolve()
        self._log = log
        self._stripped: dict[Path, tuple[FrontMatter, tuple[Line, ...], tuple[int, ...]]] = {}
        self._expanded: dict[Path, tuple[str, ...]] = {}
        self._open: list[Path] = []
        self._num_circles = 0
        self.targets: set[Path] = set()
        """Files that some page includes."""

    def read(self, path: Path) -> Page:
        """The page of one file. Raises `DataError` for a file, or an included file, that is not text."""
        path = self._real_root / relative_name(path, self._root)
        front, lines, filled = self._strip(path)
        expanded = self._expand(path, lines)
        return Page(self._name(path), front, tuple(expanded), filled)

    def _name(self, path: Path) -> str:
        return relative_name(path, self._real_root)

    def _strip(self, path: Path) -> tuple[FrontMatter, tuple[Line, ...], tuple[int, ...]]:
        """Front matter, content lines with comments out, and the numbers of all non-blank lines."""
        known = self._stripped.get(path)
        if known is not None:
            return known
        source = read_source(path)
        # nothing of a fragment's front matter is used, and real ones are often not even YAML
        front = read_front_matter(source.lines, str(path), use_keys=not is_fragment(self._name(path)))
        clean = remove_comments(source.lines[front.num_lines :])
        filled = tuple(number for number, line in enumerate(source.lines, start=1) if line.strip())
        content = _without_gaps(source.lines, clean.lines, front.num_lines)
        self._log.counts["files with a byte order mark"] += source.had_mark
        self._log.counts["files with CR or CR LF line ends"] += source.had_carriage_returns
        self._log.counts["files normalised to NFC"] += source.was_not_nfc
        self._log.counts["comments taken out"] += clean.num_comments
        for row in clean.unclosed:
            self._log.note("comment that never ends, kept as text", self._name(path), line=row + front.num_lines)
        self._stripped[path] = front, content, filled
        return self._stripped[path]

    def _expand(self, path: Path, lines: Sequence[Line]) -> list[Line]:
        if not any("[!include" in line.text.lower() or "8<-" in line.text for line in lines):
            return list(lines)
        code = code_lines([line.text for line in lines])
        self._open.append(path)
        expanded: list[Line] = []
        num_included = 0
        for row, line in enumerate(lines):
            texts = self._expand_line(path, line, in_code=row in code)
            expanded += [Line(text, line.number) for text in texts]
            num_included += sum(map(len, texts)) - len(line.text)
            if num_included > MAX_INCLUDED_CHARACTERS:
                raise DataError(
                    f"{path}:{line.number}: includes bring more than {MAX_INCLUDED_CHARACTERS} characters into this file; "
                    "fragments that include one another several times must be untangled"
                )
        self._open.pop()
        return expanded

    def _expand_line(self, path: Path, line: Line, *, in_code: bool) -> list[str]:
        snippet = _SNIPPET.fullmatch(line.text)
        if snippet:
            included = self._included(path, line.number, snippet[3], from_root=True)
            return [snippet[1] + text if text else "" for text in included] or [""]
        if in_code or "[!include" not in line.text.lower():
            return [line.text]
        spans = code_spans(line.text)
        matches = [
            match
            for match in _DOCFX.finditer(line.text)
            if not any(start <= match.start() < end for start, end in spans)
        ]
        if len(matches) == 1 and _stands_alone(line.text, matches[0]):
            return self._block(path, line, matches[0])
        pieces, at = [], 0
        for match in matches:
            included = self._included(path, line.number, match[1])
            pieces += [line.text[at : match.start()], " ".join(text.strip() for text in included if text.strip())]
            at = match.end()
        return ["".join(pieces) + line.text[at:]]

    def _block(self, path: Path, line: Line, match: re.Match[str]) -> list[str]:
        """An include alone on its line: its lines stand in the same quotation, list item or indent."""
        container = _CONTAINER.match(line.text)
        outer, marker = (container[1], container[2] or "") if container else ("", "")
        included = self._included(path, line.number, match[1])
        later = outer + " " * len(marker)
        return [
            (outer + marker if index == 0 else later if text.strip() else later.rstrip()) + text
            for index, text in enumerate(included)
        ] or [""]

    def _included(self, path: Path, number: int, target: str, *, from_root: bool = False) -> tuple[str, ...]:
        """Lines of an included file, without blank lines at its ends; none when it is skipped."""
        where = self._name(path)
        found, reason = self._find(path, target.strip(), from_root=from_root)
        if found is None:
            self._log.skip(reason, where, line=number, what=target)
            return ()
        if found in self._open or len(self._open) >= MAX_DEPTH:
            self._num_circles += 1
            reason = "include that includes itself" if found in self._open else "include nested too deeply"
            self._log.skip(reason, where, line=number, what=target)
            return ()
        self.targets.add(found)
        self._log.counts["includes expanded"] += 1
        if found not in self._expanded:
            _, lines, _ = self._strip(found)
            circles = self._num_circles
            texts = _without_blank_ends(tuple(line.text for line in self._expand(found, lines)))
            if self._num_circles > circles:
                # what a circle leaves out depends on where it was entered: not to be reused
                return texts
            self._expanded[found] = texts
        return self._expanded[found]

    def _find(self, path: Path, target: str, *, from_root: bool) -> tuple[Path | None, str]:
        if "://" in target:
            return None, "include of a web address"
        target = re.split(r"[?#]", target, maxsplit=1)[0].replace("\\", "/")
        places = [path.parent, self._real_root]
        if target.startswith(("~/", "/")):
            target, places = target.lstrip("~/"), [self._real_root]
        elif from_root:
            places.reverse()
        outside = False
        for name in dict.fromkeys((target, unquote(target))):
            for place in places:
                candidate = _existing(place / name)
                if candidate is not None:
                    if candidate.is_relative_to(self._real_root):
                        return candidate, ""
                    outside = True
        return None, "include target outside the documents folder" if outside else "include target missing"


def _existing(path: Path) -> Path | None:
    """The file that `path` leads to, or None; a path no file system accepts is a missing file too."""
    try:
        real = path.resolve()
        return real if real.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


def _without_gaps(source: Sequence[str], clean: Sequence[str], first: int) -> tuple[Line, ...]:
    """The `clean` lines with their numbers; blank lines that a comment leaves behind become one."""
    content: list[Line] = []
    after_comment = False
    for row, line in enumerate(clean, start=first):
        is_blank = not line.strip()
        emptied = is_blank and bool(source[row].strip())
        after_comment = is_blank and (after_comment or emptied)
        if not (after_comment and (not content or not content[-1].text.strip())):
            content.append(Line("" if emptied else line, row + 1))
    return tuple(content)


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    return not text[match.end() :].strip() and bool(_CONTAINER.fullmatch(text[: match.start()]))


def _without_blank_ends(texts: tuple[str, ...]) -> tuple[str, ...]:
    filled = [index for index, text in enumerate(texts) if text.strip()]
    return texts[filled[0] : filled[-1] + 1] if filled else ()
