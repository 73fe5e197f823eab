"""`run` and the verbs of single stages: each brings the pipeline up to its stage and shows what that stage made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from groundtune.pipeline import Outcome, Workspace


def run(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """The whole way: documents to a tuned model, its evaluation and report.html."""
    _bring_up_to("report", target, overrides, as_json)


def ingest(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Read the documents and cut them into chunks."""
    _bring_up_to("ingest", target, overrides, as_json)


def group(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Combine chunks into groups by the eleven rules."""
    _bring_up_to("group", target, overrides, as_json)


def generate(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Write question-answer pairs that quote their evidence."""
    _bring_up_to("generate", target, overrides, as_json)


def tokenizer(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train a tokenizer on the documents (when the model is made from scratch)."""
    _bring_up_to("tokenizer", target, overrides, as_json)


def pretrain(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Make a small base model from the documents' text (when the model is made from scratch)."""
    _bring_up_to("pretrain", target, overrides, as_json)


def train(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Fine-tune on the pairs, with loss on the assistant's tokens only."""
    _bring_up_to("train", target, overrides, as_json)


def evaluate(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Ask base and tuned model the held-out questions and compare."""
    _bring_up_to("evaluate", target, overrides, as_json)


class _BuildByDefault(TyperGroup):
    """`groundtune dataset CONFIG` means `groundtune dataset build CONFIG`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["build", *args]
        return super().parse_args(ctx, args)


dataset_app = typer.Typer(cls=_BuildByDefault, help="Split the pairs and render them into examples; look at them.")


@dataset_app.command("build")
def dataset_build(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Split by evidence and render train, valid and test (the default)."""
    _bring_up_to("dataset", target, overrides, as_json)


@dataset_app.command("preview")
def dataset_preview(
    target: Target = DEFAULT_CONFIG,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "train",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many examples.")] = 3,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show examples as the model reads them, trained tokens coloured."""
    from groundtune.cli.show import show_preview
    from groundtune.errors import ConfigError
    from groundtune.pipeline import Workspace, preview_examples
    from groundtune.types import SPLITS

    if split not in SPLITS:
        raise ConfigError(f"--split {split!r}: expected one of {', '.join(SPLITS)}")
    previews = preview_examples(Workspace(read_target(target, overrides)), split, count)
    if as_json:
        print_json({"split": split, "examples": previews})
    else:
        show_preview(previews)


def _bring_up_to(stage: str, target: Path, overrides: list[str] | None, as_json: bool) -> None:
    from groundtune.cli.show import StageLines, outcome_record, show_results
    from groundtune.pipeline import Workspace, run_up_to

    workspace = Workspace(read_target(target, overrides))
    lines = StageLines()
    outcomes = run_up_to(workspace, stage, on_start=lines.start, on_end=lines.end)
    if as_json:
        print_json(_as_record(workspace, outcomes, outcome_record))
    else:
        show_results(workspace, outcomes, stage)


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
