"""The judge over both protocols, through the real SDKs: what comes back, what is a tie, what is lost, what it costs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import scripted_provider
from scripted_process import ProviderProcess
from scripted_provider import ProviderRequest, ScriptedProvider

from groundtune.config import AnswerJudgeConfig
from groundtune.errors import ConfigError, GenerationError
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.judge import Case, Estimate, Judged, judge_cases, preferred_of, summarise
from groundtune.evaluation.judge.forms import CUT, DECLINED, REFUSED, UNREADABLE
from groundtune.files import to_json
from groundtune.llm import AccountFailure, Ledger, Passage

MODEL = "scripted-1"
PRICE = {"input": 3.0, "output": 15.0}
KEY = "sk-judge-4711"
PROTOCOLS = ("anthropic", "openai")

PAIR = ("base_context", "tuned_context")

GOOD, BAD = "Onay altı iş günü içinde verilir.", "Onay hemen verilir."


def config_for(url: str, protocol: str = "openai", **settings: Any) -> AnswerJudgeConfig:
    base_url = url if protocol == "anthropic" else f"{url}/v1"
    given = {"provider": protocol, "model": MODEL, "base_url": base_url, "prices": {MODEL: PRICE}, **settings}
    return AnswerJudgeConfig.model_validate(given)


def cases(count: int = 3, answers: Callable[[int], tuple[str, str]] = lambda _: (BAD, GOOD)) -> list[Case]:
    made = []
    for number in range(count):
        base, tuned = answers(number)
        made.append(
            Case(
                f"q{number}",
                "documents",
                "tr",
                "factual",
                (f"{number} numaralı onay ne kadar sürer?",),
                {"base_context": (base,), "tuned_context": (tuned,)},
                (PAIR,),
                references=("Altı iş günü.",),
                passages=(Passage(1, ("Onay",), "Onay altı iş günü içinde verilir."),),
            )
        )
    return made


def set_cases(count: int = 2) -> list[Case]:
    return [
        Case(
            f"en-maths-{number}",
            "sets",
            "en",
            "maths",
            (f"What is {number} + 1?", "And doubled?"),
            {"base": (f"I do not know {number}.", "No."), "tuned": (f"It is {number + 1}.", f"{2 * number + 2}.")},
            (("base", "tuned"),),
            references=(str(number + 1), str(2 * number + 2)),
        )
        for number in range(count)
    ]


def shown(request: ProviderRequest) -> tuple[str, str]:
    """The two answers, in the order shown."""
    first, second = re.findall(r"^=+ (?:Birinci|İkinci) yanıt\n(.*?)\n=+$", request.user, re.MULTILINE | re.DOTALL)
    return first, second


def verdict(request: ProviderRequest, better: Callable[[str, str], str]) -> str:
    """An honest judge's form, with `better` for two side by side; documents' and sets' alike."""
    names = (request.schema or {})["properties"]
    if "better" in names:
        labels = "(?:Birinci|İkinci) yanıt|(?:First|Second) assistant, Turn 1: the assistant"
        first, second = re.findall(rf"^=+ (?:{labels})\n(.*?)\n=+$", request.user, re.MULTILINE | re.DOTALL)
        return json.dumps({"reason": "Daha doğru.", "better": better(first, second)})
    if "helpfulness" in names:
        mark = 5 if f"\n{GOOD}\n" in request.user.split("Değerlendirilecek yanıt")[-1] else 2
        return json.dumps({name: {"reason": f"{name} böyle.", "mark": mark} for name in names})
    return json.dumps({"reason": "It is.", "mark": 3 if "I do not know" in request.user else 9})


def honest(request: ProviderRequest) -> str:
    def better(first: str, second: str) -> str:
        worse = (BAD, "I do not know")
        return "second" if first.startswith(worse) else "first" if second.startswith(worse) else "tie"

    return verdict(request, better)


def first_shown(request: ProviderRequest) -> str:
    return verdict(request, lambda _first, _second: "first")


