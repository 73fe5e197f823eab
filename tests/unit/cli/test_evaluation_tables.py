"""The end of an evaluation in the terminal: three systems, what is claimed and what is not, in 80 columns and without colours."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from groundtune.cli.evaluation_tables import show_answers, show_figures, show_forgotten, show_verdict
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
from groundtune.evaluation.figures.intervals import share
from groundtune.evaluation.figures.retrieval_scores import score_retrieval
from groundtune.evaluation.figures.scores import compare, score
from groundtune.evaluation.forgetting import GeneralSummary, TaskSlice, TasksSummary

MEASURED = ("token_f1", "exact_match", "over_refusal_rate", "stop_rate")


def answer(f1: float, text: str) -> ModelAnswer:
    measures: dict[str, float | None] = dict.fromkeys((measure.key for measure in MEASURES), None)
    measures |= {"token_f1": f1, "exact_match": 0.0, "over_refusal_rate": 0.0, "stop_rate": 1.0}
    return ModelAnswer(text, 3, True, ("c-1",), measures, False)


def record(number: int, before: float, after: float) -> AnswerRecord:
    said = answer(before, "önce " * 200)
    return AnswerRecord(
        f"q-{number}",
        "",
        "tr",
        f"Soru {number}?",
        ("başvuru",),
        True,
        "factual",
        "easy",
        "individual",
        (f"c-{number}",),
        (f"c-{number}", "c-x"),
        {"base": said, "base_context": said, "tuned_context": answer(after, "")},
    )


@pytest.fixture
def records() -> list[AnswerRecord]:
    return [record(number, 0.1, 0.7 if number % 4 else 0.9) for number in range(1200)]


@pytest.fixture
def summary(records: list[AnswerRecord]) -> EvaluationSummary:
    count = len(records)
    return EvaluationSummary(
        questions=QuestionCounts(count, count, count, count, 0, 0),
        context="retrieved",
        max_new_tokens=48,
        figures={name: score(records, name, seed=7) for name in SYSTEMS},
        comparisons=tuple(compare(records, first, second, seed=7) for first, second in COMPARED),
        retrieval=score_retrieval(records, depth=10, seed=7),
        losses={"base": {"test": SplitLoss(Loss.of(5.0, 900))}, "tuned": {"test": SplitLoss(Loss.of(2.0, 900))}},
        shown=(),
        echo_f1=None,
    )


def shown(width: int, *calls: tuple) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False, emoji=False)
    for function, *given in calls:
        function(console, *given)
    return stream.getvalue().splitlines()


SPEED = Speed(8, 0.13, 68.0, None, 16_800_000, 4_200_000, 919_000_000, "cpu (2 threads)")


def test_every_measure_of_three_systems_fits_into_80_columns(summary: EvaluationSummary) -> None:
    lines = shown(80, (show_figures, summary, {"base": SPEED, "tuned": SPEED}))
    told = [measure.label for measure in MEASURES if measure.key in MEASURED]
    table = lines[: 3 + len(told)]
    assert [line[:16].strip() for line in table[3:]] == told
    assert all(len(line) <= 80 for line in table)
    [f1] = [line for line in table if line.startswith("Token F1")]
    assert f1.split()[2:6] == ["0.10", "0.10", "0.75", "1,200"]
    assert f1.rstrip().endswith("better")
    assert not any("…" in line for line in table)
    told = " ".join(" ".join(lines).split())
    assert "loss test 5.000 → 2.000" in told
    assert "100% in 1, 100% in 3" in told
    assert max(map(len, lines)) <= 80
    assert "tuned 68 tokens/s, first after 130 ms; 17 MB" in told


def test_nothing_is_claimed_across_zero_and_what_was_not_measured_is_named(summary: EvaluationSummary) -> None:
    lines = shown(120, (show_figures, summary, {}))
    [exact] = [line for line in lines if line.startswith("Exact match")]
    assert exact.rstrip().endswith("unclear")
    assert not any(line.startswith("False answers") for line in lines)
    assert any("not measured:" in line and "False answers" in "".join(lines) for line in lines)
    assert "speed" not in "\n".join(lines)


def test_no_colours_go_into_a_file(summary: EvaluationSummary, records: list[AnswerRecord]) -> None:
    lines = shown(80, (show_figures, summary, {}), (show_answers, records[:2], summary), (show_verdict, summary, "No."))
    assert "\x1b" not in "\n".join(lines)


def test_answers_are_cut_and_an_empty_one_is_told_as_nothing(
    summary: EvaluationSummary, records: list[AnswerRecord]
) -> None:
    lines = shown(80, (show_answers, records[:1], summary))
    assert lines[1] == "Soru 0?"
    assert any(line.strip().endswith("…") for line in lines)
    assert any(line.split() == ["tuned", "+", "passages", "(nothing)"] for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_the_verdict_and_the_checklist_come_last(summary: EvaluationSummary) -> None:
    lines = shown(80, (show_verdict, summary, "The model may be deployed."))
    assert lines[1].startswith("The tuned model answers closer to the references than the base")
    assert lines[-1] == "The model may be deployed."
    unasked = replace(summary, questions=QuestionCounts(0, 0, 0, 0, 0, 0))
    assert shown(80, (show_verdict, unasked, ""))[1:] == ["No question was asked, so nothing is known."]
    assert not any("Results" in line for line in shown(80, (show_figures, unasked, {})))


def test_what_was_forgotten_is_told_with_its_interval() -> None:
    whole = TaskSlice("all", "", share(20, 40), share(18, 40), Figure(-0.05, 40, -0.15, 0.05))
    lines = shown(140, (show_forgotten, GeneralSummary(tasks=TasksSummary(whole, (), 0.25, 2, 4))))
    assert lines == [
        "kept  general tasks solved 50% → 45% (95% interval of the change −15 to +5 pp, n = 40, chance 25%)"
    ]
