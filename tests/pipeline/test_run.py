"""The whole way from documents to report and chat, through the command."""

from __future__ import annotations

import html
import json
import re
import shutil
import sqlite3
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

STAGES = [
    "ingest",
    "group",
    "generate",
    "tokenizer",
    "dataset",
    "pretrain",
    "card",
    "train",
    "evaluate",
    "forgetting",
    "errors",
    "checklist",
    "report",
]

WITHOUT_DATA = dict.fromkeys(("data", "augment", "prepare", "texts", "judge"), "not needed")
"""Stages of instruction data, further texts and a judge, of which this project has none."""

LEFT_BY_A_RUN = [
    "documents/chunks.jsonl",
    "grouping/groups.jsonl",
    "generation/ledger.sqlite",
    "generation/pairs.jsonl",
    "tokenizer/files/tokenizer.json",
    "dataset/train.jsonl",
    "dataset/valid.jsonl",
    "dataset/test.jsonl",
    "base/model/config.json",
    "base/model/model.safetensors",
    "base/model/tokenizer.json",
    "base/metrics.jsonl",
    "base/curves.png",
    "runs/default/best/config.json",
    "runs/default/best/model.safetensors",
    "runs/default/best/tokenizer.json",
    "runs/default/metrics.jsonl",
    "runs/default/samples.json",
    "runs/default/curves.png",
    "runs/default/card/run.json",
    "runs/default/evaluation/answers.jsonl",
    "runs/default/evaluation/summary.json",
    "runs/default/evaluation/errors/errors.json",
    "runs/default/evaluation/checklist/checklist.json",
    "report.html",
    "report.json",
    "MODEL_CARD.md",
    "timings.json",
]

FOLDERS_WITH_A_MANIFEST = [
    "documents",
    "grouping",
    "generation",
    "tokenizer",
    "dataset",
    "base",
    "runs/default",
    "runs/default/evaluation",
    "runs/default/evaluation/errors",
    "runs/default/evaluation/checklist",
    ".",
]

QUESTION = "Mal kabul nedir?"


def redone(done: Any) -> list[str]:
    return [stage for stage, status in done.statuses.items() if status == "done"]


def asked(project: Any) -> set[str]:
    """Keys of the requests that the ledger holds answers to."""
    connection = sqlite3.connect(project.work / "generation" / "ledger.sqlite")
    try:
        return {key for (key,) in connection.execute("SELECT key FROM answers")}
    finally:
        connection.close()


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


# what a run leaves and says


def test_a_run_leaves_the_files_the_workspace_names_each_with_a_manifest(finished):
    missing = [name for name in LEFT_BY_A_RUN if not (finished.work / name).stat().st_size]
    assert not missing
    for folder in FOLDERS_WITH_A_MANIFEST:
        assert (finished.work / folder / "manifest.json").is_file(), folder
    assert not list(finished.work.rglob(".partial-*"))
    assert not list(finished.work.rglob("checkpoint*")), "checkpoints are of use only while a training runs"
    assert sorted(path.name for path in finished.folder.iterdir()) == ["docs", "groundtune.yaml", "out"]


def test_a_run_says_what_every_stage_made_as_one_json_object(first_run):
    project, done = first_run
    said = done.json
    assert done.statuses == dict.fromkeys(STAGES, "done") | WITHOUT_DATA
    assert said["changed"] is True
    assert Path(said["report"]) == project.work / "report.html"
    assert Path(said["run"]) == project.run
    made = {stage["stage"]: stage["counts"] for stage in said["stages"] if "counts" in stage}
    assert made["ingest"]["files"] == 3
    assert made["ingest"]["chunks in tr"] > made["ingest"]["chunks in en"] > 0
    assert made["generate"]["pairs"] == len(records(project.work / "generation" / "pairs.jsonl")) >= 24
    assert made["dataset"]["train"] == len(records(project.work / "dataset" / "train.jsonl"))
    for stage in STAGES:
        assert re.search(rf"^● {stage}: ", done.err, re.MULTILINE), "a line on standard error when a stage begins"
        assert re.search(rf"^✓ {stage}: ", done.err, re.MULTILINE), "and one when it ends"


