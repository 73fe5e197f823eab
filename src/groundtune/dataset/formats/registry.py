"""LLaMA-Factory's ``dataset_info.json``: names for datasets, read as it is.

What this module does not do: read the datasets, or fetch what lies on hubs other than Hugging Face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from groundtune.config import DataFormat
from groundtune.dataset.formats.columns import COLUMN_KEYS, TAG_KEYS, nearest
from groundtune.dataset.formats.hub import HubPlace
from groundtune.errors import DataError
from groundtune.files import read_json

REGISTRY_FILE = "dataset_info.json"

_KEYS: Mapping[str, type] = {
    "file_name": str,
    "hf_hub_url": str,
    "ms_hub_url": str,
    "om_hub_url": str,
    "script_url": str,
    "cloud_file_name": str,
    "formatting": str,
    "ranking": bool,
    "subset": str,
    "split": str,
    "folder": str,
    "num_samples": int,
    "columns": dict,
    "tags": dict,
}
_FORMATTINGS = ("alpaca", "sharegpt", "openai")
_DEFAULT_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output"},
    "sharegpt": {"messages": "conversations"},
    "openai": {"messages": "messages"},
}


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """One dataset of a registry."""

    name: str
    file_name: str | None = None
    hf_hub_url: str | None = None
    ms_hub_url: str | None = None
    om_hub_url: str | None = None
    script_url: str | None = None
    cloud_file_name: str | None = None
    formatting: Literal["alpaca", "sharegpt", "openai"] = "alpaca"
    ranking: bool = False
    subset: str | None = None
    split: str = "train"
    folder: str | None = None
    num_samples: int | None = None
    """So many rows, drawn by seed: `SourceConfig.count` by another name."""
    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def data_format(self) -> DataFormat:
        """Ours for its formatting: ranking is preference, and Alpaca with a prompt alone is raw text."""
        if self.ranking:
            return "preference"
        if self.formatting != "alpaca":
            return "messages" if self.formatting == "openai" else "sharegpt"
        return "text" if self.columns and not {"response", "query"} & set(self.columns) else "alpaca"

    @property
    def named_columns(self) -> Mapping[str, str]:
        """Part of a row to column. As in LLaMA-Factory an entry that names columns has no others."""
        columns = dict(self.columns) or dict(_DEFAULT_COLUMNS[self.formatting])
        if self.data_format == "text":
            return {"text": columns["prompt"]} if "prompt" in columns else columns
        if self.ranking:
            columns.pop("response", None)
            return {"chosen": "chosen", "rejected": "rejected", **columns}
        return columns

    @property
    def hub(self) -> HubPlace | None:
        """Where it is on the Hugging Face hub; that goes before a file name, as in LLaMA-Factory."""
        if self.hf_hub_url is None:
            return None
        return HubPlace(self.hf_hub_url, self.subset, self.split, folder=self.folder)


@dataclass(frozen=True, slots=True)
class Registry:
    """Names to datasets; file names in it are relative to `folder`."""

    folder: Path
    entries: Mapping[str, RegistryEntry]

    def entry(self, name: str) -> RegistryEntry:
        """The dataset of that name. Raises `DataError` with the nearest name."""
        if name not in self.entries:
            known = tuple(self.entries)
            raise DataError(f"{self.folder / REGISTRY_FILE}: no dataset is called {name!r}; {nearest(name, known)}")
        return self.entries[name]

    def file(self, entry: RegistryEntry) -> Path:
        """The file or folder of an entry that has one. Raises `DataError` for entries that lie elsewhere."""
        where = f"{self.folder / REGISTRY_FILE}: dataset {entry.name!r}"
        for key, kind in (("script_url", "a loading script"), ("cloud_file_name", "a cloud storage")):
            if getattr(entry, key) is not None:
                raise DataError(
                    f"{where} comes from {kind} ({key}), which groundtune does not run; download it and give `path`"
                )
        if entry.file_name is None:
            place = entry.ms_hub_url or entry.om_hub_url
            raise DataError(
                f"{where} lies on ModelScope or Modelers only ({place!r}); groundtune reads files and Hugging Face ids, so "
                "download it and give `path`"
            )
        if entry.split != "train":
            raise DataError(f"{where} has split {entry.split!r}, but a file has no splits; name the file of that split")
        return self.folder / entry.file_name


def load_registry(folder: Path) -> Registry:
    """Read ``dataset_info.json`` in `folder` (the file itself may be given too).

    Raises:
        DataError: for a file that is missing or malformed, an unknown key (with the nearest known one) or a wrong type.
    """
    path = folder if folder.suffix == ".json" else folder / REGISTRY_FILE
    values = read_json(path)
    if not isinstance(values, dict):
        raise DataError(f"{path}: found {type(values).__name__}, expected an object of datasets by name")
    entries = {name: _read_entry(name, value, f"{path}: dataset {name!r}") for name, value in values.items()}
    return Registry(path.parent, entries)


def _read_entry(name: str, value: Any, where: str) -> RegistryEntry:
    if not isinstance(value, dict):
        raise DataError(f"{where} is {value!r}; expected an object")
    given: dict[str, Any] = {}
    for key, item in value.items():
        if key not in _KEYS:
            raise DataError(f"{where} has the unknown key {key!r}; {nearest(key, _KEYS)}")
        if item is None:
            continue
        if not isinstance(item, _KEYS[key]) or (_KEYS[key] is int and isinstance(item, bool)):
            raise DataError(f"{where}: {key} is {item!r}; expected {_KEYS[key].__name__}")
        given[key] = item
    if given.get("formatting", "alpaca") not in _FORMATTINGS:
        formatting = given["formatting"]
        raise DataError(f"{where}: formatting is {formatting!r}; {nearest(formatting, _FORMATTINGS)}")
    given["columns"] = {
        COLUMN_KEYS[key]: column for key, column in _names(given.get("columns", {}), COLUMN_KEYS, f"{where}: columns")
    }
    given["tags"] = dict(_names(given.get("tags", {}), TAG_KEYS, f"{where}: tags"))
    if not any(given.get(key) for key in _KEYS if key.endswith(("_url", "file_name"))):
        raise DataError(f"{where} names no place; expected file_name or hf_hub_url")
    return RegistryEntry(name=name, **given)


def _names(values: Mapping[str, Any], known: Mapping[str, str] | tuple[str, ...], where: str) -> list[tuple[str, str]]:
    named = []
    for key, value in values.items():
        if key not in known:
            raise DataError(f"{where}: unknown key {key!r}; {nearest(key, known)}")
        if value is None:
            continue
        if not isinstance(value, str):
            raise DataError(f"{where}: {key} is {value!r}; expected a name")
        named.append((key, value))
    return named
