"""`run` and the verbs of single stages: each brings the pipeline up to its stage and shows what that stage made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from groundtune.config import RunOptions
    from groundtune.pipeline import Outcome, Workspace


def run(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """The whole way: documents to a tuned model, its evaluation and report.html; of instruction data alone, to the model."""
    bring_up_to("whole way", target, overrides, as_json)


def ingest(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Read the documents and cut them into chunks."""
    bring_up_to("ingest", target, overrides, as_json)


def group(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Combine chunks into groups by the eleven rules."""
    bring_up_to("group", target, overrides, as_json)


def tokenizer(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train a tokenizer on the documents (when the model is made from scratch)."""
    bring_up_to("tokenizer", target, overrides, as_json)


def pretrain(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Make a small base model from the documents' text (when the model is made from scratch)."""
    bring_up_to("pretrain", target, overrides, as_json)


def train(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Fine-tune on the pairs, with loss on the assistant's tokens only."""
    bring_up_to("train", target, overrides, as_json)


def evaluate(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Ask base and tuned model the held-out questions and compare."""
    bring_up_to("evaluate", target, overrides, as_json)


def bring_up_to(
    goal: str, target: Path, overrides: list[str] | None, as_json: bool, *, options: RunOptions | None = None
) -> None:
    """Bring the pipeline up to a stage, or to one of `GOALS`, and show what that made."""
    from groundtune.cli.show import StageLines, outcome_record, show_results
    from groundtune.pipeline import GOALS, Workspace, run_up_to

    config = read_target(target, overrides)
    workspace = Workspace(config) if options is None else Workspace(config, options)
    stage = GOALS[goal](workspace) if goal in GOALS else goal
    lines = StageLines()
    # what the user asks for over and above the configuration is done though nothing has changed
    again = ("generate",) if options is not None and _asks_more(workspace, options) else ()
    outcomes = run_up_to(workspace, stage, on_start=lines.start, on_end=lines.end, again=again)
    if as_json:
        print_json(_as_record(workspace, outcomes, outcome_record))
    else:
        show_results(workspace, outcomes, stage)


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
