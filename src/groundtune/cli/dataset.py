"""`groundtune dataset`: build examples, look at them, count them, prove them, and carry data from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import (
    DEFAULT_CONFIG,
    AsJson,
    BuildByDefault,
    Overrides,
    Target,
    check_new,
    print_json,
    read_target,
)

if TYPE_CHECKING:
    from groundtune.config import DataFormat, SourceConfig
    from groundtune.types import Split

CHECK_FAILED = 1


dataset_app = typer.Typer(
    cls=BuildByDefault, help="Make examples of pairs and data; look at them, count them, prove them."
)


@dataset_app.command("build", epilog="Example: groundtune dataset")
def build(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Split by evidence and render train, valid and test (the default)."""
    from groundtune.cli.stages import bring_up_to

    bring_up_to("examples", target, overrides, as_json)


@dataset_app.command("preview", epilog="Example: groundtune dataset preview -n 5 --split test")
def preview(
    target: Target = DEFAULT_CONFIG,
    split: Annotated[
        str, typer.Option("--split", metavar="train|valid|test", help="Part of the data to show examples of.")
    ] = "train",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Examples to show.")] = 3,
    ids: Annotated[bool, typer.Option("--ids", help="Also every token with its id and weight, one a line.")] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show examples as the model reads them, trained tokens coloured."""
    from groundtune.cli.dataset_tables import show_preview
    from groundtune.pipeline import Workspace, preview_examples

    chosen = _split(split)
    previews = preview_examples(Workspace(read_target(target, overrides)), chosen, count)
    if as_json:
        kept = [{key: value for key, value in each.items() if ids or key != "tokens"} for each in previews]
        print_json({"split": split, "examples": kept})
    else:
        show_preview(previews, ids=ids)


@dataset_app.command("audit", epilog="Example: groundtune dataset audit --json")
def audit(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Prove for every row that what is trained is what the assistant has to write, and account for every row."""
    from groundtune.cli.dataset_tables import show_audit
    from groundtune.pipeline import Workspace
    from groundtune.pipeline.inspection import audit_data

    reports = audit_data(Workspace(read_target(target, overrides)))
    passed = all(report.passed for report in reports.values())
    if as_json:
        print_json({"passed": passed, "audits": {name: report.as_json() for name, report in reports.items()}})
    else:
        show_audit(reports)
    if not passed:
        raise typer.Exit(CHECK_FAILED)


@dataset_app.command("stats", epilog="Example: groundtune dataset stats")
def stats(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Count lengths, trained share, kinds, languages, copies, and what shared prefixes save."""
    from groundtune.cli.dataset_tables import show_stats
    from groundtune.files import as_plain
    from groundtune.pipeline import Workspace
    from groundtune.pipeline.inspection import data_stats

    found = data_stats(Workspace(read_target(target, overrides)))
    if as_json:
        print_json(as_plain(found))
    else:
        show_stats(found)


@dataset_app.command("convert", epilog="Example: groundtune dataset convert alpaca.json messages.jsonl --to messages")
def convert(
    source: Annotated[str, typer.Argument(help="File, folder or pattern; a name of --registry; or hub:ID.")],
    out: Annotated[Path, typer.Argument(help="File to write: .jsonl or .json, with .gz behind it to pack it.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help="alpaca, sharegpt, messages, prompt_completion, preference or text."
        ),
    ] = "messages",
    given: Annotated[
        str, typer.Option("--from", metavar="FORMAT", help="Format of the source; auto tells it by the content.")
    ] = "auto",
    registry: Annotated[
        Path | None, typer.Option("--registry", help="Folder with a dataset_info.json that SOURCE is a name in.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first malformed row.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Setting of the source (columns.messages=dialog); several times."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Carry instruction data from one format to another, with a list of what could not be held."""
    from dataclasses import asdict

    from groundtune.cli.dataset_tables import show_conversion
    from groundtune.dataset.formats import load_registry, read_source, write_conversations
    from groundtune.types import Conversation, LeftOut

    check_new(out)
    where = _source(source, given, registry, settings or [])
    left_out: list[LeftOut] = []
    read = 0

    def rows() -> Any:
        nonlocal read
        known = load_registry(registry) if registry else None
        for row in read_source(where, folder=Path.cwd(), registry=known, strict=strict):
            read += 1
            if isinstance(row, Conversation):
                yield row
            else:
                left_out.append(row)

    losses = write_conversations(out, rows(), format=_format(to))
    if as_json:
        print_json(
            {
                "file": str(out),
                "rows_read": read,
                "left_out": [asdict(row) for row in left_out],
                "not_held": [asdict(loss) for loss in losses],
            }
        )
    else:
        show_conversion(out, read, left_out, losses)


def _split(name: str) -> Split:
    from groundtune.errors import ConfigError
    from groundtune.types import SPLITS

    for split in SPLITS:
        if split == name:
            return split
    raise ConfigError(f"--split {name!r}: expected one of {', '.join(SPLITS)}")


def _format(name: str) -> DataFormat:
    from typing import get_args

    from groundtune.config import DataFormat
    from groundtune.errors import ConfigError

    known: list[DataFormat] = [each for each in get_args(DataFormat) if each not in ("auto", "squad")]
    for each in known:
        if each == name:
            return each
    raise ConfigError(f"--to {name!r}: expected one of {', '.join(known)}")


def _source(source: str, given: str, registry: Path | None, settings: list[str]) -> SourceConfig:
    """What the words of the command say, checked as a configuration is."""
    from pydantic import ValidationError

    from groundtune.config import SourceConfig
    from groundtune.config.yaml_lines import apply_override
    from groundtune.errors import ConfigError

    place = {"name": source} if registry else {"hub": source[4:]} if source.startswith("hub:") else {"path": source}
    values: dict[str, Any] = place | {"format": given}
    for setting in settings:
        apply_override(values, setting)
    try:
        return SourceConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the source"
        # the first letter only: names in it stay what they are
        expected = first["msg"][:1].lower() + first["msg"][1:]
        raise ConfigError(f"{key}: found {first['input']!r:.80}; {expected}") from error
