"""All measures, in the order they are told in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from groundtune.evaluation.measures.behaviour import follows_form, length_verdict, switched_language
from groundtune.evaluation.measures.measure import Measure, Observed
from groundtune.evaluation.measures.nearness import chrf, identifier_accuracy, number_accuracy, rouge_l
from groundtune.evaluation.measures.support import evidence_support, says_something, unsupported_numbers
from groundtune.evaluation.measures.words import exact_match, is_repetitive, token_f1
from groundtune.types import Language


def _best(score: Callable[[str, str, Language], float]) -> Callable[[Observed], float | None]:
    """The best over the references, of an answerable question."""

    def value(observed: Observed) -> float | None:
        question = observed.question
        if not question.answerable:
            return None
        return max(score(observed.text, reference, question.language) for reference in question.references)

    return value


def _best_where_all_have(score: Callable[[str, str, Language], float | None]) -> Callable[[Observed], float | None]:
    """As `_best`, but None where one reference has nothing to give: that one will do as well."""

    def value(observed: Observed) -> float | None:
        question = observed.question
        scores = [score(observed.text, reference, question.language) for reference in question.references]
        found = [each for each in scores if each is not None]
        return max(found) if question.answerable and len(found) == len(scores) else None

    return value


def _given(judge: Callable[[Observed], float | None]) -> Callable[[Observed], float | None]:
    """Of answers that say something and do not refuse."""

    def value(observed: Observed) -> float | None:
        if observed.refused or not says_something(observed.text, observed.question.language):
            return None
        found = judge(observed)
        return None if found is None else float(found)

    return value


def _false_answer(observed: Observed) -> float | None:
    return None if observed.question.answerable else float(not observed.refused)


def _over_refusal(observed: Observed) -> float | None:
    return float(observed.refused) if observed.question.answerable else None


def _has_unsupported_number(observed: Observed) -> float | None:
    return float(bool(unsupported_numbers(observed))) if observed.passages else None


def _length_is(verdict: int) -> Callable[[Observed], float | None]:
    def judge(observed: Observed) -> float | None:
        found = length_verdict(observed) if observed.question.answerable else None
        return None if found is None else float(found == verdict)

    return _given(judge)


MEASURES: tuple[Measure, ...] = (
    Measure(
        key="token_f1",
        label="Token F1",
        meaning="overlap of words with the reference answer, from 0 to 1",
        group="answers",
        population="answerable",
        better="higher",
        is_rate=False,
        value=_best(token_f1),
    ),
    Measure(
        key="exact_match",
        label="Exact match",
        meaning="answers with the words of the reference, all and in order",
        group="answers",
        population="answerable",
        better="higher",
        is_rate=True,
        value=_best(lambda *texts: float(exact_match(*texts))),
    ),
    Measure(
        key="chrf",
        label="chrF",
        meaning="overlap of runs of letters with the reference, kind to endings, from 0 to 1; unrelated text scores about 0.2",
        group="answers",
        population="answerable",
        better="higher",
        is_rate=False,
        value=_best(lambda answer, reference, _: chrf(answer, reference)),
    ),
    Measure(
        key="rouge_l",
        label="ROUGE-L",
        meaning="words in common with the reference in the same order, from 0 to 1",
        group="answers",
        population="answerable",
        better="higher",
        is_rate=False,
        value=_best(rouge_l),
    ),
    Measure(
        key="number_accuracy",
        label="Numbers right",
        meaning="share of the reference’s numbers, dates and versions that the answer gives, where the reference has any",
        group="answers",
        population="answerable",
        better="higher",
        is_rate=False,
        value=_best_where_all_have(number_accuracy),
    ),
    Measure(
        key="identifier_accuracy",
        label="Identifiers right",
        meaning="share of the reference’s codes, names in code marks, paths and buttons that the answer gives, where it has any",
        group="answers",
        population="answerable",
        better="higher",
        is_rate=False,
        value=_best_where_all_have(lambda answer, reference, _: identifier_accuracy(answer, reference)),
    ),
    Measure(
        key="evidence_support",
        label="Evidence support",
        meaning="share of the answer’s content words that stand in its passages, endings aside; of answers given over passages",
        group="evidence",
        population="all",
        better="higher",
        is_rate=False,
        value=_given(evidence_support),
    ),
    Measure(
        key="unsupported_number_rate",
        label="Unsupported numbers",
        meaning="answers with a number or code that stands nowhere in their passages or the question; of answers given over passages",
        group="evidence",
        population="all",
        better="lower",
        is_rate=True,
        value=_given(_has_unsupported_number),
    ),
    Measure(
        key="false_answer_rate",
        label="False answers",
        meaning="unanswerable questions that were not refused",
        group="unknown",
        population="unanswerable",
        better="lower",
        is_rate=True,
        value=_false_answer,
    ),
    Measure(
        key="over_refusal_rate",
        label="Over-refusals",
        meaning="answerable questions that were refused",
        group="unknown",
        population="answerable",
        better="lower",
        is_rate=True,
        value=_over_refusal,
    ),
    Measure(
        key="refusal_balance",
        label="Refuses rightly",
        meaning="mean of two shares: unanswerable questions refused and answerable ones answered; always or never refusing gives 50%",
        group="unknown",
        population="all",
        better="higher",
        is_rate=True,
        value=lambda observed: float(observed.refused != observed.question.answerable),
        balanced=True,
    ),
    Measure(
        key="stop_rate",
        label="Stops by itself",
        meaning="answers that ended before the length limit",
        group="behaviour",
        population="all",
        better="higher",
        is_rate=True,
        value=lambda observed: float(observed.stopped),
    ),
    Measure(
        key="repetition_rate",
        label="Repetition",
        meaning="answers that run in circles",
        group="behaviour",
        population="all",
        better="lower",
        is_rate=True,
        value=lambda observed: float(is_repetitive(observed.token_ids)),
    ),
    Measure(
        key="language_switch_rate",
        label="Language switched",
        meaning="answers in another language than their question; of answers of eight words or more",
        group="behaviour",
        population="all",
        better="lower",
        is_rate=True,
        value=_given(switched_language),
    ),
    Measure(
        key="form_rate",
        label="Form followed",
        meaning="answers in numbered steps, a list or a table where the reference is or the question asks for steps; of answers given",
        group="behaviour",
        population="answerable",
        better="higher",
        is_rate=True,
        value=_given(lambda observed: follows_form(observed) if observed.question.answerable else None),
    ),
    Measure(
        key="length_rate",
        label="Fitting length",
        meaning="answers with half to double the words of the reference, or within five words of it; of answers given",
        group="behaviour",
        population="answerable",
        better="higher",
        is_rate=True,
        value=_length_is(0),
    ),
    Measure(
        key="too_long_rate",
        label="Too long",
        meaning="answers with more than double the words of the reference and over five more; of answers given",
        group="behaviour",
        population="answerable",
        better="lower",
        is_rate=True,
        value=_length_is(1),
    ),
    Measure(
        key="empty_rate",
        label="Empty",
        meaning="answers without a word or number in them",
        group="behaviour",
        population="all",
        better="lower",
        is_rate=True,
        value=lambda observed: float(not says_something(observed.text, observed.question.language)),
    ),
)

BY_KEY: Mapping[str, Measure] = {measure.key: measure for measure in MEASURES}
