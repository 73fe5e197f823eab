"""Questions of benchmark files: JSON, JSON Lines (also gzip), CSV, TSV, Parquet, or plain text with one question a line.

A record's question is its first column of the names in `QUESTION_COLUMNS`, or what users say in its messages; SQuAD's
nested form (``data``, ``paragraphs``, ``qas``) is read too. What this module does not do: make examples of them
(:mod:`groundtune.dataset.formats` does that for data).
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.errors import DataError
from groundtune.files import parse_json

QUESTION_COLUMNS = ("question", "prompt", "instruction", "problem", "query", "goal", "ctx", "text", "input")
"""In order of preference; ``input`` is joined to an ``instruction``."""

_MESSAGE_COLUMNS = ("messages", "conversations")
_USER_ROLES = ("user", "human")


def read_questions(path: Path) -> list[str]:
    """The questions of one file, in order, repeated ones once.

    Raises:
        DataError: the file is missing or damaged, or a record has no question; the message names its line.
    """
    questions: list[str] = []
    for line, record in _records(path):
        found = [question for question in _questions(record) if question.strip()]
        if not found:
            keys = ", ".join(map(repr, record)) if isinstance(record, dict) else type(record).__name__
            raise DataError(
                f"{path}:{line}: no question in a record with {keys or 'nothing'}; expected one of "
                f"{', '.join(QUESTION_COLUMNS)}, or messages with a user's turn"
            )
        questions += found
    if not questions:
        raise DataError(f"{path}: no questions in it; take it out of data.filters.benchmarks")
    return list(dict.fromkeys(questions))


def _questions(record: Any) -> list[str]:
    if isinstance(record, str):
        return [record]
    if not isinstance(record, dict):
        return []
    for column in _MESSAGE_COLUMNS:
        if isinstance(record.get(column), list):
            return [text for turn in record[column] if (text := _of_user(turn))]
    for column in QUESTION_COLUMNS:
        value = record.get(column)
        if isinstance(value, str) and value.strip():
            more = record.get("input") if column == "instruction" else None
            return [f"{value}\n{more}" if isinstance(more, str) and more.strip() else value]
    return []


def _of_user(turn: Any) -> str:
    if not isinstance(turn, dict) or (turn.get("role") or turn.get("from")) not in _USER_ROLES:
        return ""
    content = turn.get("content") or turn.get("value")
    return content if isinstance(content, str) else ""


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """Every record with its line or number."""
    kind = Path(path.name.removesuffix(".gz")).suffix.lower()
    if kind == ".parquet":
        yield from enumerate(_parquet(path), start=1)
        return
    text = _text(path)
    if kind == ".json":
        yield from enumerate(_flat(parse_json(text, path, 1)), start=1)
    elif kind in (".csv", ".tsv"):
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if kind == ".tsv" else ",")
        for row in rows:
            yield rows.line_num, row
    elif kind in (".jsonl", ".ndjson", ".txt"):
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, line.strip() if kind == ".txt" else parse_json(line, path, number)
    else:
        raise DataError(f"{path}: found {kind or 'no suffix'!r}; expected .json, .jsonl, .csv, .tsv, .parquet or .txt")


def _flat(value: Any) -> list[Any]:
    """The records of a JSON file: a list, a list under ``data``, or SQuAD's questions."""
    if isinstance(value, dict):
        value = value.get("data", [value])
    records = []
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict) and isinstance(item.get("paragraphs"), list):
            records += [question for paragraph in item["paragraphs"] for question in paragraph.get("qas", [])]
        else:
            records.append(item)
    return records


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; data.filters.benchmarks names it") from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _parquet(path: Path) -> list[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        return list(pyarrow.parquet.read_table(path).to_pylist())
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; data.filters.benchmarks names it") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from error
