"""The coverage map: for every chunk, which of its sentences, rows and code blocks the evidence of a pair touches."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.generation.coverage.units import KINDS, Kind, Unit, split_units
from groundtune.types import Chunk, Language, Pair

TOUCHING_CHARACTERS = 8
"""A quote that reaches so far into a unit, or over the whole of a shorter one, touches it; less is the ragged edge of a quote that
was found by similarity."""


@dataclass(frozen=True, slots=True)
class UnitCoverage:
    unit: Unit
    covered: bool


@dataclass(frozen=True, slots=True)
class ChunkCoverage:
    chunk_id: str
    module: str
    language: Language
    covered: bool
    """Whether any pair rests on it, be it on a heading."""
    units: tuple[UnitCoverage, ...]
    """In the order of the text."""
    skipped: Mapping[str, int]
    """What is not worth a question, by reason."""

    @property
    def uncovered(self) -> tuple[Unit, ...]:
        return tuple(each.unit for each in self.units if not each.covered)


@dataclass(slots=True)
class Totals:
    """Of some chunks; each a pair of covered and all."""

    chunks: tuple[int, int] = (0, 0)
    """Chunks with nothing worth a question are not among them."""
    units: dict[Kind, tuple[int, int]] = field(default_factory=lambda: dict.fromkeys(KINDS, (0, 0)))

    @property
    def share(self) -> float | None:
        """Of all units together."""
        covered, total = (sum(counts) for counts in zip(*self.units.values(), strict=True))
        return covered / total if total else None

    def as_json(self) -> dict[str, Any]:
        """
        >>> Totals((1, 2), {"sentence": (3, 4), "row": (0, 2), "code": (0, 0)}).as_json()["share"]
        0.5
        """
        share = self.share
        names = {"sentence": "sentences", "row": "rows", "code": "code"}
        figures: dict[str, Any] = {"chunks": self.chunks[1], "chunks_covered": self.chunks[0]}
        for kind in KINDS:
            figures |= {names[kind]: self.units[kind][1], f"{names[kind]}_covered": self.units[kind][0]}
        return figures | {"share": None if share is None else round(share, 4)}


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of a whole documentation, chunks in order."""

    chunks: tuple[ChunkCoverage, ...]
    unplaced: int
    """Pieces of evidence in chunks that are not among these, as of a documentation that changed."""

    @property
    def totals(self) -> Totals:
        return _total(self.chunks)

    @property
    def by_module(self) -> dict[str, Totals]:
        """In order of the first chunk; modules of the same name in two languages are one."""
        return _grouped((each.module, each) for each in self.chunks)

    @property
    def by_language(self) -> dict[Language, Totals]:
        return _grouped((each.language, each) for each in self.chunks)

    @property
    def skipped(self) -> dict[str, int]:
        """Over all chunks."""
        counts: Counter[str] = Counter()
        for each in self.chunks:
            counts.update(each.skipped)
        return dict(sorted(counts.items()))

    def as_details(self) -> dict[str, Any]:
        """For a manifest; in ``coverage`` all chunks are counted, in the others those with something worth a question."""
        cited = sum(each.covered for each in self.chunks)
        return {
            "coverage": {
                "chunks": len(self.chunks),
                "cited": cited,
                "share": round(cited / len(self.chunks), 4) if self.chunks else 0.0,
            },
            "coverage_units": self.totals.as_json(),
            "coverage_by_module": [{"module": name} | totals.as_json() for name, totals in self.by_module.items()],
            "not_worth_asking": self.skipped,
        }

    def as_json(self, chunks: Sequence[Chunk]) -> dict[str, Any]:
        """For ``coverage.json``; of `chunks` come the words of what is uncovered."""
        texts = {chunk.chunk_id: chunk.text for chunk in chunks}
        return {
            "totals": self.totals.as_json(),
            "by_module": {name: totals.as_json() for name, totals in self.by_module.items()},
            "by_language": {name: totals.as_json() for name, totals in self.by_language.items()},
            "not_worth_asking": self.skipped,
            "evidence_in_unknown_chunks": self.unplaced,
            "chunks": [_chunk_json(each, texts.get(each.chunk_id, "")) for each in self.chunks],
        }


def coverage(chunks: Sequence[Chunk], pairs: Iterable[Pair]) -> Coverage:
    """What accepted answerable pairs rest on. Pairs that are not answerable are passed over: their evidence was not shown."""
    spans: dict[str, list[tuple[int, int]]] = {chunk.chunk_id: [] for chunk in chunks}
    unplaced = 0
    for pair in pairs:
        if not pair.answerable:
            continue
        for item in pair.evidence:
            if item.chunk_id in spans:
                spans[item.chunk_id].append((item.start, item.end))
            else:
                unplaced += 1
    return Coverage(tuple(_cover(chunk, spans[chunk.chunk_id]) for chunk in chunks), unplaced)


def _cover(chunk: Chunk, spans: list[tuple[int, int]]) -> ChunkCoverage:
    units, skipped = split_units(chunk.text, chunk.language)
    touched = _touched(units, spans)
    return ChunkCoverage(
        chunk.chunk_id,
        chunk.module,
        chunk.language,
        bool(spans),
        tuple(UnitCoverage(unit, place in touched) for place, unit in enumerate(units)),
        dict(sorted(skipped.items())),
    )


def _touched(units: Sequence[Unit], spans: Iterable[tuple[int, int]]) -> set[int]:
    """Places of the units that a span touches; units are in order and never overlap."""
    ends = [unit.end for unit in units]
    touched = set()
    for start, end in set(spans):
        place = bisect_left(ends, start + 1)
        while place < len(units) and units[place].start < end:
            unit = units[place]
            common = min(end, unit.end) - max(start, unit.start)
            if common >= min(TOUCHING_CHARACTERS, unit.end - unit.start):
                touched.add(place)
            place += 1
    return touched


def _grouped(named: Iterable[tuple[str, ChunkCoverage]]) -> dict[str, Totals]:
    lists: dict[str, list[ChunkCoverage]] = {}
    for name, each in named:
        lists.setdefault(name, []).append(each)
    return {name: _total(each) for name, each in lists.items()}


def _total(chunks: Iterable[ChunkCoverage]) -> Totals:
    covered, every = Counter[Kind](), Counter[Kind]()
    chunks_covered = chunks_all = 0
    for chunk in chunks:
        if not chunk.units:
            continue
        chunks_all += 1
        chunks_covered += chunk.covered
        for each in chunk.units:
            every[each.unit.kind] += 1
            covered[each.unit.kind] += each.covered
    return Totals((chunks_covered, chunks_all), {kind: (covered[kind], every[kind]) for kind in KINDS})


def _chunk_json(chunk: ChunkCoverage, text: str) -> dict[str, Any]:
    return {
        "chunk_id": chunk.chunk_id,
        "module": chunk.module,
        "language": chunk.language,
        "covered": chunk.covered,
        "units": len(chunk.units),
        "units_covered": sum(each.covered for each in chunk.units),
        "uncovered": [
            {"kind": unit.kind, "start": unit.start, "end": unit.end, "text": text[unit.start : unit.end]}
            for unit in chunk.uncovered
        ],
    }
