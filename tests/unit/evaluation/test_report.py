"""The one-file report: self-contained, inert against hostile text, careful in what it claims, the same every time."""

import base64
import dataclasses
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import Config
from groundtune.config.evaluating import ChecklistConfig
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
    Speed,
    SplitLoss,
)
from groundtune.evaluation.asking.systems import BARE_COMPARED, BARE_SYSTEMS
from groundtune.evaluation.checklist import Measured, check
from groundtune.evaluation.errors import (
    ErrorAnalysis,
    EvidencePlace,
    LedgerEntry,
    Lineage,
    TrainingRow,
    analyse_errors,
)
from groundtune.evaluation.figures.agreement import Agreement
from groundtune.evaluation.figures.intervals import share
from groundtune.evaluation.figures.retrieval_scores import score_retrieval
from groundtune.evaluation.figures.scores import compare, score
from groundtune.evaluation.forgetting import (
    BenchmarkScore,
    GeneralSummary,
    TaskSlice,
    TasksSummary,
    TextFigures,
    TextsSummary,
)
from groundtune.evaluation.judge import JudgedPair, JudgeSummary, Marked, Preference, SetScores, SetSlice
from groundtune.evaluation.measures import BY_KEY
from groundtune.evaluation.people import PeopleMarks, PeoplePreference, PeopleSummary, RaterSummary
from groundtune.evaluation.report import render_report
from groundtune.evaluation.report.charts import loss_chart, nice_ticks, training_charts
from groundtune.evaluation.report.plots import interval_plot, trade_off
from groundtune.evaluation.verdict import (
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
    report_data,
)
from groundtune.evaluation.verdict.costs import costs
from groundtune.evaluation.verdict.measuring import how_measured
from groundtune.evaluation.verdict.verdict import findings, read
from groundtune.evaluation.verdict.wording import difference_interval, interval, percent
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
    # all rest on one chunk, from which nothing could be claimed
    alone = [dataclasses.replace(item, evidence_chunk_ids=(f"c-{item.question_id}",)) for item in records]
    return EvaluationSummary(
        questions=QuestionCounts(
            len(records), len(records), answerable, answerable, len(records) - answerable, len(records) - answerable
        ),
        context="retrieved",
        max_new_tokens=96,
        figures={name: score(alone, name, seed=7) for name in SYSTEMS},
        comparisons=tuple(compare(alone, first, second, seed=7) for first, second in COMPARED),
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

    def questions(self) -> dict[str, Any]:
        """What the explorer shows."""
        return json.loads(self.scripts[0])


def test_hostile_text_is_inert_wherever_it_stands() -> None:
    page = render_report(full_data(HOSTILE))
    parsed = Page(page)
    assert parsed.open == []
    assert sorted(attributes.get("type") or "" for tag, attributes in parsed.tags if tag == "script") == [
        "",
        "application/json",
    ]
    assert not [tag for tag, _ in parsed.tags if tag in {"img", "iframe", "object", "embed", "base"}]
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert "alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{ 7*7 }}" in page
    assert "49" not in re.findall(r"<h3[^>]*>([^<]*)", page)


def test_the_page_runs_its_own_script_only() -> None:
    page = render_report(full_data())
    script = Page(page).scripts[-1]
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
    assert '<p lang="tr" dir="auto">Başvuru yanıtı</p>' in page
    assert '<h3 lang="tr" dir="auto">' in page


def test_text_of_others_turns_the_writing_direction_of_nothing_but_itself() -> None:
    parsed = Page(render_report(whole_data()))
    for tag, attributes in parsed.tags:
        if "lang" in attributes and tag != "html":
            assert attributes["dir"] == "auto", (tag, attributes)


def test_headings_leave_out_no_level() -> None:
    levels = [int(tag[1]) for tag, _ in Page(render_report(whole_data())).tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def test_what_is_not_printed_is_said_on_paper_and_the_rest_opens_without_a_script() -> None:
    page = render_report(whole_data())
    style = page[page.index("@media print") : page.index("</style>")]
    assert "details::details-content { content-visibility: visible" in style
    for told in ("evaluation/answers.jsonl", "evaluation/summary.json", "errors.json"):
        assert re.search(rf'<p class="paper">Not printed: [^<]*{re.escape(told)}', page), told


def test_a_change_of_the_loss_is_told_with_its_paired_interval() -> None:
    data = full_data()
    assert data.evaluation is not None
    change = Figure(-3.0, 40, -3.25, -2.75, groups=12)
    tuned = dataclasses.replace(Loss.of(2.0, 900), examples=40, groups=12, change=change)
    losses = data.evaluation.losses | {"tuned": {"test": SplitLoss(tuned)}}
    page = render_report(dataclasses.replace(data, evaluation=dataclasses.replace(data.evaluation, losses=losses)))
    assert '−3.000 <small>−3.250 to −2.750</small></td><td><span class="reading better">better</span>' in page
    assert "40 <small>12 groups</small>" in page


def test_before_and_after_are_over_the_questions_of_the_difference() -> None:
    def fits(value: float | None) -> ModelAnswer:
        said = answer(0.5)
        return dataclasses.replace(said, measures=said.measures | {"length_rate": value})

    # of the first ten both answers can be measured, of the others the tuned one's alone
    records = [record(number, fits(0.0), fits(float(number < 5))) for number in range(10)]
    records += [record(number, fits(None), fits(1.0)) for number in range(10, 40)]
    [found] = [each for each in findings(summarise(records)) if each.measure.key == "length_rate"]
    assert (found.before, found.after, found.difference) == ("0%", "50%", "+50\u202fpp")
    assert found.sample == "n = 10"


def test_a_claim_never_stands_beside_an_interval_that_seems_to_hold_zero() -> None:
    for measure, told in (("token_f1", "+0.003 to +0.040"), ("exact_match", "+0.3 to +4.0")):
        figure = Figure(0.02, 200, 0.003, 0.04)
        assert read(BY_KEY[measure], figure) != "unclear"
        assert difference_interval(figure, BY_KEY[measure]) == told


def test_an_answer_leads_back_to_its_file_and_line() -> None:
    assert "<code>docs/lot.md:3–9</code> <bdi>c-1</bdi> <b>evidence</b>" in render_report(full_data("docs/lot.md"))


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


def test_two_thousand_questions_fit_into_a_page_that_can_be_mailed() -> None:
    long = "kayıt depo lot numarası " * 12
    records = [record(number, answer(0.1, text=long), answer(0.7, text=long)) for number in range(2000)]
    data = full_data(records=records)
    places = {f"c-{number}": ChunkPlace("a.md", 1, 9, long * 4) for number in range(2000)}
    asked = tuple(dataclasses.replace(item, evidence_chunk_ids=(f"c-{number}",)) for number, item in enumerate(records))
    page = render_report(dataclasses.replace(data, records=asked, chunks=places))
    assert len(page.encode()) < 6_000_000
    told = Page(page).questions()
    assert len(told["records"]) == 2000
    # beyond the limit a passage is named by its lines alone
    assert told["chunks"][0] == ["c-0", "a.md:1–9", long * 4]
    assert told["chunks"][-1][2] == ""


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
    assert told.startswith("Too few independent questions")
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


def test_the_verdict_says_what_giving_the_question_back_would_score_where_that_is_near() -> None:
    near = verdict_of([record(number, answer(0.1), answer(0.4)) for number in range(12)])
    assert "would score a token F1 of 0.25" in near
    assert "would score" not in verdict_of([record(number, answer(0.1), answer(0.7)) for number in range(12)])


def test_questions_of_a_file_are_not_said_to_be_of_the_writer_or_the_test_split() -> None:
    data = full_data(records=[record(number, answer(0.1), answer(0.7)) for number in range(12)])
    assert data.evaluation is not None
    counts = dataclasses.replace(data.evaluation.questions, in_test=50)
    asked = dataclasses.replace(data.evaluation, questions_file="xquad.json", questions=counts)
    told = " ".join(give_verdict(dataclasses.replace(data, evaluation=asked)).cautions)
    assert "the questions asked here are those of xquad.json" in told
    assert "12 of the 50 questions of xquad.json were asked" in told
    assert "test questions" not in told


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


def test_the_explorer_holds_every_question_with_all_that_was_said() -> None:
    data = full_data(HOSTILE)
    told = Page(render_report(data)).questions()
    assert [each["label"] for each in told["systems"]] == ["base", "base + passages", "tuned + passages"]
    assert [each["label"] for each in told["measures"]] == [measure.label for measure in MEASURES]
    assert [each["id"] for each in told["records"]] == [record.question_id for record in data.records]
    first = told["records"][0]
    assert first["references"] == [HOSTILE]
    assert first["answers"][2]["text"] == HOSTILE
    assert [told["chunks"][place][0] for place in first["evidence"]] == ["c-1"]
    assert (first["rank"], first["looked"], first["outcome"], first["gain"]) == (2, 2, "better", 0.7)
    assert told["records"][-1]["answers"][2]["refused"] is True


def test_numbers_that_stand_in_no_passage_are_marked_in_the_answer() -> None:
    said = dataclasses.replace(answer(0.4, text="12,5 gün ve 12 gün, HM-12'de <3"), unsupported_numbers=("12", "HM-12"))
    page = render_report(full_data(records=[record(1, answer(0.1), said)]))
    assert "12,5 gün ve <mark>12</mark> gün, <mark>HM-12</mark>&#39;de &lt;3" in page
    assert "2 numbers or codes not in the passages" in page


def test_passages_are_shown_with_their_text_and_evidence_that_was_missing_is_named() -> None:
    data = dataclasses.replace(
        full_data(), chunks={"c-1": ChunkPlace("lot.md", 3, 9, "Lot metni"), "c-2": ChunkPlace("a.md", 1, 2, "A")}
    )
    page = render_report(data)
    assert '<blockquote lang="tr" dir="auto">Lot metni</blockquote>' in page
    without = dataclasses.replace(answer(0.7), chunk_ids=("c-2",))
    page = render_report(dataclasses.replace(full_data(records=[record(1, answer(0.1), without)]), chunks=data.chunks))
    assert "1 evidence passage missing" in page


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25))
def test_the_verdict_lists_every_measure_once_and_claims_nothing_across_zero(scored: list[tuple[float, float]]) -> None:
    records = [record(number, answer(before), answer(after)) for number, (before, after) in enumerate(scored)]
    summary = summarise(records)
    found = findings(summary)
    assert len({each.measure.key for each in found}) == len(found)
    for each in found:
        change = summary.comparisons[0].differences[each.measure.key]
        if each.reading in ("better", "worse"):
            assert change.n >= 10
            assert change.low > 0 or change.high < 0
            assert (change.value > 0) == ((each.measure.better == "higher") == (each.reading == "better"))


