"""A file's bytes as clean lines: UTF-8, no byte order mark, LF, NFC, front matter and comments out, includes expanded.

Line *numbers* are always those of the file on disk, so that a passage can be found again there.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from groundtune.documents.front_matter import FrontMatter
from groundtune.errors import DataError

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it goes into a chunk, and the 1-based line of the source file that brought it.

    The lines of an included file all carry the number of the include directive.
    """

    text: str
    number: int


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file, ready to be cut."""

    source: str
    """Relative path with forward slashes."""
    front: FrontMatter
    lines: tuple[Line, ...]
    """Content, blank lines included."""
    filled: tuple[int, ...]
    """Numbers of the non-blank lines of the file on disk, front matter and comments included."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """The lines of a file as it is on disk, decoded and normalised."""

    lines: tuple[str, ...]
    had_mark: bool
    had_carriage_returns: bool
    was_not_nfc: bool


def read_bytes(path: Path) -> bytes:
    """Raises `DataError` when the file cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def decode(raw: bytes, path: Path) -> str:
    """UTF-8 text of a file's bytes, any byte order mark still in it.

    Raises:
        DataError: naming file and byte offset, for NUL bytes and anything that is not UTF-8.
    """
    if raw.startswith(_UTF16_MARKS):
        raise DataError(f"{path}: byte 0: found UTF-16 text; save the file as UTF-8")
    advice = "save it as UTF-8 text, or leave it out with documents.exclude"
    nul = raw.find(b"\0")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if 0 <= nul < error.start:
            raise DataError(f"{path}: byte {nul}: found a NUL, so this is no text file; {advice}") from error
        raise DataError(f"{path}: byte {error.start}: found {raw[error.start]:#04x}, not UTF-8; {advice}") from error
    if nul >= 0:
        raise DataError(f"{path}: byte {nul}: found a NUL, so this is no text file; {advice}")
    return text


def read_source(path: Path) -> SourceText:
    """A file as lines. Only CR LF, LF and CR end a line. Raises `DataError` as `decode` does."""
    text = decode(read_bytes(path), path)
    had_mark = text.startswith("\ufeff")
    text = text.removeprefix("\ufeff")
    had_carriage_returns = "\r" in text
    if had_carriage_returns:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    was_not_nfc = not unicodedata.is_normalized("NFC", text)
    if was_not_nfc:
        text = unicodedata.normalize("NFC", text)
    return SourceText(tuple(text.split("\n")), had_mark, had_carriage_returns, was_not_nfc)
