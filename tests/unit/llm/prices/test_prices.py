"""Prices are found by the name a provider bills, and no request costs more than its bound."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import PriceConfig, WriterConfig
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.llm.prices import (
    FREE,
    ListedPrice,
    cost,
    highest_cost,
    highest_prompt_tokens,
    missing_price,
    price_date,
    price_for,
)
from groundtune.llm.prices.table import _listed

MODELS = sorted(_listed())


def price_of(model: str, **mine: PriceConfig) -> PriceConfig | None:
    return price_for(WriterConfig(provider="openai", model=model, prices=mine))


def test_a_dated_snapshot_costs_what_its_model_costs() -> None:
    assert price_of("claude-haiku-4-5-20251001") == price_of("claude-haiku-4-5")
    assert price_of("gpt-4.1-mini-2025-04-14") == price_of("gpt-4.1-mini")


def test_a_snapshot_with_a_price_of_its_own_keeps_it() -> None:
    dated, today = price_of("gpt-4o-2024-05-13"), price_of("gpt-4o")
    assert dated is not None
    assert today is not None
    assert (dated.input, today.input) == (5, 2.5)


@pytest.mark.parametrize("model", ["claude-haiku-4", "claude-haiku-4-5-2025", "haiku-4-5", "gpt-4.1-mini-latest"])
def test_a_name_that_is_only_like_a_known_one_has_no_price(model: str) -> None:
    assert price_of(model) is None


def test_the_users_price_goes_before_the_table_for_the_model_and_its_snapshots() -> None:
    mine = {"claude-haiku-4-5": PriceConfig(input=7, output=8)}
    assert price_of("claude-haiku-4-5", **mine) == mine["claude-haiku-4-5"]
    assert price_of("claude-haiku-4-5-20251001", **mine) == mine["claude-haiku-4-5"]


@pytest.mark.parametrize("model", MODELS)
def test_every_listed_model_is_dated_and_dearer_in_no_odd_way(model: str) -> None:
    price = _listed()[model]
    dated = price_date(model)
    assert dated is not None
    assert dated[1].startswith("https://")
    assert 0 < price.input < price.output
    assert price.cache_read is None or price.cache_read < price.input
    assert price.cache_write is None or price.cache_write >= price.input
    assert price.long is None or (price.long.input > price.input and price.long.output > price.output)


def test_the_offline_writer_and_a_server_on_this_machine_cost_nothing() -> None:
    assert price_for(WriterConfig()) == FREE
    for url in ("http://localhost:11434/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"):
        assert price_for(WriterConfig(provider="openai", model="gpt-4.1", base_url=url)) == FREE


def test_a_local_server_that_passes_requests_on_costs_what_the_user_says() -> None:
    mine = PriceConfig(input=1, output=2)
    config = WriterConfig(provider="openai", model="m", base_url="http://localhost:4000", prices={"m": mine})
    assert price_for(config) == mine


def test_the_table_holds_for_the_providers_own_servers_only() -> None:
    own = WriterConfig(provider="openai", model="gpt-4.1", base_url="https://api.openai.com/v1")
    other = own.model_copy(update={"base_url": "https://gateway.example/v1"})
    lookalike = own.model_copy(update={"base_url": "https://api.openai.com.example/v1"})
    assert price_for(own) == price_of("gpt-4.1")
    assert price_for(other) is None
    assert price_for(lookalike) is None


def test_the_message_for_a_missing_price_names_the_key_to_set() -> None:
    text = missing_price(WriterConfig(provider="openai", model="m-1", base_url="https://x.example/v1"), "data.augment")
    assert "data.augment.prices.m-1" in text
    assert "x.example" in text


def test_a_long_prompt_is_billed_at_its_own_rates_from_the_first_token_to_the_last() -> None:
    price = price_of("claude-haiku-5-5")
    assert price is not None
    at = LLMResponse("", 60_000, 1000, "end", "m", cache_read_tokens=40_000)
    above = LLMResponse("", 60_001, 1000, "end", "m", cache_read_tokens=40_000)
    assert cost(price, at) == pytest.approx((60_000 * 0.1 + 40_000 * 0.01 + 1000 * 0.5) / 1e6)
    assert cost(price, above) == pytest.approx((60_001 * 0.5 + 40_000 * 0.05 + 1000 * 2.5) / 1e6)


def test_a_batch_costs_what_its_discount_leaves() -> None:
    price = PriceConfig(input=4, output=20, batch_discount=0.5)
    response = LLMResponse("", 1000, 1000, "end", "m")
    assert cost(price, response, batch=True) == pytest.approx(cost(price, response) / 2)


dollars = st.floats(0, 500, allow_nan=False)
prices = st.one_of(
    st.sampled_from([_listed()[model] for model in MODELS]),
    st.builds(
        PriceConfig,
        input=dollars,
        output=dollars,
        cache_read=st.none() | dollars,
        cache_write=st.none() | dollars,
        batch_discount=st.floats(0, 0.99),
    ),
    st.builds(
        lambda price, above: ListedPrice(
            input=price,
            output=price,
            long={"above": above, "input": price * 3, "output": price * 2},  # type: ignore[arg-type]
        ),
        dollars,
        st.integers(1, 3000),
    ),
)
words = st.text(max_size=300)


@given(
    price=prices,
    request=st.builds(
        LLMRequest, words, words, st.dictionaries(words, words, max_size=3), st.just("m"), context=st.just("") | words
    ),
    max_output=st.integers(1, 20_000),
    batch=st.booleans(),
    data=st.data(),
)
def test_no_answer_costs_more_than_the_bound_of_its_request(
    price: PriceConfig, request: LLMRequest, max_output: int, batch: bool, data: st.DataObject
) -> None:
    said = f"{request.system}{request.full_prompt}".encode("utf-8", "surrogatepass")
    schema = json.dumps(request.schema, ensure_ascii=False).encode("utf-8", "surrogatepass")
    # a tokenizer that makes a token of every byte, a schema written out twice, and the provider's own words around it
    prompt = data.draw(st.integers(0, len(said) + 2 * len(schema) + 1024))
    read = data.draw(st.integers(0, prompt))
    write = data.draw(st.integers(0, prompt - read))
    output = data.draw(st.integers(0, max_output))
    response = LLMResponse("", prompt - read - write, output, "end", "m", read, write)
    assert prompt <= highest_prompt_tokens(request)
    assert cost(price, response, batch=batch) <= highest_cost(price, request, max_output, batch=batch)
