"""Answers on record against the model there is now."""

from pathlib import Path

import pytest

from groundtune.config import Config
from groundtune.manifest import SCHEMA_VERSION, Manifest, hash_outputs, write_manifest
from groundtune.pipeline.engine import hash_input
from groundtune.pipeline.staleness import answers_note, tuned_since
from groundtune.pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    config = Config.model_validate({"workdir": str(tmp_path / "out"), "documents": {"path": "docs"}})
    found = Workspace(config)
    write_model(found, "first")
    found.evaluation.mkdir(parents=True)
    note(found.evaluation, "evaluate", inputs={"tuned": hash_input(found.tuned)})
    return found


def note(folder: Path, stage: str, **known: dict[str, str]) -> None:
    given = {"inputs": {}, "config": {}, "outputs": {}, "counts": {}, "skips": {}, "details": {}} | known
    write_manifest(folder, Manifest(schema_version=SCHEMA_VERSION, stage=stage, **given))


def write_model(workspace: Workspace, weights: str) -> None:
    """A training: weights in two files, one of them in a folder below, and its manifest."""
    for name in ("model.safetensors", "parts/other.safetensors", "a.json"):
        path = workspace.tuned / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(weights + name, encoding="utf-8")
    (workspace.run / "metrics.jsonl").write_text("", encoding="utf-8")
    note(workspace.run, "train", outputs=hash_outputs(workspace.run, ("best", "metrics.jsonl")))


def test_answers_of_the_model_there_is_are_not_stale(workspace: Workspace) -> None:
    assert not tuned_since(workspace)
    assert answers_note(workspace) == ""


def test_answers_of_an_earlier_training_are_told_of(workspace: Workspace) -> None:
    write_model(workspace, "second")
    assert tuned_since(workspace)
    assert "`groundtune evaluate`" in answers_note(workspace)
    write_model(workspace, "first")
    assert not tuned_since(workspace)


def test_where_nothing_was_asked_nothing_is_stale(workspace: Workspace) -> None:
    (workspace.evaluation / "manifest.json").unlink()
    assert not tuned_since(workspace)
