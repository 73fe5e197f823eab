"""The long proofs of `groundtune generate`: 707 groups of real documentation, a fifth of all requests at fault, fifty kills.

Faults that lie in a request's content come again when it is sent again, so every run over the same groups has the same true
answer; what goes wrong on the way is drawn anew for each attempt.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from generation_project import (
    PROVIDERS,
    Work,
    assert_groups_add_up,
    assert_paid_for,
    assert_pairs_are_valid,
    attempts,
)
from scripted_provider import ScriptedProvider, mixed

EXAMPLE = Path(__file__).parents[2] / "examples" / "cable-erp"
NUM_GROUPS = 707
KILLS = 10
"""In each of five chains."""

SCRIPT: Mapping[str, Any] = {
    # a slow answer is a good one, also where the request's content would have spoiled it: not the same in every run
    "faults": mixed(0.2, without=("slow",)),
    "seed": 707,
    "retry_after_seconds": 0.05,
    "cache_min_tokens": 10**9,
}
SETTINGS: Mapping[str, Any] = {"max_in_flight": 48, "timeout_seconds": 2, "max_output_tokens": 4096}

HURRY = "import groundtune.llm.dispatch.pacing as pacing; pacing.FIRST_WAIT_SECONDS = 0.05"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def grouped(asking_forker: Any, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The example with as many short documents more as make 707 groups."""
    work = Work(tmp_path_factory.mktemp("large") / "project", asking_forker)
    shutil.copytree(EXAMPLE, work.folder, ignore=shutil.ignore_patterns("groundtune-out"))
    configuration = (EXAMPLE / "groundtune.yaml").read_text(encoding="utf-8")
    (work.folder / "groundtune.yaml").write_text(configuration.replace("groundtune-out", "out", 1), encoding="utf-8")
    more = 28
    for _ in range(8):
        _add_pages(work.folder / "docs" / "tr" / "admin", more)
        assert asking_forker.start(work.folder, ("group",), stdin="", first="").end().status == 0
        if len(work.groups) == NUM_GROUPS:
            return work
        more += NUM_GROUPS - len(work.groups)
    raise AssertionError(f"the example makes {len(work.groups)} groups with {more} pages more")


def _add_pages(folder: Path, count: int) -> None:
    for page in folder.glob("ek-*.md"):
        page.unlink()
    for number in range(count):
        text = (
            f"# Ek Kayıt {number}\n\nEk kayıt {number}, arşiv dolabının {number + 3}. rafındaki klasörü gösteren numaradır. "
            f"Klasör {number + 20} yıl saklanır ve yalnızca arşiv sorumlusu tarafından açılır.\n"
        )
        (folder / f"ek-{number:03}.md").write_text(text, encoding="utf-8")


@pytest.fixture
def make_work(grouped: Work, tmp_path: Path) -> Callable[[str, Any, str], Work]:
    def make(name: str, server: Any, provider: str) -> Work:
        shutil.copytree(grouped.folder, tmp_path / name)
        return Work(tmp_path / name, grouped.forker).at(server, provider)

    return make


@pytest.fixture(scope="session", params=PROVIDERS)
def unbroken(request: Any, grouped: Work, tmp_path_factory: pytest.TempPathFactory) -> tuple[Work, Any]:
    """A run that nothing stopped, with the waits between attempts that everybody has, and the server's log of it."""
    folder = tmp_path_factory.mktemp(request.param) / "project"
    shutil.copytree(grouped.folder, folder)
    with ScriptedProvider(**SCRIPT) as server:
        work = Work(folder, grouped.forker).at(server, request.param)
        work.succeed(**SETTINGS, budget_dollars=60)
    return work, server.log


def test_707_groups_under_faults_are_all_accounted_for_within_the_cap(unbroken):
    work, log = unbroken
    assert len(work.groups) == NUM_GROUPS
    unanswered = assert_groups_add_up(work)
    assert 0 < unanswered.total() < 0.08 * NUM_GROUPS
    assert set(unanswered) <= {
        "the model declined to write about the group",
        "answer was cut at max_output_tokens before its first pair was complete",
        "answer could not be read, nor the one asked for again",
    }
    assert set(SCRIPT["faults"]) <= set(log.outcomes) | {"error_midway", "gone"}, "every kind of fault was met"
    assert_pairs_are_valid(work)
    assert log.answered_twice() == []
    assert work.answered_keys() == {key for key, entry in log.keys.items() if entry.answered}
    assert_paid_for(work, log, budget=60)


@pytest.mark.parametrize("chain", range(5))
def test_killed_at_ten_random_moments_it_ends_with_the_files_of_an_unbroken_run(chain, make_work, unbroken):
    """Five chains of ten kills for each protocol."""
    whole, _ = unbroken
    luck = random.Random(f"generation {chain}")
    kept: dict[str, int] = {}
    killed = []
    with ScriptedProvider(**SCRIPT, latency_seconds=0.05) as server:
        work = make_work("killed", server, whole.provider)
        for _ in range(KILLS):
            moment = luck.uniform(0.05, 1.8)
            command = work.start(first=HURRY, **SETTINGS)
            time.sleep(moment)
            os.killpg(command.process, signal.SIGKILL)
            killed.append((round(moment, 2), command.end().status, len(kept)))
            new = work.answered_keys() - kept.keys()
            kept |= attempts(server.log, new)
            assert attempts(server.log, kept) == kept, "what is in the ledger is not asked again"
            if kept:
                assert_paid_for(work, server.log)
        work.succeed(first=HURRY, **SETTINGS)
    assert sum(status == -signal.SIGKILL for _, status, _ in killed) >= KILLS - 1, killed
    assert attempts(server.log, kept) == kept
    assert work.made == whole.made, killed
    assert_paid_for(work, server.log)


def test_a_run_stopped_by_its_cap_again_and_again_never_passes_it(make_work, unbroken):
    whole, _ = unbroken
    luck = random.Random("budget")
    with ScriptedProvider(**SCRIPT, latency_seconds=0.02) as server:
        work = make_work("capped", server, whole.provider)
        for budget in (1, 2, 4, 7, 11):
            command = work.start(first=HURRY, **SETTINGS, budget_dollars=budget)
            time.sleep(luck.uniform(0.3, 1.0))
            os.killpg(command.process, signal.SIGKILL)
            command.end()
            assert_paid_for(work, server.log, budget)
            done = work.call(first=HURRY, **SETTINGS, budget_dollars=budget)
            assert_paid_for(work, server.log, budget)
            if done.status == 0:
                break
            assert done.status == 2
            assert f"budget_dollars is ${budget}" in done.err
        work.succeed(first=HURRY, **SETTINGS, budget_dollars=100)
    assert_paid_for(work, server.log, 100)
    assert work.made == whole.made
