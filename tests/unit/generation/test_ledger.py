"""The ledger keeps what was answered, once, and says clearly what it cannot read."""

import sqlite3
from pathlib import Path

import pytest

from groundtune.errors import DataError, StorageError
from groundtune.generation import Ledger
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.types import Rule

REQUEST = LLMRequest("sistem", "istem: ığüşöç", {"type": "object"}, "m", {"max_tokens": 8})
RESPONSE = LLMResponse('{"pairs": []}', 10, 4, "end", "m-2026")


def record(ledger: Ledger, request: LLMRequest = REQUEST) -> None:
    ledger.record(request, RESPONSE, rule=Rule.INDIVIDUAL, language="tr", accepted=[], rejected=[{"reason": "x"}])


def test_an_answer_is_found_again_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "ledger.sqlite"
    with Ledger(path) as ledger:
        assert ledger.find(REQUEST.key) is None
        record(ledger)
    with Ledger(path) as ledger:
        assert ledger.find(REQUEST.key) == RESPONSE
        assert len(ledger) == 1


def test_the_same_request_cannot_be_written_twice(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        record(ledger)
        with pytest.raises(DataError):
            record(ledger)
        assert len(ledger) == 1


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger, pytest.raises(TypeError):
        ledger.record(REQUEST, RESPONSE, rule=Rule.MODULE, language="tr", accepted=[{"a": {1}}], rejected=[])
    with Ledger(path) as ledger:
        assert ledger.find(REQUEST.key) is None


def test_shared_texts_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        record(ledger)
        record(ledger, LLMRequest("sistem", "başka", {"type": "object"}, "m", {"max_tokens": 8}))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM texts").fetchone() == (2,)
    connection.close()


def test_a_ledger_of_a_newer_version_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match=r"newer groundtune \(ledger version 99.*move the file away"):
        Ledger(path)


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    junk = tmp_path / "junk.sqlite"
    junk.write_bytes(b"this is not a database, not at all" * 100)
    with pytest.raises(DataError, match=r"junk\.sqlite"):
        Ledger(junk)
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE notes (x)")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match="not a groundtune ledger"):
        Ledger(other)


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StorageError):
        Ledger(file / "ledger.sqlite")
    with pytest.raises(StorageError):
        Ledger(tmp_path)
