"""Markdown tables of a benchmark's results: ``tables.py RESULTS.json``, or called by engine.py at its end.

Times are medians with the least and the greatest of the runs; the ratio is the best peer's median over groundtune's. Says
plainly where a target is missed and which measurements failed.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

OURS = "groundtune"
TARGETS = {"shared": 20.0, "original": 12.0, "plain": 2.5}
"""Times faster than the best peer (issue 3)."""
MEMORY_TARGETS = {"shared": 0.5}
"""Peak memory over the best peer's."""
TURNS_LOSS = 0.1
"""A multi-turn workload may miss tokens / unique tokens x the plain gain by this part."""
MATRIX_TARGET = 0.6

Line = dict[str, Any]


def render_tables(results: dict[str, Any]) -> str:
    """Everything a reader needs to judge the figures and make them again."""
    runs = [line for line in results["runs"].values() if "error" not in line]
    workloads = list(dict.fromkeys(line["workload"] for line in runs))
    parts = [
        "## Against the best peer\n\n" + _speed(results, runs, workloads),
        "## Memory and use of the machine\n\n" + _memory(results, runs, workloads),
        "## Every side\n\n" + _sides(runs, workloads),
        "## Workloads\n\n" + _workloads(results, workloads),
        "## Settings tried on a sample\n\n" + _scouts(results["scouts"].values()),
        "## Failed\n\n" + _failures([*results["scouts"].values(), *results["runs"].values()]),
        "## Made with\n\n" + _made_with(results, runs),
    ]
    return "\n\n".join(parts) + "\n"


def work(results: dict[str, Any], workload: str) -> float:
    """Floating-point operations an epoch needs when every unique token is computed once.

    6 a parameter and token (Kaplan et al. 2020, arXiv:2001.08361) for the body over unique tokens and for the vocabulary
    projection over sources, and 12 x width x layers a query-key pair for attention: two products of 2 operations,
    three times with the backward pass.
    """
    counts, model = results["settled"]["counts"]["whole"][workload], results["settled"]["counts"]["model"]
    body = 6 * model["body_parameters"] * counts["unique_tokens"]
    head = 6 * model["vocabulary"] * model["width"] * counts["sources"]
    attention = 12 * model["width"] * model["layers"] * counts["attended_pairs"]
    return float(body + head + attention)


def _speed(results: dict[str, Any], runs: list[Line], workloads: list[str]) -> str:
    rows = []
    for workload in workloads:
        ours, best = _best(runs, workload)
        ratio, wanted = _ratio(runs, workload), _target(results, runs, workload)
        reached = "" if not ratio or not wanted else "yes" if ratio >= wanted else "no"
        rows.append([workload, _seconds(ours), _seconds(best), _title(best), _times(ratio), _times(wanted), reached])
    return _table(["workload", "groundtune, s", "best peer, s", "which", "faster", "target", "reached"], rows)


def _memory(results: dict[str, Any], runs: list[Line], workloads: list[str]) -> str:
    rates = _best_rates(results)
    rows = []
    for workload in workloads:
        ours, best = _best(runs, workload)
        if not ours:
            continue
        mine, theirs = _median(ours, "peak_rss_mib"), _median(best, "peak_rss_mib")
        part = mine / theirs if theirs else 0.0
        wanted = MEMORY_TARGETS.get(workload)
        reached = "" if not wanted or not part else "yes" if part <= wanted else "no"
        operations = work(results, workload)
        used = [f"{operations / 1e9 / _median(ours, 'seconds') / rate:.0%}" if rate else "" for rate in rates]
        memory = [f"{mine:,.0f}", f"{theirs:,.0f}" if theirs else "", f"{part:.2f}" if part else "", reached]
        rows.append([workload, *memory, f"{operations / 1e12:.1f}", *used])
    heads = ["workload", "groundtune, peak MiB", "best peer, peak MiB", "part", "at most half", "unique work, TFLOP"]
    note = f"\n\nMatrix rates of this run: torch.mm {rates[0]:.0f}, oneDNN {rates[1]:.0f} GFLOP/s; the aim is {MATRIX_TARGET:.0%}."
    return _table([*heads, "of torch.mm's rate", "of oneDNN's rate"], rows) + note


def _sides(runs: list[Line], workloads: list[str]) -> str:
    rows = []
    for workload in workloads:
        for title in dict.fromkeys(line["title"] for line in runs if line["workload"] == workload):
            lines = [line for line in runs if line["workload"] == workload and line["title"] == title]
            rates = f"{_median(lines, 'tokens_per_second'):,.0f}"
            memory = [f"{_median(lines, name):,.0f}" for name in ("rss_before_mib", "peak_rss_mib")]
            device = f"{_median(lines, 'peak_device_mib'):,.0f}" if "peak_device_mib" in lines[0] else ""
            losses = [f"{_median(lines, name):.3f}" for name in ("last_loss", "loss_afterwards")]
            prepared = f"{_median(lines, 'prepare_seconds'):.2f}"
            row = [workload, title, len(lines), _seconds(lines), rates, prepared, *memory, device, lines[0]["steps"]]
            rows.append([*row, *losses])
    heads = ["workload", "side", "runs", "training, s", "dataset tokens/s", "preparing, s", "MiB before", "peak MiB"]
    return _table([*heads, "peak device MiB", "steps", "last step's loss", "loss afterwards"], rows)


