"""Files that are either whole or absent, and records that name their line when they are wrong.

Everything groundtune writes goes to a temporary name in the same folder, is flushed to the disk and then renamed, so a
crash or a full disk never leaves a half-written file under its final name. File-system refusals become `StorageError`
here, once. What this module does not do: decide what is stale (:mod:`groundtune.manifest`).
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from groundtune.errors import DataError, StorageError

Record = TypeVar("Record")

TEMPORARY_PREFIX = ".partial-"
"""Names of files and folders that are still being written begin with this; they may be deleted at any time."""

_RUST_REFUSAL = re.compile(r"\(os error (\d+)\)")

_REFUSALS = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EFBIG: "the file is larger than the system allows (ulimit -f); raise the limit and run the same command again",
    errno.EROFS: "the file system is read-only; choose another place with --set workdir=FOLDER",
    errno.EACCES: "permission denied; choose another place with --set workdir=FOLDER or change the permissions",
    errno.EPERM: "operation not permitted; choose another place with --set workdir=FOLDER",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place with --set workdir=FOLDER",
    errno.EEXIST: "a file of that name is in the way; move it or choose another place with --set workdir=FOLDER",
}


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """The clear message for an operating-system refusal on `path`."""
    reason = _REFUSALS.get(error.errno or 0, error.strerror or str(error))
    return StorageError(f"cannot write {path}: {reason}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn `OSError` on writing `path` into `StorageError`. For libraries that write files of their own."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise storage_error(path, error) from error
    except Exception as error:
        # tokenizers and safetensors are written in Rust: what the system refused is in the text of a plain Exception
        refused = _RUST_REFUSAL.search(str(error))
        if refused is None:
            raise
        number = int(refused[1])
        raise storage_error(path, OSError(number, os.strerror(number))) from error


def make_folder(path: Path) -> Path:
    """Create `path` and its parents. Raises `StorageError`."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed to `path`, otherwise removed."""
    make_folder(path.parent)
    with writing(path):
        handle, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            # mkstemp makes files private; the result should obey the user's umask like any other file
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the place of `path`, otherwise it is removed."""
    make_folder(path.parent)
    with writing(path):
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                # rename cannot replace a filled folder: the old one steps aside first, and is gone only when the new one stands
                aside = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=path.parent)) / path.name
                path.rename(aside)
                temporary.rename(path)
                shutil.rmtree(aside.parent)
            else:
                temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with LF line ends, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write one JSON value, indented, keys in the order given."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, default=_jsonable) + "\n")


def write_records(path: Path, records: Iterable[Any]) -> int:
    """Write dataclasses or mappings as JSON Lines; returns how many."""
    count = 0
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for record in records:
            stream.write(to_json(record) + "\n")
            count += 1
    return count


def to_json(record: Any) -> str:
    """One compact JSON line of a dataclass or a mapping."""
    return json.dumps(as_plain(record), ensure_ascii=False, separators=(", ", ": "), default=_jsonable)


def as_plain(value: Any) -> Any:
    """Dataclasses, also inside tuples, lists and mappings, as mappings; fields that `OMIT_DEFAULT` marks only where they
    hold something."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not (field.metadata.get("omit_default") and _holds_default(field, getattr(value, field.name)))
        }
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    return value


def _holds_default(field: dataclasses.Field[Any], value: Any) -> bool:
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return bool(value == default)


def _jsonable(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return as_plain(value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises `DataError` for a missing, unreadable or non-UTF-8 file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def read_json(path: Path) -> Any:
    """One JSON value. Raises `DataError` with the line."""
    return parse_json(read_text(path), path)


def parse_json(text: str, path: Path, line: int = 1) -> Any:
    """The JSON value `text`, which begins on `line` of `path`. Raises `DataError` with the line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{line + error.lineno - 1}: not valid JSON ({error.msg})") from error
    except RecursionError as error:
        raise DataError(f"{path}:{line}: JSON with too many brackets inside each other to be read") from error
    except ValueError as error:
        raise DataError(f"{path}:{line}: JSON with a number that is too long to be read ({error})") from error


def read_record(path: Path, kind: Callable[..., Record]) -> Record:
    """A JSON file that holds one value, as `kind`. Raises `DataError` naming file and field."""
    return parse_record(read_json(path), kind, where=str(path))


def read_records(path: Path, kind: Callable[..., Record]) -> list[Record]:
    """Every line of a JSON Lines file as `kind`. Raises `DataError` naming file, line, record and field."""
    records = []
    # not splitlines(): U+2028 and U+0085 are line ends to it and ordinary characters to JSON
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            records.append(parse_record(parse_json(line, path, number), kind, where=f"{path}:{number}"))
    return records


def parse_record(value: Any, kind: Callable[..., Record], *, where: str) -> Record:
    """The JSON value `value` as the dataclass `kind`, types checked. Raises `DataError` that begins with `where`."""
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if isinstance(value, dict) and (unknown := sorted(set(value) - known)):
        raise DataError(f"{where}:{_identity(value)} unknown field {unknown[0]!r}; expected {', '.join(sorted(known))}")
    try:
        # through JSON, because there a strict check still lets an array be a tuple and a string an enum member
        record: Record = _adapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(the record itself)"
        identity = _identity(value)
        found = "nothing" if first["type"] == "missing" else f"{first['input']!r:.80}"
        raise DataError(f"{where}:{identity} field {field!r}: found {found}; {first['msg'].lower()}") from error
    return record


def _identity(value: Any) -> str:
    if isinstance(value, dict):
        for key in ("chunk_id", "group_id", "pair_id", "example_id", "id"):
            if isinstance(value.get(key), str):
                return f" record {value[key]!r},"
    return ""


@lru_cache(maxsize=32)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def sha256_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """Of the bytes of a file; within a process computed once, as long as the file is not touched. What another program writes
    through memory that it has mapped may go unseen: the system stamps such a file late. Raises `DataError` when it cannot be
    read."""
    try:
        with path.open("rb") as stream:
            state = _state(stream.fileno())
            known = _hashes.get(state)
            if known is None:
                known = hashlib.file_digest(stream, "sha256").hexdigest()
                if _state(stream.fileno()) == state and time.time_ns() - max(state[-2:]) > _STAMP_NS:
                    _hashes[state] = known
            return known
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


_hashes: dict[tuple[int, ...], str] = {}

_STAMP_NS = 2_500_000_000
"""A file that was touched so shortly ago may be touched again under the same time: file systems stamp in steps of up to 2 s
(FAT; ext3 and HFS+ 1 s)."""


def _state(file: int) -> tuple[int, ...]:
    """Of an open file; another one whenever the content is another."""
    found = os.fstat(file)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
