"""What every verb takes: the target, `--set`, `--json`; and what families of verbs share."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from groundtune.config import Config, Note

DEFAULT_CONFIG = Path("groundtune.yaml")

Target = Annotated[
    Path,
    typer.Argument(
        help="Configuration file; or a documents folder or pre-chunked .json(l) file, to use with every default.",
        show_default="groundtune.yaml",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Override a setting of the configuration; several times for several."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output; messages go to standard error.")
]


class BuildByDefault(TyperGroup):
    """`groundtune dataset CONFIG` means `groundtune dataset build CONFIG`; so of every family that builds something."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["build", *args]
        return super().parse_args(ctx, args)


def read_target(target: Path, overrides: list[str] | None) -> Config:
    """The configuration of a file, or of a documents folder that has none; what it notes is shown. Raises `ConfigError`."""
    config = _read(target, overrides or ())
    show_notes(config.notes)
    return config


def _read(target: Path, overrides: Sequence[str]) -> Config:
    from groundtune.config import default_config, load_config

    if target.is_dir():
        inside = target / DEFAULT_CONFIG
        return load_config(inside, overrides) if inside.is_file() else default_config(target, overrides)
    if target.suffix in (".json", ".jsonl") and target.is_file():
        return default_config(target, overrides)
    return load_config(target, overrides)


def show_notes(notes: Sequence[Note]) -> None:
    """Notes on standard error, one a line, so that standard output stays what was asked for."""
    for note in notes:
        # without a place the note is about a default that the file leaves unsaid
        tell(f"{note.place}: {note.key}: {note.text}" if note.place else f"{note.key}: {note.text}")


def tell(message: str) -> None:
    """A message on standard error; in a terminal its lines end between words, so that a name or command in it stays whole."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns or sys.maxsize
        message = textwrap.fill(message, width, break_long_words=False, break_on_hyphens=False)
    sys.stderr.write(message + "\n")


def names_in(listed: str) -> list[str]:
    """
    >>> names_in("mmlu, truthfulqa_mc2,")
    ['mmlu', 'truthfulqa_mc2']
    """
    return [name.strip() for name in listed.split(",") if name.strip()]


def check_new(out: Path) -> None:
    """Nothing is written over. Raises `ConfigError` where `out` is there."""
    from groundtune.errors import ConfigError

    if out.exists():
        raise ConfigError(f"{out}: exists already; choose another name, or delete it first")


def print_json(value: Mapping[str, Any]) -> None:
    """The one JSON object of a verb."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()
