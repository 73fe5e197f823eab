"""Checks by code that every accepted pair has passed: shape, evidence, exactness, language, independence.

A pair that fails is kept as a rejection with one reason. What this module does not do: judge whether an answer is good.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from groundtune.config import GenerationConfig
from groundtune.generation.schema import AnswerPair
from groundtune.generation.tokens import missing_tokens
from groundtune.language import detect_language, lower_case
from groundtune.types import Chunk, Evidence, Group, Language, Pair, Rule


class Reason(StrEnum):
    """Why a pair, or a whole answer, was not accepted."""

    NOT_JSON = "answer is not JSON of the schema"
    NOT_IN_SCHEMA = "pair does not fit the schema"
    EMPTY = "question or answer is empty"
    NOT_A_QUESTION = "question does not end with a question mark"
    TOO_LONG = "answer is longer than max_answer_words"
    POINTS_AT_CONTEXT = "question or answer points at the context"
    UNKNOWN_CHUNK = "evidence names a chunk that was not given"
    QUOTE_NOT_FOUND = "evidence quote is not in its chunk"
    TOO_FEW_CHUNKS = "fewer than two chunks cited in a multi-chunk group"
    TOKEN_NOT_IN_EVIDENCE = "number, code or identifier of the answer is not in the evidence"
    WRONG_LANGUAGE = "wrong language"
    REPEATED_IN_GROUP = "question repeated in its group"
    REPEATED = "question and answer repeated from another group"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A pair that was not accepted, as it was handed in."""

    reason: Reason
    detail: str
    question: str


_POINTING = {
    "tr": re.compile(
        r"(?:yukarıda|aşağıda|verilen|sağlanan)(?:ki)? (?:bağlam|metin|parça|bölüm|belge|bilgi)\w*|bağlama göre|metne göre|parçaya göre|"
        r"bu (?:bağlam|metin|parça|bölüm|belge)(?:da|de|e|ye|a|ya|ta|te)\b|parçada belirt|metinde belirt|bağlamda belirt"
    ),
    "en": re.compile(
        r"(?:according to|based on) (?:the|this) (?:context|passage|text|excerpt|documentation|document|section)\b|"
        r"\bin (?:the|this) (?:context|passage|text|excerpt)(?: above| below| provided| given)?(?=[\s,.?]|$)|"
        r"(?:context|passage|text) (?:above|below|provided)|as (?:mentioned|stated|described) (?:above|in the (?:context|passage|text))"
    ),
}
_NOT_PROSE = re.compile(
    r"`[^`]*`|\*\*[^*]+ > [^*]+\*\*|\S+ > [^.,;?]+|\b[A-ZÇĞİÖŞÜ0-9]{2,}(?:[-_][\wÇĞİÖŞÜ]+)*\b|[\d%°]+\S*|“[^”]*”|https?://\S+|/\S+"
)
_MINIMUM_PROSE_LETTERS = 24
_MINIMUM_ANSWER_LETTERS = 60


def check_answer(
    raw: str,
    group: Group,
    chunks: Sequence[Chunk],
    *,
    config: GenerationConfig,
    languages: Sequence[Language],
    writer: str,
) -> tuple[list[Pair], list[Rejection]]:
    """The accepted pairs of one raw answer, in its order, and the rest.

    Args:
        chunks: of the group, in the order of the numbers in its prompt.
        languages: candidates for detection.
    """
    handed_in = _parse(raw)
    if isinstance(handed_in, Rejection):
        return [], [handed_in]
    pairs: list[Pair] = []
    rejections: list[Rejection] = []
    questions: set[str] = set()
    for value in handed_in:
        verdict = _check_pair(value, group, chunks, config, languages, writer)
        if isinstance(verdict, Pair):
            key = normalise(verdict.question, group.language)
            if key not in questions:
                questions.add(key)
                pairs.append(verdict)
                continue
            verdict = Rejection(Reason.REPEATED_IN_GROUP, "", verdict.question)
        rejections.append(verdict)
    return pairs, rejections


def normalise(text: str, language: Language) -> str:
    """For comparing: small letters, single blanks, no closing punctuation."""
    return " ".join(lower_case(text, language).split()).rstrip(".?! ")


def _parse(raw: str) -> list[Any] | Rejection:
    """The list of pairs as handed in; each is checked by itself, so that one bad pair costs only itself."""
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        return Rejection(Reason.NOT_JSON, f"{error.msg} at character {error.pos}", "")
    if not isinstance(value, dict) or not isinstance(value.get("pairs"), list):
        return Rejection(Reason.NOT_JSON, f"found {str(value)[:80]!r}, expected an object with a list 'pairs'", "")
    return list(value["pairs"])


