"""Files are whole or absent, and records say where they are wrong."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import DataError, StorageError
from groundtune.files import (
    atomic_file,
    atomic_folder,
    read_records,
    sha256_file,
    write_json,
    write_records,
    write_text,
)
from groundtune.types import Group, Rule

GROUP = Group("individual-tr-0001", Rule.INDIVIDUAL, "Lot", "tr", ("a", "b"), 12)


def test_records_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "groups.jsonl"
    assert write_records(path, [GROUP, GROUP]) == 2
    assert read_records(path, Group) == [GROUP, GROUP]


@given(title=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_a_record_file_line_separators_too(tmp_path_factory, title):
    path = tmp_path_factory.mktemp("records") / "groups.jsonl"
    record = Group("x", Rule.MODULE, title, "tr", (), 0)
    write_records(path, [record, record])
    assert read_records(path, Group) == [record, record]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_count": "12"}, "field 'token_count': found '12'"),
        ({"rule": "modul"}, "field 'rule': found 'modul'"),
        ({"chunk_ids": "a"}, "field 'chunk_ids'"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"title": ...}, "field 'title': found nothing"),
    ],
)
def test_a_wrong_record_names_file_line_record_and_field(tmp_path, change, message):
    record = {
        "group_id": "g-7",
        "rule": "module",
        "title": "t",
        "language": "tr",
        "chunk_ids": [],
        "token_count": 1,
    } | change
    record = {key: value for key, value in record.items() if value is not ...}
    path = tmp_path / "groups.jsonl"
    path.write_text("\n" + json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_records(path, Group)
    assert message in str(caught.value)
    assert f"{path}:2" in str(caught.value)
    assert "'g-7'" in str(caught.value)


def test_a_file_that_fails_half_way_leaves_the_old_one_and_no_rubbish(tmp_path):
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def fail_half_way() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.txt"]


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("one", "two"):
        with atomic_folder(path) as temporary:
            (temporary / name).write_text(name)
    assert [entry.name for entry in path.iterdir()] == ["two"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_written_files_obey_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_json(tmp_path / "x.json", {"a": 1})
    finally:
        os.umask(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644


def test_a_refusal_of_the_file_system_is_one_clear_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*: a file of that name is in the way"):
        write_text(tmp_path / "file" / "x.txt", "text")


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    # a limit on file size makes the kernel refuse in the middle of a write, as a full disk does
    script = (
        "import resource, sys, signal\n"
        "from pathlib import Path\n"
        "from groundtune.files import write_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try:\n"
        "    write_text(Path(sys.argv[1]), 'x' * 1000)\n"
        "except OSError as error:\n"
        "    print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "x.txt")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "StorageError"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only")])
def test_each_refusal_says_what_to_do(code, words):
    from groundtune.files import storage_error

    assert words in str(storage_error("x", OSError(code, "no")))


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_file(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text(encoding="ascii").split()[1])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs the system's count of bytes read")
def test_a_file_that_rests_is_read_for_its_hash_once_and_again_when_it_was_touched(tmp_path, monkeypatch):
    path, size = tmp_path / "x", 1 << 22
    path.write_bytes(bytes(size))
    # a file just written may be written again under the same time, of which some file systems count every other second only
    written = time.time_ns()
    before = bytes_read()
    monkeypatch.setattr("time.time_ns", lambda: written + 2_000_000_000)
    hashes = {sha256_file(path) for _ in range(4)}
    assert bytes_read() - before >= 4 * size
    monkeypatch.setattr("time.time_ns", lambda: written + 3_000_000_000)
    before = bytes_read()
    hashes |= {sha256_file(path) for _ in range(4)}
    assert size <= bytes_read() - before < 2 * size
    moved = path.rename(tmp_path / "y")
    times = moved.stat()
    for content in (b"1", b"2", b"3"):
        with moved.open("r+b") as stream:
            stream.write(content)
        os.utime(moved, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert sha256_file(moved) == hashlib.sha256(content + bytes(size - 1)).hexdigest()
    assert hashes == {hashlib.sha256(bytes(size)).hexdigest()}
