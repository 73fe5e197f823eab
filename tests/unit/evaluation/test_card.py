"""MODEL_CARD.md: metadata the hub reads, no licence that nobody stated, no mark-up of others."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData

from groundtune.config import Config
from groundtune.errors import DataError
from groundtune.evaluation import (
    COMPARED,
    MEASURES,
    SYSTEMS,
    AnswerRecord,
    EvaluationSummary,
    Figure,
    Loss,
    ModelAnswer,
    QuestionCounts,
    SplitLoss,
)
from groundtune.evaluation.card import CardFacts, SourceFacts, render_card
from groundtune.evaluation.figures.agreement import Agreement
from groundtune.evaluation.figures.retrieval_scores import score_retrieval
from groundtune.evaluation.figures.scores import compare, score
from groundtune.evaluation.people.summary import PeopleMarks, PeoplePreference, PeopleSummary
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
            f"q{number}", "", "en", "Which?", ("This.",), True, "factual", "easy", "individual", (f"c{number}",), ("c1",),
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
        losses={
            "base": {"test": SplitLoss(Loss.of(5.0, 900))},
            "tuned": {
                "test": SplitLoss(
                    replace(Loss.of(2.0, 900), examples=12, low=1.8, high=2.2, change=Figure(-3.0, 12, -3.3, -2.7))
                )
            },
        },
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


def test_the_metadata_goes_through_the_hub_library_and_comes_back_the_same(data, tmp_path):
    sources = (SourceFacts("a/b", "a/b", 10, "mit"),)
    facts = replace(FACTS, base="x/y", base_hub_id="x/y", sources=sources)
    path = tmp_path / "MODEL_CARD.md"
    path.write_text(render_card(data, facts), encoding="utf-8")
    card = ModelCard.load(path)
    assert isinstance(card.data, ModelCardData)
    # the library calls a bad model-index a warning and drops it; warnings are errors here
    assert card.data.to_dict() == metadata(path.read_text(encoding="utf-8"))
    assert yaml.safe_load(str(card).split("---\n", 2)[1]) == card.data.to_dict()
    assert ModelCard(str(card)).data.eval_results == card.data.eval_results
    assert card.text.lstrip().startswith("# cable")
    assert {(each.task_type, each.dataset_split) for each in card.data.eval_results} == {("question-answering", "test")}
    known = {
        "language",
        "license",
        "library_name",
        "pipeline_tag",
        "tags",
        "base_model",
        "base_model_relation",
        "datasets",
    }
    assert card.data.to_dict().keys() == known | {"model-index"}


def test_marks_and_agreement_stand_in_the_card_with_the_same_cautions_as_elsewhere(data):
    few = Agreement("clarity", ("a", "b"), Figure(1.0, 2, caution="too few to tell"), Figure(1.0, 2, 0.3, 1.0))
    undefined = Agreement("safety", ("a", "b"), Figure(None, 20, caution="not defined"), Figure(1.0, 20, 0.8, 1.0))
    marks = PeopleMarks(4, {"overall": Figure(4.2, 12, 3.9, 4.5)}, Figure(0.0, 12, 0.0, 0.24))
    won = PeoplePreference("base_context", "tuned_context", 3, 1, 0, 0, Figure(1.0, 3, 0.44, 1.0), {})
    people = PeopleSummary(
        12, 12, 0, 0, 0, 0, {"tuned_context": marks}, (won,), (), (few, undefined), {"clarity": few.kappa}
    )
    card = render_card(replace(data, people=people), FACTS)
    for row in (
        "| people | tuned + passages | 4.20 [3.90 to 4.50] | 0% [0 to 24%] | 12 |",
        "| people | tuned + passages against base + passages | 3 won, 1 tied, 0 lost | 100% [44 to 100%], too few to tell | 3 |",
        "| clarity | a and b | 1.00 [too few to tell] | 2 |",
        "| safety | a and b | not defined | 20 |",
        "| clarity | all raters (Krippendorff’s alpha) | 1.00 [too few to tell] | 2 |",
    ):
        assert row in card, row
    assert "No person has rated" not in card


def test_questions_that_all_change_alike_still_have_an_interval(data):
    card = render_card(data, FACTS)
    assert "a difference of +0.60 (95% interval +0.21 to +0.70)" in card
    [result] = metadata(card)["model-index"][0]["results"]
    for metric in result["metrics"]:
        if metric["name"] in ("Token F1", "Exact match"):
            assert metric["args"].keys() == {"n", "ci95_low", "ci95_high"}


def test_only_questions_of_the_test_split_are_said_to_be_of_it(data):
    def asked_of(report):
        return metadata(render_card(report, FACTS))["model-index"][0]["results"][0]["dataset"]

    own = replace(data, evaluation=replace(data.evaluation, questions_file="own.jsonl"))
    assert (asked_of(data).get("split"), asked_of(own).get("split")) == ("test", None)


def test_a_figure_over_more_questions_than_its_change_says_so(data):
    summary = data.evaluation
    tuned = summary.figures["tuned_context"] | {"token_f1": Figure(0.7, 98, 0.6, 0.8)}
    more = replace(data, evaluation=replace(summary, figures=summary.figures | {"tuned_context": tuned}))
    assert "0.70 [0.60 to 0.80] (n = 98) |" in render_card(more, FACTS)
    assert "(n = " not in render_card(data, FACTS)


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
        "| test | 5.000 | 2.000 [1.800 to 2.200] | −3.000 [−3.300 to −2.700], better | 12 | 900 |",
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
