"""YAML with the line of every key, and ``--set`` overrides of it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml

from groundtune.errors import ConfigError


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The mapping in a file, and the 1-based line of every key.

    Raises:
        ConfigError: the file cannot be read, is not valid YAML, or sets a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; `groundtune init` writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    return parse_yaml(text, path)


def split_override(override: str) -> tuple[tuple[str, ...], Any]:
    """The keys of ``section.key=value``, and the value read as YAML."""
    path, equals, raw = override.partition("=")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(f"--set {override!r}: expected section.key=value, such as train.epochs=2")
    try:
        return keys, yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML") from error


def apply_override(values: dict[str, Any], override: str) -> tuple[str, ...]:
    """Set ``section.key=value`` in `values`, or ``list.0.key=value`` for what a list has already; returns the keys."""
    keys, value = split_override(override)
    inner: Any = values
    for key, below in itertools.pairwise(keys):
        inner = inner[int(key)] if isinstance(inner, list) else inner.setdefault(key, {})
        if isinstance(inner, list) and not (below.isdecimal() and int(below) < len(inner)):
            raise ConfigError(
                f"--set {override!r}: {key!r} is a list of {len(inner)}, and {below!r} is none of its places from 0"
            )
        if not isinstance(inner, (dict, list)):
            raise ConfigError(f"--set {override!r}: {key!r} is not a section")
    inner[int(keys[-1]) if isinstance(inner, list) else keys[-1]] = value
    return keys


def parse_yaml(text: str, path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The YAML mapping, and the 1-based line of every key. Duplicate keys are errors: PyYAML would keep the last silently."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from error
    lines: dict[tuple[str, ...], int] = {}
    if node is not None:
        _collect_lines(node, (), lines, path)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found a {type(values).__name__}, expected sections (key: value)")
    return values, lines


def _collect_lines(node: yaml.Node, prefix: tuple[str, ...], lines: dict[tuple[str, ...], int], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            keys = (*prefix, str(key_node.value))
            line = key_node.start_mark.line + 1
            if keys in lines:
                raise ConfigError(
                    f"{path}:{line}: {'.'.join(keys)} is set twice (first on line {lines[keys]}); keep one"
                )
            lines[keys] = line
            _collect_lines(value_node, keys, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*prefix, str(index))] = item.start_mark.line + 1
            _collect_lines(item, (*prefix, str(index)), lines, path)
