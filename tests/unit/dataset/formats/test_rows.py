"""Files of every kind, whole and broken: each row is a conversation or a named reason."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import SourceConfig
from groundtune.dataset.formats import MAX_ROW_BYTES, Reason, read_source, source_files
from groundtune.dataset.formats import array_text as array_text_module
from groundtune.errors import DataError
from groundtune.types import Conversation, LeftOut

ROW = {"instruction": "Topla: 1 + 1", "output": "2"}


def read(path: Path, **options: Any) -> list[Conversation | LeftOut]:
    strict = options.pop("strict", False)
    source = SourceConfig(path=str(path), **options)
    return list(read_source(source, folder=path.parent, registry=None, strict=strict))


def reasons(records: Sequence[Conversation | LeftOut]) -> list[str]:
    return [record.reason if isinstance(record, LeftOut) else "read" for record in records]


def numbers(records: Sequence[Conversation | LeftOut]) -> list[int]:
    return [record.origin.row for record in records]


def lines_of(*rows: Any) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def test_broken_lines_are_named_and_the_rows_around_them_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        lines_of(
            ROW,
            b'{"instruction": "a", "output": \n',
            b"\n",
            b'["a", "list"]\n',
            b'{"instruction": "a", "output": "b", "output": "c"}\n',
            b'{"instruction": "a", "output": "\\ud83d"}\n',
            b'{"instruction": "a\\u0000", "output": "b"}\n',
            b'{"instruction": "\xff", "output": "b"}\n',
            b'{"instruction": "a", "output": "b", "score": NaN}\n',
            b'{"instruction": "a\0", "output": "b"}\n',
            b'{"instruction": "smile \\ud83d\\ude00", "output": "b\xe2\x80\xa8c"}\n',
        )
    )
    records = read(path)
    assert reasons(records) == [
        "read",
        Reason.NOT_JSON,
        Reason.NOT_OBJECT,
        Reason.KEY_TWICE,
        Reason.SURROGATE,
        Reason.NUL,
        Reason.NOT_UTF8,
        Reason.NOT_JSON,
        Reason.NUL,
        "read",
    ]
    assert numbers(records) == [1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    surrogate = records[4]
    assert isinstance(surrogate, LeftOut)
    assert surrogate.field == "output"
    assert surrogate.found == "\\ud83d"
    last = records[-1]
    assert isinstance(last, Conversation)
    assert [turn.content for turn in last.messages] == ["smile 😀", "b\u2028c"]


def test_deep_nesting_and_endless_numbers_are_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines_of(ROW, b"[" * 100_000 + b"\n", b'{"instruction": ' + b"9" * 5000 + b"}\n", ROW))
    assert reasons(read(path)) == ["read", Reason.TOO_DEEP, Reason.NOT_JSON, "read"]


def test_row_over_the_limit_is_named_and_passed_over(tmp_path: Path) -> None:
    long = {"instruction": "a", "output": "x" * MAX_ROW_BYTES}
    lines, array = tmp_path / "rows.jsonl", tmp_path / "rows.json"
    lines.write_bytes(lines_of(ROW, long, ROW))
    array.write_text(json.dumps([ROW, long, ROW]))
    for path in (lines, array):
        records = read(path)
        assert reasons(records) == ["read", Reason.TOO_LARGE, "read"]
        assert numbers(records) == [1, 2, 3]
        left_out = records[1]
        assert isinstance(left_out, LeftOut)
        assert "10,000,000" in left_out.found


def test_broken_element_of_an_array_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    good = json.dumps(ROW).encode()
    path.write_bytes(
        b"\xef\xbb\xbf[\n"
        + good
        + b',\n{"instruction": "a", "output": "b",},\n{"x": "}]\\"", \'y\': 1}, 17, "text", [1, {}],\n'
        b'{"instruction": "\xff", "output": "b"}, {"a": 1, "a": 2}, {"a": "\\ud800"},\n' + good + b"\n]\n"
    )
    assert reasons(read(path)) == [
        "read",
        Reason.NOT_JSON,
        Reason.NOT_JSON,
        Reason.NOT_OBJECT,
        Reason.NOT_OBJECT,
        Reason.NOT_OBJECT,
        Reason.NOT_UTF8,
        Reason.KEY_TWICE,
        Reason.SURROGATE,
        "read",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", []),
        ("[{row}", ["read", Reason.CUT_OFF]),
        ('[{row}, {"instruction": "a', ["read", Reason.CUT_OFF]),
        ("[{row}] and more", ["read", Reason.NOT_JSON]),
        ("[{row}{row}]", ["read", "read"]),
        ("{row}\n{row}\n", ["read", "read"]),
        ('{\n "instruction": "a",\n "output": "b"\n}\n{row}', ["read", "read"]),
        ("", []),
    ],
)
def test_json_files_of_every_layout(tmp_path: Path, text: str, expected: list[str]) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text.replace("{row}", json.dumps(ROW)))
    assert reasons(read(path)) == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=tries(240))
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), max_size=8),
    piece=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
    ascii_only=st.booleans(),
)
def test_an_array_reads_the_same_in_pieces_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], piece: int, indent: int | None, ascii_only: bool
) -> None:
    monkeypatch.setattr(array_text_module, "_PIECE", piece)
    rows = [{"text": "x" + text} for text in texts]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    assert [record.text for record in read(path, format="text") if isinstance(record, Conversation)] == [
        row["text"] for row in rows
    ]


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "txt"])
def test_truncated_gzip_keeps_the_rows_before_the_cut(tmp_path: Path, kind: str) -> None:
    rows = [{"instruction": f"{n} {zlib.crc32(str(n).encode()):x}", "output": f"{n * 7919:x}"} for n in range(2000)]
    if kind == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    elif kind == "json":
        text = json.dumps(rows)
    else:
        text = "instruction,output\n" + "".join(f"{row['instruction']},{row['output']}\n" for row in rows)
    whole = gzip.compress(text.encode())
    path = tmp_path / f"rows.{kind}.gz"
    path.write_bytes(whole)
    total = len(read(path))
    path.write_bytes(whole[: len(whole) // 2])
    records = read(path)
    assert 300 < len(records) < total - 300
    assert reasons(records) == ["read"] * (len(records) - 1) + [Reason.CUT_OFF]
    assert records[-1].origin.file == path.name
    assert len(set(numbers(records))) == len(records)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=tries(240))
@given(
    cut=st.integers(0, 400),
    flipped=st.booleans(),
    kind=st.sampled_from(["jsonl", "json", "csv", "txt"]),
    count=st.integers(1, 30),
)
def test_wherever_a_gzip_file_breaks_its_rows_before_that_are_kept(
    tmp_path: Path, cut: int, flipped: bool, kind: str, count: int
) -> None:
    rows = [{"text": f"{n} {zlib.crc32(str(n).encode()):x}"} for n in range(count)]
    text = {"json": json.dumps(rows), "jsonl": lines_of(*rows).decode()}.get(kind)
    table = "".join(row["text"] + "\n" for row in rows)
    whole = gzip.compress((text or ("text\n" if kind == "csv" else "") + table).encode(), mtime=0)
    place = 10 + cut % (len(whole) - 10)
    path = tmp_path / f"rows.{kind}.gz"
    # a changed byte near the end is only seen by the checksum; what it did to the text before that cannot be known
    changed = whole[:-8] + bytes([whole[-8] ^ 255]) + whole[-7:]
    path.write_bytes(changed if flipped else whole[:place])
    records = read(path, format="text")
    assert reasons(records) == ["read"] * (len(records) - 1) + [Reason.CUT_OFF]
    texts = [record.text for record in records if isinstance(record, Conversation)]
    assert texts == [row["text"] for row in rows][: len(texts)]
    if flipped:
        assert len(texts) >= count - 1


def test_damaged_gzip_is_one_entry_and_joined_gzip_files_are_read_through(tmp_path: Path) -> None:
    one = gzip.compress(lines_of(ROW, ROW))
    path = tmp_path / "rows.jsonl"  # seen by its bytes, not by its name
    path.write_bytes(one + one)
    assert reasons(read(path)) == ["read"] * 4
    path.write_bytes(one[:-8] + b"\0" * 8)
    assert reasons(read(path)) == ["read", "read", Reason.CUT_OFF]


def test_csv_of_excel_with_semicolons_and_line_ends_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes('\ufeffinstruction;output;no\r\n"iki\r\nsatır; evet";cevap;7\r\neksik;hücre\r\n'.encode())
    first, second = read(path)
    assert isinstance(first, Conversation)
    assert first.messages[0].content == "iki\r\nsatır; evet"
    assert first.fields == {"no": "7"}
    assert isinstance(second, LeftOut)
    assert second.reason == Reason.CELLS
    assert second.origin.row == 2


def test_csv_cells_that_hold_json_are_lists(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    turns = [{"role": "user", "content": "Selam"}, {"role": "assistant", "content": "Merhaba"}]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["messages", "tools"])
        writer.writerow([json.dumps(turns), ""])
        writer.writerow(["no list", ""])
    first, second = read(path)
    assert isinstance(first, Conversation)
    assert first.messages[1].content == "Merhaba"
    assert isinstance(second, LeftOut)
    assert second.reason == Reason.NOT_LIST


def test_two_csv_columns_of_one_name_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("instruction,output,output\na,b,c\n")
    assert reasons(read(path)) == [Reason.KEY_TWICE]


def test_parquet_rows_are_read_and_a_broken_file_is_one_entry(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "rows.parquet"
    rows = [
        {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": f"{n}"}], "score": n / 2}
        for n in range(1200)
    ]
    rows[700]["messages"][1] = {"role": "assistant", "content": "", "tool_calls": None}  # type: ignore[index]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    records = read(path)
    assert len(records) == 1200
    assert [n for n, reason in zip(numbers(records), reasons(records), strict=True) if reason != "read"] == [701]
    assert isinstance(records[3], Conversation)
    assert records[3].fields == {"score": 1.5}
    path.write_bytes(path.read_bytes()[:-100])
    assert reasons(read(path)) == [Reason.CUT_OFF]


def test_every_line_of_a_text_file_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "wiki.txt"
    path.write_bytes("Birinci belge.\r\n\nİkinci belge.\nsi\0l\n".encode())
    records = read(path)
    assert [record.text for record in records if isinstance(record, Conversation)] == [
        "Birinci belge.",
        "İkinci belge.",
    ]
    assert numbers(records) == [1, 3, 4]
    assert reasons(records)[-1] == Reason.NUL


def test_a_folder_and_a_pattern_give_all_files_in_order_of_name(tmp_path: Path) -> None:
    (tmp_path / "in" / "b").mkdir(parents=True)
    (tmp_path / "in" / "b" / "2.jsonl").write_bytes(lines_of(ROW, b"broken\n"))
    (tmp_path / "in" / "a.json").write_text(json.dumps([ROW]))
    (tmp_path / "in" / "README.md").write_text("no data")
    (tmp_path / "in" / ".hidden.json").write_text("no data")
    (tmp_path / "in" / "dataset_info.json").write_text("{}")
    for path in ("in", "in/**/*.json*"):
        if path != "in":
            (tmp_path / "in" / "dataset_info.json").unlink()
        source = SourceConfig(path=path)
        records = list(read_source(source, folder=tmp_path, registry=None))
        assert [record.origin.file for record in records] == ["a.json", "b/2.jsonl", "b/2.jsonl"]
        assert reasons(records) == ["read", "read", Reason.NOT_JSON]
        ids = [record.conversation_id for record in records if isinstance(record, Conversation)]
        assert ids == [f"{path}/a.json:1", f"{path}/b/2.jsonl:1"]
        assert [file.name for file in source_files(source, tmp_path, None)] == ["a.json", "2.jsonl"]


@pytest.mark.parametrize(
    ("path", "words"), [("none.json", "no such file"), ("*.jsonl", "matches this pattern"), ("x.docx", "unknown kind")]
)
def test_places_without_data_are_errors(tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / "x.docx").write_text("")
    with pytest.raises(DataError, match=words):
        list(read_source(SourceConfig(path=path), folder=tmp_path, registry=None))


def test_strict_stops_at_the_first_malformed_row_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines_of(ROW, ROW, {"instruction": "a", "output": ["b"]}, ROW))
    with pytest.raises(
        DataError, match=r"rows\.jsonl:3: something else where text should be in output; found \[\"b\"\]"
    ):
        read(path, strict=True)
    assert reasons(read(path)) == ["read", "read", Reason.NOT_TEXT, "read"]


def test_only_the_first_rows_when_the_source_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines_of(ROW, b"broken\n", ROW, ROW))
    assert reasons(read(path, max_rows=3)) == ["read", Reason.NOT_JSON, "read"]


def test_the_hub_needs_its_package_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(DataError, match="pip install datasets"):
        list(read_source(SourceConfig(hub="some/set"), folder=tmp_path, registry=None))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=tries(600))
@given(content=st.binary(max_size=200) | st.text('[]{}",:\\ \na1', max_size=120).map(str.encode))
@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.csv", "x.txt"])
def test_no_bytes_whatever_stop_a_reader(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    records = read(path, format="alpaca")
    assert all(isinstance(record, LeftOut) and record.reason for record in records)
    assert [record.origin.row for record in records] == sorted(record.origin.row for record in records)
    for record in records:
        json.dumps(vars(record.origin) if hasattr(record.origin, "__dict__") else record.origin.file)
        assert isinstance(record, LeftOut)
        record.found.encode("utf-8")
        assert len(record.found) <= 80


def test_a_hub_dataset_is_streamed_with_its_id_and_row_numbers(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "train.jsonl").write_bytes(lines_of(ROW, {**ROW, "output": ""}, ROW))
    source = SourceConfig(hub=str(tmp_path))  # a folder of files reads like a repository of the hub
    records = list(read_source(source, folder=tmp_path, registry=None))
    assert reasons(records) == ["read", Reason.EMPTY_ANSWER, "read"]
    assert numbers(records) == [1, 2, 3]
    assert records[0].origin.file == str(tmp_path)
    assert source_files(source, tmp_path, None) == []
