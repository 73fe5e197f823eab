"""From an answer back to where it comes from: pair, ledger entry and prompt, evidence chunk, document and line, training rows.

The stage `errors` does so for every failed answer, `groundtune trace` for one question. What this module does not do: decide what
failed (:mod:`groundtune.evaluation.errors` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import DataError
from groundtune.files import read_records, write_json
from groundtune.pipeline.lineage import NOT_LOOKED_THROUGH, TRACED, Sources, Written, traced
from groundtune.pipeline.workspace import Workspace
from groundtune.types import StageResult

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord
    from groundtune.evaluation.errors import FailureKind, Lineage


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything behind one question."""

    record: AnswerRecord
    system: str
    """Whose answer is looked into."""
    kind: FailureKind | None
    """None: that answer did not fail."""
    signs: tuple[FailureKind, ...]
    lineage: Lineage
    evidence: dict[str, str]
    """Text of each evidence chunk, by id."""
    written: Written | None


def errors(workspace: Workspace) -> StageResult:
    """The stage: failed answers by kind, each with its lineage."""
    from groundtune.evaluation import AnswerRecord
    from groundtune.evaluation.errors import analyse_errors
    from groundtune.retrieval import split_terms

    sources = Sources(workspace)
    records = read_records(workspace.answers, AnswerRecord)
    analysis = analyse_errors(
        records,
        system=traced(records[0]) if records else TRACED[0],
        chunks=sources.chunks,
        terms=split_terms,
        lineage=sources.lineages,
    )
    write_json(workspace.errors, analysis)
    counts = {"answers": analysis.failed.n, "failed": len(analysis.failures)}
    kinds: list[dict[str, Any]] = [
        {"kind": each.kind, "failed": round((each.failed.value or 0) * each.failed.n), "clusters": len(each.clusters)}
        for each in analysis.kinds
    ]
    skips = {NOT_LOOKED_THROUGH: sources.rows_left} if sources.rows_left else {}
    return StageResult(counts, skips, {"kinds of failure": kinds})


def error_inputs(workspace: Workspace) -> dict[str, Path]:
    # the ledger is looked into but not named: its bytes change without its content, and its content with the pairs
    files = {"answers": workspace.answers}
    if workspace.has_documents:
        files |= {"chunks": workspace.chunks, "pairs": workspace.pairs}
        files |= {split: workspace.split(split) for split in ("train", "test")}
    if workspace.has_data:
        files |= {f"data {split}": workspace.conversations(split) for split in ("train", "test")}
    return files


def trace(workspace: Workspace, question_id: str) -> Trace:
    """The chain behind one question that was asked.

    Raises:
        DataError: no such question was asked, or a file of the work folder is missing.
    """
    from groundtune.evaluation import AnswerRecord
    from groundtune.evaluation.errors import failure_signs

    answers = workspace.answers
    if not answers.exists():
        raise DataError(f"{answers}: no such file, so there is no answer to trace; `groundtune evaluate` makes them")
    records = read_records(answers, AnswerRecord)
    record = next((each for each in records if each.question_id == question_id), None)
    if record is None:
        raise DataError(
            f"{answers}: no question {question_id!r}; expected one of {len(records)} that were asked, such as "
            f"{records[0].question_id!r}; errors.json names the failed ones"
            if records
            else f"{answers}: no question was asked, so there is none to trace"
        )
    sources = Sources(workspace)
    [lineage] = sources.lineages([record])
    signs = failure_signs(record, record.answers[traced(record)])
    texts = {each.chunk_id: sources.chunks[each.chunk_id].text for each in lineage.evidence}
    written = None if lineage.ledger is None else sources.written(lineage.ledger.key)
    return Trace(record, traced(record), signs[0] if signs else None, signs, lineage, texts, written)
