"""How many tokens a prompt has and an answer will have, as ranges: assumed, or measured on answers that are there.

What this module does not do: price tokens, or read the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, sqrt

from groundtune.llm.prices import bytes_per_token
from groundtune.types import Language

ENOUGH_ANSWERS = 20
"""From so many on, what answers took replaces what is assumed."""

PAIR_BYTES = (400, 1200)
"""Of JSON, a pair. Fewest: the offline writer's terse pairs over the example documentation (mean 466 of 1,708) with a shorter
quote. Most: a mean answer of 80 words with its question and two quotes."""

VERDICT_BYTES = (40, 400)
"""Of an answer that is no pair: yes or no with a reason."""

THOUGHTS = 1.5
"""At most so many times the answer, for a model that thinks before it answers; providers bill thoughts as output."""

FRAME_TOKENS = (10, 600)
"""Role marks, and a provider's own instructions for tools (530 tokens at most; see `groundtune.llm.prices.costs`)."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole numbers, from the lowest to the highest that is expected."""

    low: int
    high: int

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.high + other.high)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one answered request took."""

    prompt_bytes: int
    """Schema included."""
    prompt_tokens: int
    """Cached ones included."""
    pairs: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """For the requests of one language to one model."""

    language: Language
    may_think: bool = True
    answers: int = 0
    """That the rates were measured on; 0: nothing was."""
    tokens_a_byte: tuple[float, float] | None = None
    tokens_a_pair: tuple[float, float] | None = None

    def prompt_tokens(self, text_bytes: int, schema_bytes: int, *, frame: bool = True) -> Span:
        """Of a prompt or a part of it; `frame` counts what the provider adds.

        >>> Calibration("tr").prompt_tokens(3700, 0, frame=False)
        Span(low=1000, high=1948)
        """
        if self.tokens_a_byte is not None:
            return _times(text_bytes + schema_bytes, self.tokens_a_byte)
        fewest, most = bytes_per_token(self.language)
        fewest_schema, most_schema = bytes_per_token("en")
        low, high = FRAME_TOKENS if frame else (0, 0)
        return Span(
            floor(low + text_bytes / most + schema_bytes / most_schema),
            ceil(high + text_bytes / fewest + schema_bytes / fewest_schema),
        )

    def output_tokens(self, pairs: int) -> Span:
        """Of an answer with so many pairs, or of a verdict when 0.

        >>> Calibration("en", may_think=False).output_tokens(10)
        Span(low=930, high=5218)
        """
        if pairs and self.tokens_a_pair is not None:
            return _times(pairs, self.tokens_a_pair)
        low, high = PAIR_BYTES if pairs else VERDICT_BYTES
        fewest, most = bytes_per_token(self.language)
        number = max(pairs, 1)
        return Span(floor(number * low / most), ceil(number * high / fewest * (THOUGHTS if self.may_think else 1)))

    def sentences(self) -> tuple[str, ...]:
        """What the rates rest on."""
        language = self.language or "any language"
        fewest, most = bytes_per_token(self.language)
        thoughts = f", and up to {THOUGHTS:g} times that with thoughts" if self.may_think else ""
        prompts = f"prompts ({language}): {fewest:g} to {most:g} bytes a token, the range of tokenizers at hand"
        answers = f"answers ({language}): {PAIR_BYTES[0]} to {PAIR_BYTES[1]} bytes a pair{thoughts}"
        if self.tokens_a_byte is not None:
            low, high = (f"{1 / rate:.2f}" if rate else "any number of" for rate in reversed(self.tokens_a_byte))
            prompts = (
                f"prompts ({language}): {low} to {high} bytes a token, measured on {self.answers} answered requests"
            )
        if self.tokens_a_pair is not None:
            low, high = (f"{rate:.0f}" for rate in self.tokens_a_pair)
            answers = (
                f"answers ({language}): {low} to {high} tokens a pair, measured on {self.answers} answered requests"
            )
        return prompts, answers


def calibrate(taken: Sequence[Taken], language: Language, *, num_new: int, may_think: bool = True) -> Calibration:
    """Rates measured on `taken`, as far as there are `ENOUGH_ANSWERS`, for `num_new` requests to come."""
    if len(taken) < ENOUGH_ANSWERS:
        return Calibration(language, may_think)
    with_pairs = [(each.pairs, each.output_tokens) for each in taken if each.pairs]
    return Calibration(
        language,
        may_think,
        answers=len(taken),
        tokens_a_byte=_rate([(each.prompt_bytes, each.prompt_tokens) for each in taken], num_new),
        tokens_a_pair=_rate(with_pairs, num_new) if len(with_pairs) >= ENOUGH_ANSWERS else None,
    )


def _rate(samples: Sequence[tuple[int, int]], num_new: int) -> tuple[float, float]:
    """y for each x: the ratio estimator, two standard errors of a mean of `num_new` new samples to either side.

    >>> _rate([(10, 20)] * 30, 5)
    (2.0, 2.0)
    """
    count = len(samples)
    sum_x, sum_y = sum(x for x, _ in samples), sum(y for _, y in samples)
    ratio = sum_y / sum_x
    scatter = sqrt(sum((y - ratio * x) ** 2 for x, y in samples) / (count - 1)) / (sum_x / count)
    half = 2 * scatter * sqrt(1 / count + 1 / max(num_new, 1))
    return max(0.0, ratio - half), ratio + half


def _times(number: int, rate: tuple[float, float]) -> Span:
    return Span(floor(number * rate[0]), ceil(number * rate[1]))
