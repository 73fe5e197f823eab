"""What answers took: requests, tokens, dollars. Sums only; prices are known elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, fsum, log10

from groundtune.llm import LLMResponse


@dataclass(frozen=True, slots=True)
class Usage:
    """Of some answers. An answer that two groups share is counted with one of them."""

    requests: int = 0
    """Answered ones."""
    asked_again: int = 0
    """Of them: sent because the answer before could not be read."""
    asked_for_rest: int = 0
    """Of them: sent because the answer before was cut."""
    input_tokens: int = 0
    """Neither read from a cache nor written to one."""
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    dollars: float = 0.0
    """Of the answers whose price is known."""
    unpriced: int = 0
    """Answers whose price is not known."""

    @classmethod
    def of(
        cls,
        answers: Iterable[tuple[LLMResponse, float | None]],
        *,
        asked_again: int = 0,
        asked_for_rest: int = 0,
    ) -> Usage:
        """Of answers with what each cost; None: no price is known.

        >>> Usage.of([(LLMResponse("", 100, 20, "end", "m", cache_read_tokens=900), 0.25)]).prompt_tokens
        1000
        """
        each = list(answers)
        return cls(
            requests=len(each),
            asked_again=asked_again,
            asked_for_rest=asked_for_rest,
            input_tokens=sum(answer.input_tokens for answer, _ in each),
            cache_read_tokens=sum(answer.cache_read_tokens for answer, _ in each),
            cache_write_tokens=sum(answer.cache_write_tokens for answer, _ in each),
            output_tokens=sum(answer.output_tokens for answer, _ in each),
            dollars=fsum(dollars for _, dollars in each if dollars is not None),
            unpriced=sum(dollars is None for _, dollars in each),
        )

    @property
    def prompt_tokens(self) -> int:
        """All that was read, from a cache or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def known_dollars(self) -> float | None:
        """What it cost, where that is known of every answer."""
        return None if self.unpriced else self.dollars


def total_usage(usages: Iterable[Usage]) -> Usage:
    """The sum; that of dollars does not depend on the order.

    >>> total_usage([Usage(requests=1, dollars=0.1)] * 10).dollars
    1.0
    """
    each = list(usages)
    return Usage(
        requests=sum(usage.requests for usage in each),
        asked_again=sum(usage.asked_again for usage in each),
        asked_for_rest=sum(usage.asked_for_rest for usage in each),
        input_tokens=sum(usage.input_tokens for usage in each),
        cache_read_tokens=sum(usage.cache_read_tokens for usage in each),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in each),
        output_tokens=sum(usage.output_tokens for usage in each),
        dollars=fsum(usage.dollars for usage in each),
        unpriced=sum(usage.unpriced for usage in each),
    )


def format_dollars(value: float) -> str:
    """In cents, or where that says too little with three digits.

    >>> format_dollars(1234.5), format_dollars(0.6), format_dollars(0.0012345), format_dollars(0)
    ('$1,234.50', '$0.60', '$0.00123', '$0.00')
    """
    digits = 2 if value >= 0.1 or value <= 0 else min(8, 2 - floor(log10(value)))
    return f"${value:,.{digits}f}"
