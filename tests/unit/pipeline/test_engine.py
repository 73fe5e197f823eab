"""The engine on two tiny stages that count letters: when it runs, what it keeps, what it refuses."""

import fcntl
import json
from pathlib import Path

import pytest

from groundtune.config import Config, default_config
from groundtune.errors import DataError, StorageError
from groundtune.files import read_text, write_text
from groundtune.pipeline.engine import Stage, run_stages
from groundtune.pipeline.workspace import Workspace
from groundtune.types import StageResult


def letters(workspace: Workspace) -> StageResult:
    text = read_text(workspace.source)
    write_text(workspace.root / "letters" / "letters.txt", text.replace(" ", ""))
    return StageResult({"letters": len(text)}, {"space": text.count(" ")})


def shout(workspace: Workspace) -> StageResult:
    text = read_text(workspace.root / "letters" / "letters.txt")
    write_text(workspace.root / "shout" / "shout.txt", text.upper() * workspace.config.train.epochs)
    return StageResult({"shouts": 1})


STAGES = [
    Stage(
        "letters",
        "reading",
        folder=lambda workspace: workspace.root / "letters",
        inputs=lambda workspace: {"source": workspace.source},
        settings=lambda _: {},
        outputs=("letters.txt",),
        work=letters,
    ),
    Stage(
        "shout",
        "shouting",
        folder=lambda workspace: workspace.root / "shout",
        inputs=lambda workspace: {"letters": workspace.root / "letters" / "letters.txt"},
        settings=lambda workspace: {"epochs": workspace.config.train.epochs},
        outputs=("shout.txt",),
        work=shout,
    ),
]


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return make_workspace(tmp_path)


def make_workspace(folder: Path, *overrides: str) -> Workspace:
    source = folder / "source.txt"
    if not source.exists():
        source.write_text("a b c")
    config: Config = default_config(source, [f"workdir={folder / 'work'}", *overrides])
    return Workspace(config)


def statuses(workspace: Workspace) -> list[str]:
    return [outcome.status for outcome in run_stages(STAGES, workspace)]


def test_a_second_run_does_nothing(workspace):
    assert statuses(workspace) == ["done", "done"]
    assert statuses(workspace) == ["unchanged", "unchanged"]


def test_a_setting_reruns_only_the_stage_that_depends_on_it(workspace, tmp_path):
    run_stages(STAGES, workspace)
    assert statuses(make_workspace(tmp_path, "train.epochs=5")) == ["unchanged", "done"]


def test_a_changed_input_that_gives_the_same_output_stops_there(workspace):
    run_stages(STAGES, workspace)
    workspace.source.write_text("ab c")
    assert statuses(workspace) == ["done", "unchanged"]


def test_an_output_that_is_gone_is_made_again(workspace):
    run_stages(STAGES, workspace)
    (workspace.root / "shout" / "shout.txt").unlink()
    assert statuses(workspace) == ["unchanged", "done"]


def test_an_edited_output_is_kept_and_what_follows_uses_it(workspace):
    run_stages(STAGES, workspace)
    (workspace.root / "letters" / "letters.txt").write_text("xyz")
    assert statuses(workspace) == ["edits kept", "done"]
    assert (workspace.root / "shout" / "shout.txt").read_text() == "XYZ" * 3


def test_an_edited_output_is_never_overwritten_when_its_input_changes(workspace):
    run_stages(STAGES, workspace)
    edited = workspace.root / "letters" / "letters.txt"
    edited.write_text("xyz")
    workspace.source.write_text("other")
    with pytest.raises(DataError, match=r"letters\.txt: edited by hand since `letters` wrote it"):
        run_stages(STAGES, workspace)
    assert edited.read_text() == "xyz"
    edited.unlink()
    assert statuses(workspace) == ["done", "done"]


def test_the_manifest_holds_counts_and_skips_and_no_clock_or_path(workspace):
    run_stages(STAGES, workspace)
    text = (workspace.root / "letters" / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["counts"] == {"letters": 5}
    assert manifest["skips"] == {"space": 2}
    assert str(workspace.root.parent) not in text
    first = text
    (workspace.root / "letters" / "letters.txt").unlink()
    run_stages(STAGES, workspace)
    assert (workspace.root / "letters" / "manifest.json").read_text() == first


def test_a_stage_that_fails_leaves_no_manifest_behind(workspace):
    run_stages(STAGES, workspace)
    broken = Stage(
        **{name: getattr(STAGES[1], name) for name in STAGES[1].__dataclass_fields__} | {"outputs": ("never.txt",)}
    )
    (workspace.root / "shout" / "shout.txt").unlink()
    with pytest.raises(DataError, match="ended without writing this file"):
        run_stages([STAGES[0], broken], workspace)
    assert not (workspace.root / "shout" / "manifest.json").exists()


def test_two_runs_never_work_in_one_folder(workspace):
    run_stages(STAGES, workspace)
    with (workspace.root / ".lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(StorageError, match="another groundtune"):
            run_stages(STAGES, workspace)


def test_rubbish_of_a_killed_run_is_swept_away(workspace):
    run_stages(STAGES, workspace)
    (workspace.root / "letters" / ".partial-x").mkdir()
    (workspace.root / ".partial-y").write_text("half")
    run_stages(STAGES, workspace)
    assert not list(workspace.root.rglob(".partial-*"))


def test_a_damaged_manifest_is_named(workspace):
    run_stages(STAGES, workspace)
    (workspace.root / "letters" / "manifest.json").write_text("{")
    with pytest.raises(DataError, match=r"manifest\.json:1: not valid JSON"):
        run_stages(STAGES, workspace)
