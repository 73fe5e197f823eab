"""The files behind answers, read for the way back: pairs, ledger, chunks, splits and their lines.

What this module does not do: decide what failed (:mod:`groundtune.evaluation.errors` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from groundtune.errors import DataError
from groundtune.files import Record, parse_json, parse_record, read_records
from groundtune.pipeline.quoting import Documents
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Conversation, Example, Pair

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord
    from groundtune.evaluation.errors import EvidencePlace, LedgerEntry, Lineage, TrainingRow
    from groundtune.evaluation.errors.lineage import Nearness
    from groundtune.llm.ledger import Entry
    from groundtune.retrieval import Bm25Retriever

TRACED = ("tuned_context", "tuned")
"""The systems whose answers are looked into: the first of them that there is."""

NEIGHBOURS = 2
"""Training rows named because their evidence stands beside that of the question; of them the nearest."""

NEAR_CHUNKS = 2
"""How many chunks before and after an evidence chunk, in its document, are its neighbours."""

ALIKE = 3
"""Training rows named because their question is like the one asked."""

MOST_ROWS = 50_000
"""Rows of instruction data that are looked through for such questions."""

NOT_LOOKED_THROUGH = f"training row beyond the first {MOST_ROWS:,}, not looked through for questions alike"


@dataclass(frozen=True, slots=True)
class Written:
    """What the writer was told and what it handed in."""

    key: str
    system: str
    prompt: str
    raw: str


def traced(record: AnswerRecord) -> str:
    """The system whose answers are looked into."""
    return next(system for system in TRACED if system in record.answers)


class _Row(NamedTuple):
    """A question of a split, of the documents or of instruction data."""

    question: str
    answer: str
    evidence_chunk_ids: tuple[str, ...]
    language: str
    place: str


class Sources:
    """The files behind the answers, each read when it is first needed."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.rows_left = 0
        """Training rows that were not looked through."""
        self._documents = Documents(workspace.source if workspace.has_documents else None)

    @cached_property
    def chunks(self) -> dict[str, Chunk]:
        if not self._workspace.has_documents:
            return {}
        return {chunk.chunk_id: chunk for chunk in read_records(self._workspace.chunks, Chunk)}

    def lineages(self, records: Sequence[AnswerRecord]) -> list[Lineage]:
        """In the order of `records`."""
        from groundtune.evaluation.errors import Lineage

        pairs = [self._pairs[record.pair_id] for record in records if record.pair_id in self._pairs]
        entries = self._entries(pairs)
        found = []
        for record in records:
            pair = self._pairs.get(record.pair_id)
            asked = self._asked.get(record.question_id)
            found.append(
                Lineage(
                    pair_id=record.pair_id,
                    writer=pair.writer if pair else "",
                    group_id=pair.group_id if pair else "",
                    place=asked.place if asked else "",
                    ledger=_ledger_entry(entries.get(record.pair_id)),
                    evidence=self._evidence(record, pair),
                    training_rows=self._training_rows(record),
                )
            )
        return found

    def written(self, key: str) -> Written | None:
        """Prompt and raw answer of a request; None when the ledger does not hold it."""
        from groundtune.llm import Ledger

        with Ledger(self._workspace.ledger) as book:
            request, response = book.request(key), book.find(key)
        if request is None or response is None:
            return None
        return Written(key, request.system, request.full_prompt, response.text)

    @cached_property
    def _pairs(self) -> dict[str, Pair]:
        if not self._workspace.has_documents:
            return {}
        return {pair.pair_id: pair for pair in read_records(self._workspace.pairs, Pair)}

    @cached_property
    def _training(self) -> dict[str, _Row]:
        return self._rows("train")

    @cached_property
    def _asked(self) -> dict[str, _Row]:
        return self._rows("test")

    def _rows(self, split: str) -> dict[str, _Row]:
        """The examples of a split by id, with their lines; then the rows of instruction data that end with an answer."""
        found: dict[str, _Row] = {}
        if self._workspace.has_documents:
            path = self._workspace.split(split)
            for text, line, place in self._lines(path):
                example = _parsed(text, Example, path, line)
                found[example.example_id] = _Row(
                    example.question, example.reference, example.evidence_chunk_ids, example.language, place
                )
        if self._workspace.has_data:
            path = self._workspace.conversations(split)
            for number, (text, line, place) in enumerate(self._lines(path)):
                if number >= MOST_ROWS:
                    self.rows_left += split == "train"
                    continue
                row = _parsed(text, Conversation, path, line)
                said = [message for message in row.messages if message.role in ("user", "assistant")]
                if len(said) > 1 and said[-1].role == "assistant":
                    found[row.conversation_id] = _Row(said[-2].content, said[-1].content, (), row.language, place)
        return found

    def _lines(self, path: Path) -> Iterator[tuple[str, int, str]]:
        """Each line that holds something, its number, and where it is for a reader. Large files are not held."""
        if not path.is_file():
            raise DataError(f"{path}: no such file; `groundtune evaluate` makes it again")
        shown = path.relative_to(self._workspace.root).as_posix()
        with path.open(encoding="utf-8", newline="\n") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield line, number, f"{shown}:{number}"

    def _entries(self, pairs: Sequence[Pair]) -> dict[str, Entry]:
        # opening a ledger would make one; a work folder that was copied without it has none
        if not pairs or not self._workspace.ledger.exists():
            return {}
        from groundtune.generation import find_entries
        from groundtune.llm import Ledger

        with Ledger(self._workspace.ledger) as book:
            return find_entries(book, pairs)

    def _evidence(self, record: AnswerRecord, pair: Pair | None) -> tuple[EvidencePlace, ...]:
        from groundtune.evaluation.errors import EvidencePlace

        shown = record.answers[traced(record)].chunk_ids
        ranks = {chunk_id: rank for rank, chunk_id in enumerate(record.retrieved_chunk_ids, start=1)}
        found = []
        for chunk in (self.chunks[chunk_id] for chunk_id in record.evidence_chunk_ids if chunk_id in self.chunks):
            cited = pair.evidence if pair else ()
            quotes = tuple(item.quote for item in cited if item.chunk_id == chunk.chunk_id)
            found.append(
                EvidencePlace(
                    chunk_id=chunk.chunk_id,
                    source=chunk.source,
                    line_start=chunk.line_start,
                    line_end=chunk.line_end,
                    section=" > ".join(chunk.breadcrumb),
                    quotes=quotes,
                    in_prompt=chunk.chunk_id in shown,
                    rank=ranks.get(chunk.chunk_id),
                    quoted_lines=self._documents.quoted_lines(quotes, chunk),
                )
            )
        return tuple(found)

    def _training_rows(self, record: AnswerRecord) -> tuple[TrainingRow, ...]:
        """Each once: by the evidence first, then by the question."""
        from groundtune.evaluation.errors import TrainingRow

        near: dict[str, Nearness] = {}
        beside = self._beside(record.evidence_chunk_ids)
        for example_id in beside[:NEIGHBOURS]:
            same = set(self._training[example_id].evidence_chunk_ids) & set(record.evidence_chunk_ids)
            near[example_id] = "same evidence" if same else "neighbour of the evidence"
        # rows of instruction data may not say their language
        language = record.language if any(row.language for row in self._training.values()) else None
        hits = self._questions.search(record.question, top_k=ALIKE, language=language)
        for hit in hits:
            near.setdefault(hit.chunk.chunk_id, "question alike")
        return tuple(
            TrainingRow(
                example_id,
                row.place,
                why,
                row.question,
                row.answer,
                row.evidence_chunk_ids,
            )
            for example_id, why in near.items()
            for row in (self._training[example_id],)
        )

    def _beside(self, evidence: Sequence[str]) -> list[str]:
        """Training rows that rest on an evidence chunk or on one close to it in its document, nearest first."""
        distances: dict[str, int] = {}
        for chunk_id in evidence:
            for other, distance in self._neighbours(chunk_id):
                distances[other] = min(distance, distances.get(other, distance))
        rows = [
            (min(distances[chunk_id] for chunk_id in row.evidence_chunk_ids if chunk_id in distances), place)
            for place, row in enumerate(self._training.values())
            if distances.keys() & set(row.evidence_chunk_ids)
        ]
        ids = list(self._training)
        return [ids[place] for _, place in sorted(rows)]

    def _neighbours(self, chunk_id: str) -> list[tuple[str, int]]:
        if chunk_id not in self._order:
            return []
        source, place = self._order[chunk_id]
        inside = self._by_source[source]
        first = max(0, place - NEAR_CHUNKS)
        return [(other, abs(at - place)) for at, other in enumerate(inside[first : place + NEAR_CHUNKS + 1], first)]

    @cached_property
    def _by_source(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for chunk in self.chunks.values():
            found.setdefault(chunk.source, []).append(chunk.chunk_id)
        return found

    @cached_property
    def _order(self) -> dict[str, tuple[str, int]]:
        return {
            chunk_id: (source, place)
            for source, inside in self._by_source.items()
            for place, chunk_id in enumerate(inside)
        }

    @cached_property
    def _questions(self) -> Bm25Retriever:
        """Over the questions of the training rows."""
        from groundtune.retrieval import Bm25Retriever

        return Bm25Retriever([_as_chunk(*each) for each in self._training.items()])


def _parsed(text: str, kind: Callable[..., Record], path: Path, line: int) -> Record:
    return parse_record(parse_json(text, path, line), kind, where=f"{path}:{line}")


def _as_chunk(row_id: str, row: _Row) -> Chunk:
    """A training question as a passage that can be searched."""
    return Chunk(
        chunk_id=row_id,
        module="",
        submodule="",
        section_heading="",
        breadcrumb=(),
        language=row.language,
        text=row.question,
        token_count=0,
        has_table=False,
        has_code=False,
        references_modules=(),
        db_tables=(),
        depth=0,
        source="",
        line_start=0,
        line_end=0,
        sha256="",
    )


def _ledger_entry(entry: Entry | None) -> LedgerEntry | None:
    from groundtune.evaluation.errors import LedgerEntry

    if entry is None:
        return None
    return LedgerEntry(
        key=entry.key,
        model=entry.model,
        answered_by=entry.answered_by,
        purpose=entry.tags.get("purpose", ""),
        group=entry.tags.get("group", ""),
        prompt_version=entry.system_sha256,
    )
