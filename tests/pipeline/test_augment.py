"""Rows that a language model adds, through the command: the held-out rows stay apart, nothing is asked twice, kills and budgets cost nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from scripted_provider import ProviderRequest, ScriptedProvider

MODEL = "scripted-1"
PRICE = {"input": 3.0, "output": 15.0}
WORDINGS = ("Which ramp takes the pallets of supplier {}?", "Where in the yard are pallets of supplier {} unloaded?")
ROWS = [
    {"instruction": wording.format(number), "output": f"Ramp {number * 3} takes them."}
    for number in range(100, 120)
    for wording in WORDINGS
]


NEW_TASKS = (
    "Name three kinds of cable drum.",
    "Write a short note to a late driver.",
    "Explain what a delivery slip says.",
)
SEED_TASK = {"id": "seed_0", "instruction": "Name a colour.", "instances": [{"input": "", "output": "Red."}]}


def written(request: ProviderRequest) -> str:
    """Three new tasks; or each of the two wordings nearly as the other one, which may be a held-out row's."""
    if "tasks" in (request.schema or {}).get("properties", {}):
        return json.dumps({"tasks": [{"instruction": task, "input": "", "output": "Done."} for task in NEW_TASKS]})
    asked = re.search(r"----- instruction\n(.*) supplier (\d+).*\n-----", request.user, re.DOTALL)
    assert asked
    other = WORDINGS[asked[1].startswith("Which")].format(asked[2])
    return json.dumps({"instructions": [other.replace("?", " now?")]})


@dataclass(frozen=True)
class Case:
    """A folder with rows, a tiny model and a configuration that asks `url`."""

    folder: Path
    forker: Any
    url: str

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def ledger(self) -> Path:
        return self.work / "augmented" / "ledger.sqlite"

    def start(self, *verb: str, **settings: Any) -> Any:
        keys = {"base_url": self.url, **settings}
        changes = [part for key, value in keys.items() for part in ("--set", f"data.augment.{key}={json.dumps(value)}")]
        return self.forker.start(self.folder, (*verb, "data.yaml", *changes), stdin="", first="")

    def call(self, *verb: str, **settings: Any) -> Any:
        return self.start(*verb, **settings).end()

    def succeed(self, *verb: str, **settings: Any) -> Any:
        done = self.call(*verb, **settings)
        assert done.status == 0, f"{verb} ended with {done.status}:\n{done.err}"
        return done

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.work / name).read_text(encoding="utf-8").splitlines()]

    @property
    def made(self) -> dict[str, bytes]:
        stage = self.work / "augmented"
        return {name: (stage / name).read_bytes() for name in ("train.jsonl", "left_out.jsonl", "manifest.json")}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from groundtune.chat import LLAMA3_TEMPLATE
    from groundtune.config import ModelConfig
    from groundtune.models import build_llama, quiet_transformers, train_tokenizer

    folder = tmp_path_factory.mktemp("base")
    said = [text for row in ROWS for text in row.values()]
    tokenizer = train_tokenizer(said, vocab_size=300, chat_template=LLAMA3_TEMPLATE)
    tiny = ModelConfig(
        layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=256, copying_start=False
    )
    with quiet_transformers():
        build_llama(tiny, tokenizer, seed=1).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def make_case(forker: Any, base: Path, tmp_path: Path) -> Any:
    def make(name: str, server: ScriptedProvider) -> Case:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "rows.json").write_text(json.dumps(ROWS), encoding="utf-8")
        augment = {"provider": "openai", "model": MODEL, "rephrase_share": 0.5, "prices": {MODEL: PRICE}}
        augment |= {"self_instruct": 3, "seed_tasks": "seeds.jsonl"}
        (folder / "seeds.jsonl").write_text(json.dumps(SEED_TASK) + "\n", encoding="utf-8")
        native = {
            "workdir": "work",
            "model": {"path": str(base)},
            "data": {
                "sources": [{"path": "rows.json"}],
                "valid_share": 0.2,
                "test_share": 0.2,
                "max_tokens": 200,
                "augment": augment,
            },
            "train": {"epochs": 1, "samples": 0, "threads": 1, "examples_per_step": 16},
        }
        (folder / "data.yaml").write_text(yaml.safe_dump(native), encoding="utf-8")
        return Case(folder, forker, server.openai_url)

    return make


