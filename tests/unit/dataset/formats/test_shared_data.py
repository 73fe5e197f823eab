"""The demo sets in shared/data: every row of them is read, by its path and by its registry name."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundtune.config import SourceConfig
from groundtune.dataset.formats import load_registry, read_source, write_conversations
from groundtune.types import Conversation

SHARED = Path(__file__).parents[5] / "shared/data"
FACTORY = SHARED / "instruct_llamafactory"
pytestmark = pytest.mark.skipif(not FACTORY.is_dir(), reason="shared/data is not here")

ROWS = {
    "instruct_llamafactory/alpaca_en_demo.json": 999,
    "instruct_llamafactory/identity.json": 91,
    "instruct_llamafactory/dpo_en_demo.json": 300,
    "instruct_llamafactory/glaive_toolcall_en_demo.json": 300,
    "instruct_llamafactory/kto_en_demo.json": 300,
    "instruct_llamafactory/reason_tool_use_demo_50.jsonl": 50,
    "instruct_llamafactory/v1_sft_demo.jsonl": 500,
    "instruct_fastchat/dummy_conversation.json": 500,
    "instruct_seed/seed_tasks.jsonl": 175,
}


def read(source: SourceConfig) -> list[Conversation]:
    registry = load_registry(FACTORY)
    return [row for row in read_source(source, folder=SHARED, registry=registry) if isinstance(row, Conversation)]


@pytest.mark.parametrize("path", ROWS)
def test_every_demo_row_is_read_and_written_back(path: str, tmp_path: Path) -> None:
    rows = read(SourceConfig(path=path))
    assert len(rows) == ROWS[path]
    target = "preference" if rows[0].rejected else "messages"
    assert write_conversations(tmp_path / "x.jsonl", rows, format=target) == []


def test_every_entry_of_the_registry_is_understood() -> None:
    registry = load_registry(FACTORY)
    assert len(registry.entries) == 104
    formats = {name: entry.data_format for name, entry in registry.entries.items()}
    assert formats["openorca"] == "alpaca"
    assert formats["dpo_mix_en"] == "preference"
    assert formats["c4_demo"] == "text"
    assert formats["ultrafeedback_kto"] == "alpaca"
    assert all(entry.named_columns for entry in registry.entries.values())


def test_demo_rows_by_name_are_those_by_path() -> None:
    for name in ("identity", "dpo_en_demo", "glaive_toolcall_en_demo", "kto_en_demo"):
        by_name, by_path = read(SourceConfig(name=name)), read(SourceConfig(path=f"instruct_llamafactory/{name}.json"))
        assert [(row.messages, row.rejected, row.tools, row.desired, row.fields) for row in by_name] == [
            (row.messages, row.rejected, row.tools, row.desired, row.fields) for row in by_path
        ]
