"""What a person sees of `groundtune bench`: the plan of an epoch, what was measured, and the same steps without sharing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from groundtune.cli.display import Facts, near, output, show_facts
from groundtune.evaluation.verdict import wording
from groundtune.progress import stderr_console

if TYPE_CHECKING:
    from groundtune.training.benchmarking import EpochPlan


def show_plan(plan: EpochPlan) -> None:
    """What an epoch computes, before anything is measured."""
    show_facts(output(), "Plan of an epoch", plan_lines(asdict(plan)))
    # the matrix rate and a warm-up step come first: on a large model that may be a minute without a bar
    stderr_console().print(
        Text.assemble(("● ", "cyan"), "measuring: matrix products, a warm-up step, then the steps …")
    )


def plan_lines(plan: Mapping[str, Any]) -> Facts:
    """The plan of a record, for a person."""
    shared = plan["sharing"] == "tree"
    computed, unique = plan["computed_tokens"], plan["unique_tokens"]
    repeated = f"{wording.percent(computed / unique - 1, 1)} more: repeated between steps and rows"
    filled = f"filled to {wording.percent(plan['row_fill'])} of {plan['max_pack_tokens']:,} tokens"
    padding = f", {wording.percent(plan['padding_share'])} padding" if plan["padding_share"] else ""
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


def show_measured(record: Mapping[str, Any], written: Path) -> None:
    """Speed, memory and what is left of the machine's own rate; against plain batches where those were measured too."""
    computing, console = record["computing"], output()
    where = f"{computing['device']}, {computing['precision']}, {wording.plural(computing['threads'], 'thread')}"
    show_facts(console, f"Measured on {where}", measured_lines(record["measured"], computing))
    if "plain" in record:
        plain = measured_lines(record["plain"]["measured"], computing)
        show_facts(console, f"The same steps without sharing, on {where}", plain)
        show_facts(console, "Sharing against not sharing", comparison_lines(record["comparison"]))
    for note in computing["notes"]:
        console.print(f"note: {note}", style="yellow")
    console.print(f"figures: {near(written)}", style="dim", soft_wrap=True)


def measured_lines(measured: Mapping[str, Any], computing: Mapping[str, Any]) -> Facts:
    """What was measured, for a person."""
    speeds, memory = measured["speeds"], measured["memory"]
    low, high = (wording.short_seconds(each) for each in speeds["step_seconds_quartiles"])
    spread = f"median of {speeds['steps']}; half took {low} to {high}" if speeds["steps"] > 1 else "a single one"
    parameters = f"{wording.compact(computing['sizes']['parameters'])} parameters"
    lines = [
        ("dataset tokens", f"{speeds['dataset_tokens_per_second']:,.0f} /s", ""),
        ("computed tokens", f"{speeds['computed_tokens_per_second']:,.0f} /s", ""),
        ("supervised tokens", f"{speeds['supervised_tokens_per_second']:,.0f} /s", ""),
        ("a step", wording.short_seconds(speeds["step_seconds_median"]), spread),
        (
            "an epoch",
            wording.short_seconds(speeds["expected_epoch_seconds"]),
            "expected, without validation and saving",
        ),
        ("the training", wording.short_seconds(speeds["expected_training_seconds"]), "expected, likewise"),
        (
            "memory",
            wording.size(memory["peak"]),
            f"at most; {wording.size(memory['before'])} before, {wording.size(memory['now'])} now",
        ),
    ]
    if memory["cuda_peak"] is not None:
        lines.append(("GPU memory", wording.size(memory["cuda_peak"]), "at most"))
    return [
        *lines,
        ("useful work", _flops(speeds["operations_per_second"]), f"{computing['model']}, {parameters}"),
        (
            "of the machine",
            wording.percent(speeds["share_of_matrix_rate"]),
            f"its best product {_rates(measured, 'best')}",
        ),
        ("", "", f"torch.mm {_rates(measured, 'torch')}"),
    ]


def _rates(measured: Mapping[str, Any], library: str) -> str:
    before, after = (measured[f"matrix_rates_{when}"][library] / 1e9 for when in ("before", "after"))
    return f"{before:,.0f} and {after:,.0f} GFLOP/s"


def _flops(rate: float) -> str:
    return f"{rate / 1e9:,.1f} GFLOP/s"


def comparison_lines(comparison: Mapping[str, Any]) -> Facts:
    """How much longer it takes without sharing, and how much more memory."""
    steps, added = comparison["steps_compared"], comparison["added_memory_ratio"]
    return [
        (
            "time",
            f"{comparison['time_ratio']:.2f} times",
            f"less, measured on the same {wording.plural(steps, 'step')}",
        ),
        ("tokens", f"{comparison['computed_tokens_ratio']:.2f} times", "fewer to compute in an epoch"),
        ("memory", "–" if added is None else f"{added:.2f} times", "less, of what the steps add to the process"),
    ]