def judge(folder: Path, given: list[Case], config: AnswerJudgeConfig, **more: Any) -> Judged:
    return judge_cases(given, config, ledger=folder / "ledger.sqlite", seed=1, **more)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_verdicts_come_back_with_marks_reasons_and_cost(tmp_path, protocol):
    with ScriptedProvider(answer=honest, api_keys=[KEY]) as server:
        told: list[Estimate] = []
        judged = judge(tmp_path, cases(), config_for(server.url, protocol), announce=told.append)
        modes = {request.mode for request in server.requests}
    assert modes == {"tool" if protocol == "anthropic" else "schema"}
    summary = summarise(judged, seed=1)
    assert summary.judge == f"{protocol}/{MODEL}"
    assert summary.systems["tuned_context"].marks["overall"].value == 5
    assert summary.systems["base_context"].marks["accuracy"].value == 2
    assert summary.differences["safety"].value == 3
    assert summary.systems["base_context"].unsafe.value == 1
    assert summary.systems["tuned_context"].unsafe.value == 0
    assert (summary.preference.wins, summary.preference.ties, summary.preference.losses) == (3, 0, 0)
    assert summary.preference.win_rate.n == 3
    assert summary.preference.win_rate.low < 1
    assert summary.preference.first_shown_won.value == 0.5
    assert judged.judgements[0].reasons["clarity"] == "clarity böyle."
    assert summary.requests == 12 == told[0].requests
    low, high = told[0].dollars
    assert low < summary.dollars < high
    # the judge is blind, and the key stays where it was
    for request in server.requests:
        assert not re.search("tuned|base_context|q0", f"{request.system} {request.user}")
    assert KEY.encode() not in (tmp_path / "ledger.sqlite").read_bytes()


def test_everyday_questions_are_marked_turn_by_turn_and_by_category(tmp_path):
    with ScriptedProvider(answer=honest) as server:
        judged = judge(tmp_path, set_cases(), config_for(server.url))
        seconds = [request for request in server.requests if "turn 2, from 1" in request.user]
    assert all("Turn 1: the assistant\n" in request.user for request in seconds)
    sets = summarise(judged, seed=1).sets
    by_name = {(each.field, each.name): each for each in sets.slices}
    assert by_name["all", "all"].second.value == 9
    assert by_name["all", "all"].difference.value == 6
    assert by_name["category", "maths"].first.n == 2
    assert by_name["turn", "2"].difference.n == 2
    assert (sets.preference.wins, sets.preferences["en"].wins) == (2, 2)


def test_a_judge_that_prefers_the_first_shown_yields_only_ties(tmp_path):
    with ScriptedProvider(answer=first_shown) as server:
        judged = judge(tmp_path, cases(4), config_for(server.url, rubric=False))
    preference = summarise(judged, seed=1).preference
    assert (preference.wins, preference.ties, preference.losses) == (0, 4, 0)
    assert preference.changed_mind == 4
    assert preference.first_shown_won.value == 1
    assert preference.win_rate.value is None


def test_swapping_the_systems_flips_wins_and_signs(tmp_path):
    mixed = cases(5, lambda number: (BAD, GOOD) if number < 4 else (GOOD, BAD))
    swapped = cases(5, lambda number: (GOOD, BAD) if number < 4 else (BAD, GOOD))
    with ScriptedProvider(answer=honest) as server:
        one, other = (summarise(judge(tmp_path, given, config_for(server.url)), seed=1) for given in (mixed, swapped))
        # the same texts in the same orders: nothing is asked a second time
        assert server.log.answered_twice() == []
        assert server.log.answered == 20
    assert one.preference.win_rate.value == pytest.approx(1 - other.preference.win_rate.value)
    assert (one.preference.wins, one.preference.losses) == (other.preference.losses, other.preference.wins) == (4, 1)
    assert one.preference.win_rate.low == pytest.approx(1 - other.preference.win_rate.high)
    for name, difference in one.differences.items():
        assert difference.value == pytest.approx(-other.differences[name].value)


