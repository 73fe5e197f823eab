"""Conversations into a file of any format, with a list of what it could not hold.

What this module does not do: change conversations so that they fit.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from groundtune.config import DataFormat
from groundtune.dataset.formats.columns import make_layout
from groundtune.dataset.formats.encoding import NotWritable, encode
from groundtune.dataset.formats.json_rows import decode_line
from groundtune.dataset.formats.losses import Loss, differences
from groundtune.dataset.formats.reading import RowReader
from groundtune.dataset.formats.reasons import Malformed
from groundtune.errors import ConfigError, DataError
from groundtune.files import atomic_file
from groundtune.types import Conversation, LeftOut

_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


def write_conversations(
    path: Path,
    conversations: Iterable[Conversation],
    *,
    format: DataFormat,
) -> list[Loss]:
    """Write JSON Lines, or one JSON array where the name ends in ``.json``; also ``.gz``. Whole or not at all.

    Every row is read back before it is written: a conversation that would come back otherwise is written and named among
    the losses, one that the format has no place for (or that it could not be read from) is only named.

    Returns:
        What the format could not hold, in the order in which it was met.

    Raises:
        DataError: for a file name of another kind.
        StorageError: when the file cannot be written.
    """
    if format in ("auto", "squad"):
        raise ConfigError(f"format: {format} is for reading; say another format to write")
    name = path.name.lower()
    if not name.endswith(_SUFFIXES):
        raise DataError(f"{path}: cannot write this kind of file; expected a name that ends in {', '.join(_SUFFIXES)}")
    array = name.removesuffix(".gz").endswith(".json")
    ledger = _Ledger()
    with atomic_file(path) as temporary, _packing(temporary, packed=name.endswith(".gz")) as stream:
        before = b"[\n" if array else b""
        for line in _rows(conversations, format, ledger):
            stream.write(before + line)
            before = b",\n" if array else b"\n"
        if array:
            stream.write(b"[]\n" if before == b"[\n" else b"\n]\n")
        elif before:
            stream.write(b"\n")
    return ledger.losses()


class _Ledger:
    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, what: str, conversation: Conversation) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1
        self._first.setdefault(what, conversation.conversation_id)

    def losses(self) -> list[Loss]:
        return [Loss(what, count, self._first[what]) for what, count in self._counts.items()]


def _rows(conversations: Iterable[Conversation], data_format: DataFormat, ledger: _Ledger) -> Iterator[bytes]:
    """The row of each conversation that can be written, as it was read back."""
    layout = make_layout(data_format, {}, {}, only_said=False, where="convert")
    reader = RowReader(layout, "convert", "", several_files=False)
    for conversation in conversations:
        try:
            # what Unicode or JSON has no form for is refused when it is read back
            text = json.dumps(encode(conversation, data_format), ensure_ascii=False)
            line = text.encode("utf-8", "surrogatepass")
            back = reader.read(decode_line(line), "", 0)
        except NotWritable as error:
            ledger.add(str(error), conversation)
            continue
        except Malformed as error:
            ledger.add(f"not written: {error.reason.value}", conversation)
            continue
        if isinstance(back, LeftOut):
            ledger.add(f"not written: {back.reason}", conversation)
            continue
        for what in differences(conversation, back):
            ledger.add(what, conversation)
        yield line


@contextmanager
def _packing(path: Path, *, packed: bool) -> Iterator[BinaryIO]:
    with path.open("wb") as raw:
        if not packed:
            yield raw
            return
        # no name and no time in the header: equal rows give equal bytes
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as stream:
            yield cast("BinaryIO", stream)
