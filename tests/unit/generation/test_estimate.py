"""An estimate names its ranges, adds up, and comes to what is measured once there are answers."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import GenerationConfig, PriceConfig
from groundtune.files import as_plain
from groundtune.generation.estimating.estimate import Estimate, Line, combine, estimate
from groundtune.llm import Ledger, LLMRequest, LLMResponse
from groundtune.llm.prices import cost, price_for

SCHEMA = {"type": "object", "properties": {"pairs": {"type": "array"}}}
SYSTEM = "Verilen bölümlerden soru ve cevap yaz. " * 200
CONFIG = GenerationConfig(provider="anthropic", model="claude-opus-4-8")
PRICE = price_for(CONFIG)


def asked(
    number: int, *, rule: str = "module", pairs: int = 8, language: str = "tr", model: str = "claude-opus-4-8"
) -> tuple[LLMRequest, Mapping[str, str], int]:
    request = LLMRequest(
        SYSTEM, f"{number}. bölümler: " + "Lot numarası STK-204 ekranında görünür. " * 60, SCHEMA, model
    )
    return request, {"purpose": "pairs", "rule": rule, "language": language}, pairs


def pessimist(request: LLMRequest, pairs: int) -> LLMResponse:
    """What a provider with a poor tokenizer bills, without its cache."""
    prompt = len(request.system + request.prompt + json.dumps(request.schema)) // 2
    return LLMResponse("", prompt + 500, pairs * 500, "end", request.model)


def optimist(request: LLMRequest, pairs: int, *, first: bool) -> LLMResponse:
    """What one with a good tokenizer bills, the system prompt being in its cache."""
    system, prompt = len(request.system.encode()) // 4 + 30, len(request.prompt.encode()) // 4 + 30
    read, written = (0, system) if first else (system, 0)
    return LLMResponse("", prompt, pairs * 150, "end", request.model, read, written)


def test_the_range_holds_what_careful_and_careless_providers_bill() -> None:
    requests = [asked(number) for number in range(40)]
    found = estimate(requests, price=PRICE, known=(), config=CONFIG)
    assert PRICE is not None
    assert found.total.dollars is not None
    low, high = found.total.dollars
    least = sum(cost(PRICE, optimist(request, pairs, first=not n)) for n, (request, _, pairs) in enumerate(requests))
    most = sum(cost(PRICE, pessimist(request, pairs)) for request, _, pairs in requests)
    assert low <= least < most <= high


def test_answered_and_equal_requests_cost_nothing_and_are_counted() -> None:
    requests = [asked(number) for number in range(5)]
    known = {requests[0][0].key, requests[1][0].key}
    found = estimate([*requests, requests[4]], price=PRICE, known=known, config=CONFIG)
    assert (found.total.requests, found.total.answered) == (3, 3)
    alone = estimate(requests[2:], price=PRICE, known=(), config=CONFIG)
    assert found.total.microdollars == alone.total.microdollars


def test_an_estimate_of_nothing_left_is_zero() -> None:
    requests = [asked(1)]
    found = estimate(requests, price=PRICE, known={requests[0][0].key}, config=CONFIG)
    assert (found.total.dollars, found.minutes.high, found.total.answered) == ((0, 0), 0, 1)
    assert estimate([], price=PRICE, known=(), config=CONFIG).total == Line("all")


def test_a_shared_beginning_is_cached_only_where_it_is_long_enough() -> None:
    short = [(LLMRequest("kısa", f"{n} " * 500, SCHEMA, "claude-opus-4-8"), {"language": "tr"}, 4) for n in range(9)]
    assert estimate(short, price=PRICE, known=(), config=CONFIG).total.cached_tokens.high == 0
    long = estimate([asked(number, pairs=4) for number in range(9)], price=PRICE, known=(), config=CONFIG)
    system = len(SYSTEM.encode())
    assert long.total.cached_tokens.low == 0
    # eight of nine, at 3.7 to 1.9 bytes a token, with the schema
    assert 8 * system / 3.7 < long.total.cached_tokens.high < 8 * (system + 100) / 1.9


def test_a_context_that_a_later_request_has_too_is_shared() -> None:
    context = "Bölüm. " * 2000
    requests = [
        (LLMRequest(SYSTEM, prompt, SCHEMA, "claude-opus-4-8", context=context), {"language": "tr"}, 4)
        for prompt in "ab"
    ]
    found = estimate(requests, price=PRICE, known=(), config=CONFIG)
    assert found.total.cached_tokens.high > (len(context) + len(SYSTEM.encode())) / 3.7


def test_without_a_price_tokens_are_still_told_and_the_key_to_set_is_named() -> None:
    config = CONFIG.model_copy(update={"model": "new-model"})
    found = estimate([asked(1, model="new-model")], price=None, known=(), config=config)
    assert found.total.dollars is None
    assert found.total.output_tokens.high > 0
    assert any("generation.prices.new-model" in sentence for sentence in found.assumptions)


def test_twenty_answers_replace_what_is_assumed(tmp_path: Path) -> None:
    requests = [asked(number, pairs=8) for number in range(60)]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for number, (request, tags, pairs) in enumerate(requests[:24]):
            size = len((request.system + request.prompt).encode()) + len(json.dumps(request.schema))
            response = LLMResponse("{}", size // 3, pairs * 200 + number % 5, "end", request.model)
            ledger.record(request, response, state="complete", tags=tags)
        few = estimate(requests, price=PRICE, known={asked(0)[0].key}, config=CONFIG, ledger=ledger)
        found = estimate(requests, price=PRICE, known=ledger.states(), config=CONFIG, ledger=ledger)
    assert found.total.requests == 36
    # 200 tokens a pair, nearly the same in every answer; the high end has the follow-ups in it
    assert 36 * 8 * 199 < found.total.output_tokens.low <= 36 * 8 * 201
    assert found.total.output_tokens.high < 36 * 8 * 201 * 1.12
    assert any("measured on 24 answered requests" in sentence for sentence in found.assumptions)
    assert few.total.output_tokens.high > 2 * found.total.output_tokens.high


def test_an_answer_longer_than_allowed_brings_its_prompt_again() -> None:
    short = CONFIG.model_copy(update={"max_output_tokens": 500})
    one = estimate([asked(1, pairs=20)], price=PRICE, known=(), config=CONFIG).total
    parts = estimate([asked(1, pairs=20)], price=PRICE, known=(), config=short).total
    assert parts.input_tokens.low > one.input_tokens.low
    assert parts.output_tokens == one.output_tokens


def test_more_in_flight_takes_fewer_minutes_and_a_batch_up_to_a_day() -> None:
    requests = [asked(number) for number in range(64)]
    few = estimate(requests, price=PRICE, known=(), config=CONFIG.model_copy(update={"max_in_flight": 4})).minutes
    many = estimate(requests, price=PRICE, known=(), config=CONFIG.model_copy(update={"max_in_flight": 64})).minutes
    batch = estimate(requests, price=PRICE, known=(), config=CONFIG.model_copy(update={"batch": True}))
    assert few.low > 8 * many.low > 0
    assert batch.minutes.high == 24 * 60
    full = estimate(requests, price=PRICE, known=(), config=CONFIG).total.dollars
    assert batch.total.dollars is not None
    assert full is not None
    assert batch.total.dollars[1] == pytest.approx(full[1] / 2, rel=1e-3)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30),
            st.sampled_from(["module", "individual", "data_flow"]),
            st.integers(0, 28),
            st.sampled_from(["tr", "en", "de", ""]),
            st.sampled_from(["claude-opus-4-8", "m-2"]),
        ),
        max_size=25,
    ),
    st.sampled_from([None, PRICE, PriceConfig(input=0.013, output=0.7)]),
)
def test_rules_and_models_each_add_up_to_the_total(
    rows: list[tuple[int, str, int, str, str]], price: PriceConfig | None
) -> None:
    requests = [
        asked(n, rule=rule, pairs=pairs, language=language, model=model) for n, rule, pairs, language, model in rows
    ]
    found = estimate(requests, price=price, known={asked(3)[0].key}, config=CONFIG)
    for lines in (found.by_rule, found.by_model):
        summed = Line("all")
        for line in lines:
            summed = summed.plus(line)
        assert summed == found.total if lines else found.total == Line("all")
    assert found.total.requests + found.total.answered == len(rows)
    assert found.total.input_tokens.low <= found.total.input_tokens.high
    assert found.total.microdollars is None or found.total.microdollars.low <= found.total.microdollars.high
    assert json.loads(json.dumps(as_plain(found)))["total"]["requests"] == found.total.requests


def test_runs_one_after_another_are_added() -> None:
    first = estimate([asked(1)], price=PRICE, known=(), config=CONFIG)
    judge = estimate([asked(2, rule="", pairs=0)], price=PRICE, known=(), config=CONFIG)
    both: Estimate = combine([first, judge])
    assert both.total.microdollars == first.total.microdollars + judge.total.microdollars  # type: ignore[operator]
    assert both.total.requests == 2
    assert {line.name for line in both.by_rule} == {"module", "pairs"}
    assert both.minutes.high == pytest.approx(first.minutes.high + judge.minutes.high, abs=0.01)
