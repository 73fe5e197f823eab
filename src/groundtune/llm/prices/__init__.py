"""What requests cost: a dated table of prices, and dollars from tokens, real and at most.

A model that is in neither the configuration nor the table has no price, and nothing here makes one up. This package does not
keep accounts (the ledger does) or estimate runs (generation does).
"""

from groundtune.llm.prices.costs import cost, highest_cost, highest_prompt_tokens, prompt_bytes, schema_bytes
from groundtune.llm.prices.table import (
    FREE,
    ListedPrice,
    LongPromptPrice,
    cacheable_tokens,
    is_local,
    missing_price,
    price_date,
    price_for,
)
from groundtune.llm.prices.tokens import BYTES_PER_TOKEN, bytes_per_token

__all__ = [
    "BYTES_PER_TOKEN",
    "FREE",
    "ListedPrice",
    "LongPromptPrice",
    "bytes_per_token",
    "cacheable_tokens",
    "cost",
    "highest_cost",
    "highest_prompt_tokens",
    "is_local",
    "missing_price",
    "price_date",
    "price_for",
    "prompt_bytes",
    "schema_bytes",
]
