"""`evaluate --check`: the checklist as a table, and the exit status that a build server looks at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from groundtune.cli.options import print_json, read_target

if TYPE_CHECKING:
    from groundtune.evaluation.checklist import Checklist

NOT_PASSED = 1

_MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "not measured": ("?", "yellow")}


def check_deployment(target: Path, overrides: list[str] | None, *, as_json: bool, strict: bool) -> None:
    """Bring everything up to the checklist up to date, show it, and end with 1 where it did not pass: a failed item always, one
    that was not measured where `strict`."""
    from groundtune.cli.show import StageLines
    from groundtune.files import as_plain
    from groundtune.pipeline import Workspace, run_up_to
    from groundtune.pipeline.checking import read_checklist

    workspace = Workspace(read_target(target, overrides))
    lines = StageLines()
    run_up_to(workspace, "checklist", on_start=lines.start, on_end=lines.end)
    made = read_checklist(workspace)
    if as_json:
        print_json({"checklist": as_plain(made), "file": str(workspace.checklist)})
    else:
        _show(made)
    if made.overall == "incomplete" and not strict:
        typer.echo("warning: the checklist is incomplete; --strict takes that for a failure", err=True)
    if made.overall == "failed" or (strict and made.overall == "incomplete"):
        raise typer.Exit(NOT_PASSED)


def _show(made: Checklist) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, emoji=False)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for column in ("", "check", "", "figure"):
        table.add_column(column, overflow="fold")
    for item in made.items:
        mark, style = _MARKS[item.state]
        unsure = "" if item.sure or item.state == "not measured" else " (unsure)"
        table.add_row(
            Text(mark, style=style), Text(item.name), Text(item.state + unsure, style=style), Text(item.sentence)
        )
    console.print(table)
    for setting in made.not_looked_at:
        console.print(Text(f"not looked at: {setting}", style="dim"))
    console.print(Text(made.sentence, style="bold"), soft_wrap=True)