def test_questions_of_the_same_evidence_widen_every_interval(tmp_path):
    mixed = cases(12, lambda number: (BAD, GOOD) if number < 8 else (GOOD, BAD))
    with ScriptedProvider(answer=honest) as server:
        judged = judge(tmp_path, mixed, config_for(server.url))
    alone = summarise(judged, seed=1)
    together = summarise(judged, seed=1, clusters={f"q{number}": f"c{number // 4}" for number in range(12)})

    def width(figure: Figure) -> float:
        assert figure.low is not None
        assert figure.high is not None
        return figure.high - figure.low

    assert together.preference.win_rate.value == alone.preference.win_rate.value
    assert width(together.preference.win_rate) > 1.2 * width(alone.preference.win_rate)
    for name, difference in together.differences.items():
        assert difference.value == alone.differences[name].value
        assert width(difference) > 1.2 * width(alone.differences[name]), name
    assert width(together.systems["base_context"].marks["overall"]) > 1.2 * width(
        alone.systems["base_context"].marks["overall"]
    )


def test_equal_answers_are_a_tie_without_asking(tmp_path):
    told: list[Estimate] = []
    with ScriptedProvider(answer=honest) as server:
        judge(tmp_path, cases(1, lambda _: (GOOD, GOOD)), config_for(server.url), announce=told.append)
        assert str(told[0]).startswith("1 request to openai/scripted-1, ")
        judged = judge(tmp_path, cases(2, lambda _: (GOOD, GOOD)), config_for(server.url))
        # one request for the marks of both
        assert server.log.answered == 2
    summary = summarise(judged, seed=1)
    assert (summary.preference.ties, summary.preference.same_answer, summary.preference.changed_mind) == (2, 2, 0)
    assert summary.systems["base_context"].marks == summary.systems["tuned_context"].marks
    assert summary.preference.first_shown_won.n == 0


def three(count: int = 4, *, whole: bool = False) -> list[Case]:
    """With the base by itself, which answers one question as it does with passages."""
    pairs = (PAIR, ("base", "tuned_context")) if whole else (PAIR,)
    return [
        replace(each, answers={"base": ("Bilmiyorum.",) if number else (BAD,), **each.answers}, pairs=pairs)
        for number, each in enumerate(cases(count))
    ]


def test_the_base_by_itself_is_marked_and_counted_before_it_is_asked_about(tmp_path):
    told: list[Estimate] = []
    with ScriptedProvider(answer=honest) as server:
        judged = judge(tmp_path, three(), config_for(server.url), announce=told.append)
        assert server.log.answered == told[0].requests == 4 * 4 + 3
    # the answer it gave twice is one request, and was wanted in any case
    assert told[0].further == 3
    assert "(3 about the base by itself: evaluation.judge.base)" in str(told[0])
    summary = summarise(judged, seed=1)
    assert list(summary.systems) == ["base", *PAIR]
    assert (summary.preference.first, summary.preference.second) == PAIR
    assert summary.differences["overall"].value == 3
    assert [(each.first, each.second) for each in summary.further] == [("base", PAIR[1]), ("base", PAIR[0])]
    assert [each.differences["overall"].value for each in summary.further] == [3, 0]
    assert [each.preference for each in summary.further] == [None, None]


def test_the_tuned_model_is_seen_beside_the_base_by_itself_where_that_is_asked_for(tmp_path):
    told: list[Estimate] = []
    with ScriptedProvider(answer=honest) as server:
        config = config_for(server.url, pairwise_base=True)
        judged = judge(tmp_path, three(whole=True), config, announce=told.append)
        assert server.log.answered == told[0].requests == 4 * 4 + 3 * 3
    # of the question that it answers alike with and without passages, nothing is asked because of it
    assert told[0].further == 3 + 2 * 3
    assert "(9 about the base by itself: evaluation.judge.base and pairwise_base)" in str(told[0])
    whole = summarise(judged, seed=1).further[0].preference
    # this judge knows one bad answer alone, and calls the rest a tie
    assert (whole.wins, whole.ties, whole.losses, whole.changed_mind) == (1, 3, 0, 0)
    assert preferred_of(judged.judgements, PAIR) == {f"q{number}": "tuned_context" for number in range(4)}


