"""`groundtune generate` with a language model, as a person runs it: the real SDKs over loopback, a server that follows a script of faults.

The server's own log says what was asked, answered and billed. The long proofs are in test_generation_proofs.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generation_project import (
    MODEL,
    PRICE,
    PROVIDERS,
    Work,
    assert_groups_add_up,
    assert_paid_for,
    assert_pairs_are_valid,
    attempts,
    bill,
    made_up_documents,
)
from scripted_answers import offline_answer, spoiled
from scripted_provider import ProviderRequest, ScriptedProvider, mixed

from groundtune.llm import Ledger

FAULTS = mixed(0.2, without=("hang", "slow"))
SCRIPT: Mapping[str, Any] = {
    "faults": FAULTS,
    "seed": 4,
    "retry_after_seconds": 0.02,
    "slow_seconds": 0.1,
    "cache_min_tokens": 10**9,
}
"""Without a cache, so that the tokens of an answer do not depend on what was asked before it."""

HURRY = """
import groundtune.llm.dispatch.pacing as pacing
import groundtune.generation.batches.rounds as rounds
pacing.FIRST_WAIT_SECONDS = 0.02
rounds.run_in_batches.__kwdefaults__["poll_seconds"] = 0.02
"""
"""The waits between attempts and between looks at a batch, a fiftieth and less of what they are."""


@pytest.fixture(scope="session")
def grouped(asking_forker: Any, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Documents, chunks and groups; nothing has been asked."""
    work = Work.written(tmp_path_factory.mktemp("grouped") / "project", asking_forker, made_up_documents())
    assert work.forker.start(work.folder, ("group",), stdin="", first="").end().status == 0
    assert len(work.groups) >= 60
    return work


@pytest.fixture
def make_work(grouped: Work, tmp_path: Path) -> Callable[..., Work]:
    """Copies of the project, by name, that ask a server."""

    def make(name: str, server: ScriptedProvider, provider: str = "anthropic") -> Work:
        shutil.copytree(grouped.folder, tmp_path / name)
        return Work(tmp_path / name, grouped.forker).at(server, provider)

    return make


