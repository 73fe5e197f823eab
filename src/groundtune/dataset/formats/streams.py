"""Bytes and lines of files, also gzip: bounded memory, and a damaged file gives what stands before the damage.

What this module does not do: know what a line means.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from groundtune.dataset.formats.reasons import MAX_ROW_BYTES, Malformed, Reason
from groundtune.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1 << 18
_MAX_SAVED = 1 << 24
_BOM = b"\xef\xbb\xbf"


class ByteSource(io.RawIOBase):
    """The bytes of a file, unpacked when it is gzip (seen by its first two bytes, not by its name).

    A gzip file that is cut off or damaged ends early and says so in `damage`: an exception in the middle would lose what
    was read before it.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self.damage = ""
        self._stream = stream
        head = stream.read(2)
        self._packed = head
        self._inflate = zlib.decompressobj(wbits=31) if head == GZIP_MAGIC else None
        self._ended = False
        self._saved = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        piece = self._plain(len(view)) if self._inflate is None else self._unpacked(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def _plain(self, size: int) -> bytes:
        if self._packed:
            head, self._packed = self._packed, b""
            return head + self._stream.read(size - len(head))
        return self._stream.read(size)

    def _unpacked(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end, and none after damage."""
        assert self._inflate is not None
        while not self._ended:
            if not self._packed:
                self._packed = self._stream.read(_PIECE)
                if not self._packed:
                    self._finish("" if self._inflate.eof else "the gzip file ends too early")
                    break
            if self._inflate.eof:
                # a gzip file may be several, one after the other; zeros behind it are padding
                self._packed = self._packed.lstrip(b"\0")
                if not self._packed:
                    continue
                self._inflate = zlib.decompressobj(wbits=31)
            before = self._inflate.copy()
            try:
                piece = self._inflate.decompress(self._packed, size)
            except zlib.error as error:
                self._finish(f"the gzip file is damaged ({error})")
                self._saved = _save(before, self._packed)
                break
            self._packed = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                return piece
        piece, self._saved = self._saved[:size], self._saved[size:]
        return piece

    def _finish(self, damage: str) -> None:
        self._ended, self.damage = True, damage

    def cut_off(self) -> Malformed | None:
        """What a reader adds after the last row of a damaged file."""
        return Malformed(Reason.CUT_OFF, "", self.damage) if self.damage else None


def _save(inflate: zlib._Decompress, packed: bytes) -> bytes:
    """What can be unpacked before the damage: zlib gives nothing of a piece that it finds damaged."""
    saved = bytearray()
    for index in range(len(packed)):
        try:
            saved += inflate.decompress(packed[index : index + 1])
        except zlib.error:
            break
        if len(saved) > _MAX_SAVED:
            break
    return bytes(saved)


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[io.BufferedReader, ByteSource]]:
    """A buffered reader of the unpacked bytes, and the source that knows of damage.

    Raises:
        DataError: when the file cannot be opened or read.
    """
    try:
        with path.open("rb") as stream:
            source = ByteSource(stream)
            yield io.BufferedReader(source, _PIECE), source
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
