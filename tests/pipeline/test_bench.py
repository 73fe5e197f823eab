"""`groundtune bench` through the command: what it tells, what it writes, and that nothing else changes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from groundtune.files import sha256_file

SPEEDS = {
    "steps",
    "seconds",
    "dataset_tokens_per_second",
    "computed_tokens_per_second",
    "supervised_tokens_per_second",
    "step_seconds_median",
    "step_seconds_quartiles",
    "expected_epoch_seconds",
    "expected_training_seconds",
    "operations_per_second",
    "share_of_matrix_rate",
}


def contents(folder: Path) -> dict[str, str]:
    """sha256 of every file, the lock left out."""
    return {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def refusal(done: Any) -> str:
    assert done.status == 2, done.err
    assert "Traceback" not in done.err
    lines = [line for line in done.err.splitlines() if line.startswith("groundtune: ")]
    assert len(lines) == 1
    return str(lines[0])


def test_bench_plans_measures_and_leaves_the_finished_work_as_it_was(copy):
    before = contents(copy.work)
    done = copy.succeed("bench", "--steps", "2", "--compare", "plain", "--json")
    after = contents(copy.work)
    assert set(after) - set(before) == {"runs/default/bench.json"}
    assert {name: after[name] for name in before} == before

    record = done.json
    assert record.pop("file") == str(copy.run / "bench.json")
    assert json.loads((copy.run / "bench.json").read_text(encoding="utf-8")) == record
    plan, plain = record["plan"], record["plain"]["plan"]
    trained = json.loads((copy.run / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert plan["examples"] == trained["train examples"]
    assert plan["dataset_tokens"] == plain["dataset_tokens"] == trained["tokens per epoch"]
    assert plan["steps_per_epoch"] * plan["epochs"] == trained["steps"]
    assert plan["unique_tokens"] <= plan["computed_tokens"] < plain["computed_tokens"] < plan["dataset_tokens"]
    assert plan["expected_saving"] == plan["dataset_tokens"] / plan["computed_tokens"]
    for measured in (record["measured"], record["plain"]["measured"]):
        assert set(measured["speeds"]) == SPEEDS
        assert len(measured["step_seconds"]) == measured["speeds"]["steps"] == 2
        assert 0 < measured["speeds"]["share_of_matrix_rate"] < 1
    # the same steps: the same examples, and less of them computed
    assert record["measured"]["work"]["dataset_tokens"] == record["plain"]["measured"]["work"]["dataset_tokens"]
    assert record["measured"]["work"]["computed_tokens"] < record["plain"]["measured"]["work"]["computed_tokens"]
    assert record["comparison"]["steps_compared"] == 2
    assert record["hardware"]["cores"] >= 1
    assert record["versions"]["torch"]
    assert record["settings"]["train"]["examples_per_step"] == plan["examples_per_step"]
    assert str(copy.folder) not in (copy.run / "bench.json").read_text(encoding="utf-8")

    assert copy.succeed("train", "--json").json["changed"] is False


@pytest.mark.slow
def test_bench_of_a_new_project_makes_dataset_and_base_and_trains_nothing(project, tmp_path):
    out = tmp_path / "figures" / "mine.json"
    done = project.succeed("bench", "--seconds", "0.5", "--out", str(out))
    told = done.out
    assert told.index("Plan of an epoch") < told.index("Measured on cpu, float32, 1 thread")
    for name in ("dataset tokens", "unique tokens", "computed tokens", "expected saving", "a step", "of the machine"):
        assert re.search(rf"^{name} +\S", told, re.MULTILINE), told
    assert "\x1b" not in told
    assert set(json.loads(out.read_text(encoding="utf-8"))) >= {"hardware", "versions", "settings", "plan", "measured"}
    assert (project.work / "base" / "manifest.json").is_file()
    assert not (project.work / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "documents.path=elsewhere"], "elsewhere"),
        (["--set", "train.max_pack_tokens=64"], "train.max_pack_tokens"),
        (["--compare", "plain", "--set", "train.sharing=plain"], "train.sharing is plain already"),
        (["--seconds", "0"], "--seconds"),
        (["--set", "model.path=./nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(arguments, said, project):
    assert said in refusal(project.call("bench", *arguments))
    assert not (project.work / "runs").exists()


@pytest.mark.slow
def test_an_interrupted_bench_ends_at_once_and_leaves_nothing(copy, tmp_path):
    before = contents(copy.work)
    going = copy.start("bench", "--seconds", "120", first=f"import tempfile; tempfile.tempdir = {str(tmp_path)!r}")
    waiting = time.monotonic()
    while not list(tmp_path.glob("groundtune-bench-*")) and time.monotonic() - waiting < 60:
        time.sleep(0.05)
    time.sleep(3)
    os.kill(going.process, signal.SIGINT)
    done = going.end()
    assert done.status == 130
    assert "Traceback" not in done.err
    assert "Plan of an epoch" in done.out
    assert "Measured" not in done.out
    assert contents(copy.work) == before
    assert not list(tmp_path.glob("groundtune-bench-*"))
