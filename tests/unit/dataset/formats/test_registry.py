from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from groundtune.config import SourceConfig
from groundtune.dataset.formats import Registry, load_registry, read_source, source_files, source_with_count
from groundtune.errors import ConfigError, DataError
from groundtune.types import Conversation


def registry(folder: Path, **entries: Any) -> Registry:
    (folder / "dataset_info.json").write_text(json.dumps(entries))
    return load_registry(folder)


def read(folder: Path, known: Registry, **source: Any) -> list[Conversation]:
    records = list(read_source(SourceConfig(**source), folder=Path("/nowhere"), registry=known))
    assert all(isinstance(record, Conversation) for record in records), records
    return [record for record in records if isinstance(record, Conversation)]


def test_an_entry_is_read_with_its_columns_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "qa.json").write_text(json.dumps([{"question": "a", "answer": "b", "input": "c"}]))
    known = registry(tmp_path, qa={"file_name": "qa.json", "columns": {"prompt": "question", "response": "answer"}})
    (record,) = read(tmp_path, known, name="qa")
    assert [turn.content for turn in record.messages] == ["a", "b"]
    assert record.fields == {"input": "c"}
    assert record.conversation_id == "qa:1"
    assert record.origin.file == "qa.json"
    assert source_files(SourceConfig(name="qa"), tmp_path, known) == [tmp_path / "qa.json"]


def test_sharegpt_with_tags_ranking_and_kto(tmp_path: Path) -> None:
    turns = [{"who": "q", "text": "?"}, {"who": "a", "text": "!"}]
    (tmp_path / "chat.json").write_text(json.dumps([{"messages": turns, "good": True}]))
    pair = {"conversations": [{"from": "human", "value": "?"}], "better": {"from": "gpt", "value": "!"}}
    (tmp_path / "pairs.json").write_text(json.dumps([{**pair, "worse": {"from": "gpt", "value": "..."}}]))
    tags = {"role_tag": "who", "content_tag": "text", "user_tag": "q", "assistant_tag": "a"}
    known = registry(
        tmp_path,
        chat={
            "file_name": "chat.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "kto_tag": "good"},
            "tags": tags,
        },
        pairs={
            "file_name": "pairs.json",
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {"messages": "conversations", "chosen": "better", "rejected": "worse"},
        },
    )
    assert read(tmp_path, known, name="chat")[0].desired is True
    assert read(tmp_path, known, name="pairs")[0].rejected[0].content == "..."


def test_a_prompt_alone_is_raw_text_a_row_a_line(tmp_path: Path) -> None:
    (tmp_path / "wiki_demo.txt").write_text("Bir.\nİki.\n", encoding="utf-8")
    known = registry(tmp_path, wiki_demo={"file_name": "wiki_demo.txt", "columns": {"prompt": "text"}})
    assert [record.text for record in read(tmp_path, known, name="wiki_demo")] == ["Bir.", "İki."]


def test_num_samples_becomes_the_count_of_the_source(tmp_path: Path) -> None:
    known = registry(tmp_path, a={"file_name": "a.json", "num_samples": 20}, b={"file_name": "b.json"})
    assert source_with_count(SourceConfig(name="a"), known).count == 20
    assert source_with_count(SourceConfig(name="a", count=3), known).count == 3
    assert source_with_count(SourceConfig(name="b"), known).count is None


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"file_nam": "a.json"},
            r"dataset_info\.json: dataset 'x' has the unknown key 'file_nam'; did you mean 'file_name'",
        ),
        ({"file_name": 3}, "file_name is 3; expected str"),
        ({"file_name": "a.json", "formatting": "sharegtp"}, "did you mean 'sharegpt'"),
        ({"file_name": "a.json", "columns": {"promt": "x"}}, "columns: unknown key 'promt'; did you mean 'prompt'"),
        ({"file_name": "a.json", "tags": {"role_tags": "x"}}, "tags: unknown key 'role_tags'; did you mean 'role_tag'"),
        ({"columns": {}}, "names no place"),
    ],
)
def test_what_an_entry_must_not_say_is_named_with_the_nearest(
    tmp_path: Path, entry: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        registry(tmp_path, x=entry)


def test_unknown_names_and_places_elsewhere_are_errors_when_used(tmp_path: Path) -> None:
    known = registry(
        tmp_path,
        alpaca_en={"ms_hub_url": "a/b"},
        scripted={"script_url": "x"},
        cloud={"cloud_file_name": "s3://x"},
        evaluated={"file_name": "x.json", "split": "validation"},
    )
    for name, words in {
        "alpaca_em": "no dataset is called 'alpaca_em'; did you mean 'alpaca_en'",
        "alpaca_en": "ModelScope",
        "scripted": "a loading script",
        "cloud": "a cloud storage",
        "evaluated": "has split 'validation'",
    }.items():
        with pytest.raises(DataError, match=words):
            list(read_source(SourceConfig(name=name), folder=tmp_path, registry=known))
    with pytest.raises(ConfigError, match=r"data\.registry"):
        list(read_source(SourceConfig(name="x"), folder=tmp_path, registry=None))
