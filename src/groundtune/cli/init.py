"""`groundtune init`: write a configuration to start from, and copies of the prompts for those who want to edit them."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, check_new, print_json

SAMPLE_CHARACTERS = 20_000
"""Of the documents, read to tell their main language."""

PROMPTS_FOLDER = "prompts"
"""Beside the configuration."""


def init(
    documents: Annotated[Path, typer.Argument(help="Folder of Markdown files, or a pre-chunked JSON file.")] = Path(
        "docs"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the configuration.")] = DEFAULT_CONFIG,
    prompts: Annotated[
        bool,
        typer.Option(
            "--prompts",
            help="Copy the prompts to a folder beside it, for editing; a configuration that is there stays.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented configuration for a folder of documents, and with --prompts copies of the prompts to edit."""
    files: list[Path] = []
    # a copy of the prompts is often wanted when the configuration has long been there
    languages = None if prompts and output.exists() else _write_config(documents, output)
    if prompts:
        files = _write_prompts(output)
    if as_json:
        config = (
            {} if languages is None else {"config": str(output), "documents": str(documents), "languages": languages}
        )
        print_json({**config, **({"prompts": [str(file) for file in files]} if prompts else {})})
        return
    if prompts:
        typer.echo(
            f"wrote {len(files)} files to {output.parent / PROMPTS_FOLDER}; edit what you like, delete the rest, and set in {output}:"
        )
        typer.echo(f"  generation:\n    prompts_folder: {PROMPTS_FOLDER}")
    if languages is not None:
        typer.echo(f"wrote {output}; next: groundtune run {output}")
    if not prompts:
        typer.echo("to edit the prompts that language models are given: groundtune init --prompts")


def _write_config(documents: Path, output: Path) -> list[str]:
    """Returns the languages, the main one first."""
    from groundtune.errors import DataError
    from groundtune.files import write_text

    if not documents.exists():
        raise DataError(
            f"{documents}: no such folder; give the folder that holds your documents: groundtune init FOLDER"
        )
    check_new(output)
    languages = _languages(documents)
    template = resources.files("groundtune.cli").joinpath("starter.yaml").read_text(encoding="utf-8")
    relative = os.path.relpath(documents.resolve(), output.resolve().parent)
    text = template.replace("{documents}", _quoted(relative)).replace("{languages}", ", ".join(languages))
    write_text(output, text.replace("{project}", _quoted(documents.resolve().name)))
    return languages


def _write_prompts(output: Path) -> list[Path]:
    from groundtune.generation.prompts import write_prompts

    return write_prompts(output.parent / PROMPTS_FOLDER)


def _quoted(text: str) -> str:
    """A JSON string is a YAML scalar whatever is in it: a folder may be called 2024 or "a: b"."""
    return json.dumps(text, ensure_ascii=False)


def _languages(documents: Path) -> list[str]:
    """Turkish and English, the one the documents are mostly in first."""
    from groundtune.language import detect_language

    files = [documents] if documents.is_file() else sorted(documents.rglob("*.md"))
    sample = ""
    for file in files:
        if len(sample) >= SAMPLE_CHARACTERS:
            break
        sample += file.read_text(encoding="utf-8", errors="ignore")[: SAMPLE_CHARACTERS // 10]
    main = detect_language(sample, ["en", "tr"])
    return [main, *(language for language in ("tr", "en") if language != main)]
