"""`groundtune init`: write a configuration to start from."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, print_json

SAMPLE_CHARACTERS = 20_000
"""Of the documents, read to tell their main language."""


def init(
    documents: Annotated[Path, typer.Argument(help="Folder of Markdown files, or a pre-chunked JSON file.")] = Path(
        "docs"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the configuration.")] = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write a commented configuration for a folder of documents."""
    from groundtune.errors import ConfigError, DataError
    from groundtune.files import write_text

    if not documents.exists():
        raise DataError(
            f"{documents}: no such folder; give the folder that holds your documents: groundtune init FOLDER"
        )
    if output.exists():
        raise ConfigError(f"{output}: exists already; choose another name with --output, or delete it first")
    languages = _languages(documents)
    template = resources.files("groundtune.cli").joinpath("starter.yaml").read_text(encoding="utf-8")
    relative = os.path.relpath(documents.resolve(), output.resolve().parent)
    text = template.replace("{documents}", _quoted(relative)).replace("{languages}", ", ".join(languages))
    write_text(output, text.replace("{project}", _quoted(documents.resolve().name)))
    if as_json:
        print_json({"config": str(output), "documents": str(documents), "languages": languages})
    else:
        typer.echo(f"wrote {output}; next: groundtune run {output}")


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
