"""Which price goes with a model: what the configuration says, else the table beside this module.

A name is looked up as it is, then without a date at its end, because providers bill a dated snapshot as its model
(``claude-haiku-4-5-20251001``, ``gpt-4.1-2025-04-14``); a snapshot with a price of its own stands in the table with its date.
What this module does not do: add up tokens, or ask a provider.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import TypeVar
from urllib.parse import urlsplit

import yaml
from pydantic import Field

from groundtune.config import PriceConfig, Section, WriterConfig

_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2})$")
_OWN_HOSTS = frozenset({"api.anthropic.com", "api.openai.com"})
"""The built-in figures are theirs; another server of the same protocol has its own."""


class LongPromptPrice(Section):
    """Rates of the whole request, answer included, when its prompt has more than `above` tokens."""

    above: int = Field(ge=1)
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(None, ge=0)
    cache_write: float | None = Field(None, ge=0)


class ListedPrice(PriceConfig):
    """A price of the built-in table, with what only the table knows."""

    long: LongPromptPrice | None = None
    cacheable_tokens: int | None = Field(None, ge=1)
    """The shortest prefix that the provider caches; None: not known."""


class _Provider(Section):
    date: datetime.date
    source: str
    batch_discount: float = Field(ge=0, lt=1)
    cacheable_tokens: int | None = Field(None, ge=1)
    models: dict[str, ListedPrice]


FREE = PriceConfig(input=0, output=0)

Price = TypeVar("Price", bound=PriceConfig)


def price_for(config: WriterConfig) -> PriceConfig | None:
    """The price of what `config` writes with; None when it is not known.

    The offline writer and a server on this machine cost nothing, unless `config.prices` names the model: it may pass
    requests on. The table holds for the providers' own servers only, so a model behind another `base_url` needs a price in
    the configuration.

    >>> price_for(WriterConfig(provider="anthropic", model="claude-haiku-4-5-20251001")).output
    5.0
    >>> price_for(WriterConfig(provider="anthropic", model="claude-of-next-year")) is None
    True
    """
    if config.provider == "offline" or config.model is None:
        return FREE
    named = _find(config.model, config.prices)
    if named is not None or config.base_url is None:
        return named or _find(config.model, _listed())
    if is_local(config.base_url):
        return FREE
    return _find(config.model, _listed()) if urlsplit(config.base_url).hostname in _OWN_HOSTS else None


def is_local(base_url: str | None) -> bool:
    """Whether a server is on this machine.

    >>> [is_local(url) for url in ("http://localhost:11434/v1", "http://127.0.0.1:8000", "http://[::1]:1/v1", "https://a.b/v1")]
    [True, True, True, False]
    """
    host = urlsplit(base_url or "").hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def missing_price(config: WriterConfig, section: str = "generation") -> str:
    """What to tell a user who wants a budget for a model without a price.

    >>> print(missing_price(WriterConfig(provider="openai", model="my-model"), "generation"))
    generation.budget_dollars is set and no price is known for model 'my-model'; set generation.prices.my-model to dollars a \
million tokens, such as `prices: {"my-model": {input: 1.0, output: 5.0}}` under generation, or take the budget out
    """
    where = f" at {urlsplit(config.base_url).hostname}" if config.base_url else ""
    return (
        f"{section}.budget_dollars is set and no price is known for model {config.model!r}{where}; set "
        f"{section}.prices.{config.model} to dollars a million tokens, such as "
        f'`prices: {{"{config.model}": {{input: 1.0, output: 5.0}}}}` under {section}, or take the budget out'
    )


def cacheable_tokens(model: str) -> int | None:
    """The shortest prefix that the provider of `model` caches; None where no figure was found.

    >>> cacheable_tokens("claude-opus-4-8"), cacheable_tokens("gpt-4.1"), cacheable_tokens("my-model")
    (1024, 1024, None)
    """
    listed = _find(model, _listed())
    return None if listed is None else listed.cacheable_tokens


def price_date(model: str) -> tuple[datetime.date, str] | None:
    """When and where the table's figure for `model` was read; None when the table has none."""
    for provider in _table().values():
        if _find(model, provider.models) is not None:
            return provider.date, provider.source
    return None


def _find(model: str, prices: Mapping[str, Price]) -> Price | None:
    return prices.get(model) or prices.get(_DATE.sub("", model))


@lru_cache(maxsize=1)
def _table() -> Mapping[str, _Provider]:
    text = (resources.files(__package__) / "prices.yaml").read_text(encoding="utf-8")
    return {name: _Provider.model_validate(value) for name, value in yaml.safe_load(text).items()}


@lru_cache(maxsize=1)
def _listed() -> Mapping[str, ListedPrice]:
    """Every model, with what its provider says for all."""
    return {
        model: price.model_copy(
            update={
                "batch_discount": provider.batch_discount,
                "cacheable_tokens": price.cacheable_tokens or provider.cacheable_tokens,
            }
        )
        for provider in _table().values()
        for model, price in provider.models.items()
    }
