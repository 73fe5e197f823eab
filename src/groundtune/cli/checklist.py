"""`evaluate --check`: the checklist as a table, and the exit status that a build server looks at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from groundtune.cli.display import Sheet, near, output
from groundtune.cli.options import print_json, read_target, tell

if TYPE_CHECKING:
    from groundtune.evaluation.checklist import Checklist

NOT_PASSED = 1

_MARKS = {"pass": ("✓", "green"), "fail": ("✗", "red"), "not measured": ("?", "yellow")}


def check_deployment(target: Path, overrides: list[str] | None, *, as_json: bool, strict: bool) -> None:
    """Bring the verdict up to date, report and card with it, show the checklist, and end with 1 where it did not pass: a failed
    item always, one that was not measured where `strict`."""
    from groundtune.cli.show import bring_to, run_record
    from groundtune.files import as_plain
    from groundtune.pipeline import GOALS, Workspace
    from groundtune.pipeline.checking import read_checklist

    workspace = Workspace(read_target(target, overrides))
    outcomes = bring_to(workspace, GOALS["verdict"](workspace))
    made = read_checklist(workspace)
    if as_json:
        print_json(run_record(workspace, outcomes) | {"checklist": as_plain(made), "file": str(workspace.checklist)})
    else:
        _show(made)
        output().print(f"report: {near(workspace.report)}", soft_wrap=True)
    if made.overall == "incomplete" and not strict:
        tell("warning: the checklist is incomplete; --strict takes that for a failure")
    if made.overall == "failed" or (strict and made.overall == "incomplete"):
        raise typer.Exit(NOT_PASSED)


def _show(made: Checklist) -> None:
    console = output()
    sheet = Sheet("Checklist", "", "", prose=True)
    for item in made.items:
        mark, style = _MARKS[item.state]
        # what was not measured says so itself
        state = "" if item.state == "not measured" else f"{item.state}: "
        sheet.row(Text.assemble((f"{mark} ", style), item.name), Text.assemble((state, style), item.sentence))
    unseen = ", ".join(made.not_looked_at)
    sheet.show(console, *([f"not looked at: {unseen}"] if unseen else []))
    console.print(made.sentence, style="bold")
