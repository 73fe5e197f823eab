"""What is measured of a model's pairs in a pilot: each a ratio of sums over groups, so that groups weigh by what is in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundtune.generation.coverage import split_units
from groundtune.generation.coverage.units import VERY_SHORT
from groundtune.generation.pilot.resampling import Floats
from groundtune.generation.pilot.variety import (
    compressed,
    distinct_in_windows,
    shared_run_sums,
    similarity_sums,
    within_and_across,
)
from groundtune.generation.statistics import GroupOutcome
from groundtune.types import Difficulty, Pair, QuestionType

INFERENCE_TYPES = (QuestionType.INFERENTIAL, QuestionType.COMPARATIVE, QuestionType.PROCEDURAL)
"""Questions that are not answered by repeating one statement."""

_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+\S", re.MULTILINE)

Parts = tuple[float, float]
Count = Callable[[GroupOutcome], Parts | None]
"""Numerator and denominator of one group; None: it cannot be known, so the whole figure cannot."""


@dataclass(frozen=True, slots=True)
class Measure:
    key: str
    label: str
    better: Literal["higher", "lower"] | None
    """None: neither is."""
    unit: Literal["share", "number", "dollars", "seconds"] = "number"
    section: Literal["yield", "depth", "variety", "price"] = "yield"


@dataclass(frozen=True, slots=True)
class Sampled:
    """A figure, and what it was in every resample, ``(resamples,)``; nan where undefined."""

    value: float
    samples: Floats


def _accepted(outcome: GroupOutcome) -> Parts:
    return len(outcome.pairs), len(outcome.pairs) + outcome.rejected


def _per_pair(count: Callable[[Pair], float]) -> Count:
    return lambda outcome: (sum(count(pair) for pair in outcome.pairs), len(outcome.pairs))


def statements(answer: str, language: str) -> int:
    """Sentences and list items of an answer, at least one.

    >>> statements("Makara kartını açın. Sonra şunları yapın:\\n\\n1. Lotu seçin.\\n2. Kaydedin.", "tr")
    3
    """
    units, skipped = split_units(answer, language)
    return max(1, len(units) + skipped[VERY_SHORT])


def _dollars(outcome: GroupOutcome) -> Parts | None:
    dollars = outcome.usage.known_dollars
    return None if dollars is None else (dollars, len(outcome.pairs))


def _clock(outcome: GroupOutcome) -> float:
    return outcome.seconds or 0.0


_COUNTS: dict[Measure, Count] = {
    Measure("answered", "groups answered", "higher", "share"): lambda each: (not each.unanswered, 1),
    Measure("pairs_per_group", "accepted pairs a group", "higher"): lambda each: (len(each.pairs), 1),
    Measure("acceptance", "acceptance", "higher", "share"): _accepted,
    Measure("answer_words", "words an answer", None, section="depth"): _per_pair(lambda p: len(p.answer.split())),
    Measure("statements", "statements an answer", "higher", section="depth"): _per_pair(
        lambda pair: statements(pair.answer, pair.language)
    ),
    Measure("steps", "list items an answer", None, section="depth"): _per_pair(
        lambda pair: len(_ITEM.findall(pair.answer))
    ),
    Measure("evidence_chunks", "chunks cited a pair", None, section="depth"): _per_pair(
        lambda pair: len(pair.evidence_chunk_ids)
    ),
    Measure("inference_share", "inference share", "higher", "share", "depth"): _per_pair(
        lambda pair: pair.type in INFERENCE_TYPES
    ),
    Measure("hard_share", "hard questions", None, "share", "depth"): _per_pair(
        lambda pair: pair.difficulty is Difficulty.HARD
    ),
    Measure("distinct_1", "distinct words", "higher", "share", "variety"): lambda each: distinct_in_windows(
        each.pairs, 1
    ),
    Measure("distinct_2", "distinct pairs of words", "higher", "share", "variety"): lambda each: distinct_in_windows(
        each.pairs, 2
    ),
    Measure("compression", "compression ratio", "lower", section="variety"): lambda each: compressed(each.pairs),
    Measure("prompt_tokens", "tokens read a pair", None, section="price"): lambda each: (
        each.usage.prompt_tokens,
        len(each.pairs),
    ),
    Measure("cached_share", "of them from a cache", None, "share", "price"): lambda each: (
        each.usage.cache_read_tokens,
        each.usage.prompt_tokens,
    ),
    Measure("output_tokens", "tokens written a pair", "lower", section="price"): lambda each: (
        each.usage.output_tokens,
        len(each.pairs),
    ),
    Measure("dollars_per_pair", "dollars an accepted pair", "lower", "dollars", "price"): _dollars,
    Measure("seconds_per_request", "seconds a request", "lower", "seconds", "price"): lambda each: (
        _clock(each),
        each.usage.requests if each.seconds is not None else 0,
    ),
    Measure("pairs_per_minute", "pairs a minute of waiting", "higher", section="price"): lambda each: (
        len(each.pairs) * 60 if each.seconds is not None else 0,
        _clock(each),
    ),
}

_SELF_SIMILARITY = Measure("self_similarity", "likeness of questions", "lower", section="variety")
_REPETITION = Measure("repetition", "questions with 4 words in a row alike", "lower", "share", "variety")

MEASURES: tuple[Measure, ...] = (*_COUNTS, _SELF_SIMILARITY, _REPETITION)


def measure_all(outcomes: Sequence[GroupOutcome], weights: Floats) -> dict[str, Sampled]:
    """Every figure of one model, by key; `weights` as of `draw_weights`."""
    found = {measure.key: _ratio([count(each) for each in outcomes], weights) for measure, count in _COUNTS.items()}
    questions = [each.pairs for each in outcomes]
    cosines, counts = similarity_sums(questions)
    found[_SELF_SIMILARITY.key] = _pairwise(cosines, counts, weights)
    found[_REPETITION.key] = _pairwise(shared_run_sums(questions), counts, weights)
    return found


def _ratio(parts: Sequence[Parts | None], weights: Floats) -> Sampled:
    known = [each for each in parts if each is not None]
    if len(known) < len(parts):
        return Sampled(np.nan, np.full(len(weights), np.nan))
    above, below = np.array([(float(first), float(second)) for first, second in known]).reshape(-1, 2).T
    return _divided(weights @ above, weights @ below, above.sum(), below.sum())


def _pairwise(sums: Floats, counts: Floats, weights: Floats) -> Sampled:
    once = np.ones((1, len(sums)))
    return _divided(
        within_and_across(sums, weights),
        within_and_across(counts, weights),
        within_and_across(sums, once)[0],
        within_and_across(counts, once)[0],
    )


def _divided(above: Floats, below: Floats, above_all: float, below_all: float) -> Sampled:
    samples = np.full(len(above), np.nan)
    np.divide(above, below, out=samples, where=below > 0)
    return Sampled(float(above_all / below_all) if below_all > 0 else np.nan, samples)
