"""What went wrong with an answer: its signs, and the one kind that it is told under.

What this module does not do: group failures (:mod:`groundtune.evaluation.errors.clusters`) or lead back to where they come
from (the pipeline does, which knows the files).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from groundtune.evaluation.asking.systems import BARE_SYSTEMS
from groundtune.evaluation.figures.records import AnswerRecord, ModelAnswer

FailureKind = Literal[
    "repetition",
    "cut at the limit",
    "language switched",
    "answered although unanswerable",
    "wrong evidence retrieved",
    "refusal although answerable",
    "unsupported number",
    "right evidence and wrong answer",
    "wrong answer, evidence not known",
]

LOW_F1 = 0.5
"""An answer to an answerable question that is not exact and whose token F1 is below this counts as wrong."""

LANGUAGE_SWITCH = "language_switch_rate"
"""Key of the measure that says an answer is in another language than its question."""


def failure_signs(record: AnswerRecord, answer: ModelAnswer) -> tuple[FailureKind, ...]:
    """Every kind that fits, in order of precedence: the first is the one it is told under. None for an answer that is right.

    First what spoils an answer whatever it says (it runs in circles, was cut, is in another language), because its words are then
    no sign of what the model knew. Then an answer where there is none. Then search: a model that was not shown the evidence is not
    blamed for refusing or being wrong. Only then the model: that it refused, that it made a number up, that it was wrong.
    """
    return tuple(kind for kind, holds in _SIGNS.items() if holds(record, answer)) if _failed(record, answer) else ()


def missing_evidence(record: AnswerRecord, answer: ModelAnswer) -> tuple[str, ...]:
    """Evidence chunks that were not in the prompt."""
    shown = set(answer.chunk_ids)
    return tuple(chunk_id for chunk_id in record.evidence_chunk_ids if chunk_id not in shown)


def _failed(record: AnswerRecord, answer: ModelAnswer) -> bool:
    if record.answerable and answer.measures.get("exact_match"):
        return False
    return any(fails(record, answer) for fails in (_loops, _cut, _switched, _answered, _over_refused, _wrong, _numbers))


def _loops(record: AnswerRecord, answer: ModelAnswer) -> bool:  # noqa: ARG001  as `_SIGNS` has it
    return bool(answer.measures.get("repetition_rate"))


def _cut(record: AnswerRecord, answer: ModelAnswer) -> bool:  # noqa: ARG001
    return not answer.stopped


def _switched(record: AnswerRecord, answer: ModelAnswer) -> bool:  # noqa: ARG001
    return bool(answer.measures.get(LANGUAGE_SWITCH))


def _answered(record: AnswerRecord, answer: ModelAnswer) -> bool:
    return not record.answerable and not answer.refused


def _over_refused(record: AnswerRecord, answer: ModelAnswer) -> bool:
    return record.answerable and answer.refused


def _wrong(record: AnswerRecord, answer: ModelAnswer) -> bool:
    """A refusal is none: it says nothing that could be wrong."""
    return record.answerable and not answer.refused and (answer.measures.get("token_f1") or 0.0) < LOW_F1


def _numbers(record: AnswerRecord, answer: ModelAnswer) -> bool:
    return record.answerable and not answer.refused and bool(answer.unsupported_numbers)


def _not_shown(record: AnswerRecord, answer: ModelAnswer) -> bool:
    """Not all evidence was in the prompt, or nothing was found at all, so that the refusal was given without asking."""
    if not record.answerable or _without_passages(record):
        return False
    nothing_found = answer.refused and not answer.new_tokens and not answer.chunk_ids
    return bool(missing_evidence(record, answer)) or nothing_found


def _wrong_though_shown(record: AnswerRecord, answer: ModelAnswer) -> bool:
    return _wrong(record, answer) and _is_known(record, answer) and not _not_shown(record, answer)


def _wrong_and_unknown(record: AnswerRecord, answer: ModelAnswer) -> bool:
    return _wrong(record, answer) and not _is_known(record, answer) and not _not_shown(record, answer)


def _is_known(record: AnswerRecord, answer: ModelAnswer) -> bool:
    """Whether it can be told if the evidence was in the prompt; a prompt without any chunk had the passages that the question
    brought with it, and they hold it."""
    if _without_passages(record):
        return False
    return bool(record.evidence_chunk_ids) or not answer.chunk_ids


def _without_passages(record: AnswerRecord) -> bool:
    return record.answers.keys() <= BARE_SYSTEMS.keys()


_SIGNS: Mapping[FailureKind, Callable[[AnswerRecord, ModelAnswer], bool]] = {
    "repetition": _loops,
    "cut at the limit": _cut,
    "language switched": _switched,
    "answered although unanswerable": _answered,
    "wrong evidence retrieved": _not_shown,
    "refusal although answerable": _over_refused,
    "unsupported number": _numbers,
    "right evidence and wrong answer": _wrong_though_shown,
    "wrong answer, evidence not known": _wrong_and_unknown,
}
"""In order of precedence."""

FAILURE_KINDS: tuple[FailureKind, ...] = tuple(_SIGNS)
