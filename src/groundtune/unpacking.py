"""The bytes of a file, unpacked where it is gzip: of one that is damaged or cut off, all that stands before the damage.

What this module does not do: know what the bytes mean.
"""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1 << 18


class ByteSource(io.RawIOBase):
    """A gzip file that is cut off or damaged ends early and says so in `damage`: an exception in the middle would lose what
    was read before it.

    Args:
        packed: whether it is gzip; by default its first two bytes tell.
    """

    def __init__(self, stream: BinaryIO, *, packed: bool | None = None) -> None:
        super().__init__()
        self.damage = ""
        self._stream = stream
        head = b""
        # a pipe may hand out single bytes
        while len(head) < len(GZIP_MAGIC) and (more := stream.read(len(GZIP_MAGIC) - len(head))):
            head += more
        self._packed = head
        packed = head == GZIP_MAGIC if packed is None else packed
        self._inflate = zlib.decompressobj(wbits=31) if packed else None
        self._ended = False
        self._saved = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        piece = self._plain(len(view)) if self._inflate is None else self._unpacked(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def buffered(self) -> io.BufferedReader:
        return io.BufferedReader(self, _PIECE)

    def _plain(self, size: int) -> bytes:
        head, self._packed = self._packed[:size], self._packed[size:]
        return head + self._stream.read(size - len(head))

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
                self._saved = _before_damage(before, self._packed)
                break
            self._packed = self._inflate.unconsumed_tail or self._inflate.unused_data
            if piece:
                return piece
        piece, self._saved = self._saved[:size], self._saved[size:]
        return piece

    def _finish(self, damage: str) -> None:
        self._ended, self.damage = True, damage


def _before_damage(inflate: zlib._Decompress, packed: bytes) -> bytes:
    """What can be unpacked of a damaged piece: zlib itself gives nothing of it. No more than was asked for, since it was in
    unpacking so much that the damage was met."""
    trial, sound = inflate.copy(), 0
    try:
        for sound in range(len(packed)):
            trial.decompress(packed[sound : sound + 1])
    except zlib.error:
        pass
    saved = bytearray(inflate.decompress(packed[:sound]))
    # a byte may stand for thousands, and the damage lie behind some of them
    rest = packed[sound : sound + 1]
    try:
        while piece := inflate.decompress(rest, 1):
            saved += piece
            rest = inflate.unconsumed_tail
    except zlib.error:
        pass
    return bytes(saved)
