"""Which test questions are asked, which are shown, which training examples are measured: decided by the seed, before any
answer is known."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.evaluation.asking.questions import Question
from groundtune.files import sha256_text

UNANSWERABLE_SHARE = 0.25
"""Unanswerable questions are all asked as long as they take no more than this share of the questions."""


def choose_questions(questions: Sequence[Question], *, max_questions: int, seed: int) -> list[Question]:
    """At most `max_questions` of `questions` (0 takes all), in the order given, the same ones for the same seed.

    Unanswerable questions are few and carry the false-answer rate, so all are taken, up to a quarter of the places (at least one
    of two places or more, and more than a quarter only where answerable ones run out). Within each kind, language, rule, type and difficulty keep their proportions.
    """
    if not max_questions or len(questions) <= max_questions:
        return list(questions)
    unanswerable = [question for question in questions if not question.answerable]
    answerable = [question for question in questions if question.answerable]
    least = min(1, max_questions - 1)
    places = min(len(unanswerable), max(least, round(max_questions * UNANSWERABLE_SHARE)))
    places = max(places, max_questions - len(answerable))
    chosen = {
        question.question_id
        for question in (
            *_spread(unanswerable, places, seed),
            *_spread(answerable, max_questions - places, seed),
        )
    }
    return [question for question in questions if question.question_id in chosen]


def choose_examples(ids: Sequence[str], *, most: int, seed: int) -> list[int]:
    """Places of at most `most` of the examples named, in order, the same ones for the same seed."""
    drawn = sorted(range(len(ids)), key=lambda place: sha256_text(f"{seed}:{ids[place]}"))
    return sorted(drawn[:most])


def _spread(questions: Sequence[Question], count: int, seed: int) -> list[Question]:
    """`count` of `questions` at even steps through them sorted by stratum, so that each stratum gives its share."""
    ordered = sorted(
        questions,
        key=lambda question: (
            question.language,
            question.rule,
            question.type,
            question.difficulty,
            _lot(question, seed),
        ),
    )
    return [ordered[(2 * step + 1) * len(ordered) // (2 * count)] for step in range(count)]


def choose_shown(questions: Sequence[Question], *, count: int, seed: int) -> list[Question]:
    """At most `count` of the asked questions to show: answerable ones of different types, then unanswerable ones.

    One place in five goes to unanswerable questions (at least one, where there are two places or more). Types are varied
    first, then languages; ties fall by lot, never by how the answers came out.
    """
    drawn = sorted(questions, key=lambda question: _lot(question, seed))
    unanswerable = [question for question in drawn if not question.answerable]
    answerable = [question for question in drawn if question.answerable]
    wanted = max(1, count // 5) if count > 1 or not answerable else 0
    refusals = unanswerable[: max(wanted, count - len(answerable))]
    shown: list[Question] = []
    while answerable and len(shown) < count - len(refusals):
        chosen = min(
            answerable,
            key=lambda question: (
                sum(other.type == question.type for other in shown),
                sum(other.language == question.language for other in shown),
            ),
        )
        shown.append(chosen)
        answerable.remove(chosen)
    return (shown + refusals)[:count]


def _lot(question: Question, seed: int) -> str:
    return sha256_text(f"{seed}:{question.question_id}")
