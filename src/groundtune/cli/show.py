"""What a person sees: a line a stage on standard error, and tables of results on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundtune.progress import format_seconds, stderr_console

if TYPE_CHECKING:
    from groundtune.pipeline import Outcome, Stage, Workspace

MOST_SKIPS_SHOWN = 4


class StageLines:
    """One line when a stage begins and one when it ends."""

    def __init__(self) -> None:
        self._console = stderr_console()

    def start(self, stage: Stage) -> None:
        self._console.print(Text.assemble(("● ", "cyan"), f"{stage.name}: {stage.doing} …"))

    def end(self, outcome: Outcome) -> None:
        if outcome.status == "done" and outcome.manifest is not None:
            counts = ", ".join(f"{value:,} {name}" for name, value in outcome.manifest.counts.items())
            seconds = format_seconds(outcome.seconds) if outcome.seconds >= 1 else f"{outcome.seconds:.1f} s"
            self._console.print(Text.assemble(("✓ ", "green"), (outcome.stage, "bold"), f": {counts} ", (f"({seconds})", "dim")))
            self._skips(outcome.manifest.skips)
        elif outcome.status == "edits kept":
            self._console.print(Text.assemble(("✎ ", "yellow"), (outcome.stage, "bold"), ": edited by hand since it was written; kept as it is"))
        elif outcome.status == "unchanged":
            self._console.print(Text.assemble(("· ", "dim"), (outcome.stage, "dim bold"), (": unchanged", "dim")))

    def _skips(self, skips: Mapping[str, int]) -> None:
        largest = sorted(skips.items(), key=lambda item: -item[1])
        for reason, count in largest[:MOST_SKIPS_SHOWN]:
            if count:
                self._console.print(Text(f"    left out: {count:,} × {reason}", style="dim"))
        if len(largest) > MOST_SKIPS_SHOWN:
            self._console.print(Text(f"    and {len(largest) - MOST_SKIPS_SHOWN} more reasons, in the manifest and the report", style="dim"))


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON: status, seconds, and what the manifest says was made and left out."""
    record: dict[str, Any] = {"stage": outcome.stage, "status": outcome.status, "seconds": round(outcome.seconds, 2)}
    if outcome.manifest is not None:
        manifest = asdict(outcome.manifest)
        record |= {name: manifest[name] for name in ("counts", "skips", "details")}
    return record


def show_results(workspace: Workspace, outcomes: Sequence[Outcome], stage: str) -> None:
    """The tables of the stage that was asked for; for `run` and `report` those of the whole way."""
    console = Console(highlight=False)
    if not any(outcome.status == "done" for outcome in outcomes):
        console.print(f"nothing to do: {stage} is up to date in {workspace.root}", markup=False, soft_wrap=True)
    details = {outcome.stage: outcome.manifest.details for outcome in outcomes if outcome.manifest is not None}
    if stage == "report":
        _show_run(console, workspace, details)
    else:
        _show_stage(console, details.get(stage, {}))


def _show_stage(console: Console, details: Mapping[str, Any]) -> None:
    """Every detail that is a list of records, as a table."""
    for name, rows in details.items():
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            console.print(_records_table(name.replace("_", " "), rows))


def _records_table(title: str, rows: Sequence[Mapping[str, Any]], limit: int = 40) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        numeric = all(isinstance(row.get(column), (int, float)) for row in rows if row.get(column) is not None)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows[:limit]:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    if len(rows) > limit:
        table.caption = f"and {len(rows) - limit} more; --json prints all"
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)


def show_preview(previews: Sequence[Mapping[str, Any]]) -> None:
    """Examples with trained tokens in green; where there is no colour they stand between ⟦ and ⟧."""
    console = Console(highlight=False)
    for preview in previews:
        console.rule(str(preview["example_id"]), style="dim")
        text = Text()
        for segment in preview["segments"]:
            if not segment["trained"]:
                text.append(segment["text"], style="dim")
            elif console.is_terminal:
                text.append(segment["text"], style="bold green")
            else:
                text.append(f"⟦{segment['text']}⟧")
        console.print(text, soft_wrap=not console.is_terminal)
