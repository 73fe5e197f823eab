"""What a person sees: a line a stage on standard error, and tables of results on standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundtune.cli.training_table import training_table
from groundtune.progress import format_seconds, stderr_console

if TYPE_CHECKING:
    from groundtune.pipeline import Outcome, Stage, Workspace

CURVES_NAME = "curves.png"
"""In the folder of a training; not imported from there, which would load torch."""

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
            self._console.print(
                Text.assemble(("✓ ", "green"), (outcome.stage, "bold"), f": {counts} ", (f"({seconds})", "dim"))
            )
            self._skips(outcome.manifest.skips)
        elif outcome.status == "edits kept":
            self._console.print(
                Text.assemble(
                    ("✎ ", "yellow"), (outcome.stage, "bold"), ": edited by hand since it was written; kept as it is"
                )
            )
        elif outcome.status == "unchanged":
            self._console.print(Text.assemble(("· ", "dim"), (outcome.stage, "dim bold"), (": unchanged", "dim")))

    def _skips(self, skips: Mapping[str, int]) -> None:
        largest = sorted(skips.items(), key=lambda item: -item[1])
        for reason, count in largest[:MOST_SKIPS_SHOWN]:
            if count:
                self._console.print(Text(f"    left out: {count:,} × {reason}", style="dim"))
        if len(largest) > MOST_SKIPS_SHOWN:
            self._console.print(
                Text(
                    f"    and {len(largest) - MOST_SKIPS_SHOWN} more reasons, in the manifest and the report",
                    style="dim",
                )
            )


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON: status, seconds, and what the manifest says was made and left out."""
    record: dict[str, Any] = {"stage": outcome.stage, "status": outcome.status, "seconds": round(outcome.seconds, 2)}
    if outcome.manifest is not None:
        manifest = asdict(outcome.manifest)
        record |= {name: manifest[name] for name in ("counts", "skips", "details")}
    return record


def show_results(workspace: Workspace, outcomes: Sequence[Outcome], stage: str) -> None:
    """The tables of the stage that was asked for; for `run` those of the whole way, for `evaluate` those of the verdict."""
    console = Console(highlight=False, emoji=False)
    if not any(outcome.status == "done" for outcome in outcomes):
        console.print(f"nothing to do: {stage} is up to date in {workspace.root}", markup=False, soft_wrap=True)
    details = {outcome.stage: outcome.manifest.details for outcome in outcomes if outcome.manifest is not None}
    if stage == "report":
        _show_run(console, workspace, details)
    elif stage == "verdict":
        _show_verdict(console, workspace, details)
    elif stage == "generate":
        _show_generation(workspace, outcomes)
    elif stage in ("pretrain", "train"):
        _show_trainings(console, workspace, details, stage)
    else:
        _show_stage(console, details.get(stage, {}))


def _show_run(console: Console, workspace: Workspace, details: Mapping[str, Any]) -> None:
    """The end of a run: training table, results of both models, a few answers side by side, where the report is."""
    for stage, (title, folder) in _trainings(workspace).items():
        if stage in details and stage != "pretrain":
            console.print(training_table(folder, title, details[stage]))
    _show_evaluation(console, workspace, details)
    console.print(_totals(workspace), style="dim", markup=False, soft_wrap=True)
    console.print(f"chat:   groundtune chat {_near(workspace.run)}", markup=False, soft_wrap=True)
    console.print(f"report: {_near(workspace.report)}", markup=False, soft_wrap=True)


def _show_verdict(console: Console, workspace: Workspace, details: Mapping[str, Any]) -> None:
    """What an evaluation came to: of benchmarks each score."""
    from groundtune.cli.general_table import general_table

    _show_evaluation(console, workspace, details)
    if workspace.config.evaluation.forgetting.benchmarks:
        console.print(general_table(workspace))
    console.print(f"report: {_near(workspace.report)}", markup=False, soft_wrap=True)


def _show_evaluation(console: Console, workspace: Workspace, details: Mapping[str, Any]) -> None:
    """The figures, a few answers side by side, and what they come to."""
    from groundtune.cli.evaluation_tables import show_answers, show_figures, show_forgotten, show_verdict
    from groundtune.evaluation import AnswerRecord, EvaluationSummary, Speed
    from groundtune.evaluation.forgetting import GeneralSummary
    from groundtune.files import parse_record, read_json, read_records

    summary_path = workspace.evaluation / "summary.json"
    summary = parse_record(read_json(summary_path), EvaluationSummary, where=str(summary_path))
    speed = read_json(workspace.speed) if workspace.speed.exists() else {}
    show_figures(
        console,
        summary,
        {model: parse_record(value, Speed, where=f"{workspace.speed}: {model}") for model, value in speed.items()},
    )
    if "forgetting" in details:
        general = parse_record(
            read_json(workspace.general_summary), GeneralSummary, where=str(workspace.general_summary)
        )
        show_forgotten(console, general)
    wanted = details["evaluate"]["shown"]
    records = {each.question_id: each for each in read_records(workspace.answers, AnswerRecord)}
    show_answers(console, [records[each] for each in wanted if each in records], summary)
    show_verdict(console, summary, details.get("checklist", {}).get("sentence", ""))


def _show_trainings(console: Console, workspace: Workspace, details: Mapping[str, Any], stage: str) -> None:
    """Of each training that was brought up to date: the table, what a reader should know, and where the curves are."""
    for name, (title, folder) in _trainings(workspace).items():
        if name not in details or (stage == "pretrain" and name != stage):
            continue
        console.print(training_table(folder, title, details[name]))
        for note in details[name]["notes"]:
            console.print(Text(f"note: {note}", style="dim"), soft_wrap=True)
        if (folder / CURVES_NAME).exists():
            console.print(f"curves: {_near(folder / CURVES_NAME)}", markup=False, soft_wrap=True)


def _trainings(workspace: Workspace) -> dict[str, tuple[str, Path]]:
    """By stage, what the table of each training is called and the folder of its figures."""
    from groundtune.pipeline.chain import stage_name

    following = {
        stage_name(each.config.train.name, "train"): (f"Training {each.config.train.name}", each.run)
        for each in workspace.following
    }
    first = {"pretrain": ("Pretraining", workspace.base_stage), "train": ("Fine-tuning", workspace.run)}
    return first | following


def _show_generation(workspace: Workspace, outcomes: Sequence[Outcome]) -> None:
    from groundtune.cli.generation_tables import show_generation
    from groundtune.files import parse_record, read_json
    from groundtune.generation.statistics import RunRecord

    manifest = next(each.manifest for each in outcomes if each.stage == "generate")
    if manifest is None:
        return
    path, record = workspace.generation_record, None
    if path.exists():
        told = {key: value for key, value in read_json(path).items() if key != "pairs_per_minute"}
        record = parse_record(told, RunRecord, where=str(path))
    show_generation(manifest.counts, manifest.details, record)


def _near(path: Path) -> Path:
    """As a person here would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _totals(workspace: Workspace) -> str:
    from groundtune.pipeline import read_timings

    timings = read_timings(workspace)
    seconds = sum(timing["seconds"] for timing in timings.values())
    memory = max((timing["peak_memory_mib"] for timing in timings.values()), default=0)
    return f"stages took {format_seconds(seconds)}, peak memory {memory / 1024:.1f} GiB"


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
