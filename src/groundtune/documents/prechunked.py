"""A file of passages that somebody else cut: a JSON array, an object with a "chunks" array, or JSON Lines.

A record needs `text`; every other field of a `Chunk` is taken when it is there and right, and computed when it is not.
``id`` is read as `chunk_id`. Fields that a chunk does not have are counted and left out.
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from groundtune.config import DocumentsConfig
from groundtune.documents.blocks import parse_blocks
from groundtune.documents.drafts import ChunkNumbers, breadcrumb, passage_language, relate
from groundtune.documents.modules import file_stem, readable
from groundtune.documents.plain import prose
from groundtune.documents.reading import decode, read_bytes
from groundtune.documents.skips import ReadingLog
from groundtune.documents.tokens import TokenCounter
from groundtune.errors import DataError
from groundtune.files import parse_json, sha256_text
from groundtune.progress import ProgressBar
from groundtune.types import Chunk

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\r\n]*")


class _Record(BaseModel):
    """What a record may say; None is "not said"."""

    model_config = ConfigDict(extra="ignore", strict=True)

    text: str
    chunk_id: str | None = Field(None, min_length=1)
    module: str | None = Field(None, min_length=1)
    submodule: str | None = Field(None, min_length=1)
    section_heading: str | None = None
    breadcrumb: list[str] | None = None
    language: str | None = None
    token_count: int | None = Field(None, ge=0)
    has_table: bool | None = None
    has_code: bool | None = None
    references_modules: list[str] | None = None
    db_tables: list[str] | None = None
    depth: int | None = Field(None, ge=0)
    source: str | None = Field(None, min_length=1)
    line_start: int | None = Field(None, ge=1)
    line_end: int | None = Field(None, ge=1)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class _Raw:
    value: Any
    number: int
    """From 1."""
    line_start: int
    line_end: int


def read_prechunked(path: Path, config: DocumentsConfig, count: TokenCounter, log: ReadingLog) -> list[Chunk]:
    """The chunks of a pre-chunked file, in its order.

    Raises:
        DataError: naming file, record and field: not JSON, no array of records, a missing `text`, a value of the wrong type,
            two records with one id, a `sha256` that is not of the text, a language that is not configured.
    """
    text = decode(read_bytes(path), path).removeprefix("\ufeff")
    try:
        raws = list(_json_lines(text, path) if path.suffix.lower() == ".jsonl" else _json_array(text, path))
    except RecursionError as error:
        raise DataError(f"{path}: the JSON is nested too deeply to be read") from error
    if not raws:
        raise DataError(f"{path}: found no records; expected objects with at least 'text'")
    records = _checked(raws, path, config, log)
    numbers = ChunkNumbers(config.id_prefix, frozenset(record.chunk_id for _, record in records if record.chunk_id))
    chunks: list[Chunk] = []
    with ProgressBar("reading chunks", total=len(records), unit="records") as bar:
        for raw, record in records:
            chunks.append(_chunk(raw, record, path.name, config, count, numbers))
            bar.advance()
    if not chunks:
        raise DataError(f"{path}: no record has any text")
    return relate(
        chunks,
        keep_references=frozenset(i for i, (_, one) in enumerate(records) if one.references_modules is not None),
        keep_tables=frozenset(i for i, (_, one) in enumerate(records) if one.db_tables is not None),
    )


def _json_lines(text: str, path: Path) -> Iterator[_Raw]:
    number = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            number += 1
            yield _Raw(parse_json(content, path, line), number, line, line)


def _json_array(text: str, path: Path) -> Iterator[_Raw]:
    """The records of a JSON array with their lines, found by decoding one value after another."""
    whole = parse_json(text, path)
    at = _array_start(text, whole, path)
    line_starts = [match.end() for match in re.finditer(r"\n", text)]
    decoder = json.JSONDecoder()
    number = 0
    at = _skip_space(text, at + 1)
    while text[at] != "]":
        value, end = decoder.raw_decode(text, at)
        number += 1
        yield _Raw(value, number, bisect_right(line_starts, at) + 1, bisect_right(line_starts, end - 1) + 1)
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + 1)


def _array_start(text: str, whole: Any, path: Path) -> int:
    """Offset of the array's bracket in a text that is valid JSON."""
    at = _skip_space(text, 0)
    if isinstance(whole, list):
        return at
    if not isinstance(whole, dict) or not isinstance(whole.get("chunks"), list):
        raise DataError(
            f'{path}: found {_kind(whole)}; expected an array of records, or an object with a "chunks" array'
        )
    decoder = json.JSONDecoder()
    start, at = 0, _skip_space(text, at + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = _skip_space(text, _skip_space(text, at) + 1)
        if key == "chunks":
            # of a key that is there twice the last counts, as in json.loads
            start = at
        _, at = decoder.raw_decode(text, at)
        at = _skip_space(text, at)
        if text[at] == ",":
            at = _skip_space(text, at + 1)
    return start


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _kind(value: Any) -> str:
    return 'an object without a "chunks" array' if isinstance(value, dict) else f"{value!r:.40}"


def _checked(raws: Sequence[_Raw], path: Path, config: DocumentsConfig, log: ReadingLog) -> list[tuple[_Raw, _Record]]:
    """Records that hold, in order; those with blank text are skipped and counted."""
    known = set(_Record.model_fields) | {"id"}
    first_with: dict[str, int] = {}
    records = []
    for raw in raws:
        record = _parse(raw, path)
        where = _where(path, raw, record.chunk_id)
        if record.chunk_id is not None:
            if record.chunk_id in first_with:
                raise DataError(f"{where} field 'chunk_id': record {first_with[record.chunk_id]} has the same id")
            first_with[record.chunk_id] = raw.number
        _check_values(record, where, config)
        for name in raw.value:
            if name not in known:
                log.skip(f"record field that a chunk does not have: {name}", path.name, what=f"record {raw.number}")
        if record.text.strip():
            records.append((raw, record))
        else:
            log.skip("record with blank text", path.name, line=raw.line_start, what=f"record {raw.number}")
    return records


def _parse(raw: _Raw, path: Path) -> _Record:
    value = raw.value
    if not isinstance(value, dict):
        raise DataError(f"{_where(path, raw, None)} found {value!r:.40}; expected an object with at least 'text'")
    if "id" in value and "chunk_id" not in value:
        identity = value["id"]
        # a number is a common id, and as good a one
        value = value | {"chunk_id": str(identity) if type(identity) is int else identity}
    given = value.get("chunk_id")
    try:
        return _Record.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        found = "nothing" if first["type"] == "missing" else f"{first['input']!r:.60}"
        where = _where(path, raw, given if isinstance(given, str) else None)
        raise DataError(f"{where} field {field!r}: found {found}; {first['msg'].lower()}") from error


def _where(path: Path, raw: _Raw, chunk_id: str | None) -> str:
    identity = f" ({chunk_id!r})" if chunk_id else ""
    return f"{path}:{raw.line_start}: record {raw.number}{identity},"


def _check_values(record: _Record, where: str, config: DocumentsConfig) -> None:
    for name, value in record.model_dump(exclude_none=True).items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and _SURROGATE.search(text):
                raise DataError(
                    f"{where} field {name!r}: found half of a surrogate pair (\\ud800-\\udfff); mend the text"
                )
    if record.language is not None and record.language not in config.languages:
        wanted = ", ".join(config.languages)
        raise DataError(
            f"{where} field 'language': found {record.language!r}; expected one of documents.languages ({wanted})"
        )
    if record.sha256 is not None and record.sha256 != sha256_text(record.text):
        raise DataError(f"{where} field 'sha256': not of this text; leave the field out to have it computed")
    if record.line_start and record.line_end and record.line_start > record.line_end:
        raise DataError(f"{where} field 'line_end': found {record.line_end}, before line_start ({record.line_start})")


def _chunk(
    raw: _Raw, record: _Record, file_name: str, config: DocumentsConfig, count: TokenCounter, numbers: ChunkNumbers
) -> Chunk:
    """The chunk of a record, with everything computed that it does not say."""
    text = _clean(record.text)
    blocks = parse_blocks(text.split("\n"))
    heading = next((block for block in blocks if block.depth), None)
    trail = [_clean(title) for title in record.breadcrumb or []]
    module = _clean(record.module or (trail[0] if trail else "")) or readable(file_stem(file_name))
    title = record.section_heading if record.section_heading is not None else (heading.title if heading else "")
    title = _clean(title) or (trail[-1] if len(trail) > 2 else "")
    submodule = _clean(record.submodule or (trail[1] if len(trail) > 1 else "")) or title or module
    language = record.language or passage_language(prose(text), config.languages, config.languages[0])
    start = record.line_start or record.line_end or raw.line_start
    return Chunk(
        chunk_id=record.chunk_id or numbers.next_id(module, language),
        module=module,
        submodule=submodule,
        section_heading=title,
        breadcrumb=tuple(trail) or breadcrumb(module, submodule, (title,)),
        language=language,
        text=text,
        token_count=count(text) if record.token_count is None else record.token_count,
        has_table=_given(record.has_table, any(block.has_table for block in blocks)),
        has_code=_given(record.has_code, any(block.has_code for block in blocks)),
        references_modules=tuple(record.references_modules or ()),
        db_tables=tuple(record.db_tables or ()),
        depth=record.depth if record.depth is not None else (heading.depth if heading else 0),
        source=record.source or file_name,
        line_start=start,
        line_end=record.line_end or (start if record.line_start else raw.line_end),
        sha256=sha256_text(text),
    )


def _given(value: bool | None, otherwise: bool) -> bool:
    return otherwise if value is None else value


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
