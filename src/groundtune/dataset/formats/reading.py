"""Sources to conversations: each row is a `Conversation` or a `LeftOut`, in the order of the files, streamed.

What this module does not do: filter, count or mix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from groundtune.config import DataFormat, SourceConfig
from groundtune.dataset.formats.columns import NEEDED, Layout, make_layout, said_columns
from groundtune.dataset.formats.detection import SAMPLE_ROWS, detect_format
from groundtune.dataset.formats.hub import HubPlace, hub_rows
from groundtune.dataset.formats.languages import LANGUAGE_CODES
from groundtune.dataset.formats.places import find_files, reader_of
from groundtune.dataset.formats.reasons import Malformed, Reason, shown
from groundtune.dataset.formats.registry import Registry, RegistryEntry
from groundtune.dataset.formats.shapes import SHAPES
from groundtune.dataset.formats.squad import nested_rows
from groundtune.errors import ConfigError, DataError
from groundtune.types import Conversation, LeftOut, Origin

Place = tuple[str, int, dict[str, Any] | Malformed]
"""File name as `Origin` tells it, row, and what stands there."""

_DETECTED_AS: Mapping[str, str] = {
    "messages": "messages",
    "query": "input",
    "response": "completion",
    "label": "kto_tag",
}


def read_source(
    source: SourceConfig, *, folder: Path, registry: Registry | None, strict: bool = False
) -> Iterator[Conversation | LeftOut]:
    """Every row of a source, one record for each.

    Args:
        folder: what a relative `source.path` starts from.
        registry: where `source.name` is looked up.
        strict: stop at the first row that would be left out.

    Raises:
        DataError: for places that cannot be read, a format that cannot be told, and with `strict` for a malformed row, with
            its file and line.
        ConfigError: for names in the source that mean nothing.
    """
    plan = _plan(source, folder, registry)
    rows = _rows(plan)
    if source.max_rows:
        rows = islice(rows, source.max_rows)
    data_format, rows = _known_format(plan, rows)
    layout = make_layout(
        data_format, plan.columns, plan.tags, only_said=plan.only_said, where=plan.name, language=source.language or ""
    )
    reader = RowReader(layout, plan.name, source.language or "", several_files=len(plan.files) > 1)
    for file, number, value in rows:
        record = reader.read(value, file, number)
        if strict and isinstance(record, LeftOut):
            raise DataError(_sentence(record))
        yield record


def source_files(source: SourceConfig, folder: Path, registry: Registry | None) -> list[Path]:
    """The files a source is read from, in order; none for a dataset of the hub. Raises `DataError`."""
    return list(_plan(source, folder, registry).files)


def source_with_count(source: SourceConfig, registry: Registry | None) -> SourceConfig:
    """The source with the registry's ``num_samples`` as its `count`, where neither count nor weight is said."""
    if source.name is None or source.count is not None or source.weight != 1.0:
        return source
    return source.model_copy(update={"count": _entry(source, registry).num_samples})


@dataclass(frozen=True, slots=True)
class _Plan:
    name: str
    files: tuple[Path, ...]
    base: Path
    hub: HubPlace | None
    format: DataFormat
    columns: Mapping[str, str]
    tags: Mapping[str, str]
    only_said: bool


def _plan(source: SourceConfig, folder: Path, registry: Registry | None) -> _Plan:
    name = source.name or source.path or source.hub or ""
    columns, tags = said_columns(source.columns, name), dict(source.tags)
    files: list[Path] = []
    base, hub, data_format, only_said = Path(), None, source.format, False
    if source.name is not None:
        entry = _entry(source, registry)
        assert registry is not None
        hub = entry.hub
        if hub is None:
            files, base = find_files(str(registry.file(entry)), Path())
        if source.format == "auto":
            data_format, only_said = entry.data_format, True
        columns, tags = {**entry.named_columns, **columns}, {**entry.tags, **tags}
    elif source.path is not None:
        files, base = find_files(source.path, folder)
    else:
        hub = HubPlace(name, source.subset, source.hub_split, source.revision)
    return _Plan(name, tuple(files), base, hub, data_format, columns, tags, only_said)


def _entry(source: SourceConfig, registry: Registry | None) -> RegistryEntry:
    if registry is None or source.name is None:
        raise ConfigError(
            f"data source {source.name!r} is a name, but data.registry gives no folder with a dataset_info.json"
        )
    return registry.entry(source.name)


