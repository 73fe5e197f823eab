"""The tables of a run, against sums done by hand; and that no clock gets into them."""

import json
from dataclasses import asdict
from pathlib import Path

from groundtune.files import parse_record, read_json, write_json
from groundtune.generation.coverage import coverage
from groundtune.generation.statistics import GroupOutcome, RunRecord, Usage, summarise, total_usage
from groundtune.llm import LLMResponse
from groundtune.types import Chunk, Difficulty, Evidence, Group, Pair, QuestionType, Rule, StageResult

TEXT = "Lot numarası on iki hanelidir. Sayım yılda bir yapılır."
CHUNK = Chunk("c1", "Stok", "Lot", "Lot", ("Stok",), "tr", TEXT, 12, False, False, (), (), 1, "a.md", 1, 1, "0")


def group(number: int, rule: Rule = Rule.INDIVIDUAL) -> Group:
    return Group(f"{rule.value}-tr-{number:04d}", rule, "Lot", "tr", ("c1",), 12)


def pair(owner: Group, number: int, *, answerable: bool = True) -> Pair:
    return Pair(
        f"p{number}",
        owner.group_id,
        owner.rule,
        "tr",
        f"Soru {number}?",
        "On iki.",
        QuestionType.FACTUAL if number % 2 else QuestionType.LIST,
        Difficulty.EASY,
        answerable,
        ("c1",),
        (Evidence("c1", TEXT[:30], 0, 30),),
        "test/m",
    )


ONE, TWO, THREE, FOUR = group(1), group(2), group(3), group(1, Rule.MODULE)


def result() -> StageResult:
    """Three pairs of the first group (one handed in was rejected), one of the second, none of the module, the third unanswered."""
    outcomes = [
        GroupOutcome(ONE, (), {"wrong language": 1}, Usage(2, 1, 0, 1000, 500, 100, 300, 0.25)),
        GroupOutcome(TWO, usage=Usage(1, 0, 0, 400, 0, 0, 100, 0.15), seconds=12.5),
        GroupOutcome(THREE, unanswered="budget reached"),
        GroupOutcome(FOUR, (), {"quote not found": 2, "wrong language": 1}, Usage(1, 0, 0, 10, 0, 0, 10, 0.1)),
    ]
    pairs = [*(pair(ONE, number) for number in (1, 2, 3)), pair(TWO, 4), pair(ONE, 5, answerable=False)]
    return summarise(
        outcomes,
        pairs,
        coverage([CHUNK], pairs),
        skips={"rule left out": 7},
        repeated={"repeated": 1},
        requested=20,
        writer="test/m",
    )


def test_counts_tell_answered_groups_and_both_kinds_of_pairs() -> None:
    assert result().counts == {
        "groups": 4,
        "pairs requested": 20,
        "pairs": 5,
        "answerable": 4,
        "unanswerable": 1,
        "groups unanswered": 1,
    }
    assert result().details["groups_answered"] == 3


def test_pairs_a_group_are_over_answered_groups_those_without_a_pair_among_them() -> None:
    # 3, 1 and 0 pairs: 4 / 3
    assert result().details["pairs_per_group"] == {"average": 1.33, "min": 0, "max": 3}


def test_acceptance_counts_rejections_inside_and_across_groups() -> None:
    # accepted 4; not accepted 1 + 3 in groups and 1 across them: 4 / 9
    details = result().details
    assert details["rejected"] == 5
    assert details["acceptance"] == 0.4444
    assert details["rejections"] == {"quote not found": 2, "wrong language": 2, "repeated": 1}
    assert list(details["rejections"]) == ["quote not found", "wrong language", "repeated"]


def test_everything_left_out_is_in_the_skips_by_reason() -> None:
    assert result().skips == {
        "budget reached": 1,
        "quote not found": 2,
        "repeated": 1,
        "rule left out": 7,
        "wrong language": 2,
    }


def test_tokens_and_dollars_are_summed_and_shared_out_over_accepted_pairs() -> None:
    details = result().details
    assert (details["input_tokens"], details["cache_read_tokens"], details["cache_write_tokens"]) == (1410, 500, 100)
    assert (details["output_tokens"], details["requests"], details["asked_again"]) == (410, 4, 1)
    assert details["dollars"] == 0.5
    assert details["dollars_per_accepted_pair"] == 0.125


def test_rules_are_in_their_order_and_only_those_with_groups() -> None:
    assert result().details["by_rule"] == [
        {"rule": "individual", "groups": 3, "pairs": 4, "average": 1.33, "rejected": 1, "dollars": 0.4},
        {"rule": "module", "groups": 1, "pairs": 0, "average": 0.0, "rejected": 3, "dollars": 0.1},
    ]
    assert result().details["by_type"] == {
        "factual": 3,
        "procedural": 0,
        "comparative": 0,
        "inferential": 0,
        "list": 2,
    }


def test_no_clock_reaches_the_result_and_it_is_the_same_twice() -> None:
    text = json.dumps(asdict(result()))
    assert text == json.dumps(asdict(result()))
    assert "12.5" not in text
    assert "seconds" not in text


def test_dollars_are_not_told_where_no_price_is_known() -> None:
    answer = LLMResponse("", 10, 5, "end", "m")
    unknown = Usage.of([(answer, None)])
    assert (unknown.unpriced, unknown.known_dollars) == (1, None)
    found = summarise(
        [GroupOutcome(ONE, usage=unknown)], [pair(ONE, 1)], coverage([CHUNK], []), skips={}, requested=1, writer="w"
    )
    assert found.details["dollars"] is None
    assert found.details["dollars_per_accepted_pair"] is None
    assert "dollars" not in found.details["by_rule"][0]


def test_a_price_that_is_known_of_some_answers_only_says_of_how_many_not() -> None:
    answer = LLMResponse("", 10, 5, "end", "m", cache_read_tokens=90)
    both = total_usage([Usage.of([(answer, 0.2)]), Usage.of([(answer, None)])])
    assert (both.dollars, both.unpriced, both.known_dollars, both.prompt_tokens) == (0.2, 1, None, 200)


def test_a_run_without_groups_has_no_averages() -> None:
    found = summarise([], [], coverage([], []), skips={}, requested=0, writer="w")
    assert found.details["pairs_per_group"] == {"average": None, "min": None, "max": None}
    assert found.details["acceptance"] is None


def test_the_record_of_a_run_comes_back_from_its_file(tmp_path: Path) -> None:
    record = RunRecord(90.0, groups_asked=4, pairs=30, tries_again={"too many requests": 2}, lost_dollars=0.5)
    write_json(tmp_path / "run.json", record)
    assert parse_record(read_json(tmp_path / "run.json"), RunRecord, where="run.json") == record
    # 30 pairs in one and a half minutes
    assert record.as_json()["pairs_per_minute"] == 20.0


def test_a_run_that_asked_nothing_has_no_pace() -> None:
    assert RunRecord(3.0, groups_reused=10).as_json()["pairs_per_minute"] is None