def test_the_methods_follow_what_was_done() -> None:
    summary = summarise([record(number, answer(0.1), answer(0.7)) for number in range(12)])
    told = " ".join(how_measured(summary))
    assert f"{len(MEASURES)} measures are looked at" in told
    assert "those that search found" in told
    given_passages = " ".join(how_measured(dataclasses.replace(summary, context="given")))
    assert "not what a search would find" in given_passages
    mixed = " ".join(how_measured(dataclasses.replace(summary, context="mixed")))
    assert "brings with it where it brings any, otherwise those that search found" in mixed
    own = " ".join(how_measured(dataclasses.replace(summary, questions_file="xquad.tr.json")))
    assert "12 questions of the file xquad.tr.json" in own
    assert "Splits follow evidence" in told
    assert "Splits follow evidence" not in own


def test_two_systems_without_passages_are_told_as_such() -> None:
    records = [
        dataclasses.replace(
            item,
            answers={"base": item.answers["base"], "tuned": item.answers["tuned_context"]},
            evidence_chunk_ids=(),
        )
        for item in (record(number, answer(0.1), answer(0.7)) for number in range(12))
    ]
    summary = dataclasses.replace(
        summarise([record(1, answer(0), answer(0))]),
        context="none",
        figures={name: score(records, name, seed=7) for name in BARE_SYSTEMS},
        comparisons=tuple(compare(records, first, second, seed=7) for first, second in BARE_COMPARED),
    )
    data = dataclasses.replace(full_data(records=[]), evaluation=summary, records=tuple(records))
    page = render_report(data)
    assert give_verdict(data).headline == "The tuned model answers closer to the references than the base"
    assert "+ passages" not in re.sub(r"<p>[^<]*</p>", "", page)
    assert "without any passages" in page
    assert [each["label"] for each in Page(page).questions()["systems"]] == ["base", "tuned"]


