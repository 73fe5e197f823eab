"""`run` and the verbs of single stages: each brings the pipeline up to its stage and shows what that stage made."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, names_in, print_json, read_target, tell

if TYPE_CHECKING:
    from groundtune.config import RunOptions
    from groundtune.pipeline import Workspace

Processes = Annotated[
    int,
    typer.Option("--num-processes", min=1, help="Processes of this machine that train together, one for each GPU."),
]


def run(
    target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False, processes: Processes = 1
) -> None:
    """Go the whole way from documents to a tuned model, its evaluation and report.html; with instruction data alone, to the model."""
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
        int | None,
        typer.Option(
            "--max-questions", min=0, help="Most questions to ask; 0 asks all.", show_default="evaluation.max_questions"
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option("--questions", help="A file of questions of your own in place of the test split."),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="retrieved|given",
            help="Which passages the models are given: those the search finds, or those of the pair.",
            show_default="evaluation.context",
        ),
    ] = None,
    benchmarks: Annotated[
        str | None,
        typer.Option(
            "--benchmarks",
            metavar="TASK,TASK",
            help="Also run these tasks of lm-evaluation-harness, such as mmlu,truthfulqa_mc2.",
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
    """Ask base and tuned model the held-out questions, compare the answers, and write report.html."""
    if strict and not check:
        raise typer.BadParameter("--strict goes with --check")
    wishes = {
        "max_questions": max_questions,
        # the configuration's own paths begin at its folder, this one where the command is typed
        "questions": None if questions is None else json.dumps(str(questions.expanduser().absolute())),
        "context": context,
        "forgetting.benchmarks": None if benchmarks is None else json.dumps(names_in(benchmarks)),
    }
    short = [f"evaluation.{key}={value}" for key, value in wishes.items() if value is not None]
    settings = [*(overrides or ()), *short]
    if check:
        from groundtune.cli.checklist import check_deployment

        check_deployment(target, settings, as_json=as_json, strict=strict)
    else:
        bring_up_to("verdict", target, settings, as_json)


def launch(verb: str, target: Path, overrides: list[str] | None, as_json: bool, processes: int) -> NoReturn:
    """The verb in several processes of this machine; ends this one with their exit status."""
    from groundtune.pipeline.launching import check_processes, launch_processes

    # read here too: what is wrong with it is told before anything is started
    with contextlib.redirect_stderr(io.StringIO()):
        config = read_target(target, overrides)
    note = check_processes(config.train, processes)
    if note:
        tell(note)
    settings = [word for override in overrides or () for word in ("--set", override)]
    raise typer.Exit(launch_processes([verb, str(target), *settings, *(["--json"] if as_json else [])], processes))


def bring_up_to(
    goal: str, target: Path, overrides: list[str] | None, as_json: bool, *, options: RunOptions | None = None
) -> None:
    """Bring the pipeline up to a stage, or to one of `GOALS`, and show what that made: of several processes, the first one."""
    from groundtune.cli.show import bring_to, run_record, show_results
    from groundtune.pipeline import GOALS, Workspace
    from groundtune.pipeline.team import one_voice

    with one_voice() as speaks:
        config = read_target(target, overrides)
        workspace = Workspace(config) if options is None else Workspace(config, options)
        stage = GOALS[goal](workspace) if goal in GOALS else goal
        # what the user asks for over and above the configuration is done though nothing has changed
        again = ("generate",) if options is not None and _asks_more(workspace, options) else ()
        outcomes = bring_to(workspace, stage, again=again)
    if not speaks:
        return
    if as_json:
        print_json(run_record(workspace, outcomes))
    else:
        show_results(workspace, outcomes, goal if goal == "verdict" else stage)


def _asks_more(workspace: Workspace, options: RunOptions) -> bool:
    from groundtune.pipeline.writing import left_undone

    return options.top_up or options.retry_failed or left_undone(workspace)
