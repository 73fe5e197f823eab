"""What the terminal shows of a generation, its coverage and a pilot."""

import re

import pytest

from groundtune.cli.generation_tables import BAR_WIDTH, show_coverage, show_generation, show_pilot
from groundtune.generation.coverage import coverage
from groundtune.generation.pilot import PilotReport, compare_models
from groundtune.generation.statistics import GroupOutcome, RunRecord, Usage, summarise
from groundtune.types import Chunk, Difficulty, Evidence, Group, Pair, QuestionType, Rule, StageResult

TEXT = "# Lot\n\nLot numarası on iki hanelidir. Sayım yılda bir yapılır."
CHUNK = Chunk("c1", "Stok", "Lot", "Lot", ("Stok",), "tr", TEXT, 12, False, False, (), (), 1, "a.md", 1, 1, "0")


def group(number: int) -> Group:
    return Group(f"individual-tr-{number:04d}", Rule.INDIVIDUAL, "Lot", "tr", ("c1",), 12)


def pair(number: int, words: str = "Lot nedir") -> Pair:
    evidence = (Evidence("c1", "Lot numarası", 7, 19),)
    kind, level = QuestionType.FACTUAL, Difficulty.EASY
    owner = group(number).group_id
    return Pair(
        f"p{number}", owner, Rule.INDIVIDUAL, "tr", f"{words}?", "On iki.", kind, level, True, ("c1",), evidence, "w"
    )


def result(*, dollars: float | None = 0.25) -> StageResult:
    usage = Usage(1, 0, 0, 1200, 300, 0, 400, dollars or 0.0, 0 if dollars is not None else 1)
    outcomes = [
        GroupOutcome(group(1), rejections={"[odd] reason": 3}, usage=usage),
        GroupOutcome(group(2), unanswered="budget reached"),
    ]
    pairs = [pair(1)]
    return summarise(outcomes, pairs, coverage([CHUNK], pairs), skips={}, requested=9, writer="w")


def pilot(models: int = 2) -> PilotReport:
    def outcomes(model: int) -> list[GroupOutcome]:
        return [
            GroupOutcome(
                group(number),
                tuple(pair(number) for _ in range(2 + (number + model) % 3)),
                {"wrong language": number % 2},
                Usage(1, 0, 0, 100, 0, 0, 50, 0.01 * (1 + 10 * model)),
                seconds=2.0,
            )
            for number in range(8)
        ]

    return compare_models({f"model-{number}": outcomes(number) for number in range(models)}, seed=1)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Of standard output, runs of blanks as one."""
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_the_tables_of_a_run_tell_groups_pairs_tokens_and_money(capsys) -> None:
    found = result()
    show_generation(found.counts, found.details)
    shown = lines(capsys)
    assert "groups processed 1 of 2" in shown
    assert "pairs 1 (1 answerable, 0 not)" in shown
    assert "not accepted 3 (accepted: 25.0%)" in shown
    assert "pairs a group: average, least, most 1.00 / 1 / 1" in shown
    assert "tokens read from the cache 300" in shown
    assert "cost of an accepted pair $0.25" in shown
    assert "individual 2 1 0.50 3 $0.25" in shown
    assert "[odd] reason 3" in shown  # square brackets are text, not mark-up
    assert "budget reached 1" in shown


def test_without_a_price_no_cost_is_shown(capsys) -> None:
    found = result(dollars=None)
    show_generation(found.counts, found.details)
    assert "cost" not in capsys.readouterr().out


def test_the_clock_and_lost_money_come_from_the_record_of_the_run(capsys) -> None:
    found = result()
    record = RunRecord(
        120,
        groups_asked=4,
        groups_reused=9,
        pairs=50,
        tries_again={"overloaded": 2},
        spent_dollars=1.5,
        lost_dollars=0.04,
    )
    show_generation(found.counts, found.details, record)
    shown = lines(capsys)
    assert "pairs a minute 25.0" in shown
    assert "possibly lost, at most $0.0400" in shown
    assert "sent once more 2 (2 × overloaded)" in shown
    assert "asked now, from the ledger 4, 9" in shown


def test_coverage_is_a_bar_for_each_module_and_says_what_was_not_counted(capsys) -> None:
    show_coverage(result().details)
    shown = lines(capsys)
    half = "#" * (BAR_WIDTH // 2) + "." * (BAR_WIDTH // 2)
    assert f"Stok {half} 50% 1/2 0/0 0/0 1/1" in shown
    assert f"all {half} 50% 1/2 0/0 0/0 1/1" in shown
    assert "not worth a question: 1 × heading" in shown


def test_where_there_is_no_terminal_everything_is_plain_text(capsys) -> None:
    found = result()
    show_generation(found.counts, found.details)
    show_pilot(pilot())
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert not set(text) & set("█░─│┃━")


def test_in_a_terminal_there_are_bars_and_colours(capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    show_coverage(result().details)
    text = capsys.readouterr().out
    assert "█" * (BAR_WIDTH // 2) in text
    assert "\x1b[32m" in text


def test_a_pilot_shows_every_figure_with_its_interval_and_the_recommendation(capsys) -> None:
    report = pilot()
    show_pilot(report)
    text = capsys.readouterr().out
    acceptance = report.models[0].figures["acceptance"]
    assert f"{acceptance.value:.0%} ({acceptance.low * 100:.0f} to {acceptance.high:.0%})" in text
    assert "8 groups; in brackets 95% intervals over groups" in text
    assert "Recommended: model-0: " in text
    assert report.recommendation.reason in text
    dollars = next(line for line in text.splitlines() if line.startswith("dollars an accepted pair"))
    assert dollars.rstrip().endswith("*")  # the second model is ten times as dear


def test_a_narrow_terminal_shows_the_models_in_blocks_with_every_interval_whole(capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    report = pilot(4)
    show_pilot(report)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, text.splitlines())) <= 60
    acceptance = [each.figures["acceptance"] for each in report.models]
    for each in acceptance:
        assert f"({each.low * 100:.0f} to {each.high:.0%})" in text
    headers = [line.split() for line in text.partition("Depth")[0].splitlines() if "model-" in line]
    assert [name for names in headers for name in names] == [f"model-{number}" for number in range(4)]
