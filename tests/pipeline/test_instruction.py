"""Instruction data through the command: LLaMA-Factory's files as they are, mixing, the audit, and kills."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

COUNTING = """
import os, signal, sys
work, last, tally = {work!r}, {last}, {tally!r}
parent, seen = os.getpid(), 0

def watch(event, arguments):
    global seen
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if os.getpid() != parent or not (writes or event in ("os.rename", "os.remove", "os.mkdir")):
        return
    if str(arguments[0]).startswith(work):
        seen += 1
        if seen == last:
            os.kill(parent, signal.SIGKILL)
        with open(tally, "a") as stream:
            stream.write(f"{{event}} {{arguments[0]}}" + chr(10))

sys.addaudithook(watch)
"""
"""Kills the process right before its change of that number below the work folder; copies it has forked do not count."""

ROWS = [
    {"instruction": f"{number} numaralı makara nerede?", "input": "", "output": f"{number} numaralı makara depoda."}
    for number in range(40)
]
CHATS = [
    {
        "conversations": [
            {"from": "human", "value": f"How long is drum {number}?"},
            {"from": "gpt", "value": f"Drum {number} is {number * 7} metres long."},
        ]
    }
    for number in range(20)
]


@dataclass(frozen=True)
class Case:
    """A folder with data, a configuration, and the base model of a finished run."""

    project: Any
    folder: Path
    work: Path

    def call(self, *arguments: str, first: str = "") -> Any:
        return self.project.call(*arguments, first=first)

    def succeed(self, *arguments: str) -> Any:
        return self.project.succeed(*arguments)


def make_case(copy: Any, folder: Path) -> Case:
    folder.mkdir()
    (folder / "rows.json").write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-8")
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CHATS), encoding="utf-8")
    registry = {
        "rows": {"file_name": "rows.json"},
        "chats": {"file_name": "chats.jsonl", "formatting": "sharegpt"},
    }
    (folder / "dataset_info.json").write_text(json.dumps(registry), encoding="utf-8")
    native = {
        "workdir": "work",
        "model": {"path": str(copy.work / "base" / "model")},
        "data": {
            "registry": ".",
            "sources": [{"name": "rows", "weight": 1.5}, {"name": "chats"}],
            "valid_share": 0.1,
            "test_share": 0.1,
            "max_tokens": 256,
        },
        "train": {"epochs": 1, "samples": 1, "sample_tokens": 8, "threads": 1, "examples_per_step": 16},
    }
    (folder / "data.yaml").write_text(yaml.safe_dump(native), encoding="utf-8")
    return Case(copy, folder, folder / "work")


def make_pairs_case(copy: Any, folder: Path) -> Case:
    """Preference rows, tuned natively with an adapter; validated and stored inside epochs too."""
    case = make_case(copy, folder)
    (folder / "pairs.json").write_text(json.dumps(pair_rows()), encoding="utf-8")
    native = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    native["data"] |= {"registry": None, "sources": [{"path": "pairs.json"}], "test_share": 0.0}
    native["train"] |= {"preference": {}, "adapter": {"rank": 4}, "examples_per_step": 8, "epochs": 2}
    native["train"] |= {"eval_steps": 2, "save_steps": 1}
    (folder / "data.yaml").write_text(yaml.safe_dump(native), encoding="utf-8")
    return case


def pair_rows() -> list[dict[str, Any]]:
    return [
        {
            "conversations": [{"from": "human", "value": f"How long is drum {number}?"}],
            "chosen": {"from": "gpt", "value": f"Drum {number} is {number * 7} metres long."},
            "rejected": {"from": "gpt", "value": f"No idea about {number}."},
        }
        for number in range(30)
    ]


@pytest.fixture
def case(copy: Any, tmp_path: Path) -> Case:
    return make_case(copy, tmp_path / "case")


def test_a_yaml_of_llamafactory_trains_as_it_is(case):
    theirs = {
        "model_name_or_path": str(case.project.work / "base" / "model"),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "dataset": "rows,chats",
        "dataset_dir": str(case.folder),
        "template": "llama3",
        "cutoff_len": 256,
        "output_dir": str(case.folder / "saved"),
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 1e-3,
        "num_train_epochs": 1.0,
        "val_size": 6,
        "seed": 3,
    }
    path = case.folder / "sft.yaml"
    path.write_text(yaml.safe_dump(theirs), encoding="utf-8")
    first = case.succeed("train", str(path), "--json")
    counts = {stage["stage"]: stage.get("counts", {}) for stage in first.json["stages"]}
    assert counts["data"] == {"rows read": 60, "train": 54, "valid": 6, "test": 0}
    assert counts["train"]["instruction examples"] == 54
    # 54 examples, 8 a step; the shared prefixes may take up to an eighth more steps
    assert 7 <= counts["train"]["steps"] <= 8
    assert set(case.succeed("train", str(path), "--json").statuses.values()) == {"unchanged", "not needed"}
    native = case.folder / "native.yaml"
    case.succeed("config", "convert", str(path), "--out", str(native))
    again = case.succeed("train", str(native), "--json")
    assert again.statuses["data"] == "unchanged"


def test_a_yaml_of_llamafactory_tunes_on_preferences(case):
    (case.folder / "pairs.json").write_text(json.dumps(pair_rows()), encoding="utf-8")
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
    registry = json.loads((case.folder / "dataset_info.json").read_text(encoding="utf-8"))
    registry["pairs"] = {"file_name": "pairs.json", "ranking": True, "formatting": "sharegpt", "columns": columns}
    (case.folder / "dataset_info.json").write_text(json.dumps(registry), encoding="utf-8")
    theirs = {
        "model_name_or_path": str(case.project.work / "base" / "model"),
        "stage": "dpo",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_target": "all",
        "pref_beta": 0.1,
        "pref_loss": "sigmoid",
        "dataset": "pairs,rows",
        "dataset_dir": str(case.folder),
        "template": "llama3",
        "cutoff_len": 256,
        "output_dir": str(case.folder / "saved"),
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
        "learning_rate": 5e-3,
        "num_train_epochs": 2.0,
        "val_size": 7,
    }
    path = case.folder / "dpo.yaml"
    path.write_text(yaml.safe_dump(theirs), encoding="utf-8")
    found = case.succeed("train", str(path), "--json")
    stages = {stage["stage"]: stage for stage in found.json["stages"]}
    # the 40 rows without a worse answer are counted, not dropped in silence
    assert stages["prepare"]["skips"]["row has no rejected answer, and train.preference needs pairs"] == 40
    pairs, valid = stages["train"]["counts"]["preference pairs"], stages["train"]["counts"]["valid examples"] // 2
    assert pairs + valid == 30
    losses = [row["valid_loss"] for row in stages["train"]["details"]["epochs"]]
    # ln 2 before training: the model is its own reference
    assert losses[0] == pytest.approx(0.693147, abs=1e-5)
    assert losses[-1] < 0.5
    assert set(case.succeed("train", str(path), "--json").statuses.values()) == {"unchanged", "not needed"}


def test_the_audit_passes_and_the_ledger_adds_up(case):
    with (case.folder / "chats.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"conversations": "none"}\n{broken\n')
    done = case.succeed("dataset", "audit", str(case.folder / "data.yaml"), "--json")
    audit = done.json["audits"]["data"]
    assert done.json["passed"] is True
    assert audit["ledger"]["read"] == 62
    assert {each["reason"]: each["count"] for each in audit["ledger"]["left_out"]} == {
        "something else where a list should be": 1,
        "not valid JSON": 1,
    }
    places = [place for each in audit["ledger"]["left_out"] for place in each["places"]]
    assert sorted(place.split(" ")[0].rstrip(":") for place in places) == ["chats.jsonl:21", "chats.jsonl:22"]


def test_an_audit_of_tampered_tokens_fails_with_exit_1(case):
    config = str(case.folder / "data.yaml")
    case.succeed("dataset", config)
    rows = case.work / "data" / "train.jsonl"
    text = rows.read_text(encoding="utf-8")
    # the answer on file is no longer the one whose tokens were made; the engine keeps edited outputs
    rows.write_text(text.replace("is 7 metres long", "is 8 metres long"), encoding="utf-8")
    assert rows.read_text(encoding="utf-8") != text
    prepared = case.work / "prepared" / "manifest.json"
    manifest = json.loads(prepared.read_text(encoding="utf-8"))
    from groundtune.files import sha256_file

    manifest["inputs"]["train.jsonl"] = sha256_file(rows)
    prepared.write_text(json.dumps(manifest), encoding="utf-8")
    done = case.call("dataset", "audit", config, "--json")
    assert done.status == 1, done.err
    assert done.json["passed"] is False


def test_strict_stops_at_the_first_bad_row_with_its_line(case):
    with (case.folder / "chats.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"conversations": []}\n')
    done = case.call("train", str(case.folder / "data.yaml"), "--set", "data.strict=true")
    assert done.status == 2
    assert "Traceback" not in done.err
    assert "chats.jsonl:21" in done.err


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("data.sources=[{name: rwos}]", "did you mean 'rows'"),
        ("data.sources=[{path: none.jsonl}]", "none.jsonl: no such file"),
        ("data.sources=[{path: a, name: rows}]", "give exactly one of name, path, hub"),
        ("data.sources=[{name: rows}, {name: rows}]", "'rows' is named 2 times"),
        ("model.chat_template=none.jinja", "none.jinja"),
        ("data.filters.balance=[{field: kind, shares: {a: 1}}]", "kind"),
    ],
)
def test_a_mistake_is_one_sentence(case, setting, told):
    done = case.call("train", str(case.folder / "data.yaml"), "--set", setting)
    assert done.status == 2, done.err
    assert "Traceback" not in done.err
    [line] = [line for line in done.err.splitlines() if line.startswith("groundtune: ")]
    assert told in line


def test_general_data_is_mixed_among_grounded_pairs_by_share(copy, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(ROWS, ensure_ascii=False), encoding="utf-8")
    settings = [f"data.sources=[{{path: {rows}}}]", "data.share=0.25", "data.max_tokens=256", "train.epochs=1"]
    arguments = [part for setting in settings for part in ("--set", setting)]
    done = copy.succeed("train", "groundtune.yaml", *arguments, "--json")
    counts = next(stage["counts"] for stage in done.json["stages"] if stage["stage"] == "train")
    grounded, general = counts["train examples"], counts["instruction examples"]
    assert general == round(grounded * 0.25 / 0.75)
    audit = copy.succeed("dataset", "audit", "groundtune.yaml", *arguments, "--json").json
    assert sorted(audit["audits"]) == ["data", "documents"]
    assert audit["passed"] is True


def lasting(work: Path) -> dict[str, bytes]:
    """What a run leaves, without what the clock wrote."""
    return {
        path.relative_to(work).as_posix(): path.read_bytes()
        for path in sorted(work.rglob("*"))
        if path.is_file() and path.name not in ("timings.json", ".lock") and "tensorboard" not in path.parts
    }


def changes_until(case: Case, change: int) -> tuple[int, list[str]]:
    tally = case.folder / "tally"
    tally.unlink(missing_ok=True)
    first = COUNTING.format(work=str(case.work), last=change, tally=str(tally))
    done = case.call("train", str(case.folder / "data.yaml"), first=first)
    return done.status, tally.read_text(encoding="utf-8").splitlines() if tally.exists() else []


@pytest.mark.parametrize(
    ("make", "kills"),
    [
        (make_case, 2),
        pytest.param(make_case, 24, marks=pytest.mark.slow),
        pytest.param(make_pairs_case, 16, marks=pytest.mark.slow),
    ],
)
def test_killed_between_two_changes_it_ends_with_the_files_of_an_unbroken_run(make, kills, copy, tmp_path):
    whole = make(copy, tmp_path / "whole")
    status, changes = changes_until(whole, 0)
    assert status == 0
    assert len(changes) > 30
    luck = random.Random(f"{kills} kills")
    wanted = lasting(whole.work)
    for number, place in enumerate(sorted(luck.sample(range(1, len(changes) + 1), kills))):
        broken = make(copy, tmp_path / f"broken-{number}")
        with contextlib.suppress(ProcessLookupError):
            assert changes_until(broken, place)[0] == -signal.SIGKILL
        done = broken.call("train", str(broken.folder / "data.yaml"))
        assert done.status == 0, f"after a kill before {changes[place - 1]}: {done.err}"
        found = lasting(broken.work)
        assert sorted(found) == sorted(wanted), f"after a kill before {changes[place - 1]}"
        differing = [name for name in wanted if found[name] != wanted[name]]
        assert not differing, f"after a kill before {changes[place - 1]} these differ: {differing}"
        assert not list(broken.work.rglob(".partial-*")), os.listdir(broken.work)


def test_what_preference_tuning_is_given_is_audited_and_not_measured_as_something_else(copy, tmp_path):
    pairs = make_pairs_case(copy, tmp_path / "pairs")
    config = str(pairs.folder / "data.yaml")
    audit = pairs.succeed("dataset", "audit", config, "--json").json
    assert audit["passed"] is True
    assert sorted(audit["audits"]) == ["chosen answers", "data", "rejected answers"]
    assert {part["ledger"]["kept"] for part in audit["audits"].values()} == {30}
    bench = pairs.call("bench", config, "--steps", "1")
    assert bench.status == 2
    assert "train.preference is set, whose steps take two passes" in bench.err
    # rows with one answer: nothing to prefer
    alone = pairs.call("train", config, "--set", "data.sources=[{path: rows.json}]")
    assert alone.status == 2
    assert "no preference pair is left to train on" in alone.err
    assert "Traceback" not in alone.err


def test_a_model_without_documents_is_talked_to(case):
    config = str(case.folder / "data.yaml")
    case.succeed("run", config)
    answer = case.succeed("chat", config, "-q", "3 numaralı makara nerede?", "--json").json
    assert answer["chunks"] == []
    assert answer["model_asked"] is True
    assert isinstance(answer["answer"], str)
