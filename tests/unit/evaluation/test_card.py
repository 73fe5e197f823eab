"""MODEL_CARD.md: metadata the hub reads, no licence that nobody stated, no mark-up of others."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard

from groundtune.config import Config
from groundtune.errors import DataError
from groundtune.evaluation import (
    COMPARED,
    MEASURES,
    SYSTEMS,
    AnswerRecord,
    EvaluationSummary,
    Loss,
    ModelAnswer,
    QuestionCounts,
    SplitLoss,
)
from groundtune.evaluation.card import CardFacts, SourceFacts, render_card
from groundtune.evaluation.figures.retrieval_scores import score_retrieval
from groundtune.evaluation.figures.scores import compare, score
from groundtune.evaluation.verdict import (
    EpochRow,
    Flow,
    PairTables,
    ReportData,
    SplitRow,
    StepPoint,
    TrainingPhase,
    report_data,
    report_record,
)
from groundtune.files import to_json

FACTS = CardFacts(
    base="",
    base_hub_id="",
    base_licence="",
    method="full",
    is_adapter=False,
    languages=("tr", "en"),
    documents="docs",
    documents_licence="",
    sources=(),
    model_folder="runs/default/best",
    run_folder="out/runs/default",
    parameters=6_400_000,
)


def answered(f1: float) -> ModelAnswer:
    measures: dict[str, float | None] = dict.fromkeys((measure.key for measure in MEASURES), None)
    return ModelAnswer("said", 3, True, ("c1",), measures | {"token_f1": f1, "exact_match": 0.0}, False)


def summary() -> EvaluationSummary:
    records = [
        AnswerRecord(
            f"q{number}", "", "en", "Which?", ("This.",), True, "factual", "easy", "individual", ("c1",), ("c1",),
            {name: answered(0.8 if name == "tuned_context" else 0.2) for name in SYSTEMS},
        )
        for number in range(12)
    ]  # fmt: skip
    return EvaluationSummary(
        questions=QuestionCounts(12, 12, 12, 12, 0, 0),
        context="retrieved",
        max_new_tokens=64,
        figures={name: score(records, name, seed=7) for name in SYSTEMS},
        comparisons=tuple(compare(records, first, second, seed=7) for first, second in COMPARED),
        retrieval=score_retrieval(records, depth=10, seed=7),
        losses={model: {"test": SplitLoss(Loss.of(loss, 900))} for model, loss in (("base", 5.0), ("tuned", 2.0))},
        shown=(),
        echo_f1=None,
    )


@pytest.fixture(scope="module")
def data() -> ReportData:
    return ReportData(
        project="cable",
        seed=7,
        language="tr",
        versions={"groundtune": "0.1.0", "torch": "2"},
        machine={"cores": "4"},
        run="default",
        flow=Flow(3, 30, 40, 100, 90, 6_400_000, 12),
        pairs=PairTables(by_writer={"openai/a": 60, "offline-rules/1": 40}, unanswerable=6, rejected={"too | long": 2}),
        splits=(SplitRow("train", 80, 5), SplitRow("test", 10, 1)),
        training=(TrainingPhase("Fine-tuning", (EpochRow(1, 3.0, 2.5, True, 4.0),), (StepPoint(9, 3.0),)),),
        evaluation=summary(),
        config=Config(project="cable").model_dump(mode="json"),
    )


def metadata(card: str):
    _, front, _ = card.split("---\n", 2)
    return yaml.safe_load(front)


def test_the_metadata_has_what_the_hub_asks_for(data):
    found = metadata(render_card(data, FACTS))
    assert found["language"] == ["tr", "en"]
    assert (found["library_name"], found["pipeline_tag"]) == ("transformers", "text-generation")
    [result] = found["model-index"][0]["results"]
    assert {"type", "name"} <= set(result["task"])
    assert {"type", "name"} <= set(result["dataset"])
    [f1, exact] = result["metrics"]
    assert (f1["type"], f1["value"], f1["args"]["n"]) == ("f1", 0.8, 12)
    assert exact["type"] == "exact_match"
    assert not {"base_model", "datasets"} & set(found)


def test_the_hub_library_reads_the_results(data):
    card = ModelCard(render_card(data, FACTS))
    results = {each.metric_type: each for each in card.data.eval_results}
    assert results["f1"].metric_value == 0.8
    assert card.data.model_name == "cable-default"
    assert results["f1"].metric_args["n"] == 12


def test_base_and_datasets_of_the_hub_are_named_by_their_ids(data):
    sources = (SourceFacts("a/b", "a/b", 10, "mit"), SourceFacts("rows.jsonl", "", None, ""))
    facts = replace(FACTS, base="x/y", base_hub_id="x/y", base_licence="apache-2.0", is_adapter=True, sources=sources)
    card = render_card(data, facts)
    found = metadata(card)
    assert (found["base_model"], found["base_model_relation"], found["library_name"]) == ("x/y", "adapter", "peft")
    assert found["datasets"] == ["a/b"]
    assert "| Base: x/y | apache-2.0 |" in card
    assert "| Instruction data: rows.jsonl | not stated |" in card
    assert "AutoPeftModelForCausalLM.from_pretrained('runs/default/best')" in card


def test_a_licence_is_only_told_where_it_is_known(data):
    card = render_card(data, FACTS)
    assert metadata(card)["license"] == "unknown"
    assert "| This model | not stated |" in card
    assert "| Documents: docs | not stated |" in card
    # the base's licence is not made the model's
    based = render_card(data, replace(FACTS, base="x/y", base_hub_id="x/y", base_licence="apache-2.0"))
    assert metadata(based)["license"] == "unknown"


def test_lineage_and_every_figure_with_its_n_stand_in_the_text(data):
    card = render_card(data, FACTS)
    for line in (
        "| openai/a | 60 |",
        "| too \\| long | 2 |",
        "| train | 80 | 5 |",
        "| chunks | 30 |",
        "| 1 (kept) | 3.000 | 2.500 |",
        "| test | 5.000 | 2.000 | 900 |",
        "groundtune chat out/runs/default",
    ):
        assert line in card, line
    row = r"\| Token F1 \(↑\) \| 0\.20 \[.+\] \| 0\.80 \[.+\] \| \+0\.60 \[.+\], better \| 12 \|"
    assert re.search(row, card)


def test_what_was_not_measured_is_said(data):
    card = render_card(data, FACTS)
    part = card[card.index("## Not measured") : card.index("## Training data")]
    for said in ("No person has rated", "No language model has judged", "forgot", "benchmark", "No checklist"):
        assert said in part


def test_text_of_others_breaks_neither_table_nor_page(data):
    hostile = "a | b\n# c <script>"
    card = render_card(replace(data, project=hostile), replace(FACTS, documents=hostile))
    assert "<script>" not in card.split("---\n", 2)[2].replace("&lt;script>", "")
    assert "\n# c" not in card
    assert metadata(card)["model-index"][0]["name"].startswith("a | b")


def test_the_same_data_give_the_same_card_and_no_clock_is_in_it(data):
    assert render_card(data, FACTS) == render_card(data, FACTS)
    assert "4.0 s" not in render_card(data, FACTS)


def test_report_json_reads_back_as_what_the_report_shows(data):
    value = json.loads(to_json(report_record(data)))
    assert value["schema_version"] == 1
    assert report_data(value) == data


def test_a_report_of_another_version_is_refused(data):
    with pytest.raises(DataError, match="schema_version is 2"):
        report_data({**report_record(data), "schema_version": 2})
