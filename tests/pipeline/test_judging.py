"""The stage `judge` through the command: what it writes, that nothing is asked or answered twice, kills, and people's ratings."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

import pytest
from scripted_provider import ProviderRequest, ScriptedProvider

MODEL = "scripted-1"
PRICE = {"input": 3.0, "output": 15.0}
FIRST, SECOND = ("First", "Birinci"), ("Second", "İkinci")


def verdict(request: ProviderRequest) -> str:
    """The longer of two answers is the better one; marks go with the length, too."""
    names = (request.schema or {})["properties"]
    blocks = re.findall(r"^=+ ([^\n]+)\n(.*?)\n=+$", request.user, re.MULTILINE | re.DOTALL)
    if "better" in names:
        first, second = (
            sum(len(text) for label, text in blocks if label.startswith(names)) for names in (FIRST, SECOND)
        )
        better = "tie" if first == second else "first" if first > second else "second"
        return json.dumps({"reason": "It says more.", "better": better})
    mark = 1 + len(blocks[-1][1]) % 5
    if "mark" in names:
        return json.dumps({"reason": "It is so long.", "mark": mark})
    return json.dumps({name: {"reason": "It is so long.", "mark": mark} for name in names})


def settings(server: Any, **more: Any) -> list[str]:
    given = {"provider": "openai", "model": MODEL, "base_url": server.openai_url, "prices": {MODEL: PRICE}}
    given |= {"question_sets": False, **more}
    return ["--set", f"evaluation.judge={json.dumps(given)}"]


def made(project: Any) -> dict[str, bytes]:
    folder = project.run / "evaluation" / "judge"
    names = ("judgements.jsonl", "summary.json", "conversations.jsonl", "manifest.json")
    return {name: (folder / name).read_bytes() for name in names}


def test_judging_is_done_once_and_told_with_its_cost(copy):
    asked = len((copy.run / "evaluation" / "answers.jsonl").read_text(encoding="utf-8").splitlines())
    with ScriptedProvider(answer=verdict) as server:
        done = copy.succeed("judge", *settings(server))
        assert re.search(
            r"judging: \d+ requests to openai/scripted-1 \(\d+ about the base by itself: evaluation\.judge\.base\), [\d,]+ to",
            done.err,
        )
        assert "tuned + passages against base + passages" in done.out
        assert "Against the base by itself, overall mark" in done.out
        sent, files = server.log.attempts, made(copy)
        assert server.log.answered_twice() == []
        summary = json.loads(files["summary.json"])
        assert summary["requests"] == sent
        assert summary["questions"] == asked > 3
        assert summary["not_judged"] == {}
        # this judge looks at the answers, never at their places
        assert summary["preference"]["changed_mind"] == 0
        assert summary["preference"]["wins"] + summary["preference"]["losses"] > 0
        assert summary["preference"]["first_shown_won"]["value"] == 0.5
        again = copy.succeed("judge", "--json", *settings(server, max_in_flight=1))
        assert again.statuses["judge"] == "unchanged"
        fewer = copy.succeed("judge", "--json", *settings(server, max_questions=3))
        assert fewer.json["judge"]["questions"] == 3
        assert server.log.attempts == sent
    [stage] = [each for each in fewer.json["stages"] if each["stage"] == "judge"]
    assert stage["skips"]["questions above evaluation.judge.max_questions"] == asked - 3


@pytest.mark.slow
def test_refused_verdicts_are_told_in_the_providers_words_and_asked_for_again_on_wish(copy):
    with ScriptedProvider(answer=verdict, faults=["422"]) as server:
        done = copy.succeed("judge", *settings(server, max_questions=1, pairwise=False))
        assert "3 verdicts missing: the provider refused the request" in done.out
        assert "groundtune judge --retry-failed" in done.out
        assert "3 verdicts refused: " in done.err
    with ScriptedProvider(answer=verdict) as server:
        wished = settings(server, max_questions=1, pairwise=False)
        assert copy.succeed("judge", "--json", *wished).statuses["judge"] == "unchanged"
        again = copy.succeed("judge", "--json", "--retry-failed", *wished)
        assert (again.statuses["judge"], again.json["judge"]["not_judged"]) == ("done", {})
        done_again = {each["stage"] for each in again.json["stages"] if each["status"] == "done"}
        assert done_again == {"judge", "checklist", "report"}, "what the verdicts stand in is told anew"


def test_without_a_judge_the_verb_says_what_to_set(copy):
    done = copy.call("judge")
    assert done.status == 2
    assert "evaluation.judge names none" in done.err


def test_a_judge_without_a_key_is_refused_before_anything_is_done(project):
    judge = {"provider": "openai", "model": "m", "base_url": "https://judge.example.org", "api_key_env": "NO_SUCH_KEY"}
    done = project.call("run", "--set", f"evaluation.judge={json.dumps(judge)}")
    assert done.status == 2
    assert "NO_SUCH_KEY is not set" in done.err
    assert not project.work.exists()


def test_peoples_ratings_are_held_against_the_verdicts(copy):
    from groundtune.evaluation import AnswerRecord
    from groundtune.evaluation.people.ratings import Rating, RatingFile, answer_id
    from groundtune.files import read_records

    marks = dict.fromkeys(("helpfulness", "accuracy", "clarity", "safety"), 4)
    systems = ("base_context", "tuned_context")
    ratings = [
        Rating(
            "Ayşe",
            record.question_id,
            systems,
            (
                answer_id(record.question, record.answers["base_context"].text),
                answer_id(record.question, record.answers["tuned_context"].text),
            ),
            (marks, marks | {"clarity": 2}),
            "b",
        )
        for record in read_records(copy.run / "evaluation" / "answers.jsonl", AnswerRecord)
    ]
    with ScriptedProvider(answer=verdict) as server:
        assert copy.succeed("judge", "--json", *settings(server)).json["judge"]["agreement"] == []
        sent = server.log.attempts
        RatingFile(copy.run / "evaluation" / "ratings.jsonl").append(ratings)
        told = copy.succeed("judge", "--json", *settings(server)).json["judge"]["agreement"]
        assert server.log.attempts == sent
    # whichever of the two came last
    shown = copy.succeed("rate", "--summary", "--json").json["agreement_with_judge"]
    assert shown == {"documents": told, "sets": []}
    assert "Agreement of judge and people" in copy.succeed("rate", "--summary").out
    # an answer that both systems gave is marked once, and nobody is asked which is the better one
    differing = sum(not each.same for each in ratings)
    assert {(each["of"], each["kappa"]["n"]) for each in told} == {
        ("preference", differing),
        *((name, len(ratings) + differing) for name in marks),
    }


@pytest.mark.slow
def test_killed_between_verdicts_it_goes_on_and_leaves_the_files_of_an_unbroken_run(copy, tmp_path):
    other = copy.copy_to(tmp_path / "whole")
    with ScriptedProvider(answer=verdict) as server:
        other.succeed("judge", *settings(server))
    with ScriptedProvider(answer=verdict, latency_seconds=0.05) as server:
        started = copy.start("judge", *settings(server, max_in_flight=2))
        while server.log.answered < 5:
            time.sleep(0.005)
        os.kill(started.process, signal.SIGKILL)
        assert started.end().status == -signal.SIGKILL
        copy.succeed("judge", *settings(server))
        assert server.log.attempts <= json.loads(made(other)["summary.json"])["requests"] + 2
    assert made(copy) == made(other)


@pytest.mark.slow
def test_both_models_answer_the_shipped_questions_and_a_kill_costs_nothing(project):
    roomy = ["--set", "model.context_tokens=2048", "--set", "train.epochs=1"]
    with ScriptedProvider(answer=verdict) as server:
        done = project.succeed("judge", "--json", *roomy, *settings(server, question_sets=True))
        [stage] = [each for each in done.json["stages"] if each["stage"] == "judge"]
        assert stage["counts"]["everyday questions"] == 64
        sets = done.json["judge"]["sets"]
        assert {each["name"] for each in sets["slices"] if each["field"] == "category"} >= {"writing", "maths"}
        assert sets["slices"][0]["first"]["n"] == 64
        sent, files = server.log.attempts, made(project)
        assert len(files["conversations.jsonl"].splitlines()) == 64
        # answered again by both models, killed on the way; what was said is the same, so no verdict is asked for again
        folder = project.run / "evaluation" / "judge"
        said = (folder / "answered.jsonl").read_bytes()
        (folder / "manifest.json").unlink()
        (folder / "answered.jsonl").unlink()
        started = project.start("judge", *roomy, *settings(server, question_sets=True))
        while not (folder / "answered.jsonl").exists() or (folder / "answered.jsonl").read_bytes().count(b"\n") < 80:
            time.sleep(0.005)
        os.kill(started.process, signal.SIGKILL)
        assert started.end().status == -signal.SIGKILL
        project.succeed("judge", *roomy, *settings(server, question_sets=True))
        assert server.log.attempts == sent
    assert made(project) == files
    assert (folder / "answered.jsonl").read_bytes() == said
