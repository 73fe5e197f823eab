"""What tuning did to what the model could do before, as the terminal shows it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from groundtune.cli.general_table import general_table
from groundtune.config import load_config
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.forgetting import GeneralSummary
from groundtune.evaluation.forgetting.summary import BenchmarkScore
from groundtune.files import write_json
from groundtune.pipeline import Workspace


def score(task: str, n: int) -> BenchmarkScore:
    before, after, change = Figure(0.2, n, 0.1, 0.3), Figure(0.7, n, 0.6, 0.8), Figure(0.5, n, 0.3, 0.7)
    return BenchmarkScore(task, "acc", True, 0, before, after, change, paired=True)


def test_a_change_over_fewer_than_ten_questions_is_called_neither_better_nor_worse(tmp_path: Path) -> None:
    (tmp_path / "groundtune.yaml").write_text("documents: {path: docs}\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    workspace = Workspace(load_config(tmp_path / "groundtune.yaml"))
    write_json(workspace.general_summary, GeneralSummary(benchmarks=(score("few", 9), score("many", 10))))
    console = Console(width=120)
    with console.capture() as shown:
        general_table(workspace).show(console)
    lines = {line.split()[0]: line for line in shown.get().splitlines() if "acc" in line}
    assert lines["few"].endswith("  too few")
    assert lines["many"].endswith("0.200  0.700  10  +0.500 (+0.300 to +0.700)  better")
