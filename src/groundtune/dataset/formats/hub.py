"""Rows of a Hugging Face dataset, streamed through the `datasets` package.

What this module does not do: download a whole set, or run code that a set brings with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from groundtune.dataset.formats.json_rows import RawRow
from groundtune.dataset.formats.table_rows import plain_row
from groundtune.errors import DataError


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A dataset of the hub."""

    hub_id: str
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    folder: str | None = None
    """A folder inside the repository."""


def hub_rows(place: HubPlace) -> Iterator[RawRow]:
    """Rows by their number from 1.

    Raises:
        DataError: without the `datasets` package, without a network, and for an unknown id, subset or split.
    """
    for number, value in enumerate(_values(place), start=1):
        yield number, plain_row(value)


def _values(place: HubPlace) -> Iterator[Any]:
    try:
        import datasets  # seconds to load, and not needed for files
    except ImportError as error:
        raise DataError(
            f"{place.hub_id}: reading from the Hugging Face hub needs the package `datasets` (pip install datasets); or "
            "download the files and give `path`"
        ) from error
    number = 0
    try:
        stream = datasets.load_dataset(
            place.hub_id,
            place.subset,
            split=place.split,
            revision=place.revision,
            data_dir=place.folder,
            streaming=True,
        )
        for number, value in enumerate(stream, start=1):  # noqa: B007 - how far it came is told below
            yield value
    except Exception as error:  # whatever datasets and its HTTP library raise, in one sentence
        where = f"{place.hub_id}, subset {place.subset or '(default)'}, split {place.split}"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise DataError(
            f"{where}: the hub could not be read after {number} rows ({reason}); check the names and the network, or download "
            "the files and give `path`"
        ) from error