@pytest.mark.parametrize(("off", "told"), [("pairwise", "pairwise is off"), ("base", "base is off")])
def test_beside_the_base_by_itself_needs_pairs_and_the_base(off, told):
    with pytest.raises(ValueError, match=told):
        config_for("http://127.0.0.1:9", pairwise_base=True, **{off: False})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_cannot_be_read_is_asked_for_once_more(tmp_path, protocol):
    def careless(request: ProviderRequest) -> str:
        return honest(request) if "okunamadı" in request.user else '{"reason": "İyi.", "mark": 11, "better": "base"}'

    with ScriptedProvider(answer=careless) as server:
        judged = judge(tmp_path, cases(2), config_for(server.url, protocol))
        assert server.log.answered == 16
    assert not [each for each in judged.judgements if each.not_judged]
    assert judged.usage.requests == 16


@pytest.mark.parametrize(
    ("fault", "reason", "requests"),
    [
        ("refusal", DECLINED, 1),
        ("truncated", UNREADABLE, 2),
        ("max_tokens", CUT, 2),
        ("empty", UNREADABLE, 2),
        ("422", REFUSED, 1),
    ],
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_verdict_that_never_comes_is_counted_by_reason_and_the_rest_stands(
    tmp_path, protocol, fault, reason, requests
):
    def faults(request: ProviderRequest) -> str:
        return fault if "1 numaralı" in request.user else "ok"

    with ScriptedProvider(answer=honest, faults=faults) as server:
        config = config_for(server.url, protocol, pairwise=False)
        judged = judge(tmp_path, cases(2), config)
        asked_of_it = [entry for entry in server.log.keys.values() if set(entry.outcomes) == {fault}]
    summary = summarise(judged, seed=1)
    assert summary.not_judged == {reason: 2}
    assert summary.systems["tuned_context"].answers == 1
    assert len(asked_of_it) == 2 * requests
    # asked again, everything is known
    again = judge(tmp_path, cases(2), config_for("http://127.0.0.1:9", protocol, pairwise=False))
    assert again == judged


@pytest.mark.parametrize(("fault", "asked"), [("refusal", 1), ("truncated", 2), ("422", 1)])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_missing_verdicts_are_asked_for_again_when_the_user_says_so_and_only_those(tmp_path, protocol, fault, asked):
    def faults(request: ProviderRequest) -> str:
        return fault if "1 numaralı" in request.user else "ok"

    with ScriptedProvider(answer=honest, faults=faults) as server:
        config = config_for(server.url, protocol, pairwise=False)
        first = judge(tmp_path, cases(2), config)
        sent = server.log.attempts
        still = judge(tmp_path, cases(2), config, retry=True)
        assert server.log.attempts - sent == 2 * asked
    assert still.judgements == first.judgements
    assert bool(first.refusals) == (fault == "422")
    with ScriptedProvider(answer=honest) as server:
        config = config_for(server.url, protocol, pairwise=False)
        # without the wish nothing is asked
        assert judge(tmp_path, cases(2), config) == still
        given = judge(tmp_path, cases(2), config, retry=True)
        assert server.log.answered == 2
        assert judge(tmp_path, cases(2), config, retry=True) == given
        assert server.log.answered == 2
    assert not [each for each in given.judgements if each.not_judged]
    with ScriptedProvider(answer=honest) as server:
        unbroken = judge(tmp_path / "other", cases(2), config_for(server.url, protocol, pairwise=False))
    assert given.judgements == unbroken.judgements
    # what was paid for in vain stays paid
    assert given.usage.requests - unbroken.usage.requests == (0 if fault == "422" else 4 * asked)


def test_a_retry_that_was_broken_off_is_finished_by_the_same_command_and_begins_no_other(tmp_path):
    def faults(request: ProviderRequest) -> str:
        return "refusal" if "1 numaralı" in request.user else "ok"

    config = {"pairwise": False, "max_attempts": 1, "max_in_flight": 1}
    with ScriptedProvider(answer=honest, faults=faults) as server:
        judge(tmp_path, cases(3), config_for(server.url, **config))
    second = {"refusal": 0}

    def then_away(request: ProviderRequest) -> str:
        second["refusal"] += 1
        return "refusal" if second["refusal"] == 1 else "500"

    with ScriptedProvider(answer=honest, faults=then_away) as server, pytest.raises(GenerationError, match="1 of 6"):
        judge(tmp_path, cases(3), config_for(server.url, **config), retry=True)
    with ScriptedProvider(answer=honest) as server:
        judged = judge(tmp_path, cases(3), config_for(server.url, **config), retry=True)
        # the one that was declined a second time waits for another wish
        assert server.log.answered == 1
        assert summarise(judged, seed=1).not_judged == {DECLINED: 1}
        judged = judge(tmp_path, cases(3), config_for(server.url, **config), retry=True)
        assert server.log.answered == 2
    assert not [each for each in judged.judgements if each.not_judged]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_key_that_is_refused_is_told_with_what_is_kept(tmp_path, protocol):
    with ScriptedProvider(answer=honest) as server:
        judge(tmp_path, cases(1), config_for(server.url, protocol, pairwise=False))
    with (
        ScriptedProvider(answer=honest, api_keys=["another"]) as server,
        pytest.raises(AccountFailure, match=r"2 of 6 verdicts are there and kept; the same command goes on$"),
    ):
        judge(tmp_path, cases(3), config_for(server.url, protocol, pairwise=False))


def test_one_order_without_a_verdict_is_no_outcome(tmp_path):
    def faults(request: ProviderRequest) -> str:
        return "refusal" if "0 numaralı" in request.user and shown(request)[0] == BAD else "ok"

    with ScriptedProvider(answer=honest, faults=faults) as server:
        judged = judge(tmp_path, cases(2), config_for(server.url, rubric=False))
    assert preferred_of(judged.judgements, PAIR) == {"q1": "tuned_context"}
    preference = summarise(judged, seed=1).preference
    assert (preference.wins, preference.ties, preference.losses) == (1, 0, 0)


def test_a_crowded_server_is_asked_again_until_all_is_judged(tmp_path):
    with ScriptedProvider(answer=honest, faults=["429"], retry_after_seconds=0.01) as server:
        judged = judge(tmp_path, cases(1), config_for(server.url, pairwise=False))
        assert server.log.outcomes["429"] == 2
        assert server.log.answered_twice() == []
    assert not [each for each in judged.judgements if each.not_judged]


def test_verdicts_that_are_left_open_by_a_broken_server_are_asked_for_by_the_next_run(tmp_path):
    def faults(request: ProviderRequest) -> str:
        return "500" if "1 numaralı" in request.user else "ok"

    with (
        ScriptedProvider(answer=honest, faults=faults) as server,
        pytest.raises(
            GenerationError,
            match=r"2 of 4 verdicts were not given within 1 attempts .*the same command asks for the rest",
        ),
    ):
        judge(tmp_path, cases(2), config_for(server.url, pairwise=False, max_attempts=1))
    with ScriptedProvider(answer=honest) as server:
        judged = judge(tmp_path, cases(2), config_for(server.url, pairwise=False))
        assert server.log.answered == 2
    assert not [each for each in judged.judgements if each.not_judged]


def test_without_a_key_everything_in_the_ledger_still_counts(tmp_path, monkeypatch):
    with ScriptedProvider(answer=honest) as server:
        judged = judge(tmp_path, cases(2), config_for(server.url))
    monkeypatch.delenv("OPENAI_API_KEY")
    elsewhere = config_for("https://judge.example.org")
    assert judge(tmp_path, cases(2), elsewhere) == judged


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_length_limit_is_sent_and_buys_no_verdict_again(tmp_path, protocol):
    with ScriptedProvider(answer=honest) as server:
        # what is set aside for a request goes by what is sent: 2048 tokens are beyond this budget
        short = config_for(server.url, protocol, max_output_tokens=300, budget_dollars=0.03, max_in_flight=1)
        judge(tmp_path, cases(1), short)
        judge(tmp_path, cases(2), config_for(server.url, protocol, max_output_tokens=9000))
        assert server.log.answered == 8
        sent = [request.body.get("max_tokens") for request in server.requests]
    assert sent == [300] * 4 + [2048] * 4


def test_verdicts_stand_under_the_name_of_who_gave_them(tmp_path):
    """Also where the ledger has them from another provider, whose model has the same name."""
    with ScriptedProvider(answer=honest) as server:
        earlier = judge(tmp_path, cases(1), config_for(server.url, "anthropic"))
        again = judge(tmp_path, cases(1), config_for("http://127.0.0.1:9", "openai"))
        more = judge(tmp_path, cases(2), config_for(server.url, "openai"))
    assert earlier.judges == again.judges == (f"anthropic/{MODEL}",)
    assert summarise(more, seed=1).judge == f"anthropic/{MODEL} and openai/{MODEL}"
    nothing_to_ask = cases(1, lambda _: (GOOD, GOOD))
    assert judge(tmp_path, nothing_to_ask, config_for("http://127.0.0.1:9", rubric=False)).judges == (
        f"openai/{MODEL}",
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_budget_holds_and_a_larger_one_goes_on(tmp_path, protocol):
    with ScriptedProvider(answer=honest) as server:

        def config(budget: float) -> AnswerJudgeConfig:
            return config_for(server.url, protocol, budget_dollars=budget, max_output_tokens=300, max_in_flight=1)

        with pytest.raises(GenerationError, match="nothing was asked"):
            judge(tmp_path, cases(6), config(0.001))
        assert server.log.attempts == 0
        with pytest.raises(GenerationError, match=r"budget_dollars is \$0.06"):
            judge(tmp_path, cases(6), config(0.06))
        assert 0 < server.log.answered < 24
        with Ledger(tmp_path / "ledger.sqlite") as book:
            assert book.spending.at_most <= 0.06
        judged = judge(tmp_path, cases(6), config(5.0))
        assert server.log.answered == 24
        assert server.log.answered_twice() == []
    assert not [each for each in judged.judgements if each.not_judged]


def test_a_budget_without_a_price_is_refused(tmp_path):
    config = config_for("https://judge.example.org", prices={}, budget_dollars=1.0)
    with pytest.raises(ConfigError, match=r"evaluation\.judge\.prices"):
        judge(tmp_path, cases(1), config)


IN_A_PROCESS = """
import pathlib, runpy, sys
here = runpy.run_path(sys.argv[1])
here["judge"](pathlib.Path(sys.argv[2]), here["cases"](8), here["config_for"](sys.argv[3], max_in_flight=2))
"""


@pytest.mark.slow
def test_killed_while_it_asks_it_goes_on_and_asks_nothing_answered_again(tmp_path):
    script = {"answer": "smallest", "latency_seconds": 0.05}
    with ProviderProcess(tmp_path / "whole.jsonl", **script) as server:
        (tmp_path / "whole").mkdir()
        whole = judge(tmp_path / "whole", cases(8), config_for(server.url, max_in_flight=2))
    with ProviderProcess(tmp_path / "log.jsonl", **script) as server:
        (tmp_path / "broken").mkdir()
        process = subprocess.Popen(
            [sys.executable, "-c", IN_A_PROCESS, __file__, str(tmp_path / "broken"), server.url],
            env=os.environ | {"PYTHONPATH": str(Path(scripted_provider.__file__).parent)},
        )
        while server.log.answered < 5:
            time.sleep(0.01)
        process.kill()
        process.wait(10)
        with Ledger(tmp_path / "broken" / "ledger.sqlite") as book:
            known = len(book)
        before = server.log.attempts
        broken = judge(tmp_path / "broken", cases(8), config_for(server.url, max_in_flight=2))
        # what was in the ledger is not asked again
        assert server.log.attempts - before == 32 - known
    assert list(map(to_json, broken.judgements)) == list(map(to_json, whole.judgements))
    assert broken.usage == whole.usage