def _workloads(results: dict[str, Any], workloads: list[str]) -> str:
    names = ["examples", "tokens", "unique_tokens", "supervised_tokens", "sources", "longest"]
    rows = []
    for workload in workloads:
        counts = results["settled"]["counts"]["whole"][workload]
        shared = f"{counts['tokens'] / counts['unique_tokens']:.2f}"
        rows.append([workload, *(f"{counts[name]:,}" for name in names), shared])
    return _table(["workload", *(name.replace("_", " ") for name in names), "tokens / unique tokens"], rows)


def _scouts(scouts: Iterable[Line]) -> str:
    ran = [line for line in scouts if "error" not in line]
    rows = [
        [line["workload"], line["title"], f"{line['tokens_per_second']:,.0f}", f"{line['peak_rss_mib']:,.0f}"]
        for line in sorted(ran, key=lambda line: (line["workload"], -line["tokens_per_second"]))
    ]
    return _table(["workload", "side and setting", "dataset tokens/s", "peak MiB"], rows)


def _failures(lines: Iterable[Line]) -> str:
    rows = [[line["workload"], line["title"], line["error"].replace("|", "/")] for line in lines if "error" in line]
    return _table(["workload", "side and setting", "what it said"], rows) if rows else "Nothing."


def _made_with(results: dict[str, Any], runs: list[Line]) -> str:
    machine = results["machine"]
    said = [
        f"{machine['cores']} cores of {machine['processor']}, {machine['threads']} threads, {machine['memory_gib']} GiB, {machine['system']}",
        f"model: {results['settled']['counts']['model']['parameters'] / 1e6:.1f}M parameters, "
        + ("bf16 mixed precision" if results["settled"]["bf16"] else "float32"),
        f"{results['settled']['examples_per_step']} examples to a step, AdamW, learning rate {results['settled']['learning_rate']}",
        f"command: `{results['command']}`",
    ]
    for side in dict.fromkeys(line["side"] for line in runs):
        line = next(line for line in runs if line["side"] == side)
        said.append(
            f"{side}: "
            + ", ".join(f"{name} {version}" for name, version in line["versions"].items())
            + f"; on {line['device']}"
        )
    loads = [line["load_before"] for line in runs]
    if loads:
        said.append(f"load average before the runs: {min(loads):.1f} to {max(loads):.1f}")
    return "\n".join(f"- {line}" for line in said)


def _best(runs: list[Line], workload: str) -> tuple[list[Line], list[Line]]:
    """The lines of groundtune and those of the peer with the least median time; empty where there are none."""
    here = [line for line in runs if line["workload"] == workload]
    ours = [line for line in here if line["side"] == OURS]
    titles = dict.fromkeys(line["title"] for line in here if line["side"] != OURS)
    peers = [[line for line in here if line["title"] == title] for title in titles]
    return ours, min(peers, key=lambda lines: _median(lines, "seconds"), default=[])


def _ratio(runs: list[Line], workload: str) -> float:
    ours, best = _best(runs, workload)
    return _median(best, "seconds") / _median(ours, "seconds") if ours and best else 0.0


def _target(results: dict[str, Any], runs: list[Line], workload: str) -> float:
    if workload in TARGETS:
        return TARGETS[workload]
    counts = results["settled"]["counts"]["whole"][workload]
    return counts["tokens"] / counts["unique_tokens"] * _ratio(runs, "plain") * (1 - TURNS_LOSS)


def _best_rates(results: dict[str, Any]) -> list[float]:
    """Rates of torch.mm and of oneDNN: the better of before and after the runs."""
    measured = [results["machine"]["rates"], results.get("rates_afterwards", {})]
    return [max(rates.get(name, 0.0) for rates in measured) for name in ("mm_gflops", "onednn_gflops")]


def _median(lines: Sequence[Line], name: str) -> float:
    return statistics.median(line[name] for line in lines) if lines else 0.0


def _seconds(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    all_seconds = [line["seconds"] for line in lines]
    spread = f" ({min(all_seconds):.1f} to {max(all_seconds):.1f})" if len(all_seconds) > 1 else ""
    return f"{statistics.median(all_seconds):.1f}{spread}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio else ""


def _title(lines: Sequence[Line]) -> str:
    return str(lines[0]["title"]) if lines else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


if __name__ == "__main__":
    sys.stdout.write(render_tables(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