def test_training_lowers_the_loss_and_the_summary_says_so(finished):
    manifest = json.loads((finished.run / "manifest.json").read_text(encoding="utf-8"))
    before, *_, after = manifest["details"]["epochs"]
    assert (before["epoch"], after["epoch"]) == (0, 2)
    assert after["valid_loss"] < before["valid_loss"]
    # a system prompt that all examples begin with is computed once a step
    assert 0 < manifest["counts"]["unique tokens per epoch"] < 0.9 * manifest["counts"]["tokens per epoch"]


def test_manifests_hold_no_clock_and_no_path_of_this_machine(first_run):
    finished = first_run[0]
    for folder in FOLDERS_WITH_A_MANIFEST:
        text = (finished.work / folder / "manifest.json").read_text(encoding="utf-8")
        assert str(finished.folder) not in text, folder
        assert "/tmp" not in text, folder
        assert not re.search(
            r'"[^"]*((?<!timeout_)(?<!token_)seconds|elapsed|timestamp|started|created)[^"]*":', text
        ), folder
        assert not re.search(r"\b20\d\d-\d\d-\d\d[T ]\d\d:", text), folder
        assert not re.search(r'": "(/|~|[A-Za-z]:\\)', text), f"{folder}: an absolute path"


def test_no_file_but_timings_and_the_charts_of_the_clock_names_the_project_folder(first_run):
    finished = first_run[0]
    naming = [
        path.relative_to(finished.work).as_posix()
        for path in sorted(finished.work.rglob("*"))
        if path.is_file() and str(finished.folder).encode() in path.read_bytes()
    ]
    assert not naming


class _Loaded(HTMLParser):
    """Addresses that a browser fetches by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            followed_by_hand = tag == "a" and name == "href"
            if (
                name in ("src", "href", "srcset", "data", "poster", "action", "xlink:href")
                and value
                and not followed_by_hand
            ):
                self.addresses.append(value)


def test_the_report_is_one_file_that_loads_nothing(first_run):
    finished = first_run[0]
    page = (finished.work / "report.html").read_text(encoding="utf-8")
    loaded = _Loaded()
    loaded.feed(page)
    assert not [address for address in loaded.addresses if not address.startswith(("data:", "#"))]
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", page)
    assert not re.search(r"@import|\bfetch\(|XMLHttpRequest|\bimport\(", page)
    assert str(finished.folder) not in page
    assert "tiny" in page
    for answer in records(finished.run / "evaluation" / "answers.jsonl"):
        assert html.escape(answer["question"], quote=False) in page


# run again


def test_a_second_run_does_nothing_and_says_so(copy):
    before = {path: path.stat().st_mtime_ns for path in copy.work.rglob("*") if path.is_file() and path.name != ".lock"}
    done = copy.call_cold("run")
    assert done.status == 0
    assert "nothing to do: report is up to date" in done.out
    assert done.err.splitlines() == [f"· {stage}: unchanged" for stage in STAGES]
    after = {path: path.stat().st_mtime_ns for path in copy.work.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before
    again = copy.succeed("run", "--json")
    assert again.json["changed"] is False
    assert again.statuses == dict.fromkeys(STAGES, "unchanged") | WITHOUT_DATA


def test_a_second_run_loads_neither_torch_nor_transformers(copy, monkeypatch):
    """That is what makes it quick; seconds would be those of the machine."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    done = copy.call_cold("run")
    assert done.status == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.err.splitlines() if line.startswith("import time:")}
    assert "groundtune.pipeline.stages" in loaded
    assert not loaded & {"torch", "transformers", "sacrebleu", "rouge_score", "matplotlib", "anthropic", "openai"}


