"""The one-file report: self-contained, inert against hostile text, careful in what it claims, the same every time."""

import base64
import dataclasses
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from groundtune.evaluation.report import (
    ChunkPlace,
    EpochRow,
    Flow,
    ModuleRow,
    PairTables,
    ReportData,
    RuleRow,
    SplitRow,
    StageRow,
    StepPoint,
    TrainingPhase,
    give_verdict,
    render_report,
    report_data,
)
from groundtune.evaluation.report.charts import loss_chart, nice_ticks, training_charts
from groundtune.evaluation.report.verdict import read
from groundtune.evaluation.report.wording import percent
from groundtune.evaluation.retrieval_scores import score_retrieval
from groundtune.evaluation.scores import compare, score
from groundtune.files import to_json

HOSTILE = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7*7 }} & İstanbul"
VOID = {"meta", "link", "br", "img", "input", "hr"}
SELF_CLOSED = {"option", "li"}


def answer(f1: float, *, text: str = "cevap", refused: bool = False) -> ModelAnswer:
    """Measured as if its question were answerable; see `record`."""
    measures = dict.fromkeys((measure.key for measure in MEASURES), None)
    measures |= {"token_f1": f1, "exact_match": float(f1 == 1.0), "over_refusal_rate": float(refused)}
    measures |= {"stop_rate": 1.0, "repetition_rate": 0.0}
    return ModelAnswer(text, 12, True, ("c-1", text if text != "cevap" else "c-2"), measures, refused)


def without_answer(said: ModelAnswer) -> ModelAnswer:
    """The same, of a question that has none."""
    none = {"token_f1": None, "exact_match": None, "over_refusal_rate": None}
    return dataclasses.replace(said, measures=said.measures | none | {"false_answer_rate": float(not said.refused)})


def record(
    number: int, base: ModelAnswer, tuned: ModelAnswer, *, answerable: bool = True, text: str = ""
) -> AnswerRecord:
    if not answerable:
        base, tuned = without_answer(base), without_answer(tuned)
    return AnswerRecord(
        question_id=f"ex-{number}",
        pair_id=f"pair-{number}",
        language="tr",
        question=text or f"Soru {number} nedir?",
        references=(text or "Başvuru yanıtı",),
        answerable=answerable,
        type="factual",
        difficulty="easy",
        rule="vertical_stack",
        evidence_chunk_ids=("c-1",),
        retrieved_chunk_ids=("c-2", "c-1"),
        answers={"base": base, "base_context": base, "tuned_context": tuned},
    )


def summarise(records: list[AnswerRecord]) -> EvaluationSummary:
    answerable = sum(item.answerable for item in records)
    return EvaluationSummary(
        questions=QuestionCounts(
            len(records), len(records), answerable, answerable, len(records) - answerable, len(records) - answerable
        ),
        context="retrieved",
        max_new_tokens=96,
        figures={name: score(records, name, seed=7) for name in SYSTEMS},
        comparisons=tuple(compare(records, first, second, seed=7) for first, second in COMPARED),
        retrieval=score_retrieval(records, depth=10, seed=7),
        losses={"base": {"test": SplitLoss(Loss.of(5.0, 900))}, "tuned": {"test": SplitLoss(Loss.of(2.0, 900))}},
        shown=tuple(item.question_id for item in records[:10]),
        echo_f1=0.25 if answerable else None,
    )


def full_data(text: str = "Stok > Lot", records: list[AnswerRecord] | None = None) -> ReportData:
    if records is None:
        said = answer(0.8, text=text)
        records = [record(number, answer(0.1, text=text), said, text=text) for number in range(12)]
        records += [record(20, answer(0), answer(1, refused=True), answerable=False)]
    return ReportData(
        project=text,
        seed=7,
        language="tr",
        versions={"groundtune": "0.1.0", "torch": text},
        machine={"cores": "4", "memory": text},
        run="default",
        flow=Flow(3, 30, 40, 100, 90, 6_400_000, len(records)),
        stages=(StageRow("generate", {"pairs": 100}, {text: 4}, 3.2), StageRow("train", {"steps": 5}, {}, None, True)),
        modules=(ModuleRow(text, "tr", 3, 30, 6000),),
        rules=(RuleRow("individual", 30, 6000, 1.0),),
        pairs=PairTables(
            {"individual": 100}, {"factual": 100}, {"easy": 100}, {"tr": 100}, {"offline-rules/1": 100}, 6, {text: 2}
        ),
        splits=(SplitRow("train", 80, 5, 9000, 900), SplitRow("test", 10, 1)),
        training=(
            TrainingPhase(
                text,
                (EpochRow(0, None, 5.0), EpochRow(1, 3.0, 2.5, True, 4.0)),
                (StepPoint(0, None, 5.0), StepPoint(1, 4.8), StepPoint(2, 3.0, 2.5)),
            ),
        ),
        evaluation=summarise(records),
        records=tuple(records),
        chunks={"c-1": ChunkPlace(text, 3, 9)},
        config=Config(project=text[:40]).model_dump(mode="json"),
    )


