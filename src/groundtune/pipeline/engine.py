"""Runs stages in order, each only when it must, and never two runs in one work folder.

A stage's manifest is withdrawn before it runs and written after its outputs stand, so a run killed at any moment
continues where it was. Outputs somebody edited by hand are kept, and said so; they are never overwritten unasked.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from groundtune.errors import DataError, StorageError
from groundtune.files import TEMPORARY_PREFIX, make_folder, read_json, sha256_file, sha256_text, write_json, writing
from groundtune.manifest import (
    SCHEMA_VERSION,
    Freshness,
    Manifest,
    freshness,
    hash_outputs,
    read_manifest,
    withdraw_manifest,
    write_manifest,
)
from groundtune.pipeline.team import Team, this_team
from groundtune.pipeline.workspace import Workspace
from groundtune.types import StageResult

LOCK_NAME = ".lock"

Status = Literal["done", "unchanged", "edits kept", "not needed"]


@dataclass(frozen=True)
class Stage:
    """One arrow of the way the data goes."""

    name: str
    doing: str
    """What a person reads while it works: "reading documents"."""
    folder: Callable[[Workspace], Path]
    inputs: Callable[[Workspace], dict[str, Path]]
    """Files or folders it reads, by a name that does not depend on where the project lies."""
    settings: Callable[[Workspace], dict[str, Any]]
    """The part of the configuration it depends on, JSON-able."""
    outputs: tuple[str, ...]
    """Files or folders it writes, relative to its folder."""
    work: Callable[[Workspace], StageResult]
    wanted: Callable[[Workspace], bool] = lambda _: True
    together: bool = False
    """Whether all processes of one command compute it."""
    layout: int = 1
    """Of its files: raised when they come to hold something else, and older ones are then made again."""


@dataclass(frozen=True)
class Outcome:
    """What became of a stage in this run."""

    stage: str
    status: Status
    seconds: float
    manifest: Manifest | None


def run_stages(
    stages: Sequence[Stage],
    workspace: Workspace,
    *,
    on_start: Callable[[Stage], None] = lambda _: None,
    on_end: Callable[[Outcome], None] = lambda _: None,
    again: Collection[str] = (),
) -> list[Outcome]:
    """Run `stages` in order, those named in `again` even when nothing they depend on has changed. Raises whatever a stage raises; what earlier stages made stays.

    Of several processes of one command the first one does so; the others join it in the stages computed together, and
    have no outcomes.

    Raises:
        DataError: an output was edited by hand and its inputs have changed too.
        StorageError: the work folder cannot be written, or another run holds it; processes do not share it.
    """
    team = this_team()
    if team is not None and not team.first:
        team.check_folder(workspace.root)
        team.follow({stage.name: partial(stage.work, workspace) for stage in stages})
        return []
    outcomes = []
    is_new = not workspace.root.exists()
    make_folder(workspace.root)
    with _removed_if_left_empty(workspace.root if is_new else None), _exclusive(workspace.root):
        _remove_partial(workspace.root)
        if team is not None:
            team.check_folder(workspace.root)
        for stage in stages:
            outcome = _run_stage(stage, workspace, on_start, again=stage.name in again, team=team)
            outcomes.append(outcome)
            on_end(outcome)
        if team is not None:
            team.dismiss()
    return outcomes


def _run_stage(
    stage: Stage, workspace: Workspace, on_start: Callable[[Stage], None], *, again: bool, team: Team | None
) -> Outcome:
    if not stage.wanted(workspace):
        return Outcome(stage.name, "not needed", 0.0, None)
    folder = stage.folder(workspace)
    inputs = {name: hash_input(path) for name, path in stage.inputs(workspace).items()}
    settings = json.loads(json.dumps(stage.settings(workspace))) | (
        {"layout": stage.layout} if stage.layout > 1 else {}
    )
    state = freshness(folder, inputs, settings)
    if state is Freshness.FRESH and not again:
        return Outcome(stage.name, "unchanged", 0.0, read_manifest(folder))
    if state is Freshness.EDITED:
        return Outcome(stage.name, "edits kept", 0.0, read_manifest(folder))
    if state is Freshness.EDITED_AND_STALE:
        raise DataError(_edited_message(stage, folder))
    on_start(stage)
    started = time.monotonic()
    make_folder(folder)
    with writing(folder):
        withdraw_manifest(folder)
    work = partial(stage.work, workspace)
    result = team.work(stage.name, work) if team is not None and stage.together else work()
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        stage=stage.name,
        inputs=inputs,
        config=settings,
        outputs=hash_outputs(folder, stage.outputs),
        counts=dict(result.counts),
        skips=dict(result.skips),
        details=json.loads(json.dumps(dict(result.details))),
    )
    seconds = time.monotonic() - started
    _note_time(workspace, stage.name, seconds)
    write_manifest(folder, manifest)
    return Outcome(stage.name, "done", seconds, manifest)


def _edited_message(stage: Stage, folder: Path) -> str:
    manifest = read_manifest(folder)
    known = manifest.outputs if manifest else {}
    edited = [str(folder / name) for name, value in known.items() if sha256_file(folder / name) != value]
    return (
        f"{edited[0] if edited else folder}: edited by hand since `{stage.name}` wrote it, and what it is made from has changed "
        "too; delete the file to have it made again, or move it away to keep your edits"
    )


def hash_input(path: Path) -> str:
    """sha256 of a file's bytes; of a folder, over its files' names and hashes."""
    if path.is_dir():
        listing = [
            f"{file.relative_to(path).as_posix()} {sha256_file(file)}"
            for file in sorted(path.rglob("*"))
            if file.is_file()
        ]
        return sha256_text("\n".join(listing))
    return sha256_file(path)


def read_timings(workspace: Workspace) -> dict[str, dict[str, float]]:
    """Seconds and peak memory (MiB) by stage, of the run that last made each."""
    if not workspace.timings.exists():
        return {}
    value = read_json(workspace.timings)
    return value if isinstance(value, dict) else {}


def _note_time(workspace: Workspace, stage: str, seconds: float) -> None:
    timings = read_timings(workspace)
    timings[stage] = {"seconds": round(seconds, 2), "peak_memory_mib": round(peak_memory_mib())}
    write_json(workspace.timings, timings)


def peak_memory_mib() -> float:
    """Largest resident set of this process so far, in MiB. Linux reports KiB (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _exclusive(root: Path) -> Iterator[None]:
    """Hold the work folder. The kernel lets go of the lock when the process dies, however it dies."""
    path = root / LOCK_NAME
    with writing(path):
        stream = path.open("a+")
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise StorageError(
                f"{root}: another groundtune (process {holder}) is working there; wait for it, or use --set workdir=FOLDER"
            ) from None
        with writing(path):
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
        yield


@contextmanager
def _removed_if_left_empty(root: Path | None) -> Iterator[None]:
    """A run that was refused before it made anything leaves no work folder behind."""
    try:
        yield
    except BaseException:
        if root is not None and all(path.is_dir() or path.name == LOCK_NAME for path in root.rglob("*")):
            shutil.rmtree(root, ignore_errors=True)
        raise


def _remove_partial(root: Path) -> None:
    """Sweep away what a killed run was still writing."""
    for path in root.rglob(f"{TEMPORARY_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
