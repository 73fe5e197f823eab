"""Rows of CSV, Parquet and plain text files.

A text file is read as LLaMA-Factory reads its ``wiki_demo.txt``: every line is a document; blank lines are none. In a CSV
file a cell that stands for a list (messages, tools) holds it as JSON text. What this module does not do: look at what a
row means.
"""

from __future__ import annotations

import base64
import csv
import datetime
import decimal
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.dataset.formats.json_rows import RawRow
from groundtune.dataset.formats.reasons import MAX_ROW_BYTES, Malformed, Reason, bad_text, shown
from groundtune.dataset.formats.streams import cut_off, lines, open_bytes

_DELIMITERS = ",;\t|"
_PARQUET_ROWS = 512


def text_file_rows(path: Path) -> Iterator[RawRow]:
    """Every line that is not blank, as the column ``text``."""
    with open_bytes(path) as (reader, source):
        number = 0
        for number, line, ended in lines(reader):
            if source.damage and not ended:
                number -= 1
                break
            if line is None:
                yield number, Malformed(Reason.TOO_LARGE, "", f"over {MAX_ROW_BYTES:,} bytes")
            else:
                yield number, _text_row(line)
        if (damage := cut_off(source)) is not None:
            yield number + 1, damage


def _text_row(line: bytes) -> dict[str, Any] | Malformed:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        near = line[max(0, error.start - 20) : error.start + 20].decode("utf-8", "backslashreplace")
        return Malformed(Reason.NOT_UTF8, "text", shown(near))
    return Malformed(Reason.NUL, "text", shown(text)) if "\0" in text else {"text": text}


def csv_file_rows(path: Path) -> Iterator[RawRow]:
    """Rows below a line of column names; comma, semicolon, tab or bar, whichever the first line has most of."""
    csv.field_size_limit(MAX_ROW_BYTES)
    with open_bytes(path) as (reader, source):
        head = reader.peek(1)[:4096].split(b"\n", 1)[0].decode("utf-8", "replace")
        delimiter = max(_DELIMITERS, key=head.count)
        text = io.TextIOWrapper(reader, encoding="utf-8-sig", errors="surrogateescape", newline="")
        number, pending = 0, None
        names: list[str] | None = None
        try:
            for cells in csv.reader(text, delimiter=delimiter):
                if names is None:
                    names = cells
                    if len(set(names)) != len(names):
                        twice = next(name for name in names if names.count(name) > 1)
                        yield (
                            1,
                            Malformed(Reason.KEY_TWICE, shown(twice), "two columns of this name; the file is not read"),
                        )
                        return
                    continue
                if not cells:
                    continue
                # one row behind: the last row of a file that is cut off is not whole
                if pending is not None:
                    yield number, _csv_row(names, pending)
                number, pending = number + 1, cells
        except csv.Error as error:
            if pending is not None:
                yield number, _csv_row(names or [], pending)
            reason = Reason.TOO_LARGE if "field larger" in str(error) else Reason.CUT_OFF
            yield number + 1, Malformed(reason, "", f"{error}; the rest of the file is not read")
            return
        damage = cut_off(source)
        if pending is not None and damage is None:
            yield number, _csv_row(names or [], pending)
        if damage is not None:
            yield max(number, 1), damage


def _csv_row(names: list[str], cells: list[str]) -> dict[str, Any] | Malformed:
    if len(cells) != len(names):
        return Malformed(Reason.CELLS, "", f"{len(cells)} cells for {len(names)} columns: {shown(cells)}"[:80])
    row = dict(zip(names, cells, strict=True))
    for name, cell in row.items():
        if "\0" in cell:
            return Malformed(Reason.NUL, shown(name), shown(cell))
        if not cell.isascii():
            try:
                cell.encode("utf-8")
            except UnicodeEncodeError:
                return Malformed(Reason.NOT_UTF8, shown(name), shown(cell))
    return row


def parquet_file_rows(path: Path) -> Iterator[RawRow]:
    """Rows of a Parquet file, a few hundred in memory at a time."""
    import pyarrow  # 0.1 s to load: only when asked
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for value in batch.to_pylist():
                    number += 1
                    yield number, plain_row(value)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        yield number + 1, Malformed(Reason.CUT_OFF, "", shown(str(error)))


def plain_row(value: Any) -> dict[str, Any] | Malformed:
    """A row of Parquet or of the hub in the types of JSON, its text checked."""
    row = _plain(value)
    if type(row) is not dict:
        return Malformed(Reason.NOT_OBJECT, "", shown(row))
    if _size(row) > MAX_ROW_BYTES:
        return Malformed(Reason.TOO_LARGE, "", f"over {MAX_ROW_BYTES:,} bytes")
    return bad_text(row) or row


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, decimal.Decimal):
        return str(value)
    return shown(str(value))


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(item) for item in value.values())
    if isinstance(value, list):
        return sum(_size(item) for item in value)
    return 8
