"""Bytes and lines of files, also gzip: bounded memory, and a damaged file gives what stands before the damage.

What this module does not do: know what a line means.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groundtune.dataset.formats.reasons import MAX_ROW_BYTES, Malformed, Reason
from groundtune.errors import DataError
from groundtune.unpacking import ByteSource

_PIECE = 1 << 18
_BOM = b"\xef\xbb\xbf"


def cut_off(source: ByteSource) -> Malformed | None:
    """What a reader adds after the last row of a damaged file."""
    return Malformed(Reason.CUT_OFF, "", source.damage) if source.damage else None


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[io.BufferedReader, ByteSource]]:
    """A buffered reader of the unpacked bytes, and the source that knows of damage.

    Raises:
        DataError: when the file cannot be opened or read.
    """
    try:
        with path.open("rb") as stream:
            source = ByteSource(stream)
            yield source.buffered(), source
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def lines(reader: io.BufferedReader) -> Iterator[tuple[int, bytes | None, bool]]:
    """Line number from 1, the line without its end (None for one over `MAX_ROW_BYTES`), and whether it had an end.

    Only a line feed ends a line: U+2028 and U+0085 are ordinary characters of JSON text. Blank lines are passed over,
    a byte order mark at the very start too.
    """
    number = 0
    while line := reader.readline(MAX_ROW_BYTES + 2):
        number += 1
        if number == 1 and line.startswith(_BOM):
            line = line[3:]
        ended = line.endswith(b"\n")
        if not ended and len(line) > MAX_ROW_BYTES:
            while (rest := reader.readline(_PIECE)) and not rest.endswith(b"\n"):
                pass
            yield number, None, bool(rest)
            continue
        line = line.rstrip(b"\r\n")
        if line and not line.isspace():
            yield number, line, ended
