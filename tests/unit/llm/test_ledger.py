"""The ledger keeps what was answered, once, adds up the money, and says clearly what it cannot read."""

import contextlib
import math
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.errors import DataError, StorageError
from groundtune.llm import Ledger, LLMRequest, LLMResponse

REQUEST = LLMRequest("sistem", "istem: ığüşöç", {"type": "object"}, "m", {"max_tokens": 8})
RESPONSE = LLMResponse('{"pairs": []}', 10, 4, "end", "m-2026", 3, 2)
TAGS = {"purpose": "pairs", "rule": "module"}


def request(prompt: str) -> LLMRequest:
    return replace(REQUEST, prompt=prompt)


def record(ledger: Ledger, asked: LLMRequest = REQUEST, **more) -> LLMResponse:
    return ledger.record(asked, more.pop("response", RESPONSE), state=more.pop("state", "complete"), tags=TAGS, **more)


def rows(path: Path, query: str) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


# answers and failures


def test_an_answer_is_found_again_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "ledger.sqlite"
    with Ledger(path) as ledger:
        assert ledger.find(REQUEST.key) is None
        assert record(ledger, state="truncated", dollars=0.5) == RESPONSE
    with Ledger(path) as ledger:
        assert ledger.find(REQUEST.key) == RESPONSE
        assert len(ledger) == 1
        assert ledger.states() == {REQUEST.key: "truncated"}
        assert ledger.dollars() == {REQUEST.key: 0.5}


def test_the_first_answer_stands_and_a_second_one_costs_money_all_the_same(tmp_path: Path) -> None:
    later = replace(RESPONSE, text="später")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        number = ledger.reserve(REQUEST.key, 1.0)
        record(ledger, dollars=0.25)
        assert record(ledger, response=later, dollars=0.5, reservation=number) == RESPONSE
        assert ledger.find(REQUEST.key) == RESPONSE
        assert len(ledger) == 1
        assert ledger.spending.answered == 0.25
        assert ledger.spending.lost == 0.5
        assert ledger.spending.in_flight == 0


def test_half_a_surrogate_pair_in_an_answer_is_kept_as_it_came(tmp_path: Path) -> None:
    broken = replace(RESPONSE, text='{"q": "\ud83d ve \x00"}')
    asked = replace(REQUEST, system="\ud800", prompt="istem \udc00")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        record(ledger, asked, response=broken)
        ledger.fail(request("b\ud83d"), reason="çok uzun \ud83d", tags={"kişi": "\ud83d"}, raw="\ud83d")
        assert ledger.find(asked.key) == broken
        [failure] = ledger.failures().values()
        assert failure.raw == "\ud83d"


def test_a_transaction_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        number = ledger.reserve(REQUEST.key, 1.0)
        with pytest.raises(ValueError, match="nan dollars"):
            record(ledger, dollars=math.nan, reservation=number)
        assert ledger.find(REQUEST.key) is None
        assert ledger.spending.in_flight == ledger.spending.at_most == 1.0
        record(ledger, dollars=0.5, reservation=number)
        assert ledger.spending.at_most == 0.5
    assert len(rows(path, "SELECT * FROM texts")) == 2


def test_shared_texts_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        record(ledger)
        record(ledger, request("başka"))
    assert len(rows(path, "SELECT * FROM texts")) == 2
    assert rows(path, "SELECT text FROM answers JOIN texts ON system_sha256 = sha256") == [("sistem",), ("sistem",)]


