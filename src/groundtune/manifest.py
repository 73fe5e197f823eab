"""The `manifest.json` beside every output, and what it says about whether a stage must run again.

A manifest is written last, after every output stands under its final name, and removed first, before a stage touches an
output. So a manifest that is there vouches for files that were whole when it was written. It holds no clock times and no
absolute paths: the same inputs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from groundtune.errors import DataError
from groundtune.files import parse_record, read_json, sha256_file, write_json

SCHEMA_VERSION = 1
"""Raised when the meaning of a stage's files changes: older outputs are then made again."""

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a stage read, how it was set, and what it made."""

    schema_version: int
    stage: str
    inputs: dict[str, str]
    """sha256 by name. The name is relative to the documents folder or to the work folder."""
    config: dict[str, Any]
    """The resolved settings that this stage depends on."""
    outputs: dict[str, str]
    """sha256 by path relative to the manifest's folder."""
    counts: dict[str, int]
    skips: dict[str, int]
    details: dict[str, Any]


class Freshness(StrEnum):
    """Whether a stage's outputs still answer to its inputs."""

    FRESH = "fresh"
    STALE = "stale"
    """Never finished, or an input or setting changed since."""
    EDITED = "edited"
    """Inputs and settings are as they were, but somebody changed an output by hand; it is kept."""
    EDITED_AND_STALE = "edited and stale"
    """Both: running the stage would overwrite somebody's work."""


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of `folder`, or None where there is none. Raises `DataError` for one that is damaged."""
    path = folder / MANIFEST_NAME
    if not path.exists():
        return None
    value = read_json(path)
    if isinstance(value, dict) and value.get("schema_version") != SCHEMA_VERSION:
        return None
    return parse_record(value, Manifest, where=str(path))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_json(folder / MANIFEST_NAME, manifest)


def withdraw_manifest(folder: Path) -> None:
    """Take the manifest away before outputs are touched."""
    (folder / MANIFEST_NAME).unlink(missing_ok=True)


def hash_outputs(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """sha256 of each output; a name that is a folder counts every file below it. Raises `DataError` when one is missing."""
    hashes: dict[str, str] = {}
    for name in names:
        path = folder / name
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file():
                    hashes[file.relative_to(folder).as_posix()] = sha256_file(file)
        elif path.is_file():
            hashes[name] = sha256_file(path)
        else:
            raise DataError(f"{path}: the stage ended without writing this file")
    return hashes


def freshness(folder: Path, inputs: Mapping[str, str], config: Mapping[str, Any]) -> Freshness:
    """Compare the manifest in `folder` with today's `inputs` (sha256 by name) and `config`."""
    manifest = read_manifest(folder)
    if manifest is None:
        return Freshness.STALE
    same = manifest.inputs == dict(inputs) and manifest.config == dict(config)
    edited = False
    for name, known in manifest.outputs.items():
        path = folder / name
        if not path.is_file():
            return Freshness.STALE
        edited = edited or sha256_file(path) != known
    if edited:
        return Freshness.EDITED if same else Freshness.EDITED_AND_STALE
    return Freshness.FRESH if same else Freshness.STALE
