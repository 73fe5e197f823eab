"""All checks by code on the pairs of one group: what passes becomes a `Pair`, what does not a `Rejection` with one reason.

The order is from cheap to dear, and from what a pair is to what it says: shape, phrasing, evidence, figures, language,
repetition. What this module does not do: ask anybody, or compare with other groups (`drop_repeated` does).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from groundtune.config import GenerationConfig
from groundtune.generation.answers.parsing import first_fault
from groundtune.generation.answers.schema import AnswerPair, AnswerQuote, read_item
from groundtune.generation.verification.duplicates import Asked, same_question
from groundtune.generation.verification.figures import missing_figures
from groundtune.generation.verification.languages import check_language
from groundtune.generation.verification.phrasing import check_phrasing
from groundtune.generation.verification.quotes import NotFound, find_quote
from groundtune.generation.verification.reasons import Fault, Reason, Rejection
from groundtune.types import Chunk, Evidence, Exchange, Group, Language, Pair, Rule


def check_pairs(
    values: Sequence[Mapping[str, Any]],
    group: Group,
    chunks: Sequence[Chunk],
    *,
    config: GenerationConfig,
    languages: Sequence[Language],
    writer: str,
) -> tuple[list[Pair], list[Rejection]]:
    """The accepted pairs among what was handed in about one group, in its order, and the rest. About 0.6 ms a pair.

    A conversation of profile ``v1`` makes a pair of every turn; with a turn that is not accepted go the turns after it.

    Args:
        values: of all answers about the group, as `parse_answer` gives them.
        chunks: of the group, in the order of the numbers in its prompt.
        languages: those of the documentation, candidates for detection.
        writer: signs the pairs.
    """
    checks = _Checks(group, tuple(chunks), config, tuple(languages), writer)
    pairs: list[Pair] = []
    rejections: list[Rejection] = []
    asked: list[Asked] = []
    for value in values:
        try:
            turns = read_item(value, config.profile)
        except ValidationError as error:
            question = value.get("question", "")
            question = question if isinstance(question, str) else ""
            rejections.append(Rejection(Reason.NOT_IN_SCHEMA, first_fault(error), question, group.group_id, value))
            continue
        history: tuple[Pair, ...] = ()
        for number, turn in enumerate(turns):
            verdict = checks.check(turn, history) if len(history) == number else Fault(Reason.EARLIER_TURN)
            if isinstance(verdict, Pair) and (again := _first_same(verdict, asked, config)):
                verdict = Fault(Reason.REPEATED_IN_GROUP, again)
            if isinstance(verdict, Pair):
                asked.append(Asked.of(verdict))
                pairs.append(verdict)
                history = (*history, verdict)
            else:
                raw = value if len(turns) == 1 else turn.model_dump(mode="json")
                question = turn.question.strip()
                rejections.append(Rejection(verdict.reason, verdict.detail, question, group.group_id, raw))
    return pairs, rejections


def _first_same(pair: Pair, asked: Sequence[Asked], config: GenerationConfig) -> str:
    """The question that is asked again, if one is."""
    mine = Asked.of(pair)
    return next((other.text for other in asked if same_question(mine, other, config.near_duplicate_similarity)), "")


@dataclass(frozen=True, slots=True)
class _Checks:
    """What pairs of one group are held against."""

    group: Group
    chunks: tuple[Chunk, ...]
    config: GenerationConfig
    languages: tuple[Language, ...]
    writer: str

    def check(self, turn: AnswerPair, history: Sequence[Pair]) -> Pair | Fault:
        """The pair of one turn, after the pairs of the turns before it."""
        language = self.group.language
        question, answer = turn.question.strip(), turn.answer.strip()
        fault = check_phrasing(question, answer, language, turn.difficulty, self.config)
        if fault is not None:
            return fault
        evidence = find_evidence(turn.evidence, self.chunks, language, similarity=self.config.quote_similarity)
        if isinstance(evidence, Fault):
            return evidence
        fault = (
            self._check_chunks(evidence, history)
            or self._check_figures(question, answer, evidence, history)
            or check_language(question, answer, language, self.languages)
        )
        return fault or self._pair(turn, question, answer, evidence, history)

    def _check_chunks(self, evidence: Sequence[Evidence], history: Sequence[Pair]) -> Fault | None:
        """Two chunks at least for rules that combine chunks; turns before count, because the question rests on them."""
        cited = {item.chunk_id for item in evidence}.union(*(pair.evidence_chunk_ids for pair in history))
        if self.group.rule is Rule.INDIVIDUAL or len(cited) >= min(2, len(set(self.group.chunk_ids))):
            return None
        return Fault(Reason.TOO_FEW_CHUNKS, next(iter(cited)))

    def _check_figures(
        self, question: str, answer: str, evidence: Sequence[Evidence], history: Sequence[Pair]
    ) -> Fault | None:
        every = (*evidence, *(item for pair in history for item in pair.evidence))
        cited = {item.chunk_id for item in every}
        asked = "\n".join((*(pair.question for pair in history), question))
        chunks = [chunk for chunk in self.chunks if chunk.chunk_id in cited]
        missing = missing_figures(answer, asked, every, chunks, self.group.language)
        return Fault(Reason.TOKEN_NOT_IN_EVIDENCE, ", ".join(missing[:3])) if missing else None

    def _pair(
        self, turn: AnswerPair, question: str, answer: str, evidence: tuple[Evidence, ...], history: Sequence[Pair]
    ) -> Pair:
        before = tuple(Exchange(pair.question, pair.answer) for pair in history)
        return Pair(
            pair_id=pair_id(self.group.language, question, answer, evidence, answerable=True, history=before),
            group_id=self.group.group_id,
            rule=self.group.rule,
            language=self.group.language,
            question=question,
            answer=answer,
            type=turn.type,
            difficulty=turn.difficulty,
            answerable=True,
            context_chunk_ids=self.group.chunk_ids,
            evidence=evidence,
            writer=self.writer,
            history=before,
        )


def find_evidence(
    quotes: Sequence[AnswerQuote], chunks: Sequence[Chunk], language: Language, *, similarity: float
) -> tuple[Evidence, ...] | Fault:
    """The passages that quotes stand for, each once, in their order; the first fault where one stands for none."""
    found: dict[Evidence, None] = {}
    for item in quotes:
        if item.chunk > len(chunks):
            return Fault(Reason.UNKNOWN_CHUNK, f"[{item.chunk}] of {len(chunks)}")
        chunk = chunks[item.chunk - 1]
        place = find_quote(item.quote, chunk.text, language, similarity=similarity)
        if isinstance(place, NotFound):
            detail = f"{chunk.chunk_id}: {item.quote[:80]!r}" + (f", {place.detail}" if place.detail else "")
            return Fault(Reason.QUOTE_CHANGED if place.changed else Reason.QUOTE_NOT_FOUND, detail)
        found[Evidence(chunk.chunk_id, chunk.text[place.start : place.end], place.start, place.end)] = None
    return tuple(found)


def pair_id(
    language: Language,
    question: str,
    answer: str,
    evidence: Sequence[Evidence],
    *,
    answerable: bool,
    history: Sequence[Exchange] = (),
) -> str:
    """Twelve hex digits from the content alone: chunk ids and groups may shift, the id of the same pair does not."""
    value: list[Any] = [language, question, answer, [item.quote for item in evidence], answerable]
    if history:
        value.append([[turn.question, turn.answer] for turn in history])
    return sha256(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:12]
