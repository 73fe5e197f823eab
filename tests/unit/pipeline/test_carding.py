"""What the model card tells of base, sources and licences: what files state, and no place on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundtune.config import load_config
from groundtune.evaluation.verdict import ReportData
from groundtune.pipeline import Workspace
from groundtune.pipeline.carding import card_facts, licence_inputs
from groundtune.pipeline.reporting import shown_config

CONFIGURATION = """\
project: rows
workdir: {folder}/out
documents: {{path: null}}
data:
  sources:
    - path: {folder}/rows
    - path: loose.jsonl
    - hub: someone/set
model: {{path: {folder}/small}}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "groundtune.yaml").write_text(CONFIGURATION.format(folder=tmp_path), encoding="utf-8")
    for name, licence in (("small", "apache-2.0"), ("rows", "cc-by-4.0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"---\nlicense: {licence}\n---\n", encoding="utf-8")
    # a card beside a loose file is not its own
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    made = Workspace(load_config(tmp_path / "groundtune.yaml"))
    made.tuned.mkdir(parents=True)
    return made


def facts(workspace: Workspace):
    return card_facts(workspace, ReportData("rows", 7, config=shown_config(workspace)))


def test_the_files_a_licence_is_read_from_are_named_without_their_places(workspace):
    found = licence_inputs(workspace)
    assert list(found) == ["licence of base: README.md", "licence of data 1: README.md"]
    assert all(path.is_file() for path in found.values())


def test_licences_are_those_that_cards_of_the_folders_state(workspace):
    found = facts(workspace)
    assert (found.base, found.base_hub_id, found.base_licence) == ("small", "", "apache-2.0")
    assert [(each.name, each.hub_id, each.licence) for each in found.sources] == [
        ("rows", "", "cc-by-4.0"),
        ("loose.jsonl", "", ""),
        ("someone/set", "someone/set", ""),
    ]
    assert found.documents_licence == ""


def test_a_licence_file_without_a_card_is_pointed_at_and_not_interpreted(workspace, tmp_path):
    (tmp_path / "small" / "README.md").unlink()
    (tmp_path / "small" / "LICENSE").write_text("Do as you like.", encoding="utf-8")
    assert facts(workspace).base_licence == "see LICENSE"


def test_no_place_of_this_machine_is_told(workspace, tmp_path):
    found = facts(workspace)
    assert str(tmp_path) not in repr(found)
    assert (found.run_folder, found.model_folder) == ("out/runs/default", "out/runs/default/best")
    assert str(tmp_path) not in repr(shown_config(workspace))


def test_an_adapter_is_told_from_its_folder(workspace):
    assert (facts(workspace).is_adapter, facts(workspace).method) == (False, "full")
    (workspace.tuned / "adapter_config.json").write_text("{}", encoding="utf-8")
    assert (facts(workspace).is_adapter, facts(workspace).method) == (True, "adapter")
