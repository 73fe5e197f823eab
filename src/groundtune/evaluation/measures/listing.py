"""All measures, in the order they are told in."""

from __future__ import annotations

from collections.abc import Mapping

from groundtune.evaluation.measures.measure import Measure, Observed
from groundtune.evaluation.measures.words import exact_match, is_repetitive, token_f1


def _best_f1(observed: Observed) -> float | None:
    question = observed.question
    if not question.answerable:
        return None
    return max(token_f1(observed.text, reference, question.language) for reference in question.references)


def _exact(observed: Observed) -> float | None:
    question = observed.question
    if not question.answerable:
        return None
    return float(any(exact_match(observed.text, reference, question.language) for reference in question.references))


def _false_answer(observed: Observed) -> float | None:
    return None if observed.question.answerable else float(not observed.refused)


def _over_refusal(observed: Observed) -> float | None:
    return float(observed.refused) if observed.question.answerable else None


MEASURES: tuple[Measure, ...] = (
    Measure(
        "token_f1",
        "Token F1",
        "overlap of words with the reference answer, from 0 to 1",
        "answers",
        "answerable",
        "higher",
        False,
        _best_f1,
    ),
    Measure(
        "exact_match",
        "Exact match",
        "answers with the words of the reference, all and in order",
        "answers",
        "answerable",
        "higher",
        True,
        _exact,
    ),
    Measure(
        "false_answer_rate",
        "False answers",
        "unanswerable questions that were not refused",
        "unknown",
        "unanswerable",
        "lower",
        True,
        _false_answer,
    ),
    Measure(
        "over_refusal_rate",
        "Over-refusals",
        "answerable questions that were refused",
        "unknown",
        "answerable",
        "lower",
        True,
        _over_refusal,
    ),
    Measure(
        "stop_rate",
        "Stops by itself",
        "answers that ended before the length limit",
        "behaviour",
        "all",
        "higher",
        True,
        lambda observed: float(observed.stopped),
    ),
    Measure(
        "repetition_rate",
        "Repetition",
        "answers that run in circles",
        "behaviour",
        "all",
        "lower",
        True,
        lambda observed: float(is_repetitive(observed.token_ids)),
    ),
)

BY_KEY: Mapping[str, Measure] = {measure.key: measure for measure in MEASURES}
