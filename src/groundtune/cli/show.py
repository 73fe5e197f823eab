"""What a person sees: a line a stage on standard error, and tables of results on standard output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from groundtune.cli.display import Sheet, left_out, near, output
from groundtune.cli.training_table import training_table
from groundtune.evaluation.verdict import wording
from groundtune.progress import stderr_console

if TYPE_CHECKING:
    from groundtune.manifest import Manifest
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
            took = (f"({wording.seconds(outcome.seconds)})", "dim")
            self._console.print(
                Text.assemble(("✓ ", "green"), (outcome.stage, "bold"), f": {counts_line(outcome.manifest)} ", took)
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
                self._console.print(Text(f"    {left_out(count, reason)}", style="dim"))
        if len(largest) > MOST_SKIPS_SHOWN:
            self._console.print(
                Text(
                    f"    and {len(largest) - MOST_SKIPS_SHOWN} more reasons, in the manifest and the report",
                    style="dim",
                )
            )


def bring_to(
    workspace: Workspace, stage: str, *, again: Collection[str] = (), through: Collection[str] = ()
) -> list[Outcome]:
    """Every stage up to `stage` up to date, with a line for each."""
    from groundtune.pipeline import run_up_to

    lines = StageLines()
    return run_up_to(workspace, stage, on_start=lines.start, on_end=lines.end, again=again, through=through)


def counts_line(manifest: Manifest) -> str:
    """What a stage made, in numbers."""
    return ", ".join(wording.counted(value, name) for name, value in manifest.counts.items())


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON: status, seconds, and what the manifest says was made and left out."""
    record: dict[str, Any] = {"stage": outcome.stage, "status": outcome.status, "seconds": round(outcome.seconds, 2)}
    if outcome.manifest is not None:
        manifest = asdict(outcome.manifest)
        record |= {name: manifest[name] for name in ("counts", "skips", "details")}
    return record


def run_record(workspace: Workspace, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All that a verb did, as JSON: where, whether anything changed, each stage, and the report where one was made."""
    record: dict[str, Any] = {
        "workdir": str(workspace.root),
        "changed": any(outcome.status == "done" for outcome in outcomes),
        "stages": [outcome_record(outcome) for outcome in outcomes],
    }
    if any(outcome.stage == "report" for outcome in outcomes):
        record["report"] = str(workspace.report)
        record["run"] = str(workspace.run)
    return record


def show_results(workspace: Workspace, outcomes: Sequence[Outcome], stage: str) -> None:
    """The tables of the stage that was asked for; for `run` those of the whole way, for `evaluate` those of the verdict."""
    console = output()
    made = next((each.manifest for each in outcomes if each.stage == stage), None)
    if not any(outcome.status == "done" for outcome in outcomes):
        counts = f": {counts_line(made)}" if made is not None else ""
        console.print(f"nothing to do: {stage} is up to date in {near(workspace.root)}{counts}")
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
            training_table(folder, title, details[stage]).show(console)
    _show_evaluation(console, workspace, details)
    console.print(_totals(workspace), style="dim")
    console.print(f"chat:   groundtune chat {near(workspace.run)}", soft_wrap=True)
    console.print(f"report: {near(workspace.report)}", soft_wrap=True)


def _show_verdict(console: Console, workspace: Workspace, details: Mapping[str, Any]) -> None:
    """What an evaluation came to: of benchmarks each score."""
    from groundtune.cli.general_table import general_table

    _show_evaluation(console, workspace, details)
    if workspace.config.evaluation.forgetting.benchmarks:
        general_table(workspace).show(console)
    console.print(f"report: {near(workspace.report)}", soft_wrap=True)


def _show_evaluation(console: Console, workspace: Workspace, details: Mapping[str, Any]) -> None:
    """The figures, a few answers side by side, and what they come to."""
    from groundtune.cli.evaluation_tables import show_answers, show_figures, show_forgotten, show_verdict
    from groundtune.evaluation import AnswerRecord, EvaluationSummary, Speed
    from groundtune.evaluation.forgetting import GeneralSummary
    from groundtune.files import parse_record, read_json, read_record, read_records

    summary_path = workspace.evaluation / "summary.json"
    summary = read_record(summary_path, EvaluationSummary)
    speed = read_json(workspace.speed) if workspace.speed.exists() else {}
    show_figures(
        console,
        summary,
        {model: parse_record(value, Speed, where=f"{workspace.speed}: {model}") for model, value in speed.items()},
    )
    if "forgetting" in details:
        general = read_record(workspace.general_summary, GeneralSummary)
        show_forgotten(console, general)
    wanted = details["evaluate"]["shown"]
    records = {each.question_id: each for each in read_records(workspace.answers, AnswerRecord)}
    show_answers(console, [records[each] for each in wanted if each in records], summary)
    show_verdict(console, summary, details.get("checklist", {}).get("sentence", ""))


def _show_trainings(console: Console, workspace: Workspace, details: Mapping[str, Any], stage: str) -> None:
    """Of each training that was brought up to date: the table, what a reader should know, and where the curves are."""
    from groundtune.pipeline.staleness import tuned_since

    for name, (title, folder) in _trainings(workspace).items():
        if name not in details or (stage == "pretrain" and name != stage):
            continue
        told = [f"note: {note}" for note in details[name]["notes"]]
        if (folder / CURVES_NAME).exists():
            told.append(f"curves: {near(folder / CURVES_NAME)}")
        training_table(folder, title, details[name]).show(console, *told)
    if stage == "train" and workspace.report.exists() and tuned_since(workspace):
        console.print(f"{near(workspace.report)} tells of an earlier model; `groundtune evaluate` brings it up to date")


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


def _totals(workspace: Workspace) -> str:
    from groundtune.pipeline import read_timings

    timings = read_timings(workspace)
    seconds = sum(timing["seconds"] for timing in timings.values())
    memory = max((timing["peak_memory_mib"] for timing in timings.values()), default=0)
    return f"stages took {wording.seconds(seconds)}, peak memory {wording.size(memory * 2**20)}"


def _show_stage(console: Console, details: Mapping[str, Any]) -> None:
    """Every detail that is a list of records, as a table."""
    for name, rows in details.items():
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            _show_records(console, name.replace("_", " ").capitalize(), rows)


def _show_records(console: Console, title: str, rows: Sequence[Mapping[str, Any]], limit: int = 40) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    words = [
        place
        for place, column in enumerate(columns)
        if not all(isinstance(row.get(column), (int, float)) for row in rows if row.get(column) is not None)
    ]
    headers = [column.removesuffix("_percent").replace("_", " ") for column in columns]
    sheet = Sheet(title, *headers, left=words)
    for row in rows[:limit]:
        sheet.row(*(Text(_cell(column, row.get(column))) for column in columns))
    sheet.show(console, *([f"and {len(rows) - limit} more; --json prints all"] if len(rows) > limit else []))


def _cell(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if column.endswith("_percent"):
            return wording.percent(value / 100, 1)
        return wording.decimal(value, 3) if isinstance(value, float) else wording.number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return wording.words(value) if column == "rule" else str(value)
