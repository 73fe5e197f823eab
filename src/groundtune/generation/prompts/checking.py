"""Prompt files, read and checked: a file is right as a whole, or one sentence says what is wrong with it and where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from groundtune.config.yaml_lines import parse_yaml
from groundtune.errors import ConfigError
from groundtune.types import Rule

PARTS = ("v2", "v1", "rules", "false_premise", "judge")
PLACE = re.compile(r"\{(\w+)\}")
_NAME = re.compile(r"(v1|v2|rules|false_premise|judge)\.[a-z]{2,3}\.yaml")


@dataclass(frozen=True, slots=True)
class Places:
    """What a text may have filled in, and what it must."""

    needed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


_PROFILE = {
    "language_name": Places(),
    "system": Places(allowed=("max_words",)),
    "context": Places(needed=("passages",)),
    "user": Places(needed=("num_pairs", "guidance"), allowed=("language_name", "max_words")),
}
KEYS: Mapping[str, Mapping[str, Places]] = {
    "v1": _PROFILE,
    "v2": _PROFILE,
    "rules": {rule.value: Places() for rule in Rule},
    "false_premise": {"system": Places(), "user": Places(needed=("num_questions",), allowed=("language_name",))},
    "judge": {
        "system": Places(),
        "support": Places(needed=("question", "answer")),
        "necessity": Places(needed=("question",)),
        "history": Places(needed=("turns",)),
        "turn": Places(needed=("question", "answer")),
        "again": Places(needed=("error",)),
    },
}
"""The texts of each part; those of ``rules`` stand below a key of that name."""


def check_names(folder: Path) -> None:
    """Raises `ConfigError` for a folder that is missing, or a YAML file in it that would never be read."""
    if not folder.is_dir():
        raise ConfigError(
            f"generation.prompts_folder: {folder} is no folder; `groundtune init --prompts` writes one, or leave the key out"
        )
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        if _NAME.fullmatch(file.name) is None:
            raise ConfigError(
                f"{file}: a file of this name is not used; expected {', '.join(PARTS)}, a dot, a language code and .yaml, such "
                f"as v2.tr.yaml"
            )


@dataclass(frozen=True, slots=True)
class _File:
    """A prompt file with the line of every key."""

    path: Path
    text: str
    lines: Mapping[tuple[str, ...], int]

    def where(self, keys: tuple[str, ...], word: str = "") -> str:
        """``file:line`` of a key, or of `word` below it."""
        line = self.lines.get(keys)
        if line is None:
            return str(self.path)
        below = enumerate(self.text.split("\n")[line - 1 :], start=line)
        return f"{self.path}:{next((number for number, written in below if word in written), line)}"


def read_part(raw: bytes, path: Path, part: str) -> dict[str, Any]:
    """The texts of one file, stripped; ``rules`` with theirs below ``rules``.

    Raises:
        ConfigError: not YAML in UTF-8; an unknown, missing or empty key, an unknown rule, an unknown or missing place.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    values, lines = parse_yaml(text, path)
    file = _File(path, text, lines)
    if part != "rules":
        return _check_texts(values, KEYS[part], file)
    _check_keys(values, ("rules",), file)
    inner = values["rules"]
    if not isinstance(inner, dict):
        raise ConfigError(f"{file.where(('rules',))}: rules holds {inner!r:.60}; expected a text for each of the rules")
    return {"rules": _check_texts(inner, KEYS["rules"], file, above=("rules",))}


def _check_texts(
    values: Mapping[str, Any], keys: Mapping[str, Places], file: _File, *, above: tuple[str, ...] = ()
) -> dict[str, Any]:
    _check_keys(values, tuple(keys), file, above=above)
    texts = {}
    for key, places in keys.items():
        text = values[key]
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{file.where((*above, key))}: {key} holds {text!r:.60}; expected a text")
        _check_places(text, places, file, (*above, key))
        texts[key] = text.strip()
    return texts


def _check_places(text: str, places: Places, file: _File, keys: tuple[str, ...]) -> None:
    found = PLACE.findall(text)
    known = [*places.needed, *places.allowed]
    for place in found:
        if place not in known:
            near = get_close_matches(place, known, n=1)
            hint = f"expected {', '.join(f'{{{name}}}' for name in known)}" if known else "this text has no places"
            hint = f"did you mean {{{near[0]}}}?" if near else hint
            where = file.where(keys, f"{{{place}}}")
            raise ConfigError(f"{where}: {keys[-1]} has the unknown place {{{place}}}; {hint}")
    for place in places.needed:
        if place not in found:
            raise ConfigError(
                f"{file.where(keys)}: {keys[-1]} lacks the place {{{place}}}, which is filled in; put it where it belongs"
            )


def _check_keys(values: Mapping[str, Any], known: tuple[str, ...], file: _File, *, above: tuple[str, ...] = ()) -> None:
    noun = "rule" if above else "key"
    for key in values:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(known)}"
            raise ConfigError(f"{file.where((*above, str(key)))}: unknown {noun} {key!r}; {hint}")
    for key in known:
        if key not in values:
            raise ConfigError(
                f"{file.path}: the {noun} {key!r} is missing; copy it from the file that `groundtune init --prompts` writes"
            )