def test_an_interval_without_width_is_not_told_as_one() -> None:
    token_f1 = MEASURES[0]
    assert interval(Figure(0.0, 12, 0.0, 0.0), token_f1) == "all alike"
    assert "all alike" in render_report(
        full_data(records=[record(number, answer(0), answer(0)) for number in range(12)])
    )


def test_systems_are_told_apart_by_shape_and_in_words() -> None:
    drawn = interval_plot(
        {"base": Figure(0.2, 9, 0.1, 0.3), "base_context": Figure(None, 0), "tuned_context": Figure(1.5, 9, 1.2, 1.8)},
        "Length",
    )
    assert "Length: base 0.20, interval 0.10 to 0.30, n 9; tuned + passages 1.50" in drawn
    assert "<rect" not in drawn
    assert drawn.count("<circle") == 2
    assert "not measured" in interval_plot({"base": Figure(None, 0)}, "Length")


def test_refusing_everything_stands_at_the_lower_right() -> None:
    drawn = trade_off({"tuned_context": share(0, 20)}, {"tuned_context": share(20, 20)}, "t")
    assert drawn is not None
    x, y = re.search(r'cx="([\d.]+)" cy="([\d.]+)"', drawn).groups()
    assert (float(x), float(y)) == (286.0, 260.0)
    assert trade_off({"base": Figure(None, 0)}, {"base": share(1, 2)}, "t") is None


