"""Rows of JSON Lines files and of files that are one JSON array, streamed.

A row that cannot be read is yielded as a `Malformed` in its place and reading goes on behind it: in an array the end of a
broken element is found by its brackets. What this module does not do: look at what a row means.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.dataset.formats.array_text import ArrayText
from groundtune.dataset.formats.reasons import MAX_ROW_BYTES, Malformed, Reason, bad_text, shown
from groundtune.dataset.formats.streams import cut_off, lines, open_bytes
from groundtune.unpacking import ByteSource

RawRow = tuple[int, dict[str, Any] | Malformed]
"""1-based line or row number, and the columns of the row or what is wrong with it."""

_DOUBTFUL_BYTES = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
_DOUBTFUL_TEXT = re.compile("\\\\u(?:[dD][89a-fA-F]|0000)|[\ud800-\udfff]")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(Reason.KEY_TWICE, shown(twice), shown([value for name, value in pairs if name == twice]))
    return made


def _constant(name: str) -> Any:
    raise Malformed(Reason.NOT_JSON, "", f"{name}, which JSON does not have")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def decode(text: str) -> Any:
    """The JSON value of a whole text. Raises `Malformed` for anything else, for equal keys and for NaN.

    >>> decode('{"a": [1, true]}')
    {'a': [1, True]}
    """
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _not_json(error) from error
    except RecursionError as error:
        raise Malformed(Reason.TOO_DEEP) from error
    except ValueError as error:  # a number of more digits than Python converts
        raise Malformed(Reason.NOT_JSON, "", shown(str(error))) from error


def _not_json(error: json.JSONDecodeError) -> Malformed:
    if error.doc[error.pos : error.pos + 1] == "\0":
        return Malformed(Reason.NUL, "", shown(error.doc[max(0, error.pos - 30) :]))
    near = error.doc[max(0, error.pos - 12) : error.pos + 12]
    return Malformed(Reason.NOT_JSON, "", shown(f"{error.msg} at character {error.pos + 1}: {near}"))


def decode_line(line: bytes) -> dict[str, Any]:
    """The row that a line of JSON Lines holds. Raises `Malformed`."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        near = line[max(0, error.start - 20) : error.start + 20].decode("utf-8", "backslashreplace")
        raise Malformed(Reason.NOT_UTF8, "", shown(near)) from error
    value = decode(text)
    # a file of valid UTF-8 can hold a lone surrogate or a NUL only as an escape
    if b"\\u" in line and _DOUBTFUL_BYTES.search(line) and (found := bad_text(value)):
        raise found
    if type(value) is not dict:
        raise Malformed(Reason.NOT_OBJECT, "", shown(value))
    return value


def json_file_rows(path: Path) -> Iterator[RawRow]:
    """Rows of a .json, .jsonl or .ndjson file, also gzip. Which of the two forms it has is seen by how it begins."""
    with open_bytes(path) as (reader, source):
        head = reader.peek(4096)[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
        array = head.startswith(b"[") and not _is_whole_line(head)
        named_lines = path.name.removesuffix(".gz").endswith(("jsonl", "ndjson"))
        if array or (head.startswith(b"[") and not named_lines):
            yield from _array_rows(reader, source)
        elif head.startswith(b"{") and not named_lines and not _is_whole_line(head):
            yield from _pretty_rows(reader, source)
        else:
            yield from _line_rows(reader, source)


def _is_whole_line(head: bytes) -> bool:
    """Whether the first line is a JSON value by itself; a line longer than `head` counts as one."""
    line, end, _ = head.partition(b"\n")
    if not end and len(head) >= 2048:
        return line.startswith(b"{")
    try:
        DECODER.decode(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    except Malformed:
        return True
    return bool(end)


def _line_rows(reader: io.BufferedReader, source: ByteSource) -> Iterator[RawRow]:
    number = 0
    for number, line, ended in lines(reader):
        if line is None:
            yield number, Malformed(Reason.TOO_LARGE, "", f"over {MAX_ROW_BYTES:,} bytes")
            continue
        try:
            yield number, decode_line(line)
        except Malformed as found:
            if ended or not source.damage:
                yield number, found
            else:
                number -= 1  # the last line is cut: it is part of the damage, which is one entry
    if (damage := cut_off(source)) is not None:
        yield number + 1, damage


def _pretty_rows(reader: io.BufferedReader, source: ByteSource) -> Iterator[RawRow]:
    """Objects over several lines, one after the other, without brackets around them."""
    return _elements(ArrayText(reader), source, bracketed=False)


def _array_rows(reader: io.BufferedReader, source: ByteSource) -> Iterator[RawRow]:
    text = ArrayText(reader)
    text.skip_blanks()
    text.take("[")
    return _elements(text, source, bracketed=True)


def _elements(text: ArrayText, source: ByteSource, *, bracketed: bool) -> Iterator[RawRow]:
    number = 0
    while True:
        text.skip_blanks()
        while text.take(","):
            text.skip_blanks()
        if bracketed and text.take("]"):
            text.skip_blanks()
            if text.next_character():
                yield (
                    number + 1,
                    Malformed(Reason.NOT_JSON, "", shown("text behind the end of the list: " + text.ahead())),
                )
            break
        if not text.next_character():
            if bracketed and not source.damage:
                yield number + 1, Malformed(Reason.CUT_OFF, "", "the list has no end")
            break
        number += 1
        try:
            row = _next_row(text)
        except Malformed as found:
            yield number, found
            continue
        if row is None:
            if not source.damage:
                yield number, Malformed(Reason.CUT_OFF, "", "the file ends inside a row")
                return
            number -= 1
            break
        yield number, row
    if (damage := cut_off(source)) is not None:
        yield number + 1, damage


def _next_row(text: ArrayText) -> dict[str, Any] | None:
    """Take one element. None when the file ends inside it. Raises `Malformed`; the element has been taken all the same."""
    start = text.position
    try:
        value, end = DECODER.raw_decode(text.window, start)
    except (ValueError, RecursionError, Malformed):
        value, end = None, start
    if type(value) is dict:
        text.position = end
        element = text.window[start:end]
        if len(element) > MAX_ROW_BYTES:
            raise Malformed(Reason.TOO_LARGE, "", f"over {MAX_ROW_BYTES:,} bytes")
    else:
        # broken, no object, or more than the window holds: brackets say where it ends
        found = text.element()
        if found is None:
            return None
        element, value = found, decode(found)
    if (not element.isascii() or "\\u" in element) and _DOUBTFUL_TEXT.search(element):
        _check_text(value, element)
    if type(value) is not dict:
        raise Malformed(Reason.NOT_OBJECT, "", shown(value))
    return value


def _check_text(value: Any, element: str) -> None:
    if (found := bad_text(value)) is not None:
        # what is written as an escape is ASCII here; a surrogate in the raw text stands for a byte that is not UTF-8
        found.reason = Reason.NOT_UTF8 if _NOT_UTF8.search(element) else found.reason
        raise found
