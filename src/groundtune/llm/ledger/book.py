"""The ledger itself: requests are found by key, so nothing that is in it is asked again, in whatever run and order.

The file is in write-ahead mode: a process killed at any moment leaves every finished request whole and nothing
half-written. What this module does not do: decide what is a good answer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from groundtune.files import sha256_text
from groundtune.llm.client import LLMRequest, LLMResponse, StopReason
from groundtune.llm.ledger.file import LedgerFile
from groundtune.llm.ledger.spending import Purse, Spending

AnswerState = Literal["complete", "truncated", "malformed", "declined"]
"""What the shape of an answer calls for: nothing, asking for the rest, asking again, giving up."""

_ANSWER_COLUMNS = (
    "key, model, parameters, tags, system_sha256, schema_sha256, state, answered_by, stop_reason, input_tokens, "
    "output_tokens, cache_read_tokens, cache_write_tokens, dollars, prompt, raw"
)
_INSERT_ANSWER = f"INSERT INTO answers ({_ANSWER_COLUMNS}) VALUES (:{_ANSWER_COLUMNS.replace(', ', ', :')}) ON CONFLICT (key) DO NOTHING"
_RESPONSE = "raw, input_tokens, output_tokens, stop_reason, answered_by, cache_read_tokens, cache_write_tokens"


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was given up."""

    reason: str
    raw: str
    """What came back, if anything did."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An answered request, without the prompt, which `Ledger.request` has."""

    key: str
    model: str
    """That was asked for."""
    answered_by: str
    tags: Mapping[str, str]
    system_sha256: str
    stop_reason: StopReason
    raw: str