def judged() -> JudgeSummary:
    figure = Figure(3.2, 12, 2.9, 3.5)
    marks = dict.fromkeys(("helpfulness", "accuracy", "clarity", "safety", "overall"), figure)
    preference = Preference("base_context", "tuned_context", 9, 2, 1, 1, 1, share(9, 10), share(11, 20))
    whole = dataclasses.replace(preference, first="base", wins=8, changed_mind=0, same_answer=0)
    alike = Agreement("preference", ("judge", HOSTILE), Figure(0.3, 11, -0.1, 0.6), share(6, 11))
    parts = (SetSlice("all", "all", figure, figure, Figure(-1.2, 12, -2.0, -0.4)),)
    return JudgeSummary(
        judge=f"anthropic/{HOSTILE}",
        questions=12,
        systems={name: Marked(12, marks, share(1, 12)) for name in ("base_context", "tuned_context")},
        differences={name: Figure(0.6, 12, 0.2, 1.0) for name in marks},
        preference=preference,
        sets=SetScores("base", "tuned", 12, parts, preference, agreement=(alike,)),
        agreement=(Agreement("safety", ("judge", HOSTILE), Figure(0.4, 12, 0.1, 0.7), share(8, 12)),),
        requests=50,
        input_tokens=20_000,
        output_tokens=4_000,
        dollars=0.31,
        not_judged={HOSTILE: 2},
        further=(
            JudgedPair("base", "tuned_context", {name: Figure(1.7, 11, 1.1, 2.3) for name in marks}, whole),
            JudgedPair("base", "base_context", {"overall": Figure(0.2, 11, -0.3, 0.7)}, None),
        ),
    )


def rated() -> PeopleSummary:
    return dataclasses.replace(rated_of("base_context", "tuned_context"), sets=rated_of("base", "tuned"))


def rated_of(first: str, second: str) -> PeopleSummary:
    marks = {name: Figure(4.1, 12, 3.9, 4.3) for name in ("helpfulness", "overall")}
    return PeopleSummary(
        ratings=24,
        questions=12,
        stale=1,
        replaced=0,
        withdrawn=0,
        reference_shown=2,
        systems={
            first: PeopleMarks(24, marks, share(0, 12)),
            second: PeopleMarks(24, marks, share(0, 12)),
        },
        preferences=(
            PeoplePreference(first, second, 5, 2, 5, 1, share(5, 10), {"overall": Figure(0.1, 12, -0.2, 0.4)}),
        ),
        raters=(RaterSummary(HOSTILE, 12, {second: Figure(4.0, 12, 3.5, 4.5)}, {"tie": 2, second: 10}, share(5, 10)),),
        agreement=(Agreement("preference", ("a", "b"), Figure(None, 12), share(12, 12)),),
        among_all={"safety": Figure(0.5, 12, 0.2, 0.8)},
    )


def forgot() -> GeneralSummary:
    figures = TextFigures(Figure(2.0, 9, 1.9, 2.1), Figure(7.4, 9, 6.7, 8.2), Figure(0.9, 9, 0.8, 1.0))
    rise = Figure(0.118, 9, 0.05, 0.2)
    whole = TaskSlice("all", "all", share(20, 40), share(18, 40), Figure(-0.05, 40, -0.15, 0.05))
    return GeneralSummary(
        TextsSummary(3, 900, 4000, 128, "windows", figures, figures, rise, rise, rise),
        TasksSummary(whole, (whole,), 0.25, 2, 4),
        (
            BenchmarkScore(
                HOSTILE, "acc", True, None, Figure(0.4, 90), Figure(0.3, 90), Figure(-0.1, 90, -0.2, -0.02), True
            ),
        ),
        "0.4.9",
    )


