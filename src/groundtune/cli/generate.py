"""`groundtune generate`: pairs written by a model, what that would take, more of them where none rest; and `groundtune pilot`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, names_in, print_json, read_target


def generate(
    target: Target = DEFAULT_CONFIG,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Show requests, tokens, dollars and minutes by rule and model; send nothing."),
    ] = False,
    top_up: Annotated[
        bool,
        typer.Option(
            "--top-up", help="Ask about passages, sentences and rows that no pair rests on yet, and only those."
        ),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again about groups that were given up.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="With generation.batch: stay until the provider has answered the batches.")
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write question-answer pairs that quote their evidence, with a language model or the offline stand-in."""
    from groundtune.cli.generation_tables import show_estimate
    from groundtune.cli.stages import bring_up_to
    from groundtune.config import RunOptions

    if estimate:
        found = _estimate(target, overrides)
        if as_json:
            print_json(found)
        else:
            show_estimate(found)
        return
    options = RunOptions(top_up=top_up, retry_failed=retry_failed, wait=wait)
    bring_up_to("generate", target, overrides, as_json, options=options)


def _estimate(target: Any, overrides: list[str] | None) -> dict[str, Any]:
    from groundtune.cli.show import bring_to
    from groundtune.pipeline import Workspace
    from groundtune.pipeline.writing import estimate_generation

    workspace = Workspace(read_target(target, overrides))
    bring_to(workspace, "group")
    return estimate_generation(workspace)


def pilot(
    models: Annotated[
        str,
        typer.Option(
            "--models",
            metavar="MODEL,MODEL",
            help="Two or more, with commas: anthropic/NAME, openai/NAME, offline, or names alone for the configured provider.",
        ),
    ],
    target: Target = DEFAULT_CONFIG,
    groups: Annotated[
        int, typer.Option("--groups", min=2, help="Groups each model is asked about, the same for all.")
    ] = 10,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Try several models on the same few groups, and compare what comes of it and what it costs."""
    from groundtune.cli.generation_tables import show_pilot
    from groundtune.cli.show import bring_to
    from groundtune.pipeline import Workspace
    from groundtune.pipeline.writing import pilot as compare

    workspace = Workspace(read_target(target, overrides))
    bring_to(workspace, "group")
    names = names_in(models)
    report = compare(workspace, names, groups)
    if as_json:
        print_json(report.as_json())
    else:
        show_pilot(report)
