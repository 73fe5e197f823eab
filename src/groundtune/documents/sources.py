"""Which files of a documentation folder are documents: include and exclude globs, in a fixed order.

It looks at names only; reading is :mod:`groundtune.documents.reading`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from groundtune.config import DocumentsConfig
from groundtune.documents.skips import ReadingLog
from groundtune.errors import DataError

PRECHUNKED_SUFFIXES = (".json", ".jsonl")
FRAGMENT_FOLDERS = ("includes", "_includes", "snippets", "_snippets")
"""Folders whose files are pieces of other pages; see :func:`is_fragment`."""


def relative_name(path: Path, root: Path) -> str:
    """`path` relative to `root`, with forward slashes: the `source` of a chunk."""
    return path.relative_to(root).as_posix()


def is_fragment(name: str) -> bool:
    """Whether a file lies in a folder of include fragments.

    >>> is_fragment("articles/includes/banner.md"), is_fragment("articles/banner.md")
    (True, False)
    """
    return any(part.lower() in FRAGMENT_FOLDERS for part in name.split("/")[:-1])


def is_prechunked(source: Path) -> bool:
    """Whether `source` is one pre-chunked file rather than a folder. Raises `DataError` when it is neither."""
    if source.is_dir():
        return False
    if not source.exists():
        raise DataError(f"{source}: no such folder or file; set documents.path to the documentation")
    if source.suffix.lower() in PRECHUNKED_SUFFIXES:
        return True
    raise DataError(
        f"{source}: found a single {source.suffix or 'unnamed'} file; documents.path must be a folder of Markdown files"
        " or a pre-chunked .json or .jsonl file"
    )


def markdown_files(config: DocumentsConfig, root: Path, log: ReadingLog) -> list[Path]:
    """Files under `root` that the globs choose, sorted by relative path.

    Files in hidden folders (``.git``, ``.venv``) are skipped and counted. Symbolic links to folders are not followed.

    Raises:
        DataError: no file is chosen, a folder cannot be listed, or a file name is not UTF-8.
    """
    found: dict[str, Path] = {}
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders.sort()
        for file in names:
            path = Path(folder, file)
            name = relative_name(path, root)
            if not _matches(name, config.include) or _matches(name, config.exclude):
                continue
            try:
                name.encode("utf-8")
            except UnicodeEncodeError as error:
                raise DataError(f"{os.fsencode(path)!r}: the file name is not UTF-8; rename the file") from error
            if any(part.startswith(".") for part in name.split("/")):
                log.skip("hidden file or folder", name)
                continue
            found[name] = path
    if not found:
        wanted = ", ".join(config.include)
        raise DataError(f"{root}: no Markdown files under this folder (documents.include is {wanted})")
    return [found[name] for name in sorted(found)]


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: the folder cannot be listed ({error.strerror})") from error


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(_glob_pattern(glob).fullmatch(name) for glob in globs)


@lru_cache(maxsize=256)
def _glob_pattern(glob: str) -> re.Pattern[str]:
    """A glob as a pattern over relative paths. Not `Path.glob`: there a final ``**`` matches no file before Python 3.13.

    >>> bool(_glob_pattern("**/*.md").fullmatch("a/b/c.md")), bool(_glob_pattern("old/**").fullmatch("old/x/y.md"))
    (True, True)
    >>> bool(_glob_pattern("*.md").fullmatch("a/b.md"))
    False
    """
    pattern = ""
    for part in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]/]+\]|.", glob.removeprefix("./"), flags=re.DOTALL):
        if part == "**/":
            pattern += "(?:.*/)?"
        elif part == "**":
            pattern += ".*"
        elif part == "*":
            pattern += "[^/]*"
        elif part == "?":
            pattern += "[^/]"
        elif len(part) > 1:
            pattern += "[" + part[1:-1].replace("\\", r"\\").replace("!", "^", 1) + "]"
        else:
            pattern += re.escape(part)
    return re.compile(pattern, re.DOTALL)
