"""The failures of one system, each with its kind and where it comes from, and the clusters they fall into: ``errors.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.evaluation.errors.clusters import Cluster, Slot, failed_share, find_clusters, task_of
from groundtune.evaluation.errors.kinds import FAILURE_KINDS, LOW_F1, FailureKind, failure_signs
from groundtune.evaluation.errors.lineage import Lineage
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.records import AnswerRecord
from groundtune.types import Chunk, Language

FIELDS = ("type", "module", "rule", "language")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed answer."""

    question_id: str
    kind: FailureKind
    signs: tuple[FailureKind, ...]
    """Every kind that fits, in order of precedence; the first is `kind`."""
    question: str
    references: tuple[str, ...]
    answer: str
    token_f1: float | None
    """None for an unanswerable question."""
    unsupported_numbers: tuple[str, ...]
    language: Language
    type: str
    module: str
    """Of its first evidence chunk; empty where the evidence is not known."""
    rule: str
    lineage: Lineage


@dataclass(frozen=True, slots=True)
class Count:
    """Failures of a kind among the questions of one sort: ``field="module"``, ``name="Stok"``."""

    field: str
    name: str
    failed: Figure
    """Share of the questions asked of that sort."""


@dataclass(frozen=True, slots=True)
class KindOfFailure:
    """All failures of one kind."""

    kind: FailureKind
    failed: Figure
    """Share of all questions asked; n is their number."""
    clusters: tuple[Cluster, ...]
    """Largest first; each failure is in one at most, and those in none are single."""
    counts: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """What ``errors.json`` holds."""

    system: str
    low_f1: float
    """Answers that are not exact count as wrong below this token F1."""
    failed: Figure
    """Share of the questions asked."""
    kinds: tuple[KindOfFailure, ...]
    """Those that happened, most frequent first."""
    failures: tuple[Failure, ...]
    """In the order they were asked."""


def analyse_errors(
    records: Sequence[AnswerRecord],
    *,
    system: str,
    chunks: Mapping[str, Chunk],
    terms: Callable[[str, Language], Sequence[str]],
    lineage: Callable[[Sequence[AnswerRecord]], Sequence[Lineage]],
) -> ErrorAnalysis:
    """The failures of `system`.

    Args:
        chunks: by id, those of the evidence among them.
        terms: stems of a text, by which questions are near to each other.
        lineage: where each record comes from; asked for the failed ones alone.
    """
    signs = {record.question_id: failure_signs(record, record.answers[system]) for record in records}
    failed = [record for record in records if signs[record.question_id]]
    slots = {record.question_id: _slot(record, chunks, terms) for record in records}
    failures = tuple(
        _failure(record, signs[record.question_id], slots[record.question_id].module, come_from, system)
        for record, come_from in zip(failed, lineage(failed), strict=True)
    )
    kinds = [_kind(kind, failures, list(slots.values())) for kind in FAILURE_KINDS]
    return ErrorAnalysis(
        system,
        LOW_F1,
        failed_share([slots[failure.question_id] for failure in failures], list(slots.values())),
        tuple(sorted((kind for kind in kinds if kind.failed.value), key=lambda kind: -(kind.failed.value or 0))),
        failures,
    )


def _slot(record: AnswerRecord, chunks: Mapping[str, Chunk], terms: Callable[[str, Language], Sequence[str]]) -> Slot:
    evidence = next((chunks[chunk_id] for chunk_id in record.evidence_chunk_ids if chunk_id in chunks), None)
    return Slot(
        record.question_id,
        task_of(record, evidence),
        evidence.module if evidence else "",
        " > ".join(evidence.breadcrumb) if evidence else "",
        record.type,
        record.rule,
        record.language,
        frozenset(terms(record.question, record.language)),
        record.cluster,
    )


def _failure(
    record: AnswerRecord, signs: tuple[FailureKind, ...], module: str, lineage: Lineage, system: str
) -> Failure:
    answer = record.answers[system]
    return Failure(
        question_id=record.question_id,
        kind=signs[0],
        signs=signs,
        question=record.question,
        references=record.references,
        answer=answer.text,
        token_f1=answer.measures.get("token_f1"),
        unsupported_numbers=answer.unsupported_numbers,
        language=record.language,
        type=record.type,
        module=module,
        rule=record.rule,
        lineage=lineage,
    )


def _kind(kind: FailureKind, failures: Sequence[Failure], asked: Sequence[Slot]) -> KindOfFailure:
    of_kind = {failure.question_id for failure in failures if failure.kind == kind}
    here = [slot for slot in asked if slot.question_id in of_kind]
    return KindOfFailure(kind, failed_share(here, asked), find_clusters(here, asked), tuple(_counts(here, asked)))


def _counts(failed: Sequence[Slot], asked: Sequence[Slot]) -> list[Count]:
    counts = []
    for field in FIELDS:
        values = [getattr(slot, field) for slot in failed]
        for name in sorted(set(values) - {""}):
            of_sort = [slot for slot in asked if getattr(slot, field) == name]
            counts.append(Count(field, name, failed_share(failed, of_sort)))
    return counts
