"""A file of LLaMA-Factory as native values, each with the keys and lines it was made from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.config.llamafactory.computing import map_computing
from groundtune.config.llamafactory.converting import Converting, Problem, Setting
from groundtune.config.llamafactory.datasets import map_data
from groundtune.config.llamafactory.keys import ACCEPTED, KNOWN, MARKS, MARKS_OF_V1
from groundtune.config.llamafactory.method import map_method, map_objective
from groundtune.config.llamafactory.refused import OFF, REFUSED, asks_for_nothing
from groundtune.config.llamafactory.run import map_model, map_run
from groundtune.config.llamafactory.steps import map_steps
from groundtune.config.whole import Config, Note
from groundtune.errors import ConfigError

SECTIONS = frozenset(Config.model_fields)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a file of LLaMA-Factory means here."""

    settings: tuple[Setting, ...]
    notes: tuple[Note, ...]
    places: Mapping[str, str]
    """Key to where it stands: ``file.yaml:12`` or ``--set key=value``."""

    def values(self) -> dict[str, Any]:
        """The native configuration as nested values."""
        nested: dict[str, Any] = {}
        for setting in self.settings:
            inner = nested
            for key in setting.keys[:-1]:
                inner = inner.setdefault(key, {})
            inner[setting.keys[-1]] = setting.value
        sources = nested.get("data", {}).get("sources", {})
        nested["data"]["sources"] = [sources[str(index)] for index in range(len(sources))]
        return nested

    def origins(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """Native keys to the keys they were made from."""
        return {setting.keys: setting.origins for setting in self.settings}


def is_llamafactory(values: Mapping[str, Any], lines: Mapping[tuple[str, ...], int], name: str) -> bool:
    """Whether a file is LLaMA-Factory's, told by its keys.

    Raises:
        ConfigError: the file mixes its keys with sections of groundtune.
    """
    newer = [key for key in values if key in MARKS_OF_V1]
    if newer and isinstance(values.get("model"), str):
        raise ConfigError(
            f"{name}:{lines.get((newer[0],), 1)}: {newer[0]!r} is a key of LLaMA-Factory's new trainer (v1), whose files are "
            f"not read; write it in the keys of 0.9 (model_name_or_path, dataset, ...) or groundtune's"
        )
    marks = [key for key in values if key in MARKS]
    if not marks:
        return False
    # both have the words project, seed and dataset; groundtune's dataset is a section
    sections = [key for key in values if key in SECTIONS and (key not in KNOWN or isinstance(values[key], dict))]
    if sections:
        raise ConfigError(
            f"{name}:{lines.get((sections[0],), 1)}: {sections[0]!r} is a section of groundtune, and {marks[0]!r} (line "
            f"{lines.get((marks[0],), 1)}) is a key of LLaMA-Factory; a file is of one kind: `groundtune config convert` "
            f"writes the native form of the second"
        )
    return True


def convert(
    values: Mapping[str, Any],
    lines: Mapping[tuple[str, ...], int],
    *,
    name: str,
    folder: Path,
    overrides: Sequence[tuple[str, Any, str]] = (),
    processes: int = 1,
) -> Conversion:
    """Every key as a native setting or a note.

    Args:
        folder: what relative paths of the result start from; those of LLaMA-Factory start from the current folder.
        overrides: key, value and the words of each ``--set`` that is about a key of LLaMA-Factory.
        processes: that will train together; a step is so many times as large.

    Raises:
        ConfigError: unknown keys, values that cannot be used, and everything that has no counterpart, with its line.
    """
    places = {str(key): f"{name}:{lines[(str(key),)]}" for key in values if (str(key),) in lines}
    given = dict(values)
    for key, value, words in overrides:
        given[key] = value
        places[key] = f"--set {words}"
    work = Converting(given, places, folder=folder, processes=processes)
    unknown = _unknown_keys(given)
    _go_through_unmapped(work)
    for step in (map_method, map_objective, map_model, map_data, map_run, map_steps, map_computing):
        step(work)
    if unknown or work.problems:
        raise ConfigError(_describe([*unknown, *work.problems], places, name))
    order = {section: index for index, section in enumerate(Config.model_fields)}
    settings = sorted(work.settings, key=lambda setting: order[setting.keys[0]])
    return Conversion(tuple(settings), tuple(work.notes), places)


def _unknown_keys(values: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for key in values:
        if key not in KNOWN:
            near = difflib.get_close_matches(str(key), sorted(KNOWN), n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else "LLaMA-Factory 0.9.5 has no such key either; take it out"
            problems.append(Problem(str(key), f"unknown key {key!r}; {hint}"))
        elif isinstance(values[key], str) and "${" in values[key]:
            problems.append(
                Problem(key, f"{key} is {values[key]!r}; references are not resolved: write the value itself")
            )
    return problems


def _go_through_unmapped(work: Converting) -> None:
    for key, value in work.values.items():
        if key in ACCEPTED:
            if not any(value is each for each in OFF):
                work.note(key, ACCEPTED[key])
        elif key in REFUSED and not asks_for_nothing(key, value):
            refusal = REFUSED[key]
            shown = "" if refusal.secret else f" is {value!r}"
            work.problem(key, f"{key}{shown}: {refusal.reason}")


def _describe(problems: Sequence[Problem], places: Mapping[str, str], name: str) -> str:
    """The first problem in full, and where the others are. Unknown keys stand first: they may cause the others."""
    first, *others = problems
    message = f"{places.get(first.key, name)}: {first.text}"
    if not others:
        return message
    more = ", ".join(_short(problem.key, places, name) for problem in others[:6])
    return f"{message} (and {len(others)} more: {more}{', ...' if len(others) > 6 else ''})"


def _short(key: str, places: Mapping[str, str], name: str) -> str:
    where = places.get(key, "")
    return f"{key} on line {where.removeprefix(name + ':')}" if where.startswith(name + ":") else key
