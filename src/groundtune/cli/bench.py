"""`groundtune bench`: what a training would compute, told before anything is computed, and how fast it would go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from groundtune.training.benchmarking import EpochPlan

DEFAULT_SECONDS = 20.0

Lines = Sequence[tuple[str, str, str]]
"""Name, figure, and what to know about it."""


def bench(
    target: Target = DEFAULT_CONFIG,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", min=0.1, help="Measure about so long (20, unless --steps says when to stop)."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Measure so many optimizer steps.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare", metavar="plain", help="Also measure the same steps without sharing, in half the time."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write the figures (bench.json in the run's folder).")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a training would compute and measure how fast, without training."""
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
        on_plan=(lambda _: None) if as_json else _show_plan,
    )
    written = out or workspace.run / NAME
    if as_json:
        print_json(record | {"file": str(written)})
    else:
        _show_measured(record, written)


def _show_plan(plan: EpochPlan) -> None:
    from dataclasses import asdict

    from rich.text import Text

    from groundtune.progress import stderr_console

    _print("Plan of an epoch", plan_lines(asdict(plan)))
    # the matrix rate and a warm-up step come first: on a large model that may be a minute without a bar
    stderr_console().print(
        Text.assemble(("● ", "cyan"), "measuring: matrix products, a warm-up step, then the steps …")
    )


def plan_lines(plan: Mapping[str, Any]) -> Lines:
    """The plan of a record, for a person."""
    shared = plan["sharing"] == "tree"
    computed, unique = plan["computed_tokens"], plan["unique_tokens"]
    repeated = f"{computed / unique - 1:.1%} more: repeated between steps and rows"
    filled = f"filled to {plan['row_fill']:.0%} of {plan['max_pack_tokens']:,} tokens"
    padding = f", {plan['padding_share']:.0%} padding" if plan["padding_share"] else ""
    return [
        ("examples", f"{plan['examples']:,}", f"the longest has {plan['longest_example']:,} tokens"),
        ("dataset tokens", f"{plan['dataset_tokens']:,}", ""),
        ("unique tokens", f"{unique:,}", "every shared prefix once"),
        ("computed tokens", f"{computed:,}", repeated if shared else "nothing is shared (train.sharing: plain)"),
        ("supervised tokens", f"{plan['supervised_tokens']:,}", ""),
        ("expected saving", f"{plan['expected_saving']:.2f} times", "fewer tokens to compute; of time, see below"),
        ("steps an epoch", f"{plan['steps_per_epoch']:,}", f"of up to {plan['examples_per_step']} examples"),
        ("rows" if shared else "batches", f"{plan['rows']:,}", filled + padding),
        ("epochs", f"{plan['epochs']:,}", ""),
        ("sharing", plan["sharing"], ""),
    ]


def _show_measured(record: Mapping[str, Any], written: Path) -> None:
    from rich.console import Console

    from groundtune.cli.show import _near

    computing = record["computing"]
    threads = f"{computing['threads']} thread{'s' if computing['threads'] > 1 else ''}"
    where = f"{computing['device']}, {computing['precision']}, {threads}"
    _print(f"Measured on {where}", measured_lines(record["measured"], computing))
    if "plain" in record:
        _print(f"The same steps without sharing, on {where}", measured_lines(record["plain"]["measured"], computing))
        _print("Sharing against not sharing", comparison_lines(record["comparison"]))
    console = Console(highlight=False, emoji=False)
    for note in computing["notes"]:
        console.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"figures: {_near(written)}", style="dim", markup=False, soft_wrap=True)


def measured_lines(measured: Mapping[str, Any], computing: Mapping[str, Any]) -> Lines:
    """What was measured, for a person."""
    speeds, memory = measured["speeds"], measured["memory"]
    low, high = (_seconds(each) for each in speeds["step_seconds_quartiles"])
    spread = f"median of {speeds['steps']}; half took {low} to {high}" if speeds["steps"] > 1 else "a single one"
    parameters = f"{computing['sizes']['parameters'] / 1e6:,.1f}M parameters"
    lines = [
        ("dataset tokens", f"{speeds['dataset_tokens_per_second']:,.0f} /s", ""),
        ("computed tokens", f"{speeds['computed_tokens_per_second']:,.0f} /s", ""),
        ("supervised tokens", f"{speeds['supervised_tokens_per_second']:,.0f} /s", ""),
        ("a step", _seconds(speeds["step_seconds_median"]), spread),
        ("an epoch", _seconds(speeds["expected_epoch_seconds"]), "expected, without validation and saving"),
        ("the training", _seconds(speeds["expected_training_seconds"]), "expected, likewise"),
        ("memory", _gib(memory["peak"]), f"at most; {_gib(memory['before'])} before, {_gib(memory['now'])} now"),
    ]
    if memory["cuda_peak"] is not None:
        lines.append(("GPU memory", _gib(memory["cuda_peak"]), "at most"))
    return [
        *lines,
        ("useful work", _flops(speeds["operations_per_second"]), f"{computing['model']}, {parameters}"),
        (
            "of the machine",
            f"{speeds['share_of_matrix_rate']:.0%}",
            f"its best product {_rates(measured, 'best')}",
        ),
        ("", "", f"torch.mm {_rates(measured, 'torch')}"),
    ]


def _rates(measured: Mapping[str, Any], library: str) -> str:
    before, after = (measured[f"matrix_rates_{when}"][library] / 1e9 for when in ("before", "after"))
    return f"{before:,.0f} and {after:,.0f} GFLOP/s"


def _flops(rate: float) -> str:
    return f"{rate / 1e9:,.1f} GFLOP/s"


def _seconds(seconds: float) -> str:
    """
    >>> _seconds(0.03456), _seconds(7.26), _seconds(61)
    ('0.0346 s', '7.26 s', '1 min 1 s')
    """
    from groundtune.progress import format_seconds

    return f"{seconds:.3g} s" if seconds < 60 else format_seconds(seconds)


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def comparison_lines(comparison: Mapping[str, Any]) -> Lines:
    """How much longer it takes without sharing, and how much more memory."""
    steps, added = comparison["steps_compared"], comparison["added_memory_ratio"]
    return [
        (
            "time",
            f"{comparison['time_ratio']:.2f} times",
            f"less, measured on the same {steps} step{'s' * (steps > 1)}",
        ),
        ("tokens", f"{comparison['computed_tokens_ratio']:.2f} times", "fewer to compute in an epoch"),
        ("memory", "–" if added is None else f"{added:.2f} times", "less, of what the steps add to the process"),
    ]


def _print(title: str, lines: Lines) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        show_header=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for name, figure, note in lines:
        table.add_row(name, Text(figure, style="bold"), Text(note))
    console = Console(highlight=False, emoji=False)
    console.print(table)
    console.print()