class Page(HTMLParser):
    """Tags with their attributes, what scripts hold, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID | SELF_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in SELF_CLOSED:
            assert self.open.pop() == tag, f"</{tag}> closes another tag at {self.getpos()}"

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def test_hostile_text_is_inert_wherever_it_stands() -> None:
    page = render_report(full_data(HOSTILE))
    parsed = Page(page)
    assert parsed.open == []
    assert Counter(tag for tag, _ in parsed.tags)["script"] == 1
    assert not [tag for tag, _ in parsed.tags if tag in {"img", "iframe", "object", "embed", "base"}]
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert "alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "49" not in re.findall(r"<h3[^>]*>([^<]*)", page)


def test_the_page_runs_its_own_script_only() -> None:
    page = render_report(full_data())
    script = "".join(Page(page).scripts)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_nothing_is_requested_from_outside() -> None:
    page = render_report(full_data())
    for _, attributes in Page(page).tags:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:,"))
    assert "url(" not in page
    assert "@import" not in page
    assert "http://" not in page
    assert "https://" not in page


@pytest.mark.parametrize(
    "data", [ReportData("boş", 7), full_data(), full_data(records=[])], ids=["bare", "full", "unasked"]
)
def test_every_link_has_its_target_and_every_table_its_headers(data: ReportData) -> None:
    page = render_report(data)
    parsed = Page(page)
    identities = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    for tag, attributes in parsed.tags:
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in identities
        if tag == "th":
            assert "scope" in attributes
        if tag == "svg":
            assert attributes["role"] == "img"
            assert "aria-label" in attributes or "aria-labelledby" in attributes
    assert Counter(tag for tag, _ in parsed.tags)["h1"] == 1


def test_turkish_text_is_marked_as_turkish() -> None:
    page = render_report(full_data())
    assert '<p lang="tr">Başvuru yanıtı</p>' in page
    assert '<h3 lang="tr">' in page


def test_an_answer_leads_back_to_its_file_and_line() -> None:
    assert "<code>docs/lot.md:3–9</code> c-1 <b>evidence</b>" in render_report(full_data("docs/lot.md"))


def test_the_same_data_give_the_same_page_also_from_json() -> None:
    data = full_data(HOSTILE)
    again = report_data(json.loads(to_json(data)))
    assert again == data
    assert render_report(again) == render_report(data)


def test_wrong_report_data_name_their_field() -> None:
    with pytest.raises(DataError, match="unknown field 'stage'"):
        report_data({"project": "x", "seed": 7, "stage": []})


def test_a_report_of_300_questions_stays_well_under_a_megabyte() -> None:
    long = "kayıt depo lot numarası " * 12  # 300 letters an answer
    records = [record(number, answer(0.1, text=long), answer(0.7, text=long)) for number in range(300)]
    assert len(render_report(full_data(records=records)).encode()) < 700_000


def verdict_of(records: list[AnswerRecord]) -> str:
    verdict = give_verdict(full_data(records=records))
    return " ".join((verdict.headline, *verdict.sentences, *verdict.cautions))


def test_a_clear_gain_is_called_one() -> None:
    told = verdict_of([record(number, answer(0.1), answer(0.7)) for number in range(40)])
    assert told.startswith("The tuned model answers closer to the references than the base")
    assert "a clear gain" in told


def test_no_gain_is_claimed_whose_interval_holds_zero() -> None:
    told = verdict_of([record(number, answer(0.5), answer(0.5 + (-1) ** number * 0.3)) for number in range(40)])
    assert told.startswith("No clear difference")
    assert "clear gain" not in told


def test_no_gain_is_claimed_from_a_handful_of_questions() -> None:
    told = verdict_of([record(number, answer(0.1), answer(0.9)) for number in range(5)])
    assert told.startswith("Too few questions")
    assert "Only 5 answerable questions were asked" in told


def test_a_loss_is_told_as_plainly_as_a_gain() -> None:
    assert "answers further from the references" in verdict_of(
        [record(number, answer(0.7), answer(0.1)) for number in range(40)]
    )


def test_a_model_that_refuses_everything_is_not_praised_for_refusing() -> None:
    records = [record(number, answer(0.3), answer(0, refused=True)) for number in range(30)]
    records += [record(50 + number, answer(0), answer(0, refused=True), answerable=False) for number in range(15)]
    told = verdict_of(records)
    assert told.startswith("The tuned model answers further from the references")
    assert "refuses more, both rightly and wrongly" in told
    assert "it wrongly refuses 30 (base: 0)" in told


def test_poor_answers_are_called_poor_however_large_the_gain() -> None:
    assert "fewer than half of the words" in verdict_of(
        [record(number, answer(0), answer(0.3)) for number in range(40)]
    )


def test_the_offline_writer_is_named_for_what_it_is() -> None:
    assert "rule-based offline stand-in" in verdict_of([])
    other = dataclasses.replace(full_data(), pairs=PairTables(by_writer={"anthropic/some-model": 5}))
    assert "stand-in" not in render_report(other)


def test_nothing_asked_is_said_to_be_not_measured() -> None:
    assert verdict_of([]).startswith("Not measured")
    assert "not measured" in render_report(full_data(records=[]))
    assert give_verdict(ReportData("boş", 7)).headline == "Not measured"


@given(st.integers(0, 200), st.floats(-1, 1), st.floats(0, 1))
def test_a_reading_never_claims_across_zero_or_from_few(n: int, value: float, half: float) -> None:
    figure = Figure(value, n, value - half, value + half) if n else Figure(None, 0)
    reading = read(MEASURES[0], figure)
    if reading in ("better", "worse"):
        assert n >= 10
        assert (value - half > 0) or (value + half < 0)


def test_lower_is_better_is_read_the_other_way_round() -> None:
    false_answers = next(measure for measure in MEASURES if measure.key == "false_answer_rate")
    assert read(false_answers, Figure(-0.4, 30, -0.6, -0.2)) == "better"
    assert read(false_answers, Figure(0.4, 30, 0.2, 0.6)) == "worse"


def test_a_curve_of_one_point_is_no_chart() -> None:
    assert loss_chart(TrainingPhase("x", steps=(StepPoint(1, 2.0),)), "c") is None
    assert loss_chart(TrainingPhase("x", steps=(StepPoint(1, float("nan")), StepPoint(2, 2.0))), "c") is None


def test_long_curves_are_thinned_to_a_readable_number_of_points() -> None:
    steps = tuple(StepPoint(step, 5.0 - step / 10_000) for step in range(20_000))
    chart = loss_chart(TrainingPhase("Pretraining", steps=steps), "c")
    assert chart is not None
    assert len(chart) < 8_000
    assert "training loss goes from 5.00" in chart


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6))
def test_ticks_cover_the_range_and_are_few(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert ticks[0] <= low + 1e-6 * span
    assert ticks[-1] >= low + span - 1e-6 * span
    assert 2 <= len(ticks) <= 12


@given(st.floats(0, 1))
def test_a_share_is_shown_as_nothing_or_everything_only_when_it_is(value: float) -> None:
    assert (percent(value) == "0%") == (value == 0)
    assert (percent(value) == "100%") == (value == 1)


def test_the_verdict_says_what_giving_the_question_back_would_score() -> None:
    assert any("would score a token F1 of 0.25" in caution for caution in give_verdict(full_data()).cautions)


def test_learning_rate_and_gradient_norm_have_charts_of_their_own() -> None:
    steps = tuple(
        StepPoint(step, train_loss=3.0 / step, learning_rate=5e-4 / step, grad_norm=0.5 + step % 2)
        for step in range(1, 30)
    )
    phase = TrainingPhase("Fine-tuning", steps=steps, max_grad_norm=1.0)
    charts = dict(training_charts(phase, "c"))
    assert list(charts) == ["Loss", "Learning rate", "Gradient norm, clipped to 1"]
    assert "learning rate goes from 0.0005 at step 1 to 1.7e-05 at step 29" in charts["Learning rate"]
    assert 'class="rule"' in charts["Gradient norm, clipped to 1"]
    assert 'class="rule"' not in charts["Loss"]
    identities = [chart.split('<title id="')[1].split('"')[0] for chart in charts.values()]
    assert len(set(identities)) == 3
    # of older figures there are losses alone
    losses = tuple(StepPoint(step, train_loss=1.0) for step in (1, 2))
    assert [title for title, _ in training_charts(TrainingPhase("x", steps=losses, max_grad_norm=1.0), "c")] == ["Loss"]


def test_the_table_of_epochs_gives_perplexities_and_validations_inside_epochs() -> None:
    rows = (
        EpochRow(0, None, 5.12),
        EpochRow(0.5, None, 3.5, best=True),
        EpochRow(1, 3.0, None, seconds=4.0),
        EpochRow(2, 800.0, None),
    )
    assert [row.perplexity for row in rows] == pytest.approx([167.3354, 33.1155, 20.0855, None], abs=1e-3)
    html = render_report(ReportData("demo", 1, training=(TrainingPhase("Fine-tuning", epochs=rows),)))
    for told in (">Perplexity<", ">0.5 <", ">167.3<", ">33.1<", ">20.1<"):
        assert told in html