@pytest.fixture(scope="session")
def whole(grouped: Work, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The same by one protocol, for runs that are stopped."""
    folder = tmp_path_factory.mktemp("whole") / "project"
    shutil.copytree(grouped.folder, folder)
    with ScriptedProvider(**SCRIPT) as server:
        work = Work(folder, grouped.forker).at(server, "anthropic")
        work.succeed(first=HURRY)
    return work


def wait_for(happened: Callable[[], object], command: Any, seconds: float = 30.0) -> None:
    """Until something has happened while `command` runs."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"did not happen in {seconds:g} s; the command said:\n{command.said()}"
        time.sleep(0.002)


def end_by(command: Any, number: int) -> int:
    """Send a signal to the command and whatever it started, as a terminal does; its exit status."""
    os.killpg(command.process, number)
    status = command.end().status
    assert isinstance(status, int)
    return status


def assert_ledger_is_whole(work: Work) -> None:
    with closing(sqlite3.connect(work.ledger)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with Ledger(work.ledger) as book:
        assert book.spending.in_flight == 0


# -- faults


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_run_under_faults_accounts_for_every_group_request_and_dollar(provider, make_work):
    # a hang costs the whole timeout_seconds, so there are few
    with ScriptedProvider(**{**SCRIPT, "faults": {**FAULTS, "hang": 0.01, "slow": 0.02}}) as server:
        work = make_work("faulty", server, provider)
        work.succeed(first=HURRY, timeout_seconds=1)
    unanswered = assert_groups_add_up(work)
    assert 0 < unanswered.total() < 12, "some groups are declined, and no others are lost"
    assert len(set(server.log.outcomes) - {"ok"}) >= 8, "faults of many kinds were met"
    assert_pairs_are_valid(work)
    assert server.log.answered_twice() == []
    # what the ledger holds is what the server says that it sent whole
    assert work.answered_keys() == {key for key, entry in server.log.keys.items() if entry.answered}
    assert_paid_for(work, server.log)


@pytest.mark.slow
def test_both_protocols_give_the_same_pairs(grouped, tmp_path):
    made = []
    with ScriptedProvider(**{**SCRIPT, "faults": ()}) as server:
        for provider in PROVIDERS:
            shutil.copytree(grouped.folder, tmp_path / provider)
            work = Work(tmp_path / provider, grouped.forker).at(server, provider)
            work.succeed()
            made.append([{**row, "writer": ""} for row in work.rows("pairs")])
    assert made[0] == made[1]


# -- stopped


def test_killed_three_times_it_ends_with_the_files_of_an_unbroken_run(make_work, whole):
    with ScriptedProvider(**SCRIPT, latency_seconds=0.03) as server:
        work = make_work("killed", server)
        sent_before: dict[str, int] = {}
        for answered in (4, 25, 45):
            command = work.start(first=HURRY, max_in_flight=6)
            wait_for(lambda answered=answered: server.log.answered >= answered, command)
            assert end_by(command, signal.SIGKILL) == -signal.SIGKILL
            sent_before |= attempts(server.log, work.answered_keys() - sent_before.keys())
            assert_paid_for(work, server.log)
        work.succeed(first=HURRY)
    assert len(sent_before) > 30
    assert attempts(server.log, sent_before) == sent_before, "what is in the ledger is never asked again"
    assert work.made == whole.made
    assert_paid_for(work, server.log)


def test_ctrl_c_finishes_what_is_in_flight_and_the_same_command_goes_on(make_work, whole):
    with ScriptedProvider(**SCRIPT, latency_seconds=0.2) as server:
        work = make_work("interrupted", server)
        command = work.start(first=HURRY, max_in_flight=8)
        wait_for(lambda: server.log.answered >= 10, command)
        os.killpg(command.process, signal.SIGINT)
        done = command.end()
        assert done.status == 130
        assert "finished and kept; Ctrl-C again drops them" in done.err
        assert done.err.splitlines()[-1] == "groundtune: stopped; the same command continues where it was"
        answered = {key for key, entry in server.log.keys.items() if entry.answered}
        assert work.answered_keys() == answered
        assert 10 <= len(answered) < 60
        assert_ledger_is_whole(work)
        work.succeed(first=HURRY)
    assert server.log.answered_twice() == []
    assert work.made == whole.made


def test_a_second_ctrl_c_drops_what_is_in_flight_and_counts_it_as_spent(make_work, whole):
    with ScriptedProvider(**SCRIPT, latency_seconds=1.5) as server:
        work = make_work("dropped", server)
        command = work.start(first=HURRY, max_in_flight=8)
        wait_for(lambda: server.log.attempts >= 8, command)
        began = time.monotonic()
        os.killpg(command.process, signal.SIGINT)
        wait_for(lambda: "stopping: " in command.said(), command)
        assert end_by(command, signal.SIGINT) == 130
        assert time.monotonic() - began < 1, "it does not wait for the answers"
        assert re.search(r"dropping [5-8] requests in flight; up to \$\d", command.said())
        assert_ledger_is_whole(work)
        with Ledger(work.ledger) as book:
            assert book.spending.lost > 0
    with ScriptedProvider(**SCRIPT) as server:
        work = work.at(server, "anthropic")
        work.succeed(first=HURRY)
    assert work.made == whole.made


# -- money


def test_a_budget_is_never_passed_and_a_higher_one_goes_on_to_the_same_pairs(make_work, whole):
    with ScriptedProvider(**SCRIPT, latency_seconds=0.01) as server:
        work = make_work("capped", server)
        for budget in (0.5, 0.9):
            done = work.call(first=HURRY, budget_dollars=budget)
            assert done.status == 2
            assert f"budget_dollars is ${budget:g}: " in done.err
            assert "run the same command again" in done.err
            assert_paid_for(work, server.log, budget)
        command = work.start(first=HURRY, budget_dollars=1.3, max_in_flight=6)
        answered = server.log.answered
        wait_for(lambda: server.log.answered > answered + 2, command)
        end_by(command, signal.SIGKILL)
        assert_paid_for(work, server.log, 1.3)
        work.succeed(first=HURRY, budget_dollars=30)
    assert_paid_for(work, server.log, 30)
    assert work.made == whole.made


def test_an_estimate_sends_nothing_and_says_what_the_run_then_asks(make_work):
    with ScriptedProvider() as server:
        work = make_work("estimated", server)
        estimate = work.succeed("generate", "--estimate", "--json").json
        assert server.log.events == []
        assert not (work.generation / "pairs.jsonl").exists()
        work.succeed()
        details = work.manifest["details"]
        assert details["dollars"] * 1e6 <= estimate["total"]["microdollars"]["high"]
        assert estimate["total"]["requests"] == details["requests"]
        events = len(server.log.events)
        again = work.succeed("generate", "--estimate", "--json").json
        assert again["total"]["requests"] == 0
        assert len(server.log.events) == events


# -- batches


@pytest.mark.parametrize("provider", ["anthropic", pytest.param("openai", marks=pytest.mark.slow)])
def test_a_batch_can_be_left_and_is_collected_by_the_same_command(provider, make_work):
    names = {"prose", "wrong_schema", "refusal", "500", "max_tokens"}
    if provider == "openai":
        names.add("truncated")  # a whole message of the other protocol holds no half of a tool's input
    content = {name: share for name, share in FAULTS.items() if name in names}
    with ScriptedProvider(**{**SCRIPT, "faults": content}) as server:
        live = make_work("live", server, provider)
        live.succeed(first=HURRY)
    with ScriptedProvider(**{**SCRIPT, "faults": content}, batch_polls=3) as server:
        work = make_work("batched", server, provider)
        left = work.call(batch=True)
        assert left.status == 3
        assert "requests are with the provider in 1 batches" in left.err
        assert "The same command collects them when they are ready, with --wait it stays until then" in left.err
        assert server.log.answered == 0
        assert work.call(batch=True).status == 3, "not ready yet"
        assert server.log.attempts == len(work.groups)
        repairs = work.call(batch=True)
        assert repairs.status == 3, "unreadable and cut answers are asked about in a second round"
        assert work.answered_keys()
        work.succeed("generate", "--wait", batch=True, first=HURRY)
    assert server.log.answered_twice() == []
    assert {event["batch"] != "" for event in server.log.events if event["event"] == "request"} == {True}
    assert (work.made["pairs.jsonl"], work.made["rejected.jsonl"]) == (
        live.made["pairs.jsonl"],
        live.made["rejected.jsonl"],
    )
    assert bill(server.log) == pytest.approx(work.at_most())
    assert_pairs_are_valid(work)


@pytest.mark.parametrize("provider", ["anthropic", pytest.param("openai", marks=pytest.mark.slow)])
def test_a_batch_submitted_by_a_command_that_was_killed_is_found_again(provider, make_work):
    with ScriptedProvider(batch_polls=1, seed=4) as server:
        work = make_work("killed", server, provider)
        command = work.start("generate", "--wait", batch=True, first=HURRY)
        wait_for(lambda: server.log.calls()["batch_create ok"], command)
        assert end_by(command, signal.SIGKILL) == -signal.SIGKILL
        work.succeed("generate", "--wait", batch=True, first=HURRY)
    assert server.log.calls()["batch_create ok"] == 1, "nothing was submitted again"
    assert server.log.answered_twice() == []
    assert_groups_add_up(work)


# -- what else is asked


def judged(request: ProviderRequest) -> str:
    """Writes as the offline writer does; as a judge it finds every fifth pair unsupported, and the first passage always dispensable."""
    properties = (request.schema or {}).get("properties", {})
    if "supported" in properties:
        return json.dumps({"reason": "read", "supported": int(request.key, 16) % 5 > 0})
    if "answerable" in properties:
        return json.dumps({"reason": "read", "answerable": int(request.key, 16) % 3 > 0})
    if "assumption" in json.dumps(request.schema):
        return _false_premises(request)
    if "follow_ups" in json.dumps(request.schema):
        return _conversations(request)
    return offline_answer(request)


def _false_premises(request: ProviderRequest) -> str:
    answer = json.loads(offline_answer(request))
    turkish = "Türkçe" in request.system or "bağlam" in request.system.lower()
    for number, pair in enumerate(answer["pairs"]):
        pair["assumption"] = "Kayıtlar silinir." if turkish else "Records are deleted."
        pair["question"] = (
            f"Kayıtlar neden her ayın {number + 11}. gününde sistemden tamamen silinir ve bir daha geri getirilemez?"
            if turkish
            else f"Why are all the records deleted from the system on day {number + 11} of every month and never restored?"
        )
    return json.dumps(answer, ensure_ascii=False)


def _conversations(request: ProviderRequest) -> str:
    """Two questions in a row become two turns of one conversation."""
    pairs = json.loads(offline_answer(request))["pairs"]
    for pair in pairs:
        pair.pop("follow_ups", None)
    items = [{**first, "follow_ups": pairs[at + 1 : at + 2]} for at, first in enumerate(pairs) if at % 2 == 0]
    return json.dumps({"pairs": items}, ensure_ascii=False)


@pytest.mark.parametrize("provider", ["openai", pytest.param("anthropic", marks=pytest.mark.slow)])
def test_a_judge_takes_pairs_out_and_each_verdict_is_asked_for_once(provider, make_work):
    with ScriptedProvider(answer=judged) as server:
        work = make_work("judged", server, provider)
        judge = {
            "provider": provider,
            "model": "judge-1",
            "base_url": work.url,
            "prices": {"judge-1": PRICE},
            "max_in_flight": 32,
        }
        work.succeed(judge=judge, false_premise_share=0.05)
        first = work.made
        rejections = work.manifest["details"]["rejections"]
        models = {entry.model for entry in server.log.keys.values()}
        events = len(server.log.events)
        (work.generation / "manifest.json").unlink()
        work.succeed(judge=judge, false_premise_share=0.05)
    assert models == {MODEL, "judge-1"}
    assert rejections["judge: the evidence does not support the answer"] > 5
    assert rejections["judge: answerable without each of the cited chunks"] > 0
    assert server.log.answered_twice() == []
    assert len(server.log.events) == events, "every verdict is in the ledger"
    assert work.made == first
    premises = [pair for pair in work.pairs if pair.assumption]
    assert premises
    assert all(not pair.answerable for pair in premises)
    assert_paid_for(work, server.log)


def test_profile_v1_writes_conversations_that_are_checked_turn_by_turn(make_work):
    with ScriptedProvider(answer=judged) as server:
        work = make_work("conversations", server)
        work.succeed("generate", profile="v1")
    pairs = work.pairs
    first_turns = {(pair.question, pair.answer) for pair in pairs if not pair.history}
    later = [pair for pair in pairs if pair.history]
    assert len(later) > 5
    for pair in later:
        assert {(turn.question, turn.answer) for turn in pair.history} <= first_turns


@pytest.mark.slow
def test_the_turns_of_profile_v1_reach_the_training_examples(make_work, forker):
    with ScriptedProvider(answer=judged) as server:
        work = replace(make_work("conversations", server), forker=forker)
        build = work.arguments("dataset", "build", profile="v1")
        done = forker.start(work.folder, (*build, "--set", "tokenizer.vocab_size=400"), stdin="", first="").end()
    assert done.status == 0, done.err
    told = {(pair.question, tuple(turn.question for turn in pair.history)) for pair in work.pairs if pair.history}
    lines = (work.folder / "out" / "dataset" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    found = 0
    for line in lines:
        users = [message["content"] for message in json.loads(line)["messages"] if message["role"] == "user"]
        found += any(
            len(users) > len(before)
            and users[-1].endswith(question)
            and all(said.endswith(turn) for said, turn in zip(users, before, strict=False))
            for question, before in told
        )
    assert found > 5, "examples with the turns before the question, in their order"


def test_a_top_up_asks_about_what_no_pair_rests_on_and_nothing_else(make_work):
    with ScriptedProvider() as server:
        work = make_work("top-up", server)
        work.succeed()
        before, covered = work.pairs, json.loads(work.made["coverage.json"])
        asked = server.log.attempts
        work.succeed("generate", "--top-up")
        after = work.pairs
        assert server.log.attempts > asked
        topped = server.log.attempts
        work.succeed()
        assert server.log.attempts == topped
        assert work.pairs == after, "later runs have them too"
    assert {pair.pair_id for pair in before if pair.answerable} <= {pair.pair_id for pair in after}
    assert covered != {}
    assert server.log.answered_twice() == []
    assert_pairs_are_valid(work)


def test_retry_failed_asks_about_groups_that_were_given_up_and_no_others(make_work):
    with ScriptedProvider(faults={"refusal": 0.1, "wrong_schema": 0.1}, seed=4) as server:
        work = make_work("given-up", server)
        work.succeed()
        failed = assert_groups_add_up(work).total()
        sent = {key: entry.attempts for key, entry in server.log.keys.items()}
    assert failed > 3
    with ScriptedProvider() as server:
        work = work.at(server, "anthropic")
        work.succeed()
        assert server.log.attempts == 0, "by itself a run does not ask again what was given up"
        work.succeed("generate", "--retry-failed")
        assert server.log.attempts == failed
        assert server.log.keys.keys() <= sent.keys()
    assert assert_groups_add_up(work).total() == 0
    assert_pairs_are_valid(work)


def test_an_edited_document_is_asked_about_where_it_changed_and_stale_pairs_are_retired(make_work):
    with ScriptedProvider() as server:
        work = make_work("edited", server)
        work.succeed()
        before = {pair.pair_id for pair in work.pairs if pair.answerable}
        first = set(server.log.keys)
        edited = work.folder / "docs" / "tr" / "m0" / "00.md"
        edited.write_text(
            edited.read_text(encoding="utf-8").replace("Onay 2 iş günü", "Onay 77 iş günü"), encoding="utf-8"
        )
        preview = work.succeed("generate", "--estimate", "--json").json["documents"]
        assert set(server.log.keys) == first
        done = work.succeed()
    asked = [request for request in server.requests if request.key not in first]
    touched = [
        group
        for group in work.groups
        if any("77 iş günü" in chunk.text for chunk in work.chunks if chunk.chunk_id in group.chunk_ids)
    ]
    assert len(asked) == len(touched) == preview["changed"] + preview["new"]
    assert all("77 iş günü" in request.user for request in asked)
    assert "the documents changed: " in done.err
    retired = work.rows("retired")
    assert retired
    assert len(retired) == preview["pairs_retired"]
    assert all("2 iş günü" in " ".join(row["quotes"]) or row["chunk_sha256s"] for row in retired)
    after = {pair.pair_id for pair in work.pairs if pair.answerable}
    assert len(before - after) <= len(retired)
    assert len(before & after) > 0.9 * len(before)
    assert server.log.answered_twice() == []
    assert_pairs_are_valid(work)


def graded(request: ProviderRequest) -> str:
    """Three models: one writes all, one a third of it, one invents every second quote."""
    answer = offline_answer(request)
    if request.model == "short":
        pairs = json.loads(answer)["pairs"]
        return json.dumps({"pairs": pairs[: max(1, len(pairs) // 3)]}, ensure_ascii=False)
    return spoiled(answer, "invented_quote", request) if request.model == "inventive" else answer


def test_a_pilot_compares_models_on_the_same_groups_and_says_which_and_why(make_work):
    with ScriptedProvider(answer=graded) as server:
        work = make_work("pilot", server)
        prices = dict.fromkeys(("full", "short", "inventive"), PRICE)
        arguments = ("--models", "full,short,inventive", "--groups", "10", "--json")
        report = work.succeed("pilot", *arguments, prices=prices).json
        asked = server.log.attempts
        assert (
            work.succeed("pilot", *arguments, prices=prices).json["models"].keys()
            if isinstance(report["models"], dict)
            else True
        )
        assert server.log.attempts == asked, "a second look asks nothing"
    by_model = {entry.model for entry in server.log.keys.values()}
    assert by_model == {"full", "short", "inventive"}
    assert asked == 30
    assert report["recommendation"]


# -- accounts and keys


@pytest.mark.parametrize("provider", ["anthropic", pytest.param("openai", marks=pytest.mark.slow)])
def test_a_key_that_is_not_taken_ends_the_run_with_one_sentence_and_stands_nowhere(provider, make_work):
    secret = "sk-test-8f3b1c77aa90-not-a-real-key"
    variable = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}[provider]
    first = f"import os; os.environ[{variable!r}] = {secret!r}\n{HURRY}"
    with ScriptedProvider(api_keys=["another"]) as server:
        work = make_work("locked-out", server, provider)
        for flags, settings in (((), {}), (("--json",), {}), ((), {"batch": True})):
            done = work.call("generate", *flags, first=first, **settings)
            assert done.status == 2
            assert variable in done.err.splitlines()[-1]
            assert secret not in done.out + done.err
            assert secret[:12] not in done.out + done.err
        assert server.log.attempts == 0
        assert any(secret in "".join(headers.values()) for headers in server.headers), "the key was sent"
    with ScriptedProvider(api_keys=[secret], after=(20, "401")) as server:
        work = work.at(server, provider)
        done = work.call(first=first, max_in_flight=4)
        assert done.status == 2
        assert variable in done.err.splitlines()[-1]
        assert server.log.attempts <= 24, "it stops at once"
        assert len(work.answered_keys()) == server.log.answered >= 19
    with ScriptedProvider(api_keys=[secret]) as server:
        work.at(server, provider).succeed(first=first)
    for path in work.folder.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes(), path
