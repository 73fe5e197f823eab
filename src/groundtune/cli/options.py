"""What every verb takes: the target, `--set`, `--json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from groundtune.config import Config

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
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting; may be given several times."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output; messages go to standard error.")
]


def read_target(target: Path, overrides: list[str] | None) -> Config:
    """The configuration of a file, or of a documents folder that has none. Raises `ConfigError`."""
    from groundtune.config import default_config, load_config

    if target.is_dir():
        inside = target / DEFAULT_CONFIG
        return load_config(inside, overrides or ()) if inside.is_file() else default_config(target, overrides or ())
    if target.suffix in (".json", ".jsonl") and target.is_file():
        return default_config(target, overrides or ())
    return load_config(target, overrides or ())


def print_json(value: Mapping[str, Any]) -> None:
    """The one JSON object of a verb."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()
