"""`groundtune init` writes what a project starts from, and overwrites nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from groundtune.cli.main import app
from groundtune.config import load_config
from groundtune.errors import GroundtuneError
from groundtune.generation.prompts import load_prompts, prompt_texts


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Lot\n\nLot numarası mal kabulde verilir.\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["init", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_writes_a_configuration_and_offers_the_prompts(place: Path) -> None:
    said = run()
    assert load_config(place / "groundtune.yaml").generation.provider == "offline"
    assert not (place / "prompts").exists()
    assert "groundtune init --prompts" in said


def test_the_prompts_can_be_copied_along_and_are_those_that_are_built_in(place: Path) -> None:
    said = run("--prompts")
    assert (place / "groundtune.yaml").is_file()
    assert load_prompts(place / "prompts", "v2", ["tr"])["tr"] == prompt_texts("tr")
    assert "generation:\n    prompts_folder: prompts" in said


def test_the_prompts_are_copied_beside_a_configuration_that_is_there_and_left_alone(place: Path) -> None:
    (place / "mine.yaml").write_text("project: mine\n", encoding="utf-8")
    told = json.loads(run("--prompts", "--output", "mine.yaml", "--json"))
    assert (place / "mine.yaml").read_text(encoding="utf-8") == "project: mine\n"
    assert sorted(told) == ["prompts"]
    assert [Path(name).name for name in told["prompts"]] == [
        f"{part}.{language}.yaml"
        for part in ("v2", "v1", "rules", "false_premise", "judge")
        for language in ("en", "tr")
    ]


def test_prompts_that_are_there_are_not_overwritten(place: Path) -> None:
    run("--prompts")
    (place / "prompts" / "v2.tr.yaml").write_text("mine\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["init", "--prompts"])
    assert result.exit_code != 0
    assert isinstance(result.exception, (GroundtuneError, SystemExit))
    assert (place / "prompts" / "v2.tr.yaml").read_text(encoding="utf-8") == "mine\n"
