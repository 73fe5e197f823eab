"""`groundtune config`: what a configuration comes to, and LLaMA-Factory's YAML in native form."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import (
    DEFAULT_CONFIG,
    AsJson,
    Overrides,
    Target,
    check_new,
    print_json,
    read_target,
    show_notes,
)

if TYPE_CHECKING:
    from groundtune.config import Note

config_app = typer.Typer(help="Show what a configuration comes to; convert LLaMA-Factory's YAML.", no_args_is_help=True)


@config_app.command("show", epilog="Example: groundtune config show --set train.epochs=2")
def show(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print every setting as it will be used, defaults and overrides included."""
    import yaml

    config = read_target(target, overrides)
    values: dict[str, Any] = config.model_dump(mode="json")
    if as_json:
        print_json({"folder": str(config.folder), "config": values, "notes": note_records(config.notes)})
        return
    sys.stdout.write(yaml.safe_dump(values, allow_unicode=True, sort_keys=False, width=120))


@config_app.command("convert", epilog="Example: groundtune config convert llama3_lora_sft.yaml --out groundtune.yaml")
def convert(
    file: Annotated[Path, typer.Argument(help="YAML file of LLaMA-Factory.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the native file.")] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes", min=1, help="GPUs that will train together; a step of LLaMA-Factory grows with them."
        ),
    ] = 1,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the native form of a file of LLaMA-Factory, each line with the key it comes from."""
    from groundtune.config import convert_file
    from groundtune.config.llamafactory import native_yaml
    from groundtune.files import write_text

    if out is not None:
        check_new(out)
    # relative paths of the result start from the folder it will stand in
    conversion = convert_file(file, overrides or (), folder=out.parent if out else None, processes=processes)
    text = native_yaml(conversion, name=file.name)
    if out is not None:
        write_text(out, text)
    if as_json:
        notes = note_records(conversion.notes)
        print_json({"file": str(out) if out else None, "config": conversion.values(), "notes": notes, "yaml": text})
    elif out is None:
        sys.stdout.write(text)
    else:
        show_notes(conversion.notes)
        typer.echo(f"wrote {out}; next: groundtune train {out}")


def note_records(notes: Sequence[Note]) -> list[dict[str, str]]:
    return [{"place": note.place, "key": note.key, "text": note.text} for note in notes]