class Ledger:
    """An open ledger. Use it as a context manager.

    Raises:
        DataError: the file is not a ledger, is damaged, or was written by a newer groundtune.
        StorageError: the file system refuses.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = LedgerFile(path)
        self._purse = Purse(self.file)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()

    def __len__(self) -> int:
        """Of answers."""
        with self.file.guard():
            return int(self.file.connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def find(self, key: str) -> LLMResponse | None:
        """The answer to the request with this key, if it was ever given."""
        with self.file.guard():
            row = self.file.connection.execute(f"SELECT {_RESPONSE} FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else LLMResponse(_text(row[0]), *row[1:])

    def request(self, key: str) -> LLMRequest | None:
        """The answered request with this key, its context and prompt as one prompt, which gives the same key."""
        with self.file.guard():
            row = self.file.connection.execute(
                "SELECT system.text, answers.prompt, schemas.text, answers.model, answers.parameters FROM answers "
                "JOIN texts AS system ON system.sha256 = system_sha256 "
                "JOIN texts AS schemas ON schemas.sha256 = schema_sha256 WHERE key = ?",
                (key,),
            ).fetchone()
        if row is None:
            return None
        system, prompt, schema, model, parameters = row
        return LLMRequest(_text(system), _text(prompt), json.loads(_text(schema)), model, json.loads(parameters))

    def entries(self) -> Iterator[Entry]:
        """Every answered request, by key."""
        with self.file.guard():
            rows = self.file.connection.execute(
                "SELECT key, model, answered_by, tags, system_sha256, stop_reason, raw FROM answers ORDER BY key"
            )
            for key, model, answered_by, tags, system_sha256, stop_reason, raw in rows:
                yield Entry(key, model, answered_by, json.loads(_text(tags)), system_sha256, stop_reason, _text(raw))

    def states(self) -> dict[str, AnswerState]:
        """Of every answer, by key; read at once, so that a long run finds in a moment where it was."""
        with self.file.guard():
            return dict(self.file.connection.execute("SELECT key, state FROM answers").fetchall())

    def tags(self) -> dict[str, dict[str, str]]:
        """What every answer is for, by key, as `record` was told."""
        with self.file.guard():
            rows = self.file.connection.execute("SELECT key, tags FROM answers").fetchall()
        return {key: json.loads(_text(tags)) for key, tags in rows}

    def dollars(self, keys: Mapping[str, Any] | None = None) -> dict[str, float | None]:
        """What each answer cost, by key; None where no price was known. All of them, or those among `keys`."""
        with self.file.guard():
            rows = self.file.connection.execute("SELECT key, dollars FROM answers").fetchall()
        return {key: value for key, value in rows if keys is None or key in keys}

    def record(
        self,
        request: LLMRequest,
        response: LLMResponse,
        *,
        state: AnswerState,
        tags: Mapping[str, str],
        dollars: float | None = None,
        reservation: int | None = None,
    ) -> LLMResponse:
        """Write one finished request and end its reservation, whole or not at all.

        Returns the answer that stands: this one; or, where another process was quicker to answer the same request, the earlier
        one, and what this one cost is counted as lost.

        Args:
            tags: what the request is for (``{"purpose": "pairs", "rule": "module"}``), for people and statistics.
            dollars: what it cost, if prices are known.
        """
        key = request.key
        row = _row(request, response, key=key, state=state, tags=tags, dollars=dollars)
        texts = [(sha256_text(text), _storable(text)) for text in (request.system, _json(request.schema))]
        with self._purse.transaction() as entry:
            entry.connection.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?)", texts)
            written = entry.connection.execute(_INSERT_ANSWER, row).rowcount == 1
            entry.connection.execute("DELETE FROM failures WHERE key = ?", (key,))
            if reservation is not None:
                entry.end(reservation)
            if dollars is not None and written:
                entry.pay(dollars)
            elif dollars is not None:
                entry.lose_more(key, dollars)
        if written:
            return response
        return self.find(key) or response

    def fail(self, request: LLMRequest, *, reason: str, tags: Mapping[str, str], raw: str = "") -> None:
        """Write down that a request was given up, and what came back. A later answer to it takes this away."""
        texts = (_json(tags), request.full_prompt, reason, raw)
        values = (request.key, request.model, *(_storable(text) for text in texts))
        with self.file.transaction() as connection:
            connection.execute(f"INSERT OR REPLACE INTO failures VALUES ({', '.join('?' * 6)})", values)

    def failures(self) -> dict[str, Failure]:
        """By the key of the request."""
        with self.file.guard():
            rows = self.file.connection.execute("SELECT key, reason, raw FROM failures ORDER BY key").fetchall()
        return {key: Failure(_text(reason), _text(raw)) for key, reason, raw in rows}

    def find_failure(self, key: str) -> Failure | None:
        """Why the request with this key was given up, if it was."""
        with self.file.guard():
            row = self.file.connection.execute("SELECT reason, raw FROM failures WHERE key = ?", (key,)).fetchone()
        return None if row is None else Failure(_text(row[0]), _text(row[1]))

    def forget_failures(self) -> int:
        """Take all failures off the book, so that they are asked again. Returns how many there were."""
        with self.file.transaction() as connection:
            return int(connection.execute("DELETE FROM failures").rowcount)

    @property
    def spending(self) -> Spending:
        """Kept in memory: asked as often as one likes."""
        return self._purse.read()

    def reserve(self, key: str, dollars: float) -> int:
        """Set money aside for a request that is about to be sent; returns the number of the reservation."""
        with self._purse.transaction() as entry:
            return entry.reserve(key, dollars)

    def reserve_within(self, key: str, dollars: float, budget: float) -> int | None:
        """Set money aside if all there is on the book then stays within `budget`; None, and nothing written, if not."""
        return self._purse.reserve_within(key, dollars, budget)

    def reserve_all(
        self,
        dollars: Mapping[str, float],
        *,
        budget: float | None,
        kind: str,
        name: str,
        value: Callable[[Mapping[str, int]], Any],
    ) -> dict[str, int]:
        """Set money aside for several requests that go out together, and keep a note of it, whole or not at all.

        Args:
            dollars: by request key. The first that `budget` has no room for ends it; None: no limit.
            value: of the note, from the numbers of the reservations.

        Returns the numbers by key; nothing is written when there are none.
        """
        numbers: dict[str, int] = {}
        with self._purse.transaction() as entry:
            for key, most in dollars.items():
                if budget is not None and not entry.fits(most, budget):
                    break
                numbers[key] = entry.reserve(key, most)
            if numbers:
                _write_note(entry.connection, kind, name, value(numbers))
        return numbers

    def release(self, reservation: int) -> None:
        """The server said no: nothing was billed."""
        with self._purse.transaction() as entry:
            entry.end(reservation)

    def lose(self, reservation: int) -> None:
        """The answer was lost, and may have been billed: the reservation stays, as spent."""
        with self._purse.transaction() as entry:
            entry.lose(reservation)

    def lose_left(self, kept: frozenset[int] = frozenset()) -> int:
        """At the start of a run: what a killed one left in flight may have been billed, all but `kept` (the reservations of
        batches that are still out). Returns how many there were."""
        return self._purse.lose_left(kept)

    def note(self, kind: str, name: str, value: Any) -> None:
        """Keep a JSON-able value under a name, such as a batch that is out; an earlier one of the name is replaced."""
        with self.file.transaction() as connection:
            _write_note(connection, kind, name, value)

    def notes(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Name and value of every note of a kind, by name."""
        with self.file.guard():
            rows = self.file.connection.execute(
                "SELECT name, value FROM notes WHERE kind = ? ORDER BY name", (kind,)
            ).fetchall()
        return ((name, json.loads(_text(value))) for name, value in rows)

    def forget_note(self, kind: str, name: str) -> None:
        with self.file.transaction() as connection:
            connection.execute("DELETE FROM notes WHERE kind = ? AND name = ?", (kind, name))


def _write_note(connection: sqlite3.Connection, kind: str, name: str, value: Any) -> None:
    connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (kind, name, _storable(_json(value))))


def _row(
    request: LLMRequest,
    response: LLMResponse,
    *,
    key: str,
    state: AnswerState,
    tags: Mapping[str, str],
    dollars: float | None,
) -> dict[str, Any]:
    return {
        "key": key,
        "model": request.model,
        "parameters": _json(request.parameters),
        "tags": _storable(_json(tags)),
        "system_sha256": sha256_text(request.system),
        "schema_sha256": sha256_text(_json(request.schema)),
        "state": state,
        "answered_by": response.model,
        "stop_reason": response.stop_reason,
        "input_tokens": response.input_tokens,
        "output_tokens": response.output_tokens,
        "cache_read_tokens": response.cache_read_tokens,
        "cache_write_tokens": response.cache_write_tokens,
        "dollars": dollars,
        "prompt": _storable(request.full_prompt),
        "raw": _storable(response.text),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _storable(text: str) -> str | bytes:
    """Half of a surrogate pair, which a model's broken escape can leave in its answer, has no UTF-8: such a text is kept as
    bytes, so that no paid answer is refused.

    >>> _storable("ğ"), _storable(chr(0xD83D))
    ('ğ', b'\xed\xa0\xbd')
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def _text(stored: str | bytes) -> str:
    return stored.decode("utf-8", "surrogatepass") if isinstance(stored, bytes) else stored
