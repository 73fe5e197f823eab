"""The law of every run: killed with SIGKILL at any moment and started again, it ends with the same files.

What may differ is what the clock writes: timings.json, speed.json, last_run.json, tensorboard/, and the seconds and speeds shown
in report.html and report.json.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STAGES = ("ingest", "group", "generate", "tokenizer", "dataset", "pretrain", "card", "train", "evaluate", "report")

SHOWN_DURATION = re.compile(r"(<td[^>]*>)\s*(?:under 1 s|\d+ s|\d+ min \d+ s|\d+ h \d+ min)\s*(?=<)")

COUNTING = """
import os, signal, sys
work, last, tally = {work!r}, {last}, {tally!r}
seen = 0
WATCHED = {{"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "sqlite3.connect"}}

def watch(event, arguments):
    global seen
    if event == "open":
        touched = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    else:
        touched = event in WATCHED
    if not touched:
        return
    path = str(arguments[0])
    if event in ("os.remove", "os.rmdir") and arguments[-1] != -1:
        # rmtree names files relative to an open folder
        path = os.readlink(f"/proc/self/fd/{{arguments[-1]}}") + "/" + path
    if path.startswith(work):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(tally, "a") as stream:
            stream.write(f"{{event}} {{path}}" + chr(10))

sys.addaudithook(watch)
"""
"""Makes a process count the changes it makes below the work folder, and kill itself right before the one numbered `last`. `tally` gets a line for each."""


def rows_of(ledger: Path) -> dict[str, list[Any]]:
    # immutable: reading must leave no -shm file beside the ledger. Rows in a forgotten -wal file would not be seen, but the file would
    connection = sqlite3.connect(f"file:{ledger}?immutable=1", uri=True)
    try:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        return {table: sorted(connection.execute(f"SELECT * FROM {table}")) for table in tables}
    finally:
        connection.close()


SHOWN_SPEED = re.compile(
    r'<section id="speed".*?</section>|<li><span>(?:Tokens per second|First token after|Size of the weights)</span>.*?</li>',
    re.DOTALL,
)


def without_clock(report: dict[str, Any]) -> dict[str, Any]:
    """What report.json says, but for seconds and speeds."""
    for timed in (*report["stages"], *(epoch for phase in report["training"] for epoch in phase["epochs"])):
        timed["seconds"] = None
    return {**report, "speed": {}}


def lasting_files(work: Path) -> dict[str, Any]:
    """What a run leaves, by path, without what the clock wrote."""
    found: dict[str, Any] = {}
    for path in sorted(work.rglob("*")):
        name = path.relative_to(work).as_posix()
        if (
            path.is_dir()
            or path.name in ("timings.json", "speed.json", "last_run.json", ".lock")
            or "tensorboard/" in name
        ):
            continue
        if path.name == "ledger.sqlite":
            found[name] = rows_of(path)
        elif name == "report.html":
            found[name] = SHOWN_DURATION.sub(r"\1a while", SHOWN_SPEED.sub("", path.read_text(encoding="utf-8")))
        elif name == "report.json":
            found[name] = without_clock(json.loads(path.read_text(encoding="utf-8")))
        elif name == "manifest.json":
            manifest = json.loads(path.read_text(encoding="utf-8"))
            # the report shows seconds and speeds, so its hash is of the clock too
            for output in ("report.html", "report.json"):
                del manifest["outputs"][output]
            manifest["inputs"].pop("speed", None)
            found[name] = manifest
        else:
            found[name] = path.read_bytes()
    return found


def folders(work: Path) -> list[str]:
    return sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_dir())


def assert_same_end(project: Any, unbroken: Any, history: object) -> None:
    """Run to the end; what stands then is what stands after an unbroken run."""
    done = project.call("run")
    assert done.status == 0, f"after {history} the run ended with {done.status}:\n{done.err}"
    here, there = lasting_files(project.work), lasting_files(unbroken.work)
    assert sorted(here) == sorted(there), f"after {history}"
    differing = [name for name in there if here[name] != there[name]]
    assert not differing, f"after {history} these files differ: {differing}"
    assert folders(project.work) == folders(unbroken.work), f"after {history}"


def kill(command: Any) -> int:
    """The command and whatever it started, with no time to clean up. Its exit status."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(command.process, signal.SIGKILL)
    status = command.end().status
    assert isinstance(status, int)
    return status


def run_until(project: Any, stage: str, delay: float) -> bool:
    """Start a run and kill it `delay` seconds after `stage` has begun. False where it ended before it could be killed."""
    command = project.start("run")
    while f"● {stage}:" not in (said := command.said()) and "report: unchanged" not in said and "✓ report" not in said:
        time.sleep(0.001)
    time.sleep(delay)
    return kill(command) == -signal.SIGKILL


@dataclass(frozen=True)
class WholeRun:
    """An unbroken run in a process that has loaded transformers already, as those are that get killed here."""

    changes: list[str]
    """Event and path of everything below the work folder that is opened for writing, renamed or removed, in order."""
    seconds: dict[str, float]
    """By stage."""


def changes_until(project: Any, change: int, verb: str) -> tuple[int, list[str]]:
    """Run `verb`, killed right before the change of that number (0 lets it end): exit status, and the changes until then."""
    tally = project.folder / "tally"
    tally.unlink(missing_ok=True)
    status = project.call(verb, first=COUNTING.format(work=str(project.work), last=change, tally=str(tally))).status
    return status, tally.read_text(encoding="utf-8").splitlines() if tally.exists() else []


@pytest.fixture(scope="session")
def whole_run(finished, forker, tmp_path_factory):
    project = type(finished)(tmp_path_factory.mktemp("whole") / "project", forker).write()
    status, changes = changes_until(project, 0, "run")
    assert status == 0
    assert len(changes) > 100, "a run must be seen to write its files"
    timings = json.loads((project.work / "timings.json").read_text(encoding="utf-8"))
    return WholeRun(changes, {stage: timings[stage]["seconds"] for stage in STAGES})


def manifest_of(project: Any, stage: str) -> Path:
    places = {
        "ingest": "documents",
        "group": "grouping",
        "generate": "generation",
        "tokenizer": "tokenizer",
        "dataset": "dataset",
        "pretrain": "base",
        "train": "runs/default",
        "evaluate": "runs/default/evaluation",
        "card": "runs/default/card",
        "report": ".",
    }
    return project.work / places[stage] / "manifest.json"


def test_a_run_killed_once_in_every_stage_ends_with_the_files_of_an_unbroken_one(project, finished, whole_run):
    luck = random.Random("once in every stage")
    history, inside = [], 0
    for stage in STAGES:
        delay = luck.uniform(0, 0.6) * whole_run.seconds[stage]
        begun = run_until(project, stage, delay)
        hit = begun and not manifest_of(project, stage).exists()
        history.append((stage, round(delay, 3), "inside" if hit else "late"))
        inside += hit
    assert inside >= 5, f"too few kills fell inside their stage to prove anything: {history}"
    assert_same_end(project, finished, history)


def test_what_a_killed_run_was_still_writing_is_swept_away(copy, finished):
    for place in (".", "runs/default", "runs/default/checkpoints", "base"):
        half = copy.work / place / ".partial-half"
        half.mkdir(parents=True)
        (half / "model.safetensors").write_bytes(b"half")
        (half / ".partial-inner").write_bytes(b"half")
    manifest_of(copy, "evaluate").unlink()
    copy.succeed("run")
    assert not list(copy.work.rglob(".partial-*"))


def test_a_second_run_in_the_same_work_folder_is_refused_while_the_first_one_lives(project):
    first = project.start("run")
    try:
        while "● ingest:" not in first.said():
            time.sleep(0.001)
        second = project.call_cold("ingest")
    finally:
        kill(first)
    assert second.status == 2
    assert re.fullmatch(
        rf"groundtune: .*another groundtune \(process {first.process}\) is working there.*\n", second.err
    )


@pytest.mark.parametrize(
    ("verb", "every"),
    [
        ("pretrain", 16),
        pytest.param("pretrain", 1, marks=pytest.mark.slow),
        pytest.param("train", 1, marks=pytest.mark.slow),
    ],
    ids=["pretrain", "pretrain everywhere", "train"],
)
def test_killed_while_its_checkpoints_are_removed_a_training_ends_the_same(verb, every, copy, finished):
    """A checkpoint that has lost some of its files must not be taken for a whole one, in whatever order they go."""
    withdrawn = manifest_of(copy, verb)
    withdrawn.unlink()
    status, changes = changes_until(copy, 0, verb)
    assert status == 0
    removed = [
        at for at, change in enumerate(changes, start=1) if re.match(r"os.remove .*/checkpoint-\d+/[^.]", change)
    ]
    assert len(removed) > 5
    for place in removed[1::every]:
        withdrawn.unlink()
        assert changes_until(copy, place, verb)[0] == -signal.SIGKILL
        done = copy.call(verb)
        assert done.status == 0, f"after a kill before {changes[place - 1]}: {done.err}"
    assert_same_end(copy, finished, "kills while checkpoints were removed")


@pytest.mark.slow
@pytest.mark.parametrize("chain", range(5))
def test_killed_at_random_moments_again_and_again_it_ends_the_same(chain, project, finished, whole_run):
    """Five runs, each killed five times: 25 moments."""
    luck = random.Random(f"chain {chain}")
    whole = sum(whole_run.seconds.values())
    history = []
    for _ in range(5):
        moment = luck.uniform(0, 0.45) * whole
        command = project.start("run")
        time.sleep(moment)
        history.append((round(moment, 2), kill(command)))
    assert sum(status == -signal.SIGKILL for _, status in history) >= 2, f"too few kills met a living run: {history}"
    assert_same_end(project, finished, history)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_killed_between_two_changes_of_the_work_folder_it_ends_the_same(part, make_project, finished, whole_run):
    """Fifty places spread evenly over everything a run opens, renames and removes."""
    total = len(whole_run.changes)
    for place in (1 + total * number // 50 for number in range(part, 50, 10)):
        broken = make_project(f"at-{place}")
        assert changes_until(broken, place, "run")[0] == -signal.SIGKILL
        assert_same_end(broken, finished, f"a kill before change {place} of {total}, {whole_run.changes[place - 1]}")