def test_a_later_answer_takes_a_failure_away(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.fail(REQUEST, reason="too long", tags=TAGS, raw="HTTP 413")
        ledger.fail(request("b"), reason="not allowed", tags=TAGS)
        found = ledger.find_failure(REQUEST.key)
        assert found is not None
        assert (found.reason, found.raw) == ("too long", "HTTP 413")
        record(ledger)
        assert ledger.find_failure(REQUEST.key) is None
        assert [failure.reason for failure in ledger.failures().values()] == ["not allowed"]
        assert ledger.forget_failures() == 1
        assert ledger.failures() == {}


def test_notes_are_replaced_by_name_and_come_in_order(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.note("batch", "b", {"id": 1})
        ledger.note("batch", "a", [1, "ğ"])
        ledger.note("batch", "b", {"id": 2})
        ledger.note("prompt", "a", None)
    with Ledger(path) as ledger:
        assert list(ledger.notes("batch")) == [("a", [1, "ğ"]), ("b", {"id": 2})]
        ledger.forget_note("batch", "a")
        assert list(ledger.notes("batch")) == [("b", {"id": 2})]


# money


def test_what_a_killed_run_left_in_flight_counts_as_spent_but_for_batches(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        batch, _ = ledger.reserve("a", 1.0), ledger.reserve("b", 2.0)
    with Ledger(path) as ledger:
        assert ledger.lose_left(frozenset({batch})) == 1
        spending = ledger.spending
        assert (spending.lost, spending.in_flight, spending.at_most) == (2.0, 1.0, 3.0)
        assert ledger.lose_left(frozenset({batch})) == 0


def test_an_answer_that_arrives_after_all_ends_a_lost_reservation(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        number = ledger.reserve(REQUEST.key, 2.0)
        ledger.lose(number)
        record(ledger, dollars=0.5, reservation=number)
        assert ledger.spending.at_most == 0.5


def test_a_budget_is_used_to_the_last_cent_and_never_passed(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        numbers = [ledger.reserve_within("k", 0.1, 0.3) for _ in range(4)]
        assert [number is not None for number in numbers] == [True, True, True, False]
        ledger.release(numbers[0] or 0)
        assert ledger.reserve_within("k", 0.11, 0.3) is None
        assert ledger.reserve_within("k", 0.1, 0.3) is not None


def test_an_amount_that_cannot_be_added_up_is_refused(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for amount in (math.nan, math.inf, -1.0):
            with pytest.raises(ValueError, match="finite amount"):
                ledger.reserve_within("k", amount, 1.0)
            with pytest.raises(ValueError, match="finite amount"):
                ledger.reserve("k", amount)
        assert ledger.spending.at_most == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "within", "release", "lose", "record", "lose_left", "other", "fail"]),
        st.integers(0, 9),
        st.floats(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=tries(240), deadline=None)
@given(STEPS)
def test_sums_in_memory_are_those_of_the_file_whoever_writes_to_it(steps: list[tuple[str, int, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with Ledger(path) as ledger, Ledger(path) as other:
            numbers = [0]
            for step, index, dollars in steps:
                number = numbers[index % len(numbers)]
                if step == "reserve":
                    numbers.append(ledger.reserve("k", dollars))
                elif step == "within":
                    before = ledger.spending.at_most
                    got = ledger.reserve_within("k", dollars, 5.0)
                    assert (got is not None) == (before + dollars <= 5.0 + 1e-9)
                    numbers += [got] if got is not None else []
                elif step == "release":
                    ledger.release(number)
                elif step == "lose":
                    ledger.lose(number)
                elif step == "record":
                    record(ledger, request(str(index)), dollars=dollars, reservation=number)
                elif step == "lose_left":
                    ledger.lose_left(frozenset(numbers[:2]))
                elif step == "other":
                    numbers.append(other.reserve("k", dollars))
                else:
                    with pytest.raises(ValueError, match="finite amount"):
                        ledger.record(
                            request("new"), RESPONSE, state="complete", tags={}, dollars=-1.0, reservation=number
                        )
                with Ledger(path) as fresh:
                    for one, two in ((ledger.spending, fresh.spending), (other.spending, fresh.spending)):
                        assert one.answered == pytest.approx(two.answered, abs=1e-9)
                        assert one.lost == pytest.approx(two.lost, abs=1e-9)
                        assert one.in_flight == pytest.approx(two.in_flight, abs=1e-9)


# several processes, and killed ones

WORKER = """
import sys
from pathlib import Path
from groundtune.llm import Ledger, LLMRequest, LLMResponse
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
with Ledger(path) as ledger:
    for index in range(count):
        request = LLMRequest("s", f"{name} {index}", {}, "m")
        number = ledger.reserve_within(request.key, 1.0, 60.0)
        print("asked", request.key, number is not None, flush=True)
        if number is not None:
            ledger.record(request, LLMResponse("x" * 3000, 1, 1, "end", "m"), state="complete", tags={}, dollars=0.5, reservation=number)
            print("kept", request.key, flush=True)
"""


def start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def go(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def test_processes_that_open_a_new_ledger_in_the_same_moment_share_it_and_its_budget(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    workers = [start(path, name, 50) for name in "abc"]
    for worker in workers:
        go(worker)
    kept = 0
    for worker in workers:
        out, error = worker.communicate(timeout=60)
        assert (worker.returncode, error) == (0, "")
        kept += out.count("kept")
    with Ledger(path) as ledger:
        # each answer costs half a dollar; the next needs a whole one, so 119 fit, and the 119th answer is the last
        assert kept == len(ledger) == 119
        assert ledger.spending.at_most == 59.5


def test_a_killed_process_loses_no_answer_it_had_written_and_no_money(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    kept: set[str] = set()
    for round_number, wait in enumerate((0.0, 0.003, 0.011)):
        worker = start(path, str(round_number), 10_000)
        go(worker)
        assert worker.stdout is not None
        lines = [worker.stdout.readline()]
        time.sleep(wait)
        worker.send_signal(signal.SIGKILL)
        # not communicate(): it would pass over what readline() has read ahead
        lines += worker.stdout.readlines()
        worker.communicate()
        # the last line may be cut
        kept |= {line.split()[1] for line in lines if line.startswith("kept") and line.endswith("\n")}
        with Ledger(path) as ledger:
            states = ledger.states()
            assert kept <= states.keys()
            assert len(states) <= len(kept) + round_number + 1
            assert ledger.lose_left() <= 1
            spending = ledger.spending
            assert spending.answered == 0.5 * len(states)
            assert spending.in_flight == 0
            assert spending.lost <= round_number + 1


# files that are no ledger, or an older or newer one


def make_file(path: Path, *statements: str) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


VERSION_1 = (
    "CREATE TABLE texts (sha256 TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, system_sha256 TEXT NOT NULL REFERENCES texts, "
    "accepted TEXT NOT NULL)",
    "INSERT INTO texts VALUES ('t', 'sistem')",
    "INSERT INTO answers VALUES ('k', 'offline-rules/1', 't', '[]')",
    "PRAGMA user_version = 1",
)


def test_a_ledger_of_version_1_is_set_aside_in_the_same_file_and_asked_again(tmp_path: Path) -> None:
    path = make_file(tmp_path / "ledger.sqlite", *VERSION_1)
    for _ in range(2):
        with Ledger(path) as ledger:
            assert len(ledger) == 0
            assert ledger.find("k") is None
    with Ledger(path) as ledger:
        record(ledger)
        assert len(ledger) == 1
    assert rows(path, "SELECT key FROM answers_of_version_1") == [("k",)]
    assert rows(path, "SELECT text FROM texts_of_version_1") == [("sistem",)]


def test_a_ledger_of_a_newer_version_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    make_file(path, "PRAGMA user_version = 99")
    with pytest.raises(DataError, match=r"newer groundtune \(ledger version 99.*move the file away"):
        Ledger(path)


@pytest.mark.parametrize("version", [0, 1, 2, 3, -1])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path, version: int) -> None:
    other = make_file(tmp_path / "other.sqlite", "CREATE TABLE notes (x)", f"PRAGMA user_version = {version}")
    before = other.read_bytes()
    with pytest.raises(DataError, match="not a groundtune ledger"):
        Ledger(other)
    assert other.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["other.sqlite"]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    junk = tmp_path / "junk.sqlite"
    junk.write_bytes(b"this is not a database, not at all" * 100)
    with pytest.raises(DataError, match=r"junk\.sqlite: not a readable ledger"):
        Ledger(junk)


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(StorageError):
        Ledger(file / "ledger.sqlite")
    with pytest.raises(StorageError):
        Ledger(tmp_path)


def test_a_full_disk_is_said_in_those_words_and_the_ledger_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        pages = ledger.file.connection.execute("PRAGMA page_count").fetchone()[0]
        ledger.file.connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        large = replace(RESPONSE, text="x" * 100_000)
        with pytest.raises(StorageError, match="the disk is full; free some space"):
            record(ledger, response=large, dollars=1.0)
        assert ledger.spending.at_most == 0
        ledger.file.connection.execute("PRAGMA max_page_count = 100000")
        record(ledger, response=large, dollars=1.0)
        assert ledger.spending.at_most == 1.0