def failures(records: Sequence[AnswerRecord]) -> ErrorAnalysis:
    lineage = Lineage(
        "pair-1",
        HOSTILE,
        "individual-tr-0001",
        "dataset/test.jsonl:7",
        LedgerEntry("key-1", "a-model", "a-model", "pairs", "individual-tr-0001", "0123456789abcdef"),
        (EvidencePlace("c-1", "stok/lot.md", 3, 9, HOSTILE, (HOSTILE,), in_prompt=False, rank=None),),
        (TrainingRow("ex-9", "dataset/train.jsonl:12", "same evidence", HOSTILE, "yanıt", ("c-1",)),),
    )
    return analyse_errors(
        records,
        system="tuned_context",
        chunks={},
        terms=lambda text, language: text.split(),
        lineage=lambda failed: [lineage for _ in failed],
    )


def whole_data() -> ReportData:
    """With everything that may be there."""
    records = [
        record(number, answer(0.1, text=HOSTILE), answer(0.2, text=HOSTILE), text=HOSTILE) for number in range(12)
    ]
    data = full_data(HOSTILE, records)
    speed = Speed(8, 0.13, 68.0, 3.2, 16_800_000, 4_200_000, 919_000_000, "cpu (2 threads)")
    made = dataclasses.replace(
        data,
        judge=judged(),
        people=rated(),
        general=forgot(),
        errors=failures(records),
        speed={"base": speed, "tuned": speed},
    )
    assert made.evaluation is not None
    checked = check(ChecklistConfig(), Measured(made.evaluation, "evaluation/summary.json"))
    return dataclasses.replace(made, checklist=checked)


def test_everything_that_may_be_there_is_told_and_still_inert() -> None:
    page = render_report(whole_data())
    parsed = Page(page)
    assert parsed.open == []
    assert "<script>alert" not in page
    assert "<img" not in page
    identities = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    for tag, attributes in parsed.tags:
        if tag == "a":
            assert (attributes["href"] or "").removeprefix("#") in identities
        assert tag != "th" or "scope" in attributes
    for section in (
        "checklist",
        "figures",
        "losses",
        "search",
        "answers",
        "errors",
        "judged",
        "people",
        "forgetting",
        "speed",
    ):
        assert section in identities


def test_the_base_by_itself_is_judged_beside_the_others_and_everyday_tasks_are_rated_apart() -> None:
    page = render_report(whole_data())
    assert '<th scope="row">Difference, tuned + passages to base</th><td class="num">11</td>' in page
    assert "“tuned + passages” is preferred in both orders 8 times, “base” 1 time" in page
    assert page.count("Agreement with people on everyday tasks") == 1
    people = page[page.index("People on everyday tasks") :]
    assert "Difference, tuned to base</th>" in people
    assert "base + passages</th>" not in people[: people.index("</section>")]
    alone = dataclasses.replace(rated(), ratings=0, stale=0)
    assert "0 ratings" not in render_report(dataclasses.replace(whole_data(), people=alone))


def test_all_of_it_comes_back_from_json() -> None:
    data = whole_data()
    assert report_data(json.loads(to_json(data))) == data


def test_a_failure_leads_back_to_training_rows_ledger_prompt_chunk_and_line() -> None:
    page = render_report(whole_data())
    for told in (
        "stok/lot.md:3-9",
        "key-1",
        "0123456789ab",
        "dataset/train.jsonl:12",
        "dataset/test.jsonl:7",
        "not found by search",
        "not in the prompt",
    ):
        assert told in page
    assert 'href="#explorer" data-question="ex-0"' in page
    assert {each["error"] for each in Page(page).questions()["records"]} == {"right evidence and wrong answer"}


def test_what_was_forgotten_and_what_it_costs_stand_at_the_top() -> None:
    told = {cost.label: cost for cost in costs(whole_data())}
    assert told["Tokens per second"].value == "68"
    assert told["Size of the weights"].value == "17 MB"
    assert told["Perplexity on general text"].value == "+12%"
    assert "95% interval of the change +5% to +20%, n = 9 windows" in told["Perplexity on general text"].note
    assert [cost.label for cost in costs(full_data())] == ["False answers"]
    assert costs(full_data())[0].value == "0%"
    assert costs(full_data(records=[])) == []


def test_preferences_and_marks_claim_nothing_across_the_middle() -> None:
    page = render_report(whole_data())
    judge, people = page.split('<h3 id="people">')
    assert judge.count('<span class="better">preferred</span>') == 3
    assert "no clear preference" in people
    assert '<span class="reading worse">worse</span>' in judge


def test_what_was_not_asked_for_is_said_not_to_be_there() -> None:
    page = render_report(full_data())
    assert "No judge was asked" in page
    assert "Nobody has rated answers yet" in page
    assert "Speed and size were not measured" in page
    assert 'id="errors"' not in page
