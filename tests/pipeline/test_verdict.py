"""From a failed answer back to its sources, the checklist's exit status, report.json and the model card, through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from groundtune.evaluation.errors import ErrorAnalysis
from groundtune.evaluation.verdict import report_data
from groundtune.files import parse_record

NO_THRESHOLDS = (
    "loss_over_train",
    "instruction_types",
    "unsafe_answers",
    "false_answer_rate",
    "over_refusal_rate",
    "unsupported_numbers",
    "forgetting",
    "human_score",
)


def only(**thresholds: Any) -> list[str]:
    """Settings of a checklist that asks for nothing but these."""
    wanted = {**dict.fromkeys(NO_THRESHOLDS, "null"), "better_than_base": "false", **thresholds}
    return [word for key, value in wanted.items() for word in ("--set", f"evaluation.checklist.{key}={value}")]


@pytest.fixture(scope="module")
def analysis(finished: Any) -> ErrorAnalysis:
    path = finished.run / "evaluation" / "errors" / "errors.json"
    return parse_record(json.loads(path.read_text(encoding="utf-8")), ErrorAnalysis, where="errors.json")


def line_of(folder: Path, place: str) -> str:
    name, _, number = place.rpartition(":")
    return (folder / name).read_text(encoding="utf-8").split("\n")[int(number) - 1]


def test_every_failure_leads_to_lines_of_a_document_that_hold_what_its_pair_quotes(
    finished: Any, analysis: ErrorAnalysis
):
    assert analysis.failures, "a model of a hundred thousand parameters should fail"
    for failure in analysis.failures:
        assert failure.lineage.evidence
        for place in failure.lineage.evidence:
            lines = (finished.folder / "docs" / place.source).read_text(encoding="utf-8").split("\n")
            text = "\n".join(lines[place.line_start - 1 : place.line_end])
            assert place.quotes
            assert all(quote in text for quote in place.quotes), (place, text)
            # and to the lines of the quotes themselves
            assert place.quoted_lines is not None
            first, last = place.quoted_lines
            assert all(quote in "\n".join(lines[first - 1 : last]) for quote in place.quotes), (place, text)
            assert any(quote.split("\n")[0] in lines[first - 1] for quote in place.quotes)


def test_every_failure_leads_to_its_own_row_and_to_training_rows_on_the_lines_named(
    finished: Any, analysis: ErrorAnalysis
):
    for failure in analysis.failures:
        asked = json.loads(line_of(finished.work, failure.lineage.place))
        assert (asked["example_id"], asked["question"]) == (failure.question_id, failure.question)
        assert failure.lineage.training_rows
        for row in failure.lineage.training_rows:
            trained = json.loads(line_of(finished.work, row.place))
            assert row.place.startswith("dataset/train.jsonl:")
            assert (trained["example_id"], trained["question"]) == (row.example_id, row.question)
            assert row.near != "same evidence", "a passage that answers a test question answers a training question too"


def test_trace_shows_the_prompt_that_the_question_was_written_from(finished: Any, analysis: ErrorAnalysis):
    failure = analysis.failures[0]
    found = finished.succeed("trace", failure.question_id, "--json").json
    assert found["kind"] == failure.kind
    assert found["lineage"]["ledger"]["key"] == found["written"]["key"]
    assert found["lineage"]["evidence"][0]["quotes"][0] in found["written"]["prompt"]
    handed_in = json.loads(found["written"]["raw"])["pairs"]
    assert failure.question in [pair["question"] for pair in handed_in]
    shown = finished.succeed("trace", failure.question_id).out
    place = failure.lineage.evidence[0]
    assert place.place in shown
    assert failure.lineage.place in shown
    assert found["written"]["prompt"] in finished.succeed("trace", failure.question_id, "--prompt").out


def test_a_question_that_was_not_asked_cannot_be_traced(finished: Any):
    done = finished.call("trace", "nothing")
    assert done.status == 2
    assert "no question 'nothing'" in done.err


def test_the_checklist_decides_the_exit_status(copy: Any):
    passed = copy.call("evaluate", "--check", *only(instruction_types=1))
    assert (passed.status, "may be deployed" in passed.out) == (0, True)
    failed = copy.call("evaluate", "--check", "--json", *only(instruction_types=50))
    assert (failed.status, failed.json["checklist"]["overall"]) == (1, "failed")
    incomplete = copy.call("evaluate", "--check", *only(human_score=4.0))
    assert (incomplete.status, "--strict" in incomplete.err) == (0, True)
    assert copy.call("evaluate", "--check", "--strict", *only(human_score=4.0)).status == 1


def test_the_page_tells_of_the_answers_that_the_checklist_was_made_of(copy: Any):
    done = copy.call("evaluate", "--check", "--json", "--max-questions", "4", *only(instruction_types=1)).json
    assert (done["changed"], done["stages"][-1]["stage"]) == (True, "report")
    summary = json.loads((copy.work / "runs/default/evaluation/summary.json").read_bytes())
    assert json.loads((copy.work / "report.json").read_bytes())["evaluation"]["questions"] == summary["questions"]


def test_after_another_tuning_the_answers_on_record_are_told_to_be_of_an_earlier_model(copy: Any):
    question = json.loads(
        (copy.work / "runs/default/evaluation/answers.jsonl").read_text(encoding="utf-8").split("\n")[0]
    )
    assert "trained again" not in copy.succeed("trace", question["question_id"]).err
    retrained = copy.succeed("train", "--set", "train.learning_rate=0.002").out
    assert "report.html tells of an earlier model" in retrained
    for verb in (("trace", question["question_id"]), ("rate", "--forms", "forms.jsonl", "--rater", "ayse")):
        assert "the model was trained again after these answers were given" in copy.succeed(*verb).err


def test_ratings_that_come_later_make_the_checklist_again(copy: Any):
    settings = only(human_score=4.0)
    assert copy.succeed("evaluate", "--check", "--json", *settings).json["checklist"]["overall"] == "incomplete"
    copy.succeed("rate", "--forms", "forms.jsonl", "--rater", "ayse", "--questions", "2")
    forms = [json.loads(line) for line in (copy.folder / "forms.jsonl").read_text(encoding="utf-8").splitlines()]
    marks = dict.fromkeys(("helpfulness", "accuracy", "clarity", "safety"), 5)
    filled = [{**form, "marks_a": marks, "marks_b": marks, "preferred": "tie"} for form in forms]
    (copy.folder / "filled.jsonl").write_text("".join(json.dumps(form) + "\n" for form in filled), encoding="utf-8")
    copy.succeed("rate", "--import", "filled.jsonl")
    again = copy.succeed("evaluate", "--check", "--json", *settings).json["checklist"]
    assert (again["overall"], again["items"][0]["figure"]["n"]) == ("passed", 2)


def test_report_json_holds_what_the_report_shows_and_the_card_is_one(first_run: tuple[Any, Any]):
    finished = first_run[0]
    data = report_data(json.loads((finished.work / "report.json").read_text(encoding="utf-8")))
    assert data.errors is not None
    assert data.checklist is not None
    card = (finished.work / "MODEL_CARD.md").read_text(encoding="utf-8")
    metadata = yaml.safe_load(card.split("---\n", 2)[1])
    assert metadata["license"] == "unknown"
    assert metadata["language"] == ["tr", "en"]
    for name in ("report.json", "MODEL_CARD.md", "runs/default/evaluation/errors/errors.json"):
        assert str(finished.folder) not in (finished.work / name).read_text(encoding="utf-8"), name


def test_a_licence_that_comes_later_is_told_in_the_card(copy: Any):
    assert "see LICENCE" not in (copy.work / "MODEL_CARD.md").read_text(encoding="utf-8")
    (copy.folder / "docs" / "LICENCE").write_text("All rights reserved.", encoding="utf-8")
    statuses = copy.succeed("evaluate", "--json").statuses
    assert [name for name, status in statuses.items() if status == "done"] == ["report"]
    assert "see LICENCE" in (copy.work / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_errors_checklist_and_card_are_the_same_on_a_second_run(copy: Any):
    names = ("runs/default/evaluation/errors", "runs/default/evaluation/checklist", "MODEL_CARD.md")
    files = [copy.work / name for name in names]
    files = [file / f"{file.name}.json" if file.is_dir() else file for file in files]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    done = copy.succeed("run", "--json")
    assert {name for name, status in done.statuses.items() if status == "done"} == {"errors", "checklist", "report"}
    assert [file.read_bytes() for file in files] == before
