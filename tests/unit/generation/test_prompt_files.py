"""Prompt files of a user's own: copied, edited, checked to the line, and told apart by their hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from groundtune.config import GenerationConfig
from groundtune.errors import ConfigError
from groundtune.generation.prompts import load_prompts, prompt_hash, prompt_texts, request_for, write_prompts
from groundtune.types import Chunk, Group, Rule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_prompts(tmp_path / "prompts")
    return tmp_path / "prompts"


def edit(file: Path, old: str, new: str) -> None:
    """Replaces the last occurrence: the first may stand in a comment."""
    before, found, after = file.read_text(encoding="utf-8").rpartition(old)
    assert found
    file.write_text(before + new + after, encoding="utf-8")


def line_of(file: Path, words: str) -> int:
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if words in line and not line.startswith("#"))


@pytest.mark.parametrize("profile", ["v1", "v2"])
def test_copies_read_as_the_built_in_texts_do(folder: Path, profile: str) -> None:
    copied = load_prompts(folder, profile, ["tr", "en", "de"])  # type: ignore[arg-type]
    built_in = load_prompts(None, profile, ["tr", "en", "de"])  # type: ignore[arg-type]
    assert copied == built_in
    assert prompt_hash(copied) == prompt_hash(built_in)


def test_an_edit_reaches_the_request_and_the_hash(folder: Path) -> None:
    edit(folder / "v2.tr.yaml", "Deneyimli bir teknik yazarsın.", "Kablo fabrikasında çalışırsın.")
    edit(folder / "rules.tr.yaml", "Tek bir parça.", "Bir parça.")
    texts = load_prompts(folder, "v2", ["tr", "en"])
    assert prompt_hash(texts) != prompt_hash(load_prompts(None, "v2", ["tr", "en"]))
    assert texts["en"] == prompt_texts("en")
    chunk = Chunk("c", "Stok", "", "", ("Stok",), "tr", "Lot.", 5, False, False, (), (), 1, "a.md", 1, 1, "")
    group = Group("individual-tr-0001", Rule.INDIVIDUAL, "Lot", "tr", ("c",), 5)
    request = request_for(group, [chunk], GenerationConfig(), "m", texts=texts["tr"])
    assert request.system.startswith("Kablo fabrikasında çalışırsın.")
    assert "beklenen: Bir parça." in request.prompt


def test_files_that_are_not_there_are_taken_from_the_built_in_ones(folder: Path) -> None:
    for file in folder.iterdir():
        if file.name != "rules.en.yaml":
            file.unlink()
    edit(folder / "rules.en.yaml", "A single passage.", "One passage.")
    texts = load_prompts(folder, "v2", ["tr", "de"])
    assert texts["tr"] == prompt_texts("tr")
    assert texts["de"].rules[Rule.INDIVIDUAL].startswith("One passage.")


def test_a_new_language_is_a_new_file(folder: Path) -> None:
    text = (
        (folder / "v2.en.yaml").read_text(encoding="utf-8").replace("language_name: English", "language_name: Deutsch")
    )
    (folder / "v2.de.yaml").write_text(text, encoding="utf-8")
    german = load_prompts(folder, "v2", ["de"])["de"]
    assert german.language_name == "Deutsch"
    assert german.system == prompt_texts("en").system  # no instruction to write in German: the file is German
    assert "in Deutsch" in german.false_premise_system  # this part is still the English one


def test_copying_twice_would_lose_edits_and_is_refused(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "v1.en.yaml").unlink()
    with pytest.raises(ConfigError, match="exists already"):
        write_prompts(folder)
    assert {file.name for file in folder.iterdir()} == set(before) - {"v1.en.yaml"}


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "said"),
    [
        ("v2.tr.yaml", "  {passages}\n", "", "context:", "context lacks the place {passages}"),
        ("v2.tr.yaml", "{num_pairs}", "on", "user:", "user lacks the place {num_pairs}"),
        ("v2.tr.yaml", "{guidance}", "{guidence}", "{guidence}", "user has the unknown place {guidence}; did you mean {guidance}?"),
        ("v2.en.yaml", "{max_words} words", "{words} words", "{words}", "system has the unknown place {words}; did you mean"),
        ("v1.en.yaml", "user: |", "usr: |", "usr:", "unknown key 'usr'; did you mean 'user'?"),
        ("rules.en.yaml", "  data_flow:", "  dataflow:", "dataflow:", "unknown rule 'dataflow'; did you mean 'data_flow'?"),
        ("rules.en.yaml", "A single passage.", "{language_name}.", "{language_name}", "individual has the unknown place"),
        ("false_premise.tr.yaml", "{num_questions}", "üç", "user:", "user lacks the place {num_questions}"),
        ("v2.tr.yaml", "name: Türkçe", "name: 3", "language_name:", "language_name holds 3; expected a text"),
        ("v2.tr.yaml", "name: Türkçe\n", "name:\n", "language_name:", "language_name holds None; expected a text"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_told_with_its_line(
    folder: Path, name: str, old: str, new: str, line: str, said: str
) -> None:
    edit(folder / name, old, new)
    where = f"{name}:{line_of(folder / name, line)}: {said}"
    with pytest.raises(ConfigError, match=re.escape(where)):
        load_prompts(folder, "v1" if name.startswith("v1") else "v2", ["tr", "en"])


def test_a_file_that_is_not_yaml_or_lacks_a_key_is_named(folder: Path) -> None:
    edit(folder / "v2.tr.yaml", "language_name: Türkçe\n", "")
    with pytest.raises(ConfigError, match=r"v2\.tr\.yaml: the key 'language_name' is missing; copy it"):
        load_prompts(folder, "v2", ["tr"])
    edit(folder / "v2.en.yaml", "language_name: English", "language_name: [")
    with pytest.raises(ConfigError, match=r"v2\.en\.yaml:\d+: not valid YAML"):
        load_prompts(folder, "v2", ["en"])


def test_a_rule_left_out_is_missed(folder: Path) -> None:
    text = (folder / "rules.tr.yaml").read_text(encoding="utf-8")
    (folder / "rules.tr.yaml").write_text(text[: text.index("  module_map:")], encoding="utf-8")
    with pytest.raises(ConfigError, match=r"rules\.tr\.yaml: the rule 'module_map' is missing"):
        load_prompts(folder, "v2", ["tr"])


def test_a_file_that_would_never_be_read_is_an_error(folder: Path) -> None:
    (folder / "v2.turkish.yaml").write_text("x: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"v2\.turkish\.yaml: a file of this name is not used; expected v2, v1"):
        load_prompts(folder, "v2", ["tr"])


def test_a_folder_that_is_not_there_or_holds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"generation\.prompts_folder: .* is no folder"):
        load_prompts(tmp_path / "nowhere", "v2", ["tr"])
    with pytest.raises(ConfigError, match="no file in it is used by profile 'v2' for tr"):
        load_prompts(tmp_path, "v2", ["tr"])


def test_a_file_in_another_encoding_is_an_error(folder: Path) -> None:
    file = folder / "v2.tr.yaml"
    file.write_bytes(file.read_text(encoding="utf-8").encode("cp1254", "replace"))
    with pytest.raises(ConfigError, match=r"v2\.tr\.yaml: not UTF-8 text"):
        load_prompts(folder, "v2", ["tr"])