def test_an_edited_sentence_redoes_what_depends_on_it_and_asks_only_about_the_chunks_it_touched(copy):
    before, requests = {row["pair_id"] for row in records(copy.work / "generation" / "pairs.jsonl")}, asked(copy)
    document = copy.folder / "docs" / "stok" / "depo.md"
    text = document.read_text(encoding="utf-8")
    assert "otuz gün" in text
    document.write_text(text.replace("otuz gün", "kırk gün"), encoding="utf-8")
    touched = {
        row["chunk_id"] for row in records(copy.work / "documents" / "chunks.jsonl") if "otuz gün" in row["text"]
    }
    done = copy.succeed("run", "--json")
    assert redone(done)[0] == "ingest"
    assert {"generate", "train", "evaluate", "report"} <= set(redone(done))
    groups = records(copy.work / "grouping" / "groups.jsonl")
    concerned = [group for group in groups if touched & set(group["chunk_ids"])]
    assert 0 < len(concerned) < len(groups)
    assert requests < asked(copy), "answers that were there are kept"
    assert len(asked(copy)) == len(requests) + len(concerned)
    kept = {row["pair_id"] for row in records(copy.work / "generation" / "pairs.jsonl")} & before
    assert len(kept) > len(before) / 3


def test_a_document_touched_but_not_changed_redoes_nothing(copy):
    for path in (copy.folder / "docs").rglob("*.md"):
        path.touch()
    assert copy.succeed("run", "--json").json["changed"] is False


def test_a_blank_line_more_stops_where_nothing_follows_from_it(copy):
    document = copy.folder / "docs" / "satis" / "orders.md"
    document.write_text(document.read_text(encoding="utf-8") + "\n\n", encoding="utf-8")
    # the report names the manifest of ingest, and so is written again; nothing is generated or trained
    assert set(redone(copy.succeed("run", "--json"))) <= {"ingest", "report"}


def test_other_epochs_redo_training_and_what_follows(copy):
    assert redone(copy.succeed("run", "--json", "--set", "train.epochs=1")) == [
        "train",
        "evaluate",
        "forgetting",
        "errors",
        "checklist",
        "report",
    ]


def test_fewer_questions_redo_evaluation_and_report(copy):
    assert redone(copy.succeed("run", "--json", "--set", "evaluation.max_questions=2")) == [
        "evaluate",
        "errors",
        "checklist",
        "report",
    ]
    assert len(records(copy.run / "evaluation" / "answers.jsonl")) == 2


def test_a_single_stage_brings_up_to_date_what_it_needs_and_no_more(project):
    done = project.succeed("group", "--json")
    assert done.statuses == {"ingest": "done", "group": "done"}
    assert sorted(path.name for path in project.work.iterdir() if path.is_dir()) == ["documents", "grouping"]


def test_an_output_edited_by_hand_is_kept_and_not_overwritten_by_a_change_of_its_inputs(copy):
    pairs = copy.work / "generation" / "pairs.jsonl"
    lines = pairs.read_text(encoding="utf-8").splitlines(keepends=True)
    pairs.write_text("".join(lines[:-1]), encoding="utf-8")
    done = copy.succeed("generate", "--json")
    assert done.statuses["generate"] == "edits kept"
    refused = copy.call("generate", "--set", "generation.max_pairs=2")
    assert refused.status == 2
    assert str(pairs) in refused.err
    assert pairs.read_text(encoding="utf-8") == "".join(lines[:-1])


# every verb


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest"],
        ["group"],
        ["generate"],
        ["tokenizer"],
        ["dataset"],
        ["dataset", "build"],
        ["dataset", "preview", "--count", "1"],
        ["pretrain"],
        ["train"],
        ["evaluate"],
        ["run"],
        ["init", "docs", "--output", "other.yaml"],
        ["chat", "out/runs/default", "--question", QUESTION],
        ["chat", "groundtune.yaml", "--question", QUESTION, "--model", "base"],
    ],
    ids=" ".join,
)
def test_json_of_every_verb_is_one_object_on_standard_output(arguments, finished):
    done = finished.call(*arguments, "--json")
    (finished.folder / "other.yaml").unlink(missing_ok=True)
    assert done.status == 0, done.err
    assert isinstance(done.json, dict)


@pytest.mark.slow
def test_json_of_doctor_is_one_object_on_standard_output(project):
    checks = project.call("doctor", "--json").json["checks"]
    assert {check["name"] for check in checks} >= {"versions", "memory", "threads"}