def _rows(plan: _Plan) -> Iterator[Place]:
    if plan.hub is not None:
        for number, value in hub_rows(plan.hub):
            yield plan.hub.hub_id, number, value
    for path in plan.files:
        read, file = reader_of(path), path.relative_to(plan.base).as_posix()
        assert read is not None
        for number, value in nested_rows(path) or read(path):
            yield file, number, value


def _known_format(plan: _Plan, rows: Iterator[Place]) -> tuple[DataFormat, Iterator[Place]]:
    """The format, said or detected, and the rows with those looked at put back."""
    if plan.format != "auto":
        return plan.format, rows
    looked: list[Place] = []
    sample: list[Mapping[str, Any]] = []
    for row in rows:
        looked.append(row)
        if isinstance(row[2], dict):
            sample.append(_as_detected(row[2], plan))
            if len(sample) == SAMPLE_ROWS:
                break
    # without one readable row there is nothing to tell apart: all of them are left out
    data_format = detect_format(sample, where=plan.name) if sample else "messages"
    return data_format, chain(looked, rows)


def _as_detected(row: Mapping[str, Any], plan: _Plan) -> Mapping[str, Any]:
    """The row with its said columns under the names that detection knows."""
    if not plan.columns:
        return row
    said = {_DETECTED_AS.get(part, part): row[column] for part, column in plan.columns.items() if column in row}
    return {**{key: value for key, value in row.items() if key not in plan.columns.values()}, **said}


@dataclass(slots=True)
class _Columns:
    """How the columns of rows with the same names are used."""

    found: dict[str, str]
    unused: tuple[str, ...]
    missing: str
    """Names one of which is needed and not there."""


@dataclass(slots=True)
class RowReader:
    """Rows of one source, in one layout."""

    layout: Layout
    source: str
    language: str
    several_files: bool
    _known: dict[tuple[str, ...], _Columns] = field(default_factory=dict)

    def read(self, value: dict[str, Any] | Malformed, file: str, number: int) -> Conversation | LeftOut:
        origin = Origin(self.source, file, number)
        try:
            if isinstance(value, Malformed):
                raise value
            place = f"{self.source}/{file}" if self.several_files else self.source
            return self._conversation(value, origin, f"{place}:{number}")
        except Malformed as found:
            return LeftOut(origin, found.reason.value, found.field, found.found)

    def _conversation(self, row: dict[str, Any], origin: Origin, conversation_id: str) -> Conversation:
        columns = self._columns(row)
        if columns.missing:
            raise Malformed(Reason.COLUMN_MISSING, columns.missing, shown("columns: " + ", ".join(row)))
        parts = SHAPES[self.layout.format](row, columns.found, self.layout)
        fields = {name: row[name] for name in columns.unused} if columns.unused else {}
        for part in parts.get("unread", ()):
            fields[columns.found[part]] = row[columns.found[part]]
        fields.update(parts.get("extra", {}))
        language = self.language
        if "language" in columns.found:
            said = row[columns.found["language"]]
            if isinstance(said, str) and said in LANGUAGE_CODES:
                language = said
            else:
                fields[columns.found["language"]] = said
        return Conversation(
            conversation_id,
            origin,
            parts.get("messages", ()),
            parts.get("tools", ()),
            parts.get("rejected", ()),
            parts.get("desired"),
            parts.get("text", ""),
            language,
            fields,
        )

    def _columns(self, row: Mapping[str, Any]) -> _Columns:
        names = tuple(row)
        known = self._known.get(names)
        if known is None:
            if len(self._known) > 1000:  # rows whose names are all different must not fill the memory
                self._known.clear()
            known = self._known[names] = _use_columns(self.layout, names)
        return known


def _use_columns(layout: Layout, names: tuple[str, ...]) -> _Columns:
    found: dict[str, str] = {}
    for part, columns in layout.columns.items():
        column = next((name for name in columns if name in names), None)
        if column is not None:
            found[part] = column
    if "response" in found:
        found.pop("instances", None)
    missing = ""
    for group in NEEDED[layout.format]:
        if not missing and not any(part in found for part in group):
            missing = " or ".join(name for part in group for name in layout.columns.get(part, ())) or group[0]
    used = set(found.values())
    return _Columns(found, tuple(name for name in names if name not in used), missing)


def _sentence(left_out: LeftOut) -> str:
    origin = left_out.origin
    place = f"{origin.file}:{origin.row}"
    field_name = f" in {left_out.field}" if left_out.field else ""
    found = f"; found {left_out.found}" if left_out.found else ""
    return f"{place}: {left_out.reason}{field_name}{found} (data.strict stops here; without it the row is left out and counted)"
