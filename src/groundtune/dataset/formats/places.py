"""The files of a source: one, those of a folder, or those of a pattern; and which reader each takes.

What this module does not do: look inside.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from groundtune.dataset.formats.json_rows import RawRow, json_file_rows
from groundtune.dataset.formats.registry import REGISTRY_FILE
from groundtune.dataset.formats.table_rows import csv_file_rows, parquet_file_rows, text_file_rows
from groundtune.errors import DataError

READERS: Mapping[str, Callable[[Path], Iterator[RawRow]]] = {
    ".json": json_file_rows,
    ".jsonl": json_file_rows,
    ".ndjson": json_file_rows,
    ".csv": csv_file_rows,
    ".tsv": csv_file_rows,
    ".parquet": parquet_file_rows,
    ".txt": text_file_rows,
}
"""By what a file's name ends in, apart from ``.gz``."""


def reader_of(path: Path) -> Callable[[Path], Iterator[RawRow]] | None:
    """The reader for a file of that name; None when there is none.

    >>> reader_of(Path("rows.jsonl.gz")).__name__, reader_of(Path("README.md"))
    ('json_file_rows', None)
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return READERS.get(suffixes[-1]) if suffixes else None


def find_files(path: str, folder: Path) -> tuple[list[Path], Path]:
    """Files that `path` means, in the order of their names, and the folder their names are told from.

    In a folder, files of other kinds, hidden ones and a ``dataset_info.json`` are passed over; a pattern may have ``**``.

    Raises:
        DataError: when there is no file, or one that was named is of an unknown kind.
    """
    place = folder / Path(path).expanduser()
    known = ", ".join(READERS)
    if place.is_dir():
        files = [file for file in sorted(place.rglob("*")) if file.is_file() and _is_data(file, place)]
        if not files:
            raise DataError(f"{place}: no data files in this folder; expected {known}, also with .gz")
        return files, place
    if glob.has_magic(path) and not place.exists():
        files = sorted(Path(name) for name in glob.glob(str(place), recursive=True) if Path(name).is_file())
        if not files:
            raise DataError(f"{place}: no file matches this pattern")
        fixed = _fixed_part(place)
    else:
        if not place.is_file():
            raise DataError(f"{place}: no such file")
        files, fixed = [place], place.parent
    for file in files:
        if reader_of(file) is None:
            raise DataError(f"{file}: unknown kind of file; expected {known}, also with .gz")
    return files, fixed


def _is_data(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and file.name != REGISTRY_FILE and reader_of(file) is not None


def _fixed_part(pattern: Path) -> Path:
    for parent in pattern.parents:
        if not glob.has_magic(str(parent)):
            return parent
    return Path()
