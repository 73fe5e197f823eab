"""Which test questions are asked, and which are shown: decided by the seed, before any answer is known."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.files import sha256_text
from groundtune.types import Example

UNANSWERABLE_SHARE = 0.25
"""Unanswerable questions are all asked as long as they take no more than this share of the questions."""


def choose_questions(examples: Sequence[Example], *, max_questions: int, seed: int) -> list[Example]:
    """At most `max_questions` of `examples` (0 takes all), in the order given, the same ones for the same seed.

    Unanswerable questions are few and carry the false-answer rate, so all are taken, up to a quarter of the places (more
    only where answerable ones run out). Within each kind, language, rule, type and difficulty keep their proportions.
    """
    if not max_questions or len(examples) <= max_questions:
        return list(examples)
    unanswerable = [example for example in examples if not example.answerable]
    answerable = [example for example in examples if example.answerable]
    places = min(len(unanswerable), max(1, round(max_questions * UNANSWERABLE_SHARE)))
    places = max(places, max_questions - len(answerable))
    chosen = {
        example.example_id
        for example in (
            *_spread(unanswerable, places, seed),
            *_spread(answerable, max_questions - places, seed),
        )
    }
    return [example for example in examples if example.example_id in chosen]


def _spread(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """`count` of `examples` at even steps through them sorted by stratum, so that each stratum gives its share."""
    ordered = sorted(
        examples,
        key=lambda example: (
            example.language,
            example.rule.value,
            example.type.value,
            example.difficulty.value,
            _lot(example, seed),
        ),
    )
    return [ordered[(2 * step + 1) * len(ordered) // (2 * count)] for step in range(count)]


def choose_shown(examples: Sequence[Example], *, count: int, seed: int) -> list[Example]:
    """At most `count` of the asked questions to show: answerable ones of different types, then unanswerable ones.

    One place in five goes to unanswerable questions (at least one, where there are two places or more). Types are varied
    first, then languages; ties fall by lot, never by how the answers came out.
    """
    drawn = sorted(examples, key=lambda example: _lot(example, seed))
    unanswerable = [example for example in drawn if not example.answerable]
    answerable = [example for example in drawn if example.answerable]
    wanted = max(1, count // 5) if count > 1 or not answerable else 0
    refusals = unanswerable[: max(wanted, count - len(answerable))]
    shown: list[Example] = []
    while answerable and len(shown) < count - len(refusals):
        chosen = min(
            answerable,
            key=lambda example: (
                sum(other.type == example.type for other in shown),
                sum(other.language == example.language for other in shown),
            ),
        )
        shown.append(chosen)
        answerable.remove(chosen)
    return (shown + refusals)[:count]


def _lot(example: Example, seed: int) -> str:
    return sha256_text(f"{seed}:{example.example_id}")
