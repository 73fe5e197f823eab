"""What was answered is kept whole, whatever happens to the process."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from groundtune.dataset.augment import SqliteRecorder
from groundtune.errors import DataError, StorageError
from groundtune.llm import LLMRequest, LLMResponse

REQUEST = LLMRequest("sistem", "istem: ığüşöç", {"type": "object"}, "m", {"max_tokens": 8})
RESPONSE = LLMResponse('{"answer": "ğ"}', 10, 4, "end", "m-2026")


def test_an_answer_is_found_again_after_reopening(tmp_path):
    path = tmp_path / "inner" / "answers.sqlite"
    with SqliteRecorder(path) as recorder:
        assert recorder.get(REQUEST.key) is None
        recorder.put(REQUEST, RESPONSE)
        recorder.put(REQUEST, LLMResponse("another", 1, 1, "end", "m"))
    with SqliteRecorder(path) as recorder:
        assert recorder.get(REQUEST.key) == RESPONSE
        assert len(recorder) == 1


def test_the_request_can_be_read_by_a_person(tmp_path):
    with SqliteRecorder(tmp_path / "a.sqlite") as recorder:
        recorder.put(REQUEST, RESPONSE)
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
        [[request]] = connection.execute("SELECT request FROM answers")
    assert '"prompt": "istem: ığüşöç"' in request


def test_a_killed_process_leaves_every_finished_answer(tmp_path):
    path = tmp_path / "answers.sqlite"
    script = """
import os, signal, sys
from pathlib import Path
from groundtune.dataset.augment import SqliteRecorder
from groundtune.llm import LLMRequest, LLMResponse
recorder = SqliteRecorder(Path(sys.argv[1]))
for number in range(20):
    recorder.put(LLMRequest("s", str(number), {}, "m"), LLMResponse("x", 1, 1, "end", "m"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with SqliteRecorder(path) as recorder:
        assert len(recorder) == 20


def test_other_files_are_refused_and_left_alone(tmp_path):
    (tmp_path / "text.sqlite").write_text("not a database, only some text that is long enough", encoding="utf-8")
    with pytest.raises(DataError, match=r"text\.sqlite: not a readable record"):
        SqliteRecorder(tmp_path / "text.sqlite")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()
    with pytest.raises(DataError, match=r"other\.sqlite: found an SQLite file that is not one of augmentation"):
        SqliteRecorder(tmp_path / "other.sqlite")
    with SqliteRecorder(tmp_path / "new.sqlite"):
        pass
    with closing(sqlite3.connect(tmp_path / "new.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="newer groundtune"):
        SqliteRecorder(tmp_path / "new.sqlite")


def test_a_folder_in_the_way_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(StorageError):
        SqliteRecorder(tmp_path / "file" / "answers.sqlite")