def _check_pair(
    value: Any,
    group: Group,
    chunks: Sequence[Chunk],
    config: GenerationConfig,
    languages: Sequence[Language],
    writer: str,
) -> Pair | Rejection:
    asked = str(value.get("question", "")) if isinstance(value, dict) else ""
    try:
        handed_in = AnswerPair.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return Rejection(Reason.NOT_IN_SCHEMA, f"{field}: {first['msg'].lower()}", asked)
    question, answer = handed_in.question.strip(), handed_in.answer.strip()
    fault = _check_wording(question, answer, group.language, config)
    if fault is not None:
        return Rejection(*fault, question)
    evidence = _find_evidence(handed_in, chunks)
    if isinstance(evidence, Rejection):
        return evidence
    fault = _check_evidence(answer, evidence, group, chunks)
    fault = fault or _check_language(question, answer, group.language, languages)
    if fault is not None:
        return Rejection(*fault, question)
    return Pair(
        pair_id=pair_id(group.language, question, answer, evidence, answerable=True),
        group_id=group.group_id,
        rule=group.rule,
        language=group.language,
        question=question,
        answer=answer,
        type=handed_in.type,
        difficulty=handed_in.difficulty,
        answerable=True,
        context_chunk_ids=group.chunk_ids,
        evidence=evidence,
        writer=writer,
    )


Fault = tuple[Reason, str]


def _check_wording(question: str, answer: str, language: Language, config: GenerationConfig) -> Fault | None:
    if not question or not answer:
        return Reason.EMPTY, ""
    if not question.endswith("?"):
        return Reason.NOT_A_QUESTION, ""
    words = len(answer.split())
    if words > config.max_answer_words:
        return Reason.TOO_LONG, f"{words} words"
    pattern = _POINTING.get(language)
    found = pattern.search(lower_case(f"{question} {answer}", language)) if pattern else None
    return (Reason.POINTS_AT_CONTEXT, found[0]) if found else None


def _find_evidence(handed_in: AnswerPair, chunks: Sequence[Chunk]) -> tuple[Evidence, ...] | Rejection:
    found = []
    for item in handed_in.evidence:
        if item.chunk > len(chunks):
            return Rejection(Reason.UNKNOWN_CHUNK, f"[{item.chunk}] of {len(chunks)}", handed_in.question)
        chunk = chunks[item.chunk - 1]
        start = chunk.text.find(item.quote)
        if start < 0 or not item.quote.strip():
            return Rejection(Reason.QUOTE_NOT_FOUND, f"{chunk.chunk_id}: {item.quote[:80]!r}", handed_in.question)
        found.append(Evidence(chunk.chunk_id, item.quote, start, start + len(item.quote)))
    return tuple(dict.fromkeys(found))


def _check_evidence(answer: str, evidence: tuple[Evidence, ...], group: Group, chunks: Sequence[Chunk]) -> Fault | None:
    cited = {item.chunk_id for item in evidence}
    if group.rule is not Rule.INDIVIDUAL and len(cited) < min(2, len(set(group.chunk_ids))):
        return Reason.TOO_FEW_CHUNKS, next(iter(cited))
    source = "\n".join(chunk.text for chunk in chunks if chunk.chunk_id in cited)
    missing = missing_tokens(answer, source)
    return (Reason.TOKEN_NOT_IN_EVIDENCE, ", ".join(missing[:3])) if missing else None


def _check_language(question: str, answer: str, language: Language, languages: Sequence[Language]) -> Fault | None:
    """The question with its answer must be in the language; a long answer must be so by itself as well.

    Codes, paths and quoted words are left out first: they are the same in every language.
    """
    for name, text, minimum in (
        ("question and answer", f"{question} {answer}", _MINIMUM_PROSE_LETTERS),
        ("answer", answer, _MINIMUM_ANSWER_LETTERS),
    ):
        prose = _NOT_PROSE.sub(" ", text)
        if sum(letter.isalpha() for letter in prose) < minimum:
            continue
        found = detect_language(prose, list(dict.fromkeys((language, *languages))))
        if found != language:
            return Reason.WRONG_LANGUAGE, f"{name} read as {found!r}, expected {language!r}"
    return None


def pair_id(language: Language, question: str, answer: str, evidence: Sequence[Evidence], *, answerable: bool) -> str:
    """Twelve hex digits from the content alone: chunk ids and groups may shift, the id of the same pair does not."""
    value = [language, question, answer, [item.quote for item in evidence], answerable]
    return sha256(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def drop_repeated(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Rejection]]:
    """Keep the first of pairs with the same question and answer, whatever their groups."""
    kept: dict[tuple[Language, str, str], Pair] = {}
    rejections = []
    for pair in pairs:
        key = (pair.language, normalise(pair.question, pair.language), normalise(pair.answer, pair.language))
        if key in kept:
            rejections.append(Rejection(Reason.REPEATED, f"first in {kept[key].group_id}", pair.question))
        else:
            kept[key] = pair
    return list(kept.values()), rejections


def as_row(rejection: Rejection) -> Mapping[str, str]:
    """A rejection for the ledger."""
    return {"reason": rejection.reason.value, "detail": rejection.detail, "question": rejection.question}
