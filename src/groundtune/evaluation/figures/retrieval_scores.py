"""How well search finds the chunks that hold the answer, so that a bad answer can be blamed rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.evaluation.figures.intervals import Figure, clustered_share, mean
from groundtune.evaluation.figures.records import AnswerRecord

DEPTHS = (1, 3, 5, 10)


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """Over answerable questions whose evidence is known. Figures have n = 0 where nothing was searched."""

    recall: dict[str, Figure]
    """By depth ("5"): the mean share of a question's evidence chunks among the first so many found."""
    complete: dict[str, Figure]
    """By depth: the share of questions all of whose evidence is among them."""
    mrr: Figure
    """Mean of one over the place of the first evidence chunk; 0 where none was found."""


def score_retrieval(records: Sequence[AnswerRecord], *, depth: int, seed: int) -> RetrievalScores:
    """At depths 1, 3, 5 and 10, as far as `depth` chunks were looked at.

    Args:
        records: of questions that were searched for; one for which nothing was found counts as 0.
    """
    asked = [record for record in records if record.answerable and record.evidence_chunk_ids]
    clusters = [record.cluster for record in asked]
    recall, complete = {}, {}
    for each in (at for at in DEPTHS if at <= depth):
        shares = [_found(record, each) for record in asked]
        recall[str(each)] = mean(shares, seed=str(seed), clusters=clusters, bounds=(0.0, 1.0))
        complete[str(each)] = clustered_share([value == 1 for value in shares], clusters)
    ranks = [_reciprocal_rank(record) for record in asked]
    mrr = mean(ranks, seed=str(seed), clusters=clusters, bounds=(0.0, 1.0))
    return RetrievalScores(recall, complete, mrr)


def _found(record: AnswerRecord, depth: int) -> float:
    first = set(record.retrieved_chunk_ids[:depth])
    evidence = set(record.evidence_chunk_ids)
    return len(evidence & first) / len(evidence)


def _reciprocal_rank(record: AnswerRecord) -> float:
    evidence = set(record.evidence_chunk_ids)
    places = (place for place, found in enumerate(record.retrieved_chunk_ids, start=1) if found in evidence)
    return 1 / first if (first := next(places, 0)) else 0.0
