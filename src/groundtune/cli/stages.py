"""`run` and the verbs of single stages: each brings the pipeline up to its stage and shows what that stage made."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from groundtune.config import RunOptions
    from groundtune.pipeline import Outcome, Workspace

Processes = Annotated[
    int,
    typer.Option("--num-processes", min=1, help="Train in so many processes of this machine, one for each GPU."),
]


def run(
    target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False, processes: Processes = 1
) -> None:
    """The whole way: documents to a tuned model, its evaluation and report.html; of instruction data alone, to the model."""
    if processes > 1:
        launch("run", target, overrides, as_json, processes)
    bring_up_to("whole way", target, overrides, as_json)


def ingest(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Read the documents and cut them into chunks."""
    bring_up_to("ingest", target, overrides, as_json)


def group(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Combine chunks into groups by the eleven rules."""
    bring_up_to("group", target, overrides, as_json)


def pretrain(
    target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False, processes: Processes = 1
) -> None:
    """Make a small base model from the documents' text (when the model is made from scratch)."""
    if processes > 1:
        launch("pretrain", target, overrides, as_json, processes)
    bring_up_to("pretrain", target, overrides, as_json)


def train(
    target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False, processes: Processes = 1
) -> None:
    """Fine-tune on the pairs, with loss on the assistant's tokens only."""
    if processes > 1:
        launch("train", target, overrides, as_json, processes)
    bring_up_to("train", target, overrides, as_json)


def evaluate(
    target: Target = DEFAULT_CONFIG,
    max_questions: Annotated[
        int | None, typer.Option("--max-questions", min=0, help="As evaluation.max_questions; 0 asks all.")
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", help="As evaluation.questions: a file of one's own in place of the test split."),
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", help="As evaluation.context: retrieved or given passages.")
    ] = None,
    benchmarks: Annotated[
        str | None,
        typer.Option(
            "--benchmarks",
            help="As evaluation.forgetting.benchmarks: tasks of lm-evaluation-harness, mmlu,truthfulqa_mc2.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Hold the figures against evaluation.checklist; exit status 1 where one fails."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --check: exit status 1 also where something was not measured.")
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """The verdict: ask base and tuned model the held-out questions, compare, and write report.html."""
    if strict and not check:
        raise typer.BadParameter("--strict goes with --check")
    wishes = {
        "max_questions": max_questions,
        # the configuration's own paths begin at its folder, this one where the command is typed
        "questions": None if questions is None else json.dumps(str(questions.expanduser().absolute())),
        "context": context,
        "forgetting.benchmarks": None if benchmarks is None else json.dumps(_names(benchmarks)),
    }
    short = [f"evaluation.{key}={value}" for key, value in wishes.items() if value is not None]
    settings = [*(overrides or ()), *short]
    if check:
        from groundtune.cli.checklist import check_deployment

        check_deployment(target, settings, as_json=as_json, strict=strict)
    else:
        bring_up_to("verdict", target, settings, as_json)


def _names(listed: str) -> list[str]:
    """
    >>> _names("mmlu, truthfulqa_mc2")
    ['mmlu', 'truthfulqa_mc2']
    """
    return [name.strip() for name in listed.split(",") if name.strip()]


def launch(verb: str, target: Path, overrides: list[str] | None, as_json: bool, processes: int) -> NoReturn:
    """The verb in several processes of this machine; ends this one with their exit status."""
    from groundtune.pipeline.launching import check_processes, launch_processes

    # read here too: what is wrong with it is told before anything is started
    with contextlib.redirect_stderr(io.StringIO()):
        config = read_target(target, overrides)
    note = check_processes(config.train, processes)
    if note:
        typer.echo(note, err=True)
    settings = [word for override in overrides or () for word in ("--set", override)]
    raise typer.Exit(launch_processes([verb, str(target), *settings, *(["--json"] if as_json else [])], processes))


def bring_up_to(
    goal: str, target: Path, overrides: list[str] | None, as_json: bool, *, options: RunOptions | None = None
) -> None:
    """Bring the pipeline up to a stage, or to one of `GOALS`, and show what that made: of several processes, the first one."""
    from groundtune.cli.show import StageLines, outcome_record, show_results
    from groundtune.pipeline import GOALS, Workspace, run_up_to
    from groundtune.pipeline.launching import one_voice

    with one_voice() as speaks:
        config = read_target(target, overrides)
        workspace = Workspace(config) if options is None else Workspace(config, options)
        stage = GOALS[goal](workspace) if goal in GOALS else goal
        lines = StageLines()
        # what the user asks for over and above the configuration is done though nothing has changed
        again = ("generate",) if options is not None and _asks_more(workspace, options) else ()
        outcomes = run_up_to(workspace, stage, on_start=lines.start, on_end=lines.end, again=again)
    if not speaks:
        return
    if as_json:
        print_json(_as_record(workspace, outcomes, outcome_record))
    else:
        show_results(workspace, outcomes, goal if goal == "verdict" else stage)


def _asks_more(workspace: Workspace, options: RunOptions) -> bool:
    from groundtune.pipeline.writing import left_undone

    return options.top_up or options.retry_failed or left_undone(workspace)


def _as_record(workspace: Workspace, outcomes: list[Outcome], outcome_record: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "workdir": str(workspace.root),
        "changed": any(outcome.status == "done" for outcome in outcomes),
        "stages": [outcome_record(outcome) for outcome in outcomes],
    }
    if any(outcome.stage == "report" for outcome in outcomes):
        record["report"] = str(workspace.report)
        record["run"] = str(workspace.run)
    return record
