"""What the model card tells of base, sources and licences: what files state, and no place on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundtune.config import load_config
from groundtune.errors import ConfigError
from groundtune.evaluation.card.origins import licences
from groundtune.evaluation.verdict import ReportData
from groundtune.pipeline import Workspace
from groundtune.pipeline.carding import card_facts, licence_inputs
from groundtune.pipeline.reporting import shown_config
from groundtune.pipeline.stages import STAGES

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
    for name, licence in (("small", "apache-2.0"), ("rows", "cc-by-4.0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"---\nlicense: {licence}\n---\n", encoding="utf-8")
    # a card beside a loose file is not its own
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    made = written(tmp_path, CONFIGURATION.format(folder=tmp_path))
    made.tuned.mkdir(parents=True)
    return made


def written(folder: Path, text: str) -> Workspace:
    (folder / "groundtune.yaml").write_text(text, encoding="utf-8")
    return Workspace(load_config(folder / "groundtune.yaml"))


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


def test_a_licence_of_the_configuration_goes_before_that_of_a_file_and_changes_no_other_stage(workspace, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    text = CONFIGURATION.format(folder=tmp_path).replace("path: null", "path: docs")
    silent = written(tmp_path, text)
    assert facts(silent).documents_licence == "mit"
    told = written(
        tmp_path,
        text.replace("path: docs", "path: docs, licence: ' CC-BY-SA-4.0 '").replace(
            "- path: loose.jsonl", "- path: loose.jsonl\n      licence: only inside our house"
        ),
    )
    found = facts(told)
    assert found.documents_licence == "CC-BY-SA-4.0"
    assert [each.licence for each in found.sources] == ["cc-by-4.0", "only inside our house", ""]
    assert "| Documents: docs | CC-BY-SA-4.0 |" in "\n".join(licences(found))
    # those that have settings without a model to look at
    of_rows = [
        stage
        for stage in STAGES
        if stage.name in ("ingest", "group", "generate", "dataset", "data", "prepare", "report")
    ]
    changed = {stage.name for stage in of_rows if stage.settings(silent) != stage.settings(told)}
    assert changed == {"ingest", "data", "report"}
    assert "'licence':" not in str([stage.settings(silent) for stage in of_rows[:-1]])


def test_a_licence_of_blanks_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"documents\.licence is '  '"):
        written(tmp_path, "documents: {licence: '  '}")


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
