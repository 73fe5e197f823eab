"""Why pairs are not accepted: a fixed list, so that rejections can be counted, and the record of one rejection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Reason(StrEnum):
    """Why a pair, or a whole answer, was not accepted."""

    NOT_IN_SCHEMA = "pair does not fit the schema"
    EMPTY = "question or answer is empty"
    BROKEN_CHARACTERS = "question or answer holds control or replacement characters"
    NOT_A_QUESTION = "question does not end with a question mark"
    QUESTION_TOO_LONG = "question is longer than a question should be"
    TOO_LONG = "answer is longer than it may be"
    TOO_SHORT = "answer is shorter than its difficulty asks for"
    NO_ANSWER = "answer says that there is no answer"
    POINTS_AT_CONTEXT = "question or answer points at the context"
    UNKNOWN_CHUNK = "evidence names a chunk that was not given"
    QUOTE_NOT_FOUND = "evidence quote is not in its chunk"
    QUOTE_CHANGED = "evidence quote changes a number, code, negation or word of its chunk"
    TOO_FEW_CHUNKS = "fewer than two chunks cited in a multi-chunk group"
    TOKEN_NOT_IN_EVIDENCE = "number, code or identifier of the answer is not in the evidence"
    WRONG_LANGUAGE = "wrong language"
    REPEATED_IN_GROUP = "question repeated in its group"
    REPEATED = "question and answer repeated from another group"
    EARLIER_TURN = "an earlier turn of the conversation was not accepted"
    NOT_SUPPORTED = "judge: the evidence does not support the answer"
    NOT_NECESSARY = "judge: answerable without each of the cited chunks"
    NO_VERDICT = "judge gave no readable verdict"


class Fault(NamedTuple):
    """What one check found wrong."""

    reason: Reason
    detail: str = ""
    """What was found; empty where the reason says it all."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A pair that was not accepted."""

    reason: Reason
    detail: str
    question: str
    group_id: str = ""
    raw: Any = None
    """The pair as it was handed in, JSON-able; None for a whole answer, whose text is in the ledger."""


def as_row(rejection: Rejection) -> Mapping[str, Any]:
    """A line of ``rejected.jsonl``."""
    return {
        "group_id": rejection.group_id,
        "reason": rejection.reason.value,
        "detail": rejection.detail,
        "question": rejection.question,
        "pair": rejection.raw,
    }
