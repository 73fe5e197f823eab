"""Trainings one after the other in one configuration: each from the best of the one before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

PAIRS = [
    {
        "conversations": [{"from": "human", "value": f"Makara {number} nerede?"}],
        "chosen": {"from": "gpt", "value": f"Makara {number} depoda."},
        "rejected": {"from": "gpt", "value": "Bilmiyorum."},
    }
    for number in range(16)
]


def with_chain(project: Any, *names: str) -> None:
    """Preference tuning under each of `names` behind what the project does."""
    (project.folder / "pairs.json").write_text(json.dumps(PAIRS), encoding="utf-8")
    path = project.folder / "groundtune.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["then"] = [
        {
            "data": {"sources": [{"path": "pairs.json"}], "valid_share": 0.25, "test_share": 0, "max_tokens": 128},
            "train": {
                "name": name,
                "preference": {},
                "learning_rate": 1e-3,
                "epochs": 1,
                "samples": 1,
                "sample_tokens": 8,
                "threads": 1,
            },
        }
        for name in names
    ]
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def chained(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """A project whose chain of three has run to its end, and what that said."""
    project = finished.copy_to(tmp_path_factory.mktemp("chained") / "project")
    with_chain(project, "dpo", "again")
    return project, project.succeed("run", "--json")


def test_each_training_begins_with_the_best_of_the_one_before_it_and_the_last_is_the_result(chained):
    project, done = chained
    runs = project.work / "runs"
    assert {"default", "dpo", "again"} <= {folder.name for folder in runs.iterdir()}
    stages = {stage["stage"]: stage for stage in done.json["stages"]}
    # ln 2 is what a model has that is its own reference: each began with the weights it is compared with
    for name in ("dpo", "again"):
        assert abs(stages[f"{name}: train"]["details"]["epochs"][0]["valid_loss"] - 0.693147) < 1e-5
    kept = [weights(runs / name / "best") for name in ("default", "dpo", "again")]
    assert len(set(kept)) == 3
    card = json.loads((runs / "default" / "card" / "run.json").read_text(encoding="utf-8"))
    assert (runs / "default" / card["model"]).resolve() == (runs / "again" / "best").resolve()
    report = (project.work / "report.html").read_text(encoding="utf-8")
    assert "Preference tuning (dpo)" in report
    assert "Preference tuning (again)" in report


def test_a_change_of_the_last_training_repeats_that_one_alone(chained, tmp_path):
    project = chained[0].copy_to(tmp_path / "project")
    again = project.succeed("train", "--set", "then.1.train.learning_rate=2e-3", "--json")
    assert {stage for stage, status in again.statuses.items() if status == "done"} == {"again: train"}


def test_a_chain_is_checked_before_anything_is_done(copy):
    with_chain(copy, "default")
    refused = copy.call("run")
    assert refused.status == 2
    assert "then.0.train.name is 'default', which a training before it has" in refused.err
    with_chain(copy, "dpo")
    refused = copy.call("run", "--set", "then.0.data.overlong=truncate_context")
    assert refused.status == 2
    assert "then.0.data.overlong is truncate_context" in refused.err


def test_what_a_further_training_lacks_is_told_before_the_first_one(project):
    with_chain(project, "dpo", "again")
    for setting, told in (
        ("then.1.data.sources.0.path=yok.json", "yok.json: no such file"),
        ("then.1.train.device=mps", "then.1.train.device is mps"),
        ("then.0.train.report_to=[mlflow]", "then.0.train.report_to names mlflow"),
        ("pretrain.rounds=[{}, {sequence_tokens: 4000}]", "pretrain.rounds, number 2: sequence_tokens is 4000"),
        ("train.report_to=[mlflow]", "groundtune: train.report_to names mlflow"),
    ):
        refused = project.call("train", "--set", setting)
        assert refused.status == 2
        assert told in refused.err
        assert not (project.work / "documents").exists()


def test_what_an_earlier_training_is_tested_on_is_in_no_later_one(copy):
    rows = [{"instruction": f"{number} numaralı makara nerede?", "output": f"{number} depoda."} for number in range(30)]
    (copy.folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    data = {"sources": [{"path": "rows.json"}], "max_tokens": 256}
    train = {"epochs": 1, "samples": 0, "threads": 1, "max_steps": 2}
    config = {
        "workdir": "chain",
        "model": {"path": str(copy.work / "base" / "model")},
        "data": data | {"valid_share": 0.1, "test_share": 0.2},
        "train": train,
        "then": [{"data": data | {"valid_share": 0.1, "test_share": 0}, "train": train | {"name": "second"}}],
    }
    (copy.folder / "chain.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = copy.succeed("train", "chain.yaml", "--json")
    held_out = [
        line
        for name in ("valid", "test")
        for line in (copy.folder / "chain" / "data" / f"{name}.jsonl").read_text().splitlines()
    ]
    asked = {json.loads(line)["messages"][0]["content"] for line in held_out}
    learnt = [
        json.loads(line)["messages"][0]["content"]
        for name in ("train", "valid")
        for line in (copy.folder / "chain" / "then" / "second" / "data" / f"{name}.jsonl").read_text().splitlines()
    ]
    assert len(asked) == 9
    assert len(learnt) == 21
    assert not asked & set(learnt)
    stages = {stage["stage"]: stage for stage in done.json["stages"]}
    told = "asks what an earlier training of the chain is validated or tested on"
    assert stages["second: data"]["skips"][told] == 9
