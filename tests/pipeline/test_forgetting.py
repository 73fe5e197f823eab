"""The stage `forgetting`: before and after, through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TASK = """\
task: own_words
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/words.jsonl}}
  cache_dir: {folder}/../cache
output_type: multiple_choice
test_split: test
doc_to_text: "Soru: {{{{question}}}}\\nCevap:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
GENERAL = "Deniz kıyısında eski bir fener vardır. Fenerin ışığı geceleri uzaktan görünür.\n"


@pytest.fixture
def finished(first_run: tuple[Any, Any], tmp_path: Path) -> Any:
    """A project that has run, with general text of its own and a task of its own."""
    project = first_run[0].copy_to(tmp_path / "project")
    texts = project.folder / "general"
    texts.mkdir()
    rows = [{"text": GENERAL * (1 + number % 3)} for number in range(24)] + [{"text": ""}]
    (texts / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (texts / "long.md").write_text(GENERAL * 30, encoding="utf-8")
    tasks = project.folder / "tasks"
    tasks.mkdir()
    (tasks / "words.yaml").write_text(TASK.format(folder=tasks), encoding="utf-8")
    asked = [{"question": f"{n} artı 1 kaç eder?", "choices": [str(n), str(n + 1)], "answer": 1} for n in range(6)]
    (tasks / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked), encoding="utf-8")
    return project


ASKING = (
    "--benchmarks",
    "own_words",
    "--set",
    "evaluation.forgetting.texts=[general]",
    "--set",
    "evaluation.forgetting.benchmark_tasks=tasks",
)


def general(project: Any) -> Path:
    return project.run / "evaluation" / "general"


def read(project: Any) -> dict[str, Any]:
    value = json.loads((general(project) / "general.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def known(project: Any) -> dict[str, int]:
    """Files of what was measured, and when each was written."""
    folder = project.work / "general"
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.json*"))}


def test_texts_tasks_and_benchmarks_are_measured_before_and_after(finished: Any) -> None:
    pytest.importorskip("lm_eval")
    done = finished.succeed("evaluate", "--json", *ASKING)
    stage = next(each for each in done.json["stages"] if each["stage"] == "forgetting")
    assert stage["status"] == "done"
    assert stage["counts"]["general texts"] == 25
    assert stage["counts"]["general tasks"] == 200
    assert stage["counts"]["benchmark questions"] == 6
    assert stage["skips"]["text is empty"] == 1
    found = read(finished)
    texts = found["texts"]
    assert texts["before"]["perplexity"]["value"] != texts["after"]["perplexity"]["value"]
    assert texts["bytes"] == sum(len((GENERAL * times).encode()) for times in [1, 2, 3] * 8 + [30])
    # the model has room for fewer tokens than the long text has
    assert texts["window_tokens"] == 512
    assert found["tasks"]["whole"]["before"]["n"] == 200
    assert [(each["task"], each["before"]["n"]) for each in found["benchmarks"]] == [("own_words", 6)]
    records = (general(finished) / "tasks.jsonl").read_text(encoding="utf-8").splitlines()
    right = [json.loads(line)["after"] == json.loads(line)["answer"] for line in records]
    assert found["tasks"]["whole"]["after"]["value"] == sum(right) / 200
    for path in (*general(finished).iterdir(), *(finished.work / "general").rglob("*.json")):
        assert str(finished.folder) not in path.read_text(encoding="utf-8")
    # two models, three measurements each, and no journal left
    assert len(known(finished)) == 6

    again = finished.succeed("evaluate", "--json", *ASKING)
    assert again.statuses["forgetting"] == "unchanged"

    told = finished.succeed("evaluate", *ASKING)
    assert "perplexity on general text" in told.out
    assert "own_words (acc)" in told.out


@pytest.mark.slow
def test_another_tuning_measures_the_tuned_model_alone_and_nothing_else_changes(finished: Any) -> None:
    asking = ("--json", "--benchmarks", "", "--set", "evaluation.forgetting.texts=[general/long.md]")
    finished.succeed("evaluate", *asking)
    first, figures = known(finished), read(finished)
    done = finished.succeed("evaluate", *asking, "--set", "train.epochs=1")
    assert done.statuses["forgetting"] == "done"
    second = known(finished)
    assert {name: second[name] for name in first} == first
    assert len(second) == len(first) + 2
    assert read(finished)["texts"]["before"] == figures["texts"]["before"]
    assert read(finished)["texts"]["after"] != figures["texts"]["after"]
    assert (general(finished) / "benchmarks.json").read_text(encoding="utf-8").count("[]") == 2


def test_the_same_run_twice_gives_the_same_bytes(finished: Any) -> None:
    asking = ("--json", "--benchmarks", "", "--set", "evaluation.forgetting.texts=[general/rows.jsonl]")
    finished.succeed("evaluate", *asking)
    names = ("general.json", "tasks.jsonl", "benchmarks.json")
    first = [(general(finished) / name).read_bytes() for name in names]
    for path in [*(finished.work / "general").rglob("*.json"), general(finished) / "manifest.json"]:
        path.unlink()
    finished.succeed("evaluate", *asking)
    assert [(general(finished) / name).read_bytes() for name in names] == first


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("evaluation.forgetting.texts=[nowhere]", "evaluation.forgetting.texts: nowhere"),
        ("evaluation.forgetting.benchmark_tasks=nowhere", "is no folder"),
    ],
)
def test_what_is_not_there_is_told_before_anything_runs(project: Any, setting: str, told: str) -> None:
    done = project.call("evaluate", "--benchmarks", "", "--set", setting)
    assert done.status == 2
    assert told in done.err
    assert not project.work.exists()


def test_tasks_longer_than_the_model_takes_are_left_out_and_counted(finished: Any) -> None:
    shape = finished.run / "best" / "config.json"
    shape.write_text(json.dumps(json.loads(shape.read_text()) | {"max_position_embeddings": 80}), encoding="utf-8")
    done = finished.succeed("evaluate", "--json", "--benchmarks", "")
    assert done.statuses["train"] == "edits kept"
    stage = next(each for each in done.json["stages"] if each["stage"] == "forgetting")
    left_out = stage["skips"]["general task longer than the model or train.max_pack_tokens takes"]
    assert 0 < left_out < 200
    assert stage["counts"]["general tasks"] == 200 - left_out
    assert read(finished)["tasks"]["whole"]["before"]["n"] == 200 - left_out
