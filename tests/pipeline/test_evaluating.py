"""The stage `evaluate`: kills in the middle of asking, answers kept, questions of one's own, models without documents."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

WATCHING = """
import os, signal, sys
answered, last, tally = {answered!r}, {last}, {tally!r}
seen = 0

def watch(event, arguments):
    global seen
    if event == "open" and str(arguments[0]) == answered and arguments[1] == "a":
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(tally, "a") as stream:
            stream.write("answer" + chr(10))

sys.addaudithook(watch)
"""
"""Counts the answers that a process writes down, and kills it before the one numbered `last`."""

OWN = [
    {
        "id": "a",
        "question": "Parti numarası kaç karakterdir?",
        "answer": "on iki karakterdir",
        "evidence": "Parti numarası on iki karakterdir",
    },
    {"id": "b", "question": "Teklif kaç gün geçerlidir?", "answers": ["on beş gün"], "type": "factual"},
    {"id": "c", "question": "Fabrikanın bahçesinde kaç ağaç vardır?", "answerable": False},
]


def answered(project: Any) -> Path:
    return project.run / "evaluation" / "answered.jsonl"


def asked_until(project: Any, last: int, *arguments: str) -> tuple[Any, int]:
    """`evaluate`, killed before it writes its answer of that number (0 lets it end), and how many it has written."""
    tally = project.folder / "tally"
    tally.unlink(missing_ok=True)
    first = WATCHING.format(answered=str(answered(project)), last=last, tally=str(tally))
    done = project.call("evaluate", *arguments, first=first)
    return done, len(tally.read_text().splitlines()) if tally.exists() else 0


def evaluation_files(project: Any) -> dict[str, bytes]:
    """All that the stage writes, but what the clock told."""
    names = ("answered.jsonl", "answers.jsonl", "summary.json", "manifest.json")
    return {name: (project.run / "evaluation" / name).read_bytes() for name in names}


def summary_of(project: Any, work: str = "out") -> dict[str, Any]:
    [path] = (project.folder / work / "runs").glob("*/evaluation/summary.json")
    value = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def test_killed_again_and_again_an_evaluation_asks_nothing_twice_and_ends_the_same(copy, finished):
    shutil.rmtree(copy.run / "evaluation")
    total = len(answered(finished).read_text(encoding="utf-8").splitlines())
    assert total > 10
    written = 0
    for last in (1, 4, 7):
        done, count = asked_until(copy, last)
        assert done.status == -signal.SIGKILL
        assert count == last - 1, "an answer is written down as soon as it ends"
        written += count
        if written:
            # what is being written when a machine stops may end anywhere, inside a letter too
            with answered(copy).open("ab") as stream:
                stream.write('{"key": "0", "text": "kayıtlı ş'.encode()[:-1])
    done, count = asked_until(copy, 0)
    assert done.status == 0, done.err
    assert count == total - written
    assert evaluation_files(copy) == evaluation_files(finished)


@pytest.mark.slow
def test_after_another_tuning_the_answers_of_the_base_are_found_again(copy, finished):
    before = {row["question_id"]: row["answers"] for row in _lines(finished.run / "evaluation" / "answers.jsonl")}
    done, count = asked_until(copy, 0, "--set", "train.epochs=1")
    assert done.status == 0, done.err
    # both of the base, and those of either tuning
    assert count == len({row["key"] for row in _lines(answered(copy))}) // 4, "the tuned model's only"
    after = {row["question_id"]: row["answers"] for row in _lines(copy.run / "evaluation" / "answers.jsonl")}
    for name in ("base", "base_context"):
        assert {key: row[name] for key, row in after.items()} == {key: row[name] for key, row in before.items()}
    assert any(after[key]["tuned_context"] != before[key]["tuned_context"] for key in after)
    done, count = asked_until(copy, 0)
    assert (done.status, count) == (0, 0), "the first tuning again: its answers are still there"
    again = {row["question_id"]: row["answers"] for row in _lines(copy.run / "evaluation" / "answers.jsonl")}
    assert again == before


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_damaged_line_of_the_kept_answers_is_told_of(copy):
    (copy.run / "evaluation" / "manifest.json").unlink()
    lines = answered(copy).read_text(encoding="utf-8").splitlines(keepends=True)
    answered(copy).write_text("".join([lines[0], "{}\n", *lines[2:]]), encoding="utf-8")
    done = copy.call("evaluate")
    assert done.status == 2
    assert "answered.jsonl:2: not a kept answer" in done.err
    assert "delete the file" in done.err


def test_losses_are_told_of_every_split_on_the_same_weights_and_by_kind(finished):
    losses = summary_of(finished)["losses"]
    for model in ("base", "tuned"):
        assert list(losses[model]) == ["train", "valid", "test"]
        for split in losses[model].values():
            assert {part["field"] for part in split["slices"]} == {"type", "difficulty", "rule", "language"}
            for field in ("type", "rule"):
                parts = [part for part in split["slices"] if part["field"] == field]
                assert sum(part["loss"]["tokens"] for part in parts) == split["whole"]["tokens"]
    assert losses["tuned"]["train"]["whole"]["mean"] < losses["base"]["train"]["whole"]["mean"]
    examples = {
        split: sum(part["loss"]["examples"] for part in losses["tuned"][split]["slices"] if part["field"] == "language")
        for split in ("train", "test")
    }
    assert examples["train"] == examples["test"]


def test_speed_stands_apart_from_what_is_the_same_on_every_run(finished):
    folder = finished.run / "evaluation"
    speed = json.loads((folder / "speed.json").read_text(encoding="utf-8"))
    assert list(speed) == ["base", "tuned"]
    for model in speed.values():
        assert 1 <= model["questions"] <= 8
        assert 0 < model["first_token_seconds"] < 60
        assert model["batched_questions_per_second"] > 0
        assert model["weights_bytes"] == 4 * model["parameters"]
        assert model["peak_memory_bytes"] > model["weights_bytes"]
        assert model["device"].startswith("cpu (")
    assert "speed" not in summary_of(finished)
    assert sorted(json.loads((folder / "manifest.json").read_text())["outputs"]) == ["answers.jsonl", "summary.json"]


def test_speed_that_is_not_asked_for_is_not_there(copy):
    copy.succeed("evaluate", "--set", "evaluation.speed=false")
    assert not (copy.run / "evaluation" / "speed.json").exists()


def test_questions_of_ones_own_are_asked_over_what_search_finds(copy):
    write_lines(copy.folder / "own.jsonl", OWN)
    done = copy.succeed("evaluate", "--questions", "own.jsonl", "--json")
    assert done.statuses["train"] == "unchanged"
    summary = summary_of(copy)
    assert (summary["questions"]["asked"], summary["questions"]["unanswerable_asked"]) == (3, 1)
    assert (summary["context"], summary["questions_file"]) == ("retrieved", "own.jsonl")
    assert summary["retrieval"]["mrr"]["n"] == 1, "one question says where its answer stands"
    assert summary["retrieval"]["recall"]["10"]["value"] == 1.0
    answers = _lines(copy.run / "evaluation" / "answers.jsonl")
    assert [row["question_id"] for row in answers] == ["a", "b", "c"]
    assert all(row["answers"]["tuned_context"]["chunk_ids"] for row in answers)
    manifest = (copy.run / "evaluation" / "manifest.json").read_text(encoding="utf-8")
    assert str(copy.folder) not in manifest
    named = copy.succeed("evaluate", "--set", "evaluation.questions=own.jsonl", "--json")
    assert named.statuses["evaluate"] == "unchanged", "the same file by its other name"
    write_lines(copy.folder / "own.jsonl", OWN[:2])
    assert copy.succeed("evaluate", "--questions", "own.jsonl", "--json").statuses["evaluate"] == "done"


@pytest.mark.slow
def test_questions_that_bring_their_passages_are_asked_over_them_where_the_model_has_room(copy):
    context = "Kablo tamburu yedi yıl saklanır. Tambur sonra kırılır."
    asked = {"id": "q", "question": "Tambur kaç yıl saklanır?", "answers": [{"text": "yedi yıl", "answer_start": 14}]}
    long = {"context": context * 60, "qas": [asked | {"id": "long"}]}
    value = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": [asked]}, long]}]}
    (copy.folder / "own.json").write_text(json.dumps(value), encoding="utf-8")
    done = copy.succeed("evaluate", "--questions", "own.json", "--json")
    assert summary_of(copy)["context"] == "given"
    [row] = _lines(copy.run / "evaluation" / "answers.jsonl")
    assert row["answers"]["tuned_context"]["chunk_ids"] == []
    skips = next(stage["skips"] for stage in done.json["stages"] if stage["stage"] == "evaluate")
    assert [count for reason, count in skips.items() if reason.startswith("evidence that stands in no chunk")] == [2]
    assert [count for reason, count in skips.items() if "longer than the model takes" in reason] == [1]


def test_a_question_that_the_model_has_no_room_for_is_left_out_and_counted(copy):
    long = {"id": "long", "question": "Mal kabul nedir? " * 400, "answer": "Alım."}
    write_lines(copy.folder / "own.jsonl", [*OWN, long])
    done = copy.succeed("evaluate", "--questions", "own.jsonl", "--json")
    assert [row["question_id"] for row in _lines(copy.run / "evaluation" / "answers.jsonl")] == ["a", "b", "c"]
    skips = next(stage["skips"] for stage in done.json["stages"] if stage["stage"] == "evaluate")
    assert [count for reason, count in skips.items() if "longer than the model takes" in reason] == [1]


def test_fewer_questions_and_other_passages_can_be_asked_for_in_a_word(copy):
    copy.succeed("evaluate", "--max-questions", "3", "--context", "given")
    summary = summary_of(copy)
    assert (summary["questions"]["asked"], summary["context"]) == (3, "given")
    assert copy.call("evaluate", "--context", "none").status == 2


def test_a_wrong_file_of_questions_is_told_of_before_anything_is_made(project):
    (project.folder / "own.jsonl").write_text('{"question": "Nerede?", "answer": "Depoda."}\n{"question": ""}\n')
    done = project.call("evaluate", "--questions", "own.jsonl")
    assert done.status == 2
    assert "own.jsonl:2: field 'question'" in done.err
    assert not project.work.exists()


@pytest.fixture
def instructed(copy):
    """Instruction data alone, on the base model of a finished run."""
    rows = [
        {
            "instruction": f"{number} numaralı makara nerede?",
            "output": f"{number} numaralı makara depoda.",
            "category": "yer" if number % 2 else "stok",
        }
        for number in range(40)
    ]
    (copy.folder / "rows.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    native = {
        "workdir": "work",
        "model": {"path": str(copy.work / "base" / "model")},
        "data": {"sources": [{"path": "rows.json"}], "valid_share": 0.1, "test_share": 0.2, "max_tokens": 128},
        "train": {"epochs": 1, "samples": 1, "sample_tokens": 8, "threads": 1, "examples_per_step": 16},
        "evaluation": {"max_new_tokens": 8},
    }
    (copy.folder / "data.yaml").write_text(yaml.safe_dump(native), encoding="utf-8")
    return copy


def test_a_model_without_documents_is_asked_its_held_out_conversations(instructed):
    done = instructed.succeed("evaluate", "data.yaml")
    summary = summary_of(instructed, "work")
    assert list(summary["figures"]) == ["base", "tuned"]
    assert [(each["first"], each["second"]) for each in summary["comparisons"]] == [("base", "tuned")]
    assert (summary["context"], summary["questions"]["asked"]) == ("none", 8)
    assert {part["field"] for part in summary["comparisons"][0]["slices"]} >= {"type", "language"}
    losses = summary["losses"]["tuned"]
    assert list(losses) == ["train", "valid", "test"]
    assert {(part["field"], part["name"]) for part in losses["test"]["slices"]} >= {
        ("source", "rows.json"),
        ("category", "yer"),
        ("category", "stok"),
    }
    assert losses["test"]["whole"]["mean"] < summary["losses"]["base"]["test"]["whole"]["mean"]
    assert "Results on 8 held-out test questions" in done.out


@pytest.mark.slow
@pytest.mark.slow
def test_an_adapter_on_an_adapter_is_as_large_as_all_it_stands_on(instructed):
    check = ["--check", "--json", "--set", "evaluation.checklist.model_gigabytes=1"]
    adapter = ["--set", "train.adapter={rank: 4}"]
    instructed.call("evaluate", "data.yaml", *check, *adapter)
    first = instructed.folder / "work" / "runs" / "default" / "best"
    again = ["--set", "workdir=again", "--set", f"model.path={first}"]
    items = instructed.call("evaluate", "data.yaml", *check, *adapter, *again).json["checklist"]["items"]
    [size] = [item["figure"]["value"] for item in items if item["key"] == "model_gigabytes"]
    second = instructed.folder / "again" / "runs" / "default" / "best"
    parts = [first / "adapter_model.safetensors", second / "adapter_model.safetensors"]
    parts.append(instructed.work / "base" / "model" / "model.safetensors")
    assert size * 1e9 == pytest.approx(sum(part.stat().st_size for part in parts))


@pytest.mark.slow
def test_a_model_without_documents_answers_questions_of_ones_own(instructed):
    write_lines(instructed.folder / "own.jsonl", OWN[:2])
    instructed.succeed("evaluate", "data.yaml", "--questions", "own.jsonl", "--set", "data.test_share=0.0")
    assert list(summary_of(instructed, "work")["figures"]) == ["base", "tuned"]
    write_lines(
        instructed.folder / "own.jsonl", [row | {"context": "Teklif on beş gün geçerlidir."} for row in OWN[:2]]
    )
    instructed.succeed("evaluate", "data.yaml", "--questions", "own.jsonl", "--set", "data.test_share=0.0")
    assert list(summary_of(instructed, "work")["figures"]) == ["base", "base_context", "tuned_context"]


def test_questions_of_which_only_some_bring_passages_need_documents(instructed):
    write_lines(instructed.folder / "own.jsonl", [OWN[0], OWN[1] | {"context": "Teklif on beş gün geçerlidir."}])
    done = instructed.call("evaluate", "data.yaml", "--questions", "own.jsonl")
    assert done.status == 2
    assert "1 of 2 questions bring no passage" in done.err
    assert not (instructed.folder / "work").exists(), "before anything is trained"


def test_without_held_out_rows_and_questions_there_is_nothing_to_evaluate_on(instructed):
    done = instructed.call("evaluate", "data.yaml", "--set", "data.test_share=0.0")
    assert done.status == 2
    assert "data.test_share is 0" in done.err
    assert "evaluation.questions" in done.err
