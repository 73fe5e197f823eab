"""One conversion under way: what the file gives, what was made of it, and what is wrong with it.

Getters read a key as the type it has to be of; what is wrong is collected, so that an error can tell of all of it. What
this module does not do: know what a key means.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.config.whole import Note


@dataclass(frozen=True, slots=True)
class Setting:
    """A native setting, and the keys it was made from."""

    keys: tuple[str, ...]
    value: Any
    origins: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    key: str
    text: str


class Converting:
    """Collects settings, notes and problems while the keys of one file are gone through."""

    def __init__(self, values: Mapping[str, Any], places: Mapping[str, str], *, folder: Path, processes: int) -> None:
        self.values = values
        self.places = places
        """Key to where it stands: ``file.yaml:12`` or ``--set key=value``."""
        self.folder = folder
        """What relative paths of the native configuration start from."""
        self.processes = processes
        self.settings: list[Setting] = []
        self.notes: list[Note] = []
        self.problems: list[Problem] = []

    def set(self, section: str, value: Any, *origins: str, why: str = "") -> None:
        """Make the native setting ``section`` (dotted) from the keys `origins`."""
        self.settings.append(Setting(tuple(section.split(".")), value, origins, why))

    def note(self, key: str, text: str) -> None:
        self.notes.append(Note(self.places.get(key, ""), key, text))

    def problem(self, key: str, text: str) -> None:
        found = Problem(key, text)
        # a key that several settings are made from is read several times
        if found not in self.problems:
            self.problems.append(found)

    def has(self, key: str) -> bool:
        """Whether the file gives `key` a value other than null."""
        value = self.values.get(key)
        return value is not None and not (isinstance(value, str) and value.lower() in ("none", "null"))

    def number(self, key: str, default: float) -> float:
        if not self.has(key):
            return default
        value = self.values[key]
        try:
            # YAML reads 1e-4 (no dot) as text; LLaMA-Factory reads it as a number
            found = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            self.problem(key, f"{key} is {value!r}; expected a number")
            return default
        return found

    def whole(self, key: str, default: int) -> int:
        found = self.number(key, default)
        if found != int(found):
            self.problem(key, f"{key} is {self.values[key]!r}; expected a whole number")
            return default
        return int(found)

    def flag(self, key: str, default: bool = False) -> bool:
        if not self.has(key):
            return default
        value = self.values[key]
        if not isinstance(value, bool):
            self.problem(key, f"{key} is {value!r}; expected true or false")
            return default
        return value

    def text(self, key: str, default: str = "") -> str:
        if not self.has(key):
            return default
        value = self.values[key]
        if not isinstance(value, str) or not value.strip():
            self.problem(key, f"{key} is {value!r}; expected text")
            return default
        return value.strip()

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        # YAML 1.1 reads no and off as false
        value = "no" if self.values.get(key) is False and "no" in choices else self.text(key, default)
        if value not in choices:
            self.problem(key, f"{key} is {value!r}; expected one of {', '.join(choices)}")
            return default
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """Names separated by commas, or a list of them."""
        if not self.has(key):
            return ()
        value = self.values[key]
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list) or not all(isinstance(part, str | int | float) for part in parts):
            self.problem(key, f"{key} is {value!r}; expected names separated by commas")
            return ()
        return tuple(word for part in parts if (word := str(part).strip()))

    def place(self, path: str) -> str:
        """A path of LLaMA-Factory, which starts from the current folder, as one that starts from the configuration's."""
        if Path(path).expanduser().is_absolute():
            return path
        return Path(os.path.relpath(Path.cwd() / path, self.folder)).as_posix()
