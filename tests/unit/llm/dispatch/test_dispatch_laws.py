"""What holds under any schedule of faults, stops and new runs: money, single sending, the bounds of the limit, the same answers."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries
from virtual_time import ScriptedClient, answer, run

from groundtune.config import PriceConfig, WriterConfig
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
from groundtune.llm.dispatch import Dispatcher, Event, run_all
from groundtune.llm.dispatch.pacing import InFlightLimit, wait_seconds

PRICE = PriceConfig(input=1.0, output=5.0)

Fault = Literal["answer", "busy", "away", "broken", "lost", "refused", "key", "defect"]
SECONDS = st.sampled_from([0.0, 0.3, 1.0, 1.0, 7.5])
FAULTS = st.sampled_from(
    [*["answer"] * 8, "busy", "busy", "away", "broken", "broken", "lost", "lost", "refused", "key", "defect"]
)


def outcome_of(fault: Fault, asked: LLMRequest) -> LLMResponse | BaseException:
    outcomes: dict[str, LLMResponse | BaseException] = {
        "answer": answer(f"to {asked.prompt}", output_tokens=7 * len(asked.prompt) % 300),
        "busy": TemporaryFailure("429", overloaded=True, retry_after_seconds=2.0),
        "away": TemporaryFailure("529", overloaded=True),
        "broken": TemporaryFailure("500"),
        "lost": TemporaryFailure("time-out", may_be_billed=True),
        "refused": RequestRefused("400"),
        "key": AccountFailure("401"),
        "defect": KeyError("defect"),
    }
    return outcomes[fault]


@dataclass(frozen=True)
class Run:
    """One run of a program that is started again and again."""

    faults: list[tuple[float, Fault]]
    """Of its sendings, in their order; after those everything is answered in a second."""
    end: Literal["finish", "stop", "drop"]
    end_at: float
    seed: int


RUNS = st.lists(
    st.builds(
        Run,
        st.lists(st.tuples(SECONDS, FAULTS), max_size=30),
        st.sampled_from(["finish", "stop", "drop"]),
        st.floats(0, 30),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=4,
)


class Witness:
    """Looks at every event whether the laws hold."""

    def __init__(self, ledger: Ledger, budget: float, most: int) -> None:
        self.ledger, self.budget, self.most = ledger, budget, most
        self.dispatcher: Dispatcher | None = None

    def see(self, event: Event) -> None:
        assert self.ledger.spending.at_most <= self.budget + 1e-9
        if event.kind == "limit":
            assert 1 <= event.limit <= self.most
        if event.kind == "sent":
            assert self.ledger.find(event.key) is None
            assert self.dispatcher is not None
            assert self.dispatcher.in_flight <= self.most
            assert self.dispatcher.cause is None


async def drive(dispatcher: Dispatcher, plan: Run, prompts: list[str]) -> None:
    """Conversations of two requests, the second built from the answer to the first."""

    def conversation(prompt: str) -> Callable[[], Awaitable[None]]:
        async def job() -> None:
            try:
                first = await dispatcher.ask(asked(prompt), tags={}, classify=lambda _: "complete")
                await dispatcher.ask(asked(f"{prompt} then {first.text}"), tags={}, classify=lambda _: "complete")
            except (RequestRefused, TemporaryFailure):
                pass

        return job

    async def end() -> None:
        await asyncio.sleep(plan.end_at)
        if plan.end != "finish":
            getattr(dispatcher, plan.end)()

    ending = asyncio.create_task(end())
    try:
        await run_all((conversation(prompt) for prompt in prompts), dispatcher, say=lambda line: None)
    except (AccountFailure, BudgetReached, Stopped, KeyError):
        pass
    finally:
        ending.cancel()


def asked(prompt: str) -> LLMRequest:
    return LLMRequest("s", prompt, {}, "scripted")


@settings(max_examples=tries(400), deadline=None)
@given(
    runs=RUNS,
    budget=st.floats(0.001, 0.2),
    most=st.integers(1, 9),
    prompts=st.lists(st.text("abc", min_size=1, max_size=3), max_size=12),
)
def test_no_schedule_passes_the_budget_or_sends_an_answered_request_again(
    runs: list[Run], budget: float, most: int, prompts: list[str]
) -> None:
    config = WriterConfig(
        provider="openai", model="scripted", max_output_tokens=1000, max_in_flight=most, max_attempts=3
    )
    answered_sendings: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for plan in runs:
            with Ledger(Path(folder) / "ledger.sqlite") as ledger:
                faults = iter(plan.faults)

                def script(request: LLMRequest, attempt: int, faults: Any = faults) -> tuple[float, Any]:
                    seconds, fault = next(faults, (1.0, "answer"))
                    return seconds, outcome_of(fault, request)

                witness = Witness(ledger, budget, most)
                client = ScriptedClient(script)
                before = ledger.states().keys()
                dispatcher = Dispatcher(
                    client,
                    ledger,
                    config=config,
                    price=PRICE,
                    budget_dollars=budget,
                    seed=plan.seed,
                    on_event=witness.see,
                )
                witness.dispatcher = dispatcher
                run(drive(dispatcher, plan, prompts))
                assert client.most_in_flight <= most
                assert dispatcher.in_flight == 0
                assert ledger.spending.in_flight == 0
                assert ledger.spending.at_most <= budget + 1e-9
                assert not before & client.attempts.keys()
                answered_sendings += ledger.states().keys() - before
                for key in before:
                    found = ledger.find(key)
                    assert found is not None
                    assert found.text.startswith("to ")
    assert len(answered_sendings) == len(set(answered_sendings))


@settings(max_examples=tries(800))
@given(st.integers(1, 300), st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=300))
def test_the_limit_stays_within_its_bounds_and_halves_once_a_round(most: int, steps: list[tuple[bool, int]]) -> None:
    limit = InFlightLimit(most)
    for overloaded, age in steps:
        before, round_before = limit.value, limit.round
        if not overloaded:
            limit.succeeded()
            assert before <= limit.value <= before + 1
        elif limit.overloaded(max(0, limit.round - age)):
            assert round_before == limit.round - 1
            assert limit.value == before // 2
        else:
            assert (limit.value, limit.round) == (before, round_before)
        assert 1 <= limit.value <= most


@given(st.integers(), st.text(), st.integers(1, 10_000))
def test_waits_are_bounded_and_repeat(seed: int, key: str, attempt: int) -> None:
    wait = wait_seconds(seed, key, attempt)
    assert 0 <= wait <= min(60.0, 2.0 ** min(attempt - 1, 10))
    assert wait == wait_seconds(seed, key, attempt)