def test_init_writes_a_configuration_that_the_other_verbs_take(project):
    (project.folder / "groundtune.yaml").unlink()
    project.succeed("init", "docs")
    assert project.succeed("ingest", "--json").json["stages"][0]["counts"]["files"] == 3


# looking at examples


def test_a_preview_marks_the_answers_and_the_end_of_turn_as_trained_and_nothing_else(finished):
    first = records(finished.work / "dataset" / "valid.jsonl")[0]
    shown = finished.succeed("dataset", "preview", "--split", "valid", "--count", "2", "--json").json
    assert shown["split"] == "valid"
    assert [example["example_id"] for example in shown["examples"]] == [
        row["example_id"] for row in records(finished.work / "dataset" / "valid.jsonl")[:2]
    ]
    segments = shown["examples"][0]["segments"]
    trained = [segment["text"] for segment in segments if segment["trained"]]
    assert trained == [first["messages"][-1]["content"] + "<|eot_id|>"]
    assert "".join(segment["text"] for segment in segments).startswith("<|begin_of_text|>")


# chat


def test_chat_answers_one_question_with_the_chunks_it_used(finished):
    said = finished.succeed("chat", str(finished.run), "--question", QUESTION, "--json").json
    assert said["question"] == QUESTION
    assert said["language"] == "tr"
    assert isinstance(said["answer"], str)
    chunks = {row["chunk_id"]: row for row in records(finished.work / "documents" / "chunks.jsonl")}
    best = said["chunks"][0]
    assert "Mal kabul" in chunks[best["chunk_id"]]["text"]
    assert (best["source"], best["line_start"]) == (
        chunks[best["chunk_id"]]["source"],
        chunks[best["chunk_id"]]["line_start"],
    )


def test_chat_reads_questions_from_standard_input_until_it_ends(finished):
    done = finished.succeed("chat", str(finished.run), stdin=f"{QUESTION}\n\nWhat is the credit limit?\n")
    assert re.search(r"^\[1\] .*stok/depo\.md:\d+-\d+", done.out, re.MULTILINE)
    assert re.search(r"^\[1\] .*satis/orders\.md:\d+-\d+", done.out, re.MULTILINE)
    assert "the question is empty" in done.out


def test_a_work_folder_that_has_moved_can_still_be_talked_to(copy, finished, tmp_path):
    moved = tmp_path / "elsewhere" / "kept"
    moved.parent.mkdir()
    shutil.move(copy.work, moved)
    shutil.rmtree(copy.folder)
    there = finished.succeed("chat", str(moved / "runs" / "default"), "--question", QUESTION, "--json").json
    here = finished.succeed("chat", str(finished.run), "--question", QUESTION, "--json").json
    assert there == here


# a model that was there before


def test_a_model_from_a_folder_is_tuned_without_making_a_tokenizer_or_a_base(finished, project):
    shutil.copytree(finished.work / "base" / "model", project.folder / "model")
    done = project.succeed("run", "--json", "--set", "model.path=model")
    assert done.statuses["tokenizer"] == done.statuses["pretrain"] == "not needed"
    assert not (project.work / "tokenizer").exists()
    assert not (project.work / "base").exists()
    # the same base and the same examples: the same model to the last bit as in the run that made the base itself
    weights = "best/model.safetensors"
    assert (project.run / weights).read_bytes() == (finished.run / weights).read_bytes()
    said = project.succeed("chat", str(project.run), "--model", "base", "--question", QUESTION, "--json").json
    assert said["chunks"]


def test_making_a_base_is_refused_where_the_model_is_there_already(finished, project):
    done = project.call("pretrain", "--set", f"model.path={finished.work / 'base' / 'model'}")
    assert done.status == 2
    assert "model.path" in done.err


def test_a_setting_that_changes_nothing_trained_trains_nothing_again(copy):
    again = copy.succeed("train", "--set", "train.threads=2", "--set", "train.report_to=[none]", "--json")
    assert redone(again) == []
    assert "train" in redone(copy.succeed("train", "--set", "train.weight_decay=0.02", "--json"))
