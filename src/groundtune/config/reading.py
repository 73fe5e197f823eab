"""Reading a configuration file, groundtune's own or LLaMA-Factory's, and checking everything in it.

Unknown keys, duplicate keys and values of the wrong type are errors that name file, line and, for a key, the nearest
known one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from groundtune.config.explaining import describe
from groundtune.config.llamafactory import KNOWN, Conversion, convert, is_llamafactory
from groundtune.config.whole import Config, Note
from groundtune.config.yaml_lines import apply_override, read_yaml, split_override
from groundtune.errors import ConfigError


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file, apply ``section.key=value`` overrides, check everything.

    A file of LLaMA-Factory is told by its keys and taken as it is; `Config.notes` then says what became of those that
    are no setting. Its own keys may be overridden too (``learning_rate=1e-5``).

    Raises:
        ConfigError: with file and line; for an unknown key also the nearest known one.
    """
    values, lines = read_yaml(path)
    folder = path.resolve().parent
    if not is_llamafactory(values, lines, str(path)):
        return _build(values, overrides, lines=lines, folder=folder, name=str(path))
    theirs, ours = _sort_overrides(overrides)
    conversion = convert(values, lines, name=str(path), folder=folder, overrides=theirs, processes=_processes())
    native_lines, names = _places(conversion, lines)
    return _build(
        conversion.values(),
        ours,
        lines=native_lines,
        folder=folder,
        name=str(path),
        names=names,
        notes=conversion.notes,
    )


def convert_file(
    path: Path, overrides: Sequence[str] = (), *, folder: Path | None = None, processes: int = 1
) -> Conversion:
    """What a file of LLaMA-Factory means, checked, for a native file in `folder` (None: beside it).

    Raises:
        ConfigError: also where the file is a native configuration already.
    """
    values, lines = read_yaml(path)
    if not is_llamafactory(values, lines, str(path)):
        raise ConfigError(f"{path}: no file of LLaMA-Factory (it has no model_name_or_path, stage or the like)")
    theirs, ours = _sort_overrides(overrides)
    if ours:
        raise ConfigError(f"--set {ours[0]}: no key of LLaMA-Factory; change it in the converted file")
    folder = (folder or path.parent).resolve()
    conversion = convert(values, lines, name=str(path), folder=folder, overrides=theirs, processes=processes)
    native_lines, names = _places(conversion, lines)
    _build(conversion.values(), (), lines=native_lines, folder=folder, name=str(path), names=names)
    return conversion


def default_config(documents: Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a documents folder that has none: every default, work beside the current folder."""
    values = {"project": documents.resolve().name, "documents": {"path": str(documents.resolve())}}
    return _build(values, overrides, lines={}, folder=Path.cwd(), name="(defaults)")


def _build(
    values: dict[str, Any],
    overrides: Sequence[str],
    *,
    lines: Mapping[tuple[str, ...], int],
    folder: Path,
    name: str,
    names: Mapping[tuple[str, ...], str] | None = None,
    notes: tuple[Note, ...] = (),
) -> Config:
    origin: dict[tuple[str, ...], str] = {}
    for override in overrides:
        keys = apply_override(values, override)
        origin[keys] = f"--set {'.'.join(keys)}" if keys[-1] == "api_key_env" else f"--set {override}"
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(describe(error, name, lines, origin, names or {})) from error
    object.__setattr__(config, "_folder", folder)
    for training in (config.train, *(each.train for each in config.then)):
        object.__setattr__(training, "_folder", folder)
    object.__setattr__(config, "_notes", notes)
    return config


def _sort_overrides(overrides: Sequence[str]) -> tuple[list[tuple[str, Any, str]], list[str]]:
    """Overrides of LLaMA-Factory's keys, and those of native settings; what both know is native."""
    theirs, ours = [], []
    for override in overrides:
        keys, value = split_override(override)
        if len(keys) == 1 and keys[0] in KNOWN and (keys[0] == "dataset" or keys[0] not in Config.model_fields):
            theirs.append((keys[0], value, override))
        else:
            ours.append(override)
    return theirs, ours


def _processes() -> int:
    """That train together, as torchrun tells each of them."""
    words = os.environ.get("WORLD_SIZE", "1")
    return int(words) if words.isdigit() and int(words) > 0 else 1


def _places(
    conversion: Conversion, lines: Mapping[tuple[str, ...], int]
) -> tuple[dict[tuple[str, ...], int], dict[tuple[str, ...], str]]:
    """Line and name, in LLaMA-Factory's file, of each native key that was made from it."""
    native_lines: dict[tuple[str, ...], int] = {}
    names: dict[tuple[str, ...], str] = {}
    for keys, origins in conversion.origins().items():
        given = [key for key in origins if (key,) in lines]
        if given:
            native_lines[keys] = lines[(given[0],)]
            names[keys] = " and ".join(given)
    return native_lines, names
