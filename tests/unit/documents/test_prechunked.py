"""The pre-chunked file: what is taken, what is computed, what is refused and how."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from groundtune.config import DocumentsConfig
from groundtune.documents import ingest, source_files
from groundtune.errors import DataError
from groundtune.types import Chunk

CONFIG = DocumentsConfig(languages=("tr", "en"))
TEXT = "## Lot numarası\n\nLot numarası, lotun doğduğu günü gösteren koddur; `stk_lots` tablosunda durur."


def load(folder: Path, content: Any, name: str = "chunks.json") -> list[Chunk]:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    assert source_files(CONFIG, path) == [path]
    return ingest(CONFIG, path).chunks


def test_text_alone_is_enough(tmp_path: Path) -> None:
    chunk = load(tmp_path, [{"text": TEXT}])[0]
    assert chunk.chunk_id == "erp-mod-chunks-tr_chunk_001"
    assert (chunk.module, chunk.section_heading, chunk.depth, chunk.language) == ("Chunks", "Lot numarası", 2, "tr")
    assert (chunk.db_tables, chunk.has_code, chunk.source) == (("stk_lots",), False, "chunks.json")
    assert (chunk.line_start, chunk.line_end) == (2, 4)


def test_chunks_written_by_ingest_are_read_back_unchanged(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(f"# A\n\n{TEXT}\n\n| a | b |\n|---|---|\n| c | d |\n", encoding="utf-8")
    chunks = ingest(CONFIG, docs).chunks
    lines = "\n".join(json.dumps(asdict(chunk), ensure_ascii=False) for chunk in chunks)
    assert load(tmp_path, lines, "chunks.jsonl") == chunks
    assert load(tmp_path, {"version": 1, "chunks": [asdict(chunk) for chunk in chunks], "more": []}) == chunks


def test_given_ids_are_kept_and_computed_ones_avoid_them(tmp_path: Path) -> None:
    records = [
        {"text": "a"},
        {"id": "erp-mod-m-tr_chunk_001", "text": "b", "module": "M"},
        {"text": "c", "module": "M"},
        {"id": 7, "text": "d"},
    ]
    assert [chunk.chunk_id for chunk in load(tmp_path, records)] == [
        "erp-mod-chunks-tr_chunk_001",
        "erp-mod-m-tr_chunk_001",
        "erp-mod-m-tr_chunk_002",
        "7",
    ]


def test_blank_text_and_unknown_fields_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps([{"text": " "}, {"text": "a", "embedding": [1]}, {"text": "b", "embedding": [2]}]))
    result = ingest(CONFIG, path).result
    assert result.counts["chunks"] == 2
    assert result.skips == {"record field that a chunk does not have: embedding": 2, "record with blank text": 1}


@pytest.mark.parametrize(
    ("records", "parts"),
    [
        ([{"text": "a"}, {"body": "b"}], ["record 2", "'text'", "found nothing"]),
        ([{"id": "x", "text": 5}], ["record 1 ('x')", "'text'", "found 5"]),
        ([{"text": "a", "token_count": "9"}], ["record 1", "'token_count'", "found '9'"]),
        ([{"text": "a", "breadcrumb": ["a", 1]}], ["record 1", "'breadcrumb.1'"]),
        ([{"text": "a", "language": "de"}], ["record 1", "'language'", "tr, en"]),
        ([{"text": "a", "sha256": "0" * 64}], ["record 1", "'sha256'"]),
        ([{"text": "a", "line_start": 5, "line_end": 4}], ["record 1", "'line_end'"]),
        (
            [{"id": "x", "text": "a"}, {"text": "b"}, {"chunk_id": "x", "text": "c"}],
            ["record 3 ('x')", "record 1 has the same id"],
        ),
        ([{"text": "a"}, "b"], ["record 2", "expected an object"]),
        ([{"text": "half \ud800"}], ["record 1", "'text'", "surrogate"]),
        ([], ["no records"]),
        ({"rows": []}, ['"chunks"']),
        (5, ["found 5"]),
        ([{"text": ""}], ["no record has any text"]),
    ],
)
def test_malformed_records_name_file_record_and_field(tmp_path: Path, records: Any, parts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path, records)
    for part in ["chunks.json", *parts]:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_broken_json_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"chunks\.json:3: not valid JSON"):
        load(tmp_path, '[\n{"text": "a"},\n{"text" "b"}\n]')
    with pytest.raises(DataError, match=r"chunks\.jsonl:2: not valid JSON"):
        load(tmp_path, '{"text": "a"}\n{"text": \n', "chunks.jsonl")


def test_lines_of_records_are_those_of_the_file(tmp_path: Path) -> None:
    text = '{"a": {"chunks": 1}, "chunks":\n [ {"text": "x"} ,\n\n {"text":\n "y"}, {"text": "z"}]}'
    assert [(chunk.line_start, chunk.line_end) for chunk in load(tmp_path, text)] == [(2, 2), (4, 5), (5, 5)]
