"""Answers for the page: the chosen ones with their marks, and all of them as data for the explorer.

The explorer builds what is opened from one block of JSON, so that two thousand questions neither swell the page nor slow it.
What this module does not do: choose (the evaluation did, before anything was answered) or judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from groundtune.evaluation.asking.systems import LABELS
from groundtune.evaluation.figures.records import AnswerRecord
from groundtune.evaluation.measures import MEASURES
from groundtune.evaluation.verdict.data import ReportData
from groundtune.evaluation.verdict.labels import KINDS

MOST_PASSAGE_LETTERS = 1_500_000
"""Of passages' texts in the page, all together; beyond it passages are named by file and lines alone."""

ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage as it is shown under an answer."""

    chunk_id: str
    place: str
    """``stok/lot.md:3-9``; empty where it stands in no known file."""
    text: str
    is_evidence: bool


def marked(text: str, unsupported: Sequence[str]) -> Markup:
    """`text` escaped, with the numbers and codes that stand in none of its passages marked.

    >>> str(marked("5 < 12 gün", ["12"]))
    '5 &lt; <mark>12</mark> gün'
    """
    if not unsupported:
        return Markup.escape(text)
    longest_first = sorted(unsupported, key=lambda found: (-len(found), found))
    pattern = re.compile(rf"(?<!\w)(?<!\d[.,])({'|'.join(map(re.escape, longest_first))})(?!\w|[.,]\d)")
    parts = pattern.split(text)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(part) if place % 2 else Markup.escape(part) for place, part in enumerate(parts)
    )


def pick(data: ReportData, question_ids: Iterable[str]) -> list[AnswerRecord]:
    by_id = {record.question_id: record for record in data.records}
    return [by_id[each] for each in question_ids if each in by_id]


def chosen(data: ReportData) -> list[AnswerRecord]:
    """The samples chosen before answering; the first ten records where the summary names none."""
    named = data.evaluation.shown if data.evaluation is not None else ()
    return pick(data, named) or list(data.records[:10])


def passages_of(data: ReportData, record: AnswerRecord, system: str) -> list[Passage]:
    """Those in the prompt of `system`, in their order."""
    return [
        _passage(data, chunk_id, chunk_id in record.evidence_chunk_ids) for chunk_id in record.answers[system].chunk_ids
    ]


def evidence_missing(data: ReportData, record: AnswerRecord, system: str) -> list[Passage]:
    """Evidence that was not in the prompt of `system`, though the question has an answer."""
    if not record.answerable:
        return []
    shown = record.answers[system].chunk_ids
    return [_passage(data, chunk_id, True) for chunk_id in record.evidence_chunk_ids if chunk_id not in shown]


def _passage(data: ReportData, chunk_id: str, is_evidence: bool) -> Passage:
    place = data.chunks.get(chunk_id)
    where = f"{place.source}:{place.line_start}–{place.line_end}" if place is not None else ""
    return Passage(chunk_id, where, place.text if place is not None else "", is_evidence)


def first_rank(record: AnswerRecord) -> int | None:
    """Place of the first evidence chunk among those that search found, from 1."""
    evidence = set(record.evidence_chunk_ids)
    places = (place for place, found in enumerate(record.retrieved_chunk_ids, start=1) if found in evidence)
    return next(places, None)


def explorer_data(data: ReportData) -> Markup:
    """All questions as JSON that can stand inside a script element: no character in it ends one."""
    if not data.records or data.evaluation is None:
        return Markup("")
    first, second = data.evaluation.comparisons[0].first, data.evaluation.comparisons[0].second
    systems = list(data.evaluation.figures)
    named = dict.fromkeys(
        chunk_id
        for record in data.records
        for chunk_id in (
            *record.evidence_chunk_ids,
            *(found for answer in record.answers.values() for found in answer.chunk_ids),
        )
    )
    places = {chunk_id: place for place, chunk_id in enumerate(named)}
    kinds = {failure.question_id: failure.kind for failure in data.errors.failures} if data.errors else {}
    content = {
        "systems": [{"label": LABELS[name], "kind": KINDS[name]} for name in systems],
        "measures": [{"label": measure.label, "rate": measure.is_rate} for measure in MEASURES],
        "chunks": _chunks(data, list(named)),
        "records": [
            _record(record, systems, places, record.outcome(first, second), kinds.get(record.question_id, ""))
            | {"gain": round(record.gain(first, second), 3)}
            for record in data.records
        ],
    }
    return Markup(json.dumps(content, ensure_ascii=False, separators=(",", ":")).translate(ESCAPED))


def _chunks(data: ReportData, chunk_ids: Sequence[str]) -> list[list[str]]:
    rows, letters = [], 0
    for chunk_id in chunk_ids:
        passage = _passage(data, chunk_id, False)
        letters += len(passage.text)
        rows.append([chunk_id, passage.place, passage.text if letters <= MOST_PASSAGE_LETTERS else ""])
    return rows


def _record(
    record: AnswerRecord, systems: Sequence[str], places: Mapping[str, int], outcome: str, kind: str
) -> dict[str, Any]:
    return {
        "id": record.question_id,
        "pair": record.pair_id if record.pair_id != record.question_id else "",
        "language": record.language,
        "question": record.question.strip(),
        "references": [reference.strip() for reference in record.references],
        "answerable": record.answerable,
        "type": record.type,
        "difficulty": record.difficulty,
        "rule": record.rule,
        "evidence": [places[chunk_id] for chunk_id in record.evidence_chunk_ids],
        "rank": first_rank(record),
        "looked": len(record.retrieved_chunk_ids),
        "own": bool(record.passage),
        "outcome": outcome,
        "error": kind,
        "answers": [
            {
                "text": answer.text.strip(),
                "tokens": answer.new_tokens,
                "stopped": answer.stopped,
                "refused": answer.refused,
                "chunks": [places[chunk_id] for chunk_id in answer.chunk_ids],
                "values": [_short(answer.measures.get(measure.key)) for measure in MEASURES],
                "unsupported": list(answer.unsupported_numbers),
            }
            for answer in (record.answers[name] for name in systems)
        ],
    }


def _short(value: float | None) -> float | None:
    """Three decimals, whole numbers as such: most of a page's figures are 0 and 1."""
    if value is None:
        return None
    rounded = round(value, 3)
    return int(rounded) if rounded == int(rounded) else rounded
