"""`groundtune bench`: what a training would compute, told before anything is computed, and how fast it would go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

DEFAULT_SECONDS = 20.0


def bench(
    target: Target = DEFAULT_CONFIG,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds", min=0.1, help="Measure for about so many seconds.", show_default="20, without --steps"
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps to measure, at most.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare", metavar="plain", help="Also measure the same steps without sharing, in half the time."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write the figures to.", show_default="bench.json in the run's folder"),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a training would compute and measure how fast, without training."""
    from groundtune.cli.bench_tables import show_measured, show_plan
    from groundtune.cli.show import StageLines
    from groundtune.errors import ConfigError
    from groundtune.pipeline import Workspace
    from groundtune.pipeline.benching import NAME, BenchOptions
    from groundtune.pipeline.benching import bench as measure

    if compare not in (None, "plain"):
        raise ConfigError(f"--compare {compare!r}: expected plain")
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; give the name of a file")
    options = BenchOptions(
        seconds=DEFAULT_SECONDS if seconds is None and steps is None else seconds,
        steps=steps,
        compare_plain=compare is not None,
    )
    workspace = Workspace(read_target(target, overrides))
    lines = StageLines()
    record = measure(
        workspace,
        options,
        out=out,
        on_start=lines.start,
        on_end=lines.end,
        on_plan=(lambda _: None) if as_json else show_plan,
    )
    written = out or workspace.run / NAME
    if as_json:
        print_json(record | {"file": str(written)})
    else:
        show_measured(record, written)
