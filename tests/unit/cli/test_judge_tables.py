"""What a judge said, in the terminal: no figure is broken by its width, nothing that is missing goes unsaid."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from groundtune.cli.judge import show_judged
from groundtune.cli.rating_figures import leaning, mark
from groundtune.evaluation.figures.agreement import Agreement
from groundtune.evaluation.figures.intervals import Figure, share
from groundtune.evaluation.judge import JudgedPair, JudgeSummary, Marked, Preference, SetScores, SetSlice

OVERALL = Figure(3.25, 12, 2.75, 3.75)
CHANGE = Figure(0.5, 12, 0.25, 0.75)


def summary() -> JudgeSummary:
    def preference(first: str, second: str) -> Preference:
        return Preference(first, second, 9, 2, 1, 1, 1, share(9, 10), share(11, 20))

    return JudgeSummary(
        judge="openai/m",
        questions=12,
        systems={
            name: Marked(12, {"overall": OVERALL}, share(1, 12)) for name in ("base", "base_context", "tuned_context")
        },
        differences={"overall": CHANGE},
        preference=preference("base_context", "tuned_context"),
        sets=SetScores(
            "base",
            "tuned",
            12,
            (SetSlice("turn", "1", OVERALL, OVERALL, Figure(0.0, 12, -0.5, 0.5)),),
            preference("base", "tuned"),
            agreement=(
                Agreement("preference", ("judge", "[/x]"), Figure(-0.5, 3, caution="too few to tell"), share(1, 3)),
            ),
        ),
        agreement=(),
        requests=1500,
        input_tokens=20_000,
        output_tokens=4_000,
        dollars=None,
        not_judged={"the judge declined": 1},
        further=(JudgedPair("base", "tuned_context", {"overall": CHANGE}, preference("base", "tuned_context")),),
    )


@pytest.mark.parametrize("width", [60, 100])
def test_every_system_and_pair_is_told_in_one_style_at_any_width(width: int) -> None:
    stream = io.StringIO()
    show_judged(Console(file=stream, width=width, highlight=False, markup=False), summary())
    told = stream.getvalue()
    assert max(map(len, told.split("\n"))) <= width
    for figure in ("3.25 (2.75 to 3.75)", "+0.50 (+0.25 to +0.75)", "90% (60 to 98%)", "−0.50 (too few to tell)"):
        assert figure in told, told
    assert "tuned + passages, not base" in told
    assert "turn 1" in told
    assert "1 verdict missing: the judge declined" in told
    assert "--retry-failed" in told
    assert "1,500 requests, 24,000 tokens, no price is known" in told.replace("\n", " ")


def test_a_share_of_wins_is_held_against_one_half() -> None:
    assert str(leaning(share(18, 20))) == "better"
    assert str(leaning(share(2, 20))) == "worse"
    assert str(leaning(share(11, 20))) == "unclear"
    assert str(leaning(share(3, 3))) == "too few"
    assert str(leaning(share(0, 0))) == ""


def test_a_figure_that_is_not_there_says_why() -> None:
    assert mark(Figure(None, 4, caution="not defined")) == "not defined"
    assert mark(Figure(None, 0)) == "–"
