"""Dollars of an answer, from the tokens it says it took, and of a request, at most, before it is sent.

The bound rests on three facts: no token of a byte-level tokenizer is shorter than one byte of UTF-8; the answer, thoughts
included, is held to `max_output_tokens` by the provider; and what providers add around a request is bounded by
`FRAME_TOKENS` and a second copy of the schema. What this module does not do: find prices.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from groundtune.config import PriceConfig
from groundtune.llm.client import LLMRequest, LLMResponse
from groundtune.llm.prices.table import ListedPrice, LongPromptPrice

FRAME_TOKENS = 1024
"""For what a provider writes around a request: role marks, and its own instructions for tools (530 tokens at most, Anthropic's
table of models: docs.anthropic.com/docs/tool-use-pricing-and-tokens)."""

_SLACK = 1 + 1e-9
"""So that rounding of floating-point sums cannot bring the bound below a cost."""


@dataclass(frozen=True, slots=True)
class _Rates:
    """Dollars a token."""

    input: float
    output: float
    cache_read: float
    cache_write: float


def cost(price: PriceConfig, response: LLMResponse, *, batch: bool = False) -> float:
    """What an answer cost, in dollars.

    >>> response = LLMResponse("", 1000, 200, "end", "m", cache_read_tokens=5000)
    >>> round(cost(PriceConfig(input=2, output=10, cache_read=0.2), response), 6)
    0.005
    """
    prompt = response.input_tokens + response.cache_read_tokens + response.cache_write_tokens
    rates = _rates_at(price, prompt)
    dollars = (
        response.input_tokens * rates.input
        + response.cache_read_tokens * rates.cache_read
        + response.cache_write_tokens * rates.cache_write
        + response.output_tokens * rates.output
    )
    return dollars * _batch_factor(price, batch)


def highest_cost(price: PriceConfig, request: LLMRequest, max_output_tokens: int, *, batch: bool = False) -> float:
    """More than any answer to `request` can cost, in dollars."""
    prompt = highest_prompt_tokens(request)
    dearest = max(
        prompt * max(rates.input, rates.cache_read, rates.cache_write) + max_output_tokens * rates.output
        for rates in (_rates_at(price, 0), _rates_at(price, prompt))
    )
    return dearest * _batch_factor(price, batch) * _SLACK


def highest_prompt_tokens(request: LLMRequest) -> int:
    """More tokens than the prompt of `request` can have.

    The schema counts twice: a provider may write it out its own way, and where a server knows no schemas it stands in the prompt.
    """
    return prompt_bytes(request) + 2 * schema_bytes(request) + FRAME_TOKENS


def prompt_bytes(request: LLMRequest) -> int:
    """UTF-8 bytes of what the model is told in words."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in (request.system, request.full_prompt))


def schema_bytes(request: LLMRequest) -> int:
    """Of the schema as JSON, in its longest usual form."""
    return len(json.dumps(request.schema))


def _rates_at(price: PriceConfig, prompt_tokens: int) -> _Rates:
    listed: PriceConfig | LongPromptPrice = price
    if isinstance(price, ListedPrice) and price.long is not None and prompt_tokens > price.long.above:
        listed = price.long
    read = listed.input if listed.cache_read is None else listed.cache_read
    write = listed.input if listed.cache_write is None else listed.cache_write
    return _Rates(listed.input / 1e6, listed.output / 1e6, read / 1e6, write / 1e6)


def _batch_factor(price: PriceConfig, batch: bool) -> float:
    return 1 - price.batch_discount if batch else 1.0
