"""A dispatcher answers each request once, at the server's pace, and never spends more than it may."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_time import ScriptedClient, answer, now, run

from groundtune.config import PriceConfig, WriterConfig
from groundtune.errors import ConfigError
from groundtune.llm import (
    AccountFailure,
    BudgetReached,
    Ledger,
    LLMRequest,
    LLMResponse,
    RequestRefused,
    Stopped,
    TemporaryFailure,
)
from groundtune.llm.dispatch import Dispatcher, Event
from groundtune.llm.dispatch.dispatcher import HOPELESS_REQUESTS
from groundtune.llm.prices import cost, highest_cost

PRICE = PriceConfig(input=1.0, output=1.0)
HIGHEST = highest_cost(PRICE, LLMRequest("s", "0", {}, "scripted"), 1000)
COST = round(cost(PRICE, answer()), 12)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def config(**changes: Any) -> WriterConfig:
    values = {
        "provider": "openai",
        "model": "scripted",
        "max_output_tokens": 1000,
        "max_in_flight": 4,
        "max_attempts": 3,
    }
    return WriterConfig.model_validate(values | changes)


def request(prompt: object = 0) -> LLMRequest:
    return LLMRequest("s", str(prompt), {}, "scripted")


def complete(response: LLMResponse) -> str:
    return "complete"


async def ask_all(dispatcher: Dispatcher, requests: list[LLMRequest]) -> list[LLMResponse | BaseException]:
    asked = (dispatcher.ask(one, tags={"purpose": "pairs"}, classify=complete) for one in requests)
    return await asyncio.gather(*asked, return_exceptions=True)


def always(outcome: LLMResponse | BaseException, seconds: float = 1.0) -> Callable[..., Any]:
    return lambda request, attempt: (seconds, outcome)


# one request


def test_an_answer_is_recorded_with_state_tags_and_cost_and_asked_once(ledger: Ledger) -> None:
    client = ScriptedClient(always(answer()))
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)

    async def main() -> None:
        for _ in range(2):
            asked = dispatcher.ask(request(), tags={"rule": "module"}, classify=lambda response: "truncated")
            assert await asked == answer()
        assert now() == 1.0
        await dispatcher.close()

    run(main())
    assert len(client.sent) == 1
    assert client.closed
    assert ledger.states() == {request().key: "truncated"}
    assert ledger.dollars() == {request().key: pytest.approx(COST)}
    assert ledger.spending.at_most == ledger.spending.answered == COST
    assert (dispatcher.progress.answered, dispatcher.progress.reused) == (1, 1)


def test_equal_requests_in_flight_share_one_sending(ledger: Ledger) -> None:
    client = ScriptedClient(always(answer()))
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)
    assert run(ask_all(dispatcher, [request()] * 5)) == [answer()] * 5
    assert len(client.sent) == 1


def test_an_answer_is_kept_when_who_asked_has_gone_away(ledger: Ledger) -> None:
    dispatcher = Dispatcher(ScriptedClient(always(answer())), ledger, config=config(), price=PRICE)

    async def main() -> None:
        asking = asyncio.create_task(ask_all(dispatcher, [request()]))
        await asyncio.sleep(0.5)
        asking.cancel()
        await dispatcher.settled()

    run(main())
    assert ledger.find(request().key) == answer()


def test_an_answer_is_kept_when_the_one_who_classifies_breaks(ledger: Ledger) -> None:
    dispatcher = Dispatcher(ScriptedClient(always(answer())), ledger, config=config(), price=PRICE)

    def broken(response: LLMResponse) -> str:
        raise RecursionError("deep")

    async def main() -> None:
        with pytest.raises(RecursionError):
            await dispatcher.ask(request(), tags={}, classify=broken)

    run(main())
    assert ledger.states() == {request().key: "malformed"}
    assert ledger.spending.at_most == COST
    assert dispatcher.in_flight == 0


# failures and waiting


def test_a_temporary_failure_is_tried_again_after_a_wait_that_is_the_same_in_every_run(tmp_path: Path) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        return 0.0, TemporaryFailure("HTTP 500") if attempt < 3 else answer()

    def times(name: str, seed: int) -> list[float]:
        with Ledger(tmp_path / name) as ledger:
            client = ScriptedClient(script)
            dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE, seed=seed)
            assert run(ask_all(dispatcher, [request()])) == [answer()]
            assert dispatcher.progress.retries == {"server error": 2}
            assert ledger.spending.at_most == COST
            return [time for time, _ in client.sent]

    first = times("a", 1)
    assert first == times("b", 1) != times("c", 2)
    assert 0 < first[1] < 1
    assert 0 < first[2] - first[1] < 2


def test_attempts_are_bounded_and_the_next_run_asks_again(ledger: Ledger) -> None:
    client = ScriptedClient(always(TemporaryFailure("HTTP 500 from x")))
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)
    [error] = run(ask_all(dispatcher, [request()]))
    assert isinstance(error, TemporaryFailure)
    assert str(error) == "no answer after 3 attempts (the last: HTTP 500 from x); the same command asks again"
    assert len(client.sent) == 3
    assert ledger.failures() == {}
    assert dispatcher.progress.failed == 1
    assert run(ask_all(Dispatcher(ScriptedClient(always(answer())), ledger, config=config()), [request()])) == [
        answer()
    ]


def test_money_of_an_answer_that_may_be_billed_stays_spent(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        return 1.0, TemporaryFailure("time-out", may_be_billed=True) if attempt == 1 else answer()

    dispatcher = Dispatcher(ScriptedClient(script), ledger, config=config(), price=PRICE)
    run(ask_all(dispatcher, [request()]))
    assert ledger.spending.lost == pytest.approx(dispatcher.progress.lost) == pytest.approx(HIGHEST)
    assert ledger.spending.answered == pytest.approx(dispatcher.progress.dollars) == COST
    assert ledger.spending.in_flight == 0


def test_retry_after_holds_back_everybody(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        if (asked.prompt, attempt) == ("0", 1):
            return 1.0, TemporaryFailure("HTTP 429", retry_after_seconds=30.0, overloaded=True)
        return 2.0, answer()

    client = ScriptedClient(script)
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)
    assert run(ask_all(dispatcher, [request(n) for n in range(12)])) == [answer()] * 12
    assert sum(time == 0.0 for time, _ in client.sent) == 4
    assert min(time for time, _ in client.sent if time > 0) == 31.0


def test_a_server_that_asks_for_hours_ends_the_run(ledger: Ledger) -> None:
    client = ScriptedClient(always(TemporaryFailure("HTTP 429", retry_after_seconds=7200.0, overloaded=True)))
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)
    outcomes = run(ask_all(dispatcher, [request(n) for n in range(12)]))
    assert {type(error) for error in outcomes} == {AccountFailure}
    assert "asks to wait 120 minutes" in str(outcomes[0])
    assert len(client.sent) == 4


def test_a_refused_request_is_a_failure_in_the_ledger_and_not_sent_again(ledger: Ledger) -> None:
    client = ScriptedClient(always(RequestRefused("HTTP 413: too long")))
    for _ in range(2):
        dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)
        [error] = run(ask_all(dispatcher, [request()]))
        assert isinstance(error, RequestRefused)
        assert str(error) == "HTTP 413: too long"
    assert len(client.sent) == 1
    assert ledger.failures()[request().key].reason == "HTTP 413: too long"
    assert ledger.spending.at_most == 0
    ledger.forget_failures()
    run(ask_all(dispatcher, [request()]))
    assert len(client.sent) == 2


def test_an_account_failure_stops_everybody_but_what_is_in_flight(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        return (1.0, AccountFailure("HTTP 401: key")) if asked.prompt == "0" else (2.0, answer())

    client = ScriptedClient(script)
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)

    async def main() -> None:
        outcomes = await ask_all(dispatcher, [request(n) for n in range(12)])
        assert outcomes[1:4] == [answer()] * 3
        assert {str(error) for error in (outcomes[0], *outcomes[4:])} == {"HTTP 401: key"}
        # what is in the ledger is still given
        assert await dispatcher.ask(request(1), tags={}, classify=complete) == answer()

    run(main())
    assert len(client.sent) == 4
    assert ledger.spending.at_most == pytest.approx(3 * COST)


def test_a_server_that_is_away_ends_the_run_instead_of_every_request_alone(ledger: Ledger) -> None:
    client = ScriptedClient(always(TemporaryFailure("no connection"), 0.0))
    dispatcher = Dispatcher(client, ledger, config=config(max_attempts=1), price=PRICE)
    outcomes = run(ask_all(dispatcher, [request(n) for n in range(200)]))
    assert HOPELESS_REQUESTS <= len(client.sent) <= HOPELESS_REQUESTS + 4
    assert isinstance(outcomes[-1], AccountFailure)
    assert "given up one after the other" in str(outcomes[-1])


def test_a_client_that_breaks_gives_its_place_back_and_its_money_stays_counted(ledger: Ledger) -> None:
    client = ScriptedClient(lambda asked, attempt: (0.0, KeyError("defect") if asked.prompt == "0" else answer()))
    dispatcher = Dispatcher(client, ledger, config=config(max_in_flight=1), price=PRICE)
    outcomes = run(ask_all(dispatcher, [request(0), request(1)]))
    assert isinstance(outcomes[0], KeyError)
    assert outcomes[1] == answer()
    assert ledger.spending.lost == pytest.approx(HIGHEST)
    assert dispatcher.in_flight == 0


# money


def test_a_budget_is_waited_for_while_others_are_in_flight_and_then_reached(ledger: Ledger) -> None:
    client = ScriptedClient(always(answer()))
    # room for two reservations at once; each answer costs far less than is reserved for it
    budget = 2 * HIGHEST + 4.5 * COST
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE, budget_dollars=budget)
    outcomes = run(ask_all(dispatcher, [request(n) for n in range(100)]))
    answered = [outcome for outcome in outcomes if outcome == answer()]
    errors = {str(outcome) for outcome in outcomes if isinstance(outcome, BudgetReached)}
    assert client.most_in_flight == 2
    # the last was sent when it fitted, and one more would not have
    assert len(answered) * COST + HIGHEST > budget >= (len(answered) - 1) * COST + HIGHEST
    assert len(answered) + sum(isinstance(outcome, BudgetReached) for outcome in outcomes) == 100
    [sentence] = errors
    assert f"budget_dollars is ${budget:g}: ${len(answered) * COST:.4f} is spent on answers" in sentence
    assert "raise budget_dollars and run the same command again" in sentence


def test_a_budget_counts_what_earlier_runs_spent_and_lost(ledger: Ledger) -> None:
    ledger.reserve("killed", 1.0)
    client = ScriptedClient(always(answer()))
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE, budget_dollars=1.0)
    assert dispatcher.num_lost_left == 1
    [error] = run(ask_all(dispatcher, [request()]))
    assert isinstance(error, BudgetReached)
    assert "up to $1.0000 on answers that were lost" in str(error)
    assert client.sent == []


def test_reservations_of_batches_are_kept_and_named_when_the_budget_is_reached(ledger: Ledger) -> None:
    number = ledger.reserve("batch", 1.0)
    client = ScriptedClient(always(answer()))
    dispatcher = Dispatcher(
        client, ledger, config=config(), price=PRICE, budget_dollars=1.0, kept_reservations=frozenset({number})
    )
    [error] = run(ask_all(dispatcher, [request()]))
    assert "up to $1.0000 is held for batches that are out" in str(error)
    assert ledger.spending.in_flight == 1.0


def test_a_budget_without_a_price_is_refused_before_anything_is_sent(ledger: Ledger) -> None:
    client = ScriptedClient(always(answer()))
    with pytest.raises(ConfigError, match=r"generation\.prices\.scripted"):
        Dispatcher(client, ledger, config=config(), budget_dollars=1.0)
    Dispatcher(client, ledger, config=config(prices={"scripted": PRICE}), budget_dollars=1.0)
    with pytest.raises(ConfigError, match=r"generation\.judge\.prices\.scripted"):
        Dispatcher(client, ledger, config=config(), budget_dollars=1.0, section="generation.judge")
    Dispatcher(client, ledger, config=WriterConfig(), budget_dollars=1.0)


def test_without_a_price_nothing_is_reserved_and_the_cost_stays_unknown(ledger: Ledger) -> None:
    dispatcher = Dispatcher(ScriptedClient(always(answer())), ledger, config=config())
    run(ask_all(dispatcher, [request()]))
    assert ledger.dollars() == {request().key: None}


def test_an_answer_dearer_than_reserved_makes_later_reservations_larger(ledger: Ledger) -> None:
    client = ScriptedClient(always(answer(output_tokens=20_000)))
    dispatcher = Dispatcher(client, ledger, config=config(max_in_flight=1), price=PRICE, budget_dollars=0.1)
    outcomes = run(ask_all(dispatcher, [request(n) for n in range(9)]))
    assert isinstance(outcomes[-1], BudgetReached)
    assert ledger.spending.at_most <= 0.1


# stopping


def test_stopping_finishes_what_is_in_flight_and_sends_nothing_more(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        return 10.0, TemporaryFailure("HTTP 500") if asked.prompt == "3" else answer()

    client = ScriptedClient(script)
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)

    async def main() -> list[Any]:
        asking = asyncio.create_task(ask_all(dispatcher, [request(n) for n in range(12)]))
        await asyncio.sleep(5)
        dispatcher.stop()
        outcomes = await asking
        assert now() == 10.0
        return outcomes

    outcomes = run(main())
    assert outcomes[:3] == [answer()] * 3
    assert all(isinstance(outcome, Stopped) for outcome in outcomes[3:])
    assert len(client.sent) == 4
    assert ledger.spending.at_most == pytest.approx(3 * COST)


def test_dropping_cancels_what_is_in_flight_and_counts_it_as_lost(ledger: Ledger) -> None:
    client = ScriptedClient(always(answer(), 10.0))
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)

    async def main() -> None:
        asking = asyncio.create_task(ask_all(dispatcher, [request(n) for n in range(12)]))
        await asyncio.sleep(5)
        late = asyncio.create_task(ask_all(dispatcher, [request("late")]))
        await asyncio.sleep(0)
        dispatcher.drop()
        for outcome in await asking + await late:
            assert isinstance(outcome, Stopped)
        assert now() == 5.0

    run(main())
    assert ledger.spending.lost == pytest.approx(4 * HIGHEST, rel=1e-3)
    assert ledger.spending.in_flight == 0
    assert dispatcher.in_flight == 0


def test_a_stop_ends_the_wait_before_another_attempt(ledger: Ledger) -> None:
    client = ScriptedClient(always(TemporaryFailure("HTTP 429", retry_after_seconds=600.0), 0.0))
    dispatcher = Dispatcher(client, ledger, config=config(), price=PRICE)

    async def main() -> None:
        asking = asyncio.create_task(ask_all(dispatcher, [request(n) for n in range(9)]))
        await asyncio.sleep(5)
        assert dispatcher.progress.waiting == 9
        dispatcher.stop()
        assert all(isinstance(outcome, Stopped) for outcome in await asking)
        assert now() == 5.0

    run(main())


# pace


# above 64 the limit doubles from there: 64 and 128 in the first two seconds, then 200 at a time
@pytest.mark.parametrize(("most", "seconds"), [(1, 12.0), (16, 12.0), (64, 12.0), (200, 14.0)])
def test_a_willing_server_is_kept_busy(ledger: Ledger, most: int, seconds: float) -> None:
    client = ScriptedClient(always(answer()))
    dispatcher = Dispatcher(client, ledger, config=config(max_in_flight=most), price=PRICE, budget_dollars=100.0)

    async def main() -> float:
        await ask_all(dispatcher, [request(n) for n in range(12 * most)])
        return now()

    assert run(main()) == seconds
    assert client.most_in_flight == most


def test_an_overloaded_server_is_asked_less_and_then_more_again(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        failure = TemporaryFailure("HTTP 529", overloaded=True)
        return 1.0, failure if client.in_flight >= 10 else answer()

    client = ScriptedClient(script)
    events: list[Event] = []
    dispatcher = Dispatcher(
        client, ledger, config=config(max_in_flight=64, max_attempts=99), price=PRICE, on_event=events.append
    )
    outcomes = run(ask_all(dispatcher, [request(n) for n in range(500)]))
    assert outcomes == [answer()] * 500
    limits = [event.limit for event in events if event.kind == "limit"]
    # a burst that is turned away halves the limit once
    assert limits[:3] == [32, 16, 8]
    assert min(limits) >= 4
    assert max(limits[3:]) <= 14
    assert sum(client.attempts.values()) < 800


def test_a_server_that_turns_away_one_in_fifty_at_any_load_is_kept_busy(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        if int(asked.prompt) % 50 == 0 and attempt == 1:
            return 0.1, TemporaryFailure("HTTP 529", overloaded=True)
        return 1.0, answer()

    dispatcher = Dispatcher(ScriptedClient(script), ledger, config=config(max_in_flight=64), price=PRICE)

    async def main() -> float:
        await ask_all(dispatcher, [request(n) for n in range(640)])
        return now()

    assert run(main()) < 11.5
    assert dispatcher.progress.limit == 64


def test_events_tell_every_sending_retry_answer_and_failure(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        if asked.prompt == "0":
            return 0.0, RequestRefused("HTTP 400")
        return 0.0, TemporaryFailure("HTTP 500 id 17", reason="server error (500)") if attempt == 1 else answer()

    events: list[Event] = []
    dispatcher = Dispatcher(ScriptedClient(script), ledger, config=config(), price=PRICE, on_event=events.append)
    run(ask_all(dispatcher, [request(0), request(1)]))
    told = [(event.kind, event.attempt, event.reason) for event in events if event.key == request(1).key]
    assert told == [("sent", 1, ""), ("retried", 1, "server error (500)"), ("sent", 2, ""), ("answered", 2, "")]
    assert [event.kind for event in events if event.key == request(0).key] == ["sent", "failed"]
    progress = dispatcher.progress
    assert (progress.answered, progress.failed, progress.in_flight, progress.waiting) == (1, 1, 0, 0)
    assert progress.retries == {"server error (500)": 1}
    assert events[-1].dollars == progress.dollars == pytest.approx(progress.spending.answered) == COST
