"""What must hold before a model is deployed: arithmetic, states, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config.evaluating import ChecklistConfig
from groundtune.evaluation import (
    COMPARED,
    MEASURES,
    SYSTEMS,
    EvaluationSummary,
    Figure,
    Loss,
    QuestionCounts,
    RetrievalScores,
    Speed,
    SplitLoss,
)
from groundtune.evaluation.checklist import Checklist, MarksOf, Measured, check
from groundtune.evaluation.checklist.judging import judge_figure
from groundtune.evaluation.figures.intervals import mean
from groundtune.evaluation.figures.scores import Comparison
from groundtune.files import as_plain, parse_record

NOTHING = Figure(None, 0)
NULL = {name: None for name in ChecklistConfig.model_fields if name not in ("better_than_base", "benchmarks")}


def asked(**thresholds) -> ChecklistConfig:
    """Nothing but what is named."""
    return ChecklistConfig(**({**NULL, "better_than_base": False} | thresholds))


def summary(*, tuned=None, difference=NOTHING, losses=None) -> EvaluationSummary:
    figures = {measure.key: NOTHING for measure in MEASURES}
    differences = figures | {"token_f1": difference}
    return EvaluationSummary(
        questions=QuestionCounts(0, 0, 0, 0, 0, 0),
        context="retrieved",
        max_new_tokens=96,
        figures={name: figures | ((tuned or {}) if name == "tuned_context" else {}) for name in SYSTEMS},
        comparisons=tuple(Comparison(*both, differences, {}, (), ()) for both in COMPARED),
        retrieval=RetrievalScores({}, {}, NOTHING),
        losses={"tuned": {split: SplitLoss(loss) for split, loss in (losses or {}).items()}},
        shown=(),
        echo_f1=None,
    )


def loss(mean: float, *, by: float = 0.01, examples: int = 80) -> Loss:
    """With an interval of `by` on either side."""
    return replace(Loss.of(mean, 900), examples=examples, low=mean - by, high=mean + by)


def measured(**changes) -> Measured:
    return replace(Measured(summary(), "summary.json", types={"factual": 3, "list": 2, "procedural": 1}), **changes)


def only(config: ChecklistConfig, found: Measured):
    [item] = check(config, found).items
    return item


def test_the_loss_item_is_the_share_above_training_loss():
    # 2.2 / 2.0 - 1 = 0.1, which is just allowed; 2.21 is not
    train = loss(2.0, examples=90)
    found = only(asked(loss_over_train=0.101), measured(summary=summary(losses={"train": train, "test": loss(2.2)})))
    assert found.figure.value == pytest.approx(0.1)
    assert (found.figure.n, found.state, found.sure) == (80, "pass", False)
    over = measured(summary=summary(losses={"train": train, "test": loss(2.21)}))
    assert only(asked(loss_over_train=0.101), over).state == "fail"


@pytest.mark.parametrize(
    ("test", "by", "state", "sure"),
    [(2.0, 0.1, "pass", True), (2.15, 0.2, "pass", False), (2.25, 0.2, "fail", False), (3.0, 0.2, "fail", True)],
)
def test_the_loss_item_goes_by_the_figure_and_says_where_the_interval_holds_the_threshold(test, by, state, sure):
    losses = {"train": loss(2.0, by=0.02), "test": loss(test, by=by)}
    found = check(asked(loss_over_train=0.1), measured(summary=summary(losses=losses)))
    [item] = found.items
    assert (item.state, item.sure) == (state, sure)
    assert ("too close to call: the interval holds the threshold" in item.sentence) == (not sure)
    assert ("Too close to call: evaluation loss near training loss" in found.sentence) == (not sure)
    assert "95% interval" in item.sentence


def test_a_loss_without_an_interval_or_over_a_handful_of_examples_is_never_sure():
    train = loss(2.0)
    for held_out, doubt in ((Loss.of(1.0, 900), "without an interval"), (loss(1.0, examples=9), "too few to be sure")):
        item = only(asked(loss_over_train=0.1), measured(summary=summary(losses={"train": train, "test": held_out})))
        assert (item.state, item.sure, item.doubt) == ("pass", False, doubt)
        assert doubt in item.sentence
        assert "too close to call" not in item.sentence


def test_the_loss_item_takes_validation_where_there_is_no_test_loss_and_is_missing_without_training_loss():
    valid = only(asked(loss_over_train=0.1), measured(summary=summary(losses={"train": loss(2.0), "valid": loss(1.0)})))
    assert (valid.state, valid.figure.value) == ("pass", -0.5)
    assert "validation loss" in valid.sentence
    alone = only(asked(loss_over_train=0.1), measured(summary=summary(losses={"test": loss(2.0)})))
    assert alone.state == "not measured"


def test_types_count_each_once_and_leave_out_the_nameless():
    found = only(asked(instruction_types=3), measured(types={"factual": 9, "list": 1, "": 4}))
    assert (found.figure.value, found.figure.n, found.state) == (2.0, 10, "fail")
    assert only(asked(instruction_types=3), measured(types={"": 4})).state == "not measured"


def test_unsafe_answers_without_people_or_judge_are_not_measured_and_never_pass():
    assert only(asked(unsafe_answers=0.0), measured()).state == "not measured"


def test_unsafe_answers_are_judged_by_everybody_who_marked():
    people = MarksOf("people", Figure(4.5, 9, 4.2, 4.8), Figure(0.0, 9, 0.0, 0.3), "ratings.jsonl")
    judge = MarksOf("judge", Figure(4.0, 60, 3.8, 4.2), Figure(0.1, 60, 0.05, 0.2), "judge/summary.json")
    items = check(asked(unsafe_answers=0.05), measured(marks=(people, judge))).items
    assert [(item.state, item.sure, item.source) for item in items] == [
        ("pass", False, "ratings.jsonl"),
        ("fail", False, "judge/summary.json"),
    ]


def test_a_judge_without_marks_for_safety_measures_no_safety():
    judge = MarksOf("judge", Figure(4.0, 60, 3.8, 4.2), NOTHING, "judge/summary.json")
    assert only(asked(unsafe_answers=0.0), measured(marks=(judge,))).state == "not measured"


@pytest.mark.parametrize(
    ("key", "measure"),
    [
        ("false_answer_rate", "false_answer_rate"),
        ("over_refusal_rate", "over_refusal_rate"),
        ("unsupported_numbers", "unsupported_number_rate"),
    ],
)
def test_rates_are_those_of_the_tuned_model(key, measure):
    assert measure in {each.key for each in MEASURES}
    found = measured(summary=summary(tuned={measure: Figure(0.3, 50, 0.2, 0.45)}))
    item = only(asked(**{key: 0.25}), found)
    assert (item.state, item.sure) == ("fail", False)
    assert "too close to call" in item.sentence
    assert only(asked(**{key: 0.5}), found).sure
    assert only(asked(**{key: 0.25}), measured()).state == "not measured"


@pytest.mark.parametrize(
    ("difference", "state"),
    [
        (Figure(0.2, 50, 0.1, 0.3), "pass"),
        (Figure(0.2, 50, -0.01, 0.4), "fail"),
        (Figure(-0.2, 50, -0.3, -0.1), "fail"),
        (Figure(0.9, 9, 0.8, 1.0), "not measured"),
        (Figure(0.9, 50, 0.8, 1.0, groups=9), "not measured"),
    ],
)
def test_better_than_the_base_takes_an_interval_above_zero_and_ten_independent_questions(difference, state):
    assert only(asked(better_than_base=True), measured(summary=summary(difference=difference))).state == state


@pytest.mark.parametrize(
    ("marks", "clusters", "told"),
    [
        ([4.5], "a", "too few to be sure"),
        ([4.0, 5.0, 4.5, 5.0, 4.0] * 8, [number // 8 for number in range(40)], "n = 40 in 5 groups"),
    ],
)
def test_marks_over_a_few_passages_are_never_sure(marks, clusters, told):
    figure = mean(marks, seed="7", clusters=clusters, bounds=(1.0, 5.0))
    rated = MarksOf("people", figure, NOTHING, "ratings.jsonl")
    item = only(asked(human_score=2.0), measured(marks=[rated]))
    assert (item.state, item.sure) == ("pass", False)
    assert told in item.sentence


def test_a_claimed_difference_is_not_told_beside_an_interval_that_seems_to_hold_zero():
    item = only(asked(better_than_base=True), measured(summary=summary(difference=Figure(0.02, 50, 0.0003, 0.04))))
    assert "+0.0003 to +0.0400" in item.sentence


def test_benchmarks_are_looked_up_by_task():
    config = asked(benchmarks={"mmlu": 0.5, "truthfulqa_mc2": 0.4})
    items = check(config, measured(benchmarks={"mmlu": Figure(0.6, 100, 0.51, 0.7)})).items
    assert [(item.name, item.state) for item in items] == [
        ("benchmark mmlu", "pass"),
        ("benchmark truthfulqa_mc2", "not measured"),
    ]


def test_marks_speed_size_and_forgetting_are_held_against_their_own_bound():
    speed = Speed(5, 0.4, 12.0, 2.0, 10, 10, 10, "cpu (1 threads)")
    people = MarksOf("people", Figure(3.9, 20, 3.7, 4.1), NOTHING, "ratings.jsonl")
    config = asked(
        human_score=4.0, judge_score=3.0, tokens_per_second=10.0, first_token_seconds=0.3, model_gigabytes=1.0, forgetting=0.1
    )  # fmt: skip
    found = measured(
        marks=(people,), speed=speed, weights_bytes=900_000_000, perplexity_rise=Figure(0.2, 12, 0.15, 0.25)
    )
    states = {item.key: (item.state, item.sure) for item in check(config, found).items}
    assert states == {
        "forgetting": ("fail", True),
        "human_score": ("fail", False),
        "judge_score": ("not measured", True),
        "tokens_per_second": ("pass", False),
        "first_token_seconds": ("fail", False),
        "model_gigabytes": ("pass", True),
    }


def test_overall_failed_before_incomplete_before_passed():
    good = measured(summary=summary(losses={"train": loss(2.0), "test": loss(2.0)}))
    config = asked(loss_over_train=0.1)
    assert check(config, good).overall == "passed"
    assert check(asked(loss_over_train=0.1, human_score=4.0), good).overall == "incomplete"
    bad = measured(summary=summary(losses={"train": loss(2.0), "test": loss(3.0)}))
    assert check(asked(loss_over_train=0.1, human_score=4.0), bad).overall == "failed"


def test_only_a_passed_list_says_that_the_model_may_be_deployed():
    good = measured(summary=summary(losses={"train": loss(2.0), "test": loss(2.0)}))
    passed = check(asked(loss_over_train=0.1), good).sentence
    incomplete = check(asked(loss_over_train=0.1, human_score=4.0), good).sentence
    assert passed.startswith("The model may be deployed")
    assert not incomplete.startswith("The model may be deployed")
    assert "score by people" in incomplete


def test_a_list_without_a_threshold_is_incomplete_and_names_every_setting():
    found = check(asked(), measured())
    assert found.overall == "incomplete"
    assert len(found.not_looked_at) == len(ChecklistConfig.model_fields)


def test_every_setting_is_looked_at_or_named():
    found = check(ChecklistConfig(), measured())
    looked = {item.key for item in found.items}
    named = {name.rpartition(".")[2] for name in found.not_looked_at}
    assert looked | named == set(ChecklistConfig.model_fields)
    assert not looked & named


def test_the_list_comes_back_from_json():
    found = check(ChecklistConfig(), measured())
    assert parse_record(as_plain(found), Checklist, where="checklist.json") == found


@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from(["at most", "at least"]), st.floats(0, 1)
)  # fmt: skip
def test_an_item_is_sure_exactly_when_no_value_of_the_interval_would_turn_it(one, two, three, bound, threshold):
    low, value, high = sorted((one, two, three))
    item = judge_figure("k", "n", Figure(value, 10, low, high), threshold, bound, unit="share", source="", missing="")
    ends = [
        judge_figure("k", "n", Figure(end, 9), threshold, bound, unit="share", source="", missing="").state
        for end in (low, high)
    ]
    none = bound == "at most" and threshold == value == low == 0
    assert item.sure == ((none or ends == [item.state, item.state]) and low < high)
    few = judge_figure("k", "n", Figure(value, 9, low, high), threshold, bound, unit="share", source="", missing="")
    assert (few.state, few.sure) == (item.state, False)


def held(figure: Figure, threshold: float, bound="at most"):
    return judge_figure("k", "n", figure, threshold, bound, unit="share", source="", missing="")


def test_a_figure_that_is_its_threshold_but_for_rounding_is_as_large_as_it():
    assert 1.1 / 1.0 - 1 > 0.1
    assert 1.0 - 0.9 < 0.1
    states = [
        held(Figure(value, 50), threshold, bound).state
        for value, threshold, bound in (
            (1.1 - 1, 0.1, "at most"), (1.0 - 0.9, 0.1, "at least"), (0.1 + 0.2, 0.3, "above"), (0.1001, 0.1, "at most"),
        )
    ]  # fmt: skip
    assert states == ["pass", "pass", "fail", "fail"]


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0504, "5.04%; at most 5.00% is asked"), (0.05, "5.0%; at most 5.0% is asked"), (0.06, "6.0%; at most 5.0% is")],
)
def test_a_figure_is_told_with_the_digits_in_which_it_differs_from_its_threshold(value, told):
    assert held(Figure(value, 50), 0.05).sentence.startswith(told)


def test_what_rests_on_few_groups_is_told_from_what_is_close():
    summed = summary(tuned={
        "false_answer_rate": Figure(1.0, 40, 0.59, 1.0, groups=7),
        "over_refusal_rate": Figure(0.3, 50, 0.2, 0.45, groups=12),
    })  # fmt: skip
    found = check(asked(false_answer_rate=0.25, over_refusal_rate=0.25), measured(summary=summed))
    assert [item.doubt for item in found.items] == ["too few to be sure", "too close to call"]
    assert "n = 40 in 7 groups" in found.items[0].sentence
    assert "n = 50 in 12 groups" in found.items[1].sentence
    assert found.sentence.endswith(" Too few to be sure: few false answers. Too close to call: few over-refusals.")


@pytest.mark.parametrize(("n", "doubt"), [(60, ""), (10, ""), (9, "too few to be sure")])
def test_none_of_what_must_never_happen_is_sure_from_ten_on(n, doubt):
    item = held(Figure(0.0, n, 0.0, 0.06), 0.0)
    assert (item.state, item.doubt) == ("pass", doubt)
    assert item.sentence.startswith(f"None in {n}; up to 6.0% cannot be ruled out; at most 0.0% is asked")


@pytest.mark.parametrize(("test", "told"), [(4.566, "128.3% above"), (1.0, "50.0% below")])
def test_the_loss_item_says_by_how_much_and_what_n_counts(test, told):
    losses = {"train": loss(2.0), "test": loss(test)}
    item = only(asked(loss_over_train=0.1), measured(summary=summary(losses=losses)))
    assert item.sentence.startswith(f"The test loss is {told} the training loss; at most 10.0% is asked (95% interval ")
    assert item.sentence.endswith("n = 80 examples).")


def test_a_difference_names_the_systems_as_the_page_does():
    item = only(asked(better_than_base=True), measured(summary=summary(difference=Figure(0.2, 50, 0.1, 0.3))))
    assert item.sentence.endswith("; token F1, tuned + passages minus base + passages.")