def questions(rows: list[dict[str, Any]]) -> set[str]:
    return {row["messages"][0]["content"] for row in rows}


@pytest.mark.slow
def test_training_takes_the_written_rows_and_no_held_out_one_is_asked_about(make_case):
    with ScriptedProvider(answer=written) as server:
        case = make_case("case", server)
        first = case.succeed("train", "--json")
        counts = {stage["stage"]: stage.get("counts", {}) for stage in first.json["stages"]}
        train, held_out = case.rows("data/train.jsonl"), [*case.rows("data/valid.jsonl"), *case.rows("data/test.jsonl")]
        assert len(held_out) == 16
        made = [row for row in case.rows("augmented/train.jsonl") if "augmented" in row.get("fields", {})]
        assert case.rows("augmented/train.jsonl")[: len(train)] == train
        assert counts["train"]["instruction examples"] == len(train) + len(made)
        # every wording comes from a training row, and the provider has not seen another
        wordings = [row for row in made if row["fields"]["augmented"] == "rephrase"]
        assert len(made) == len(wordings) + 3
        assert {row["fields"]["from"] for row in wordings} <= {row["conversation_id"] for row in train}
        asked = "\n".join(request.user for request in server.requests)
        assert not [question for question in questions(held_out) if question in asked]
        # what comes near a held-out row is left out and counted
        near = [row for row in made if row["messages"][0]["content"].replace(" now?", "?") in questions(held_out)]
        assert not near
        left_out = case.rows("augmented/left_out.jsonl")
        assert len(left_out) == 12 - len(wordings) > 0 < len(wordings)
        assert case.succeed("dataset", "audit", "--json").json["passed"] is True
        # nothing is asked or done again, nor for how the model is reached
        sent = server.log.attempts
        assert sent == 12 + 1
        for settings in ({}, {"max_in_flight": 1}, {"budget_dollars": 5.0}):
            again = case.succeed("train", "--json", **settings).statuses
            assert set(again.values()) == {"unchanged", "not needed"}, settings
        assert server.log.attempts == sent
        # a larger share asks for the new rows alone
        more = case.succeed("dataset", "--json", rephrase_share=1.0).statuses
        assert (more["data"], more["augment"], more["prepare"]) == ("unchanged", "done", "done")
        assert server.log.attempts == len(train) + 1 == 24 + 1
        assert server.log.answered_twice() == []


def test_a_budget_ends_the_command_and_a_larger_one_goes_on(make_case):
    with ScriptedProvider(answer=written) as server:
        case = make_case("case", server)
        done = case.call("dataset", "--json", budget_dollars=0.012, max_output_tokens=100, max_in_flight=1)
        assert done.status not in (0, 70), done.err
        assert "budget_dollars is $0.012" in done.err
        assert "Traceback" not in done.err
        assert not (case.work / "augmented" / "train.jsonl").exists()
        spent = server.log.attempts
        assert 0 < spent < 13
        case.succeed("dataset", budget_dollars=5, max_output_tokens=100)
        assert server.log.attempts == 13
        assert server.log.answered_twice() == []


@pytest.mark.slow
def test_killed_while_it_asks_it_goes_on_and_leaves_the_files_of_an_unbroken_run(make_case):
    with ScriptedProvider(answer=written, latency_seconds=0.05) as server:
        whole = make_case("whole", server)
        whole.succeed("dataset")
    with ScriptedProvider(answer=written, latency_seconds=0.05) as server:
        broken = make_case("broken", server)
        started = broken.start("dataset", max_in_flight=2)
        while server.log.attempts < 5:
            time.sleep(0.005)
        os.kill(started.process, signal.SIGKILL)
        assert started.end().status == -signal.SIGKILL
        broken.succeed("dataset")
        # what was in flight at a kill may be asked again, and nothing else
        assert server.log.attempts <= 13 + 2
    assert broken.made == whole.made
