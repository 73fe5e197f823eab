"""A conversion as a native YAML file: a comment on every line says which key it comes from, notes stand above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from groundtune.config.llamafactory.conversion import Conversion
from groundtune.config.llamafactory.converting import Setting


def native_yaml(conversion: Conversion, *, name: str) -> str:
    """The text of a native configuration; `name` is the file it was made from."""
    lines = [f"# groundtune configuration, made from {name} of LLaMA-Factory by `groundtune config convert`."]
    if conversion.notes:
        lines.append("# Notes:")
        lines += [f"#   {note.key}{_at(note.place)}: {note.text}" for note in conversion.notes]
    section: tuple[str, ...] = ()
    for setting in conversion.settings:
        above = setting.keys[:-1]
        shared = _shared(section, above)
        if not shared and above:
            lines.append("")
        for depth in range(shared, len(above)):
            lines.append(f"{'  ' * depth}{above[depth]}:")
        section = above
        head = "- " if setting.keys[-1].isdigit() else f"{setting.keys[-1]}: "
        written = f"{'  ' * len(above)}{head}{_scalar(setting.value)}"
        lines.append(f"{written}  # {_comment(setting, conversion.places)}")
    return "\n".join(lines) + "\n"


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many leading parts are the same."""
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


def _scalar(value: Any) -> str:
    """A value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10**9)
    return text.removesuffix("...\n").strip()


def _comment(setting: Setting, places: Mapping[str, str]) -> str:
    given = [f"{key}{_at(places[key])}" for key in setting.origins if key in places]
    if given:
        words = ", ".join(given)
    elif setting.origins:
        words = f"LLaMA-Factory's default of {setting.origins[0]}"
    else:
        words = ""
    return "; ".join(part for part in (words, setting.why) if part)


def _at(place: str) -> str:
    if place.startswith("--set "):
        return f" ({place})"
    line = place.rpartition(":")[2]
    return f" (line {line})" if line.isdigit() else ""
