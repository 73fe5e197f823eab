"""Bytes come whole however small the pieces are that they are handed out and asked for in."""

import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.unpacking import GZIP_MAGIC, ByteSource


class Pipe(io.RawIOBase):
    """Hands out `piece` bytes at a time."""

    def __init__(self, content: bytes, piece: int) -> None:
        self._content = io.BytesIO(content)
        self._piece = piece

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        found = self._content.read(min(self._piece, len(buffer)))
        buffer[: len(found)] = found
        return len(found)


def read_by(source: ByteSource, size: int) -> bytes:
    return b"".join(iter(lambda: source.read(size), b""))


@given(
    st.binary(max_size=40) | st.binary(max_size=4).map(GZIP_MAGIC[:1].__add__), st.booleans(), st.integers(1, 5), st.integers(1, 5)
)  # fmt: skip
def test_pieces_of_every_size_add_up_to_the_file(content, packed, piece, size):
    if content.startswith(GZIP_MAGIC):
        packed = True
    source = ByteSource(Pipe(gzip.compress(content) if packed else content, piece))
    assert read_by(source, size) == content
    assert source.damage == ""


def test_a_byte_asked_for_is_a_byte_and_the_rest_waits():
    source = ByteSource(io.BytesIO(b"abc"))
    assert [source.read(1), source.read(0), source.read(1), source.read(9), source.read(1)] == [
        b"a",
        b"",
        b"b",
        b"c",
        b"",
    ]


@pytest.mark.parametrize("piece", [1, 2, 1000])
def test_gzip_is_known_by_its_first_bytes_and_its_damage_told_in_a_pipe_too(piece):
    content = b"".join(b"row %d\n" % number for number in range(200))
    source = ByteSource(Pipe(gzip.compress(content)[:-12], piece))
    found = read_by(source, 3)
    assert len(found) > 1000
    assert content.startswith(found)
    assert source.damage == "the gzip file ends too early"
