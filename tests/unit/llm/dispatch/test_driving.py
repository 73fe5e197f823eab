"""Many conversations are driven with few in memory, and are stopped in good order by errors and by Ctrl-C."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from virtual_time import ScriptedClient, answer, now, run

from groundtune.config import PriceConfig, WriterConfig
from groundtune.errors import DataError
from groundtune.llm import AccountFailure, BudgetReached, Ledger, LLMRequest, Stopped, TemporaryFailure
from groundtune.llm.dispatch import Dispatcher, run_all

PRICE = PriceConfig(input=1.0, output=1.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def make(ledger: Ledger, script: Any = lambda asked, attempt: (1.0, answer()), **more: Any) -> Dispatcher:
    config = WriterConfig(
        provider="openai", model="scripted", max_output_tokens=1000, max_in_flight=more.pop("most", 4), max_attempts=3
    )
    return Dispatcher(ScriptedClient(script), ledger, config=config, price=PRICE, **more)


def asking(dispatcher: Dispatcher, name: object) -> Callable[[], Awaitable[None]]:
    async def job() -> None:
        await dispatcher.ask(LLMRequest("s", str(name), {}, "scripted"), tags={}, classify=lambda _: "complete")

    return job


def test_707_conversations_at_64_in_flight_take_no_more_than_the_ideal(ledger: Ledger) -> None:
    dispatcher = make(ledger, most=64, budget_dollars=100.0)

    async def main() -> float:
        await run_all((asking(dispatcher, n) for n in range(707)), dispatcher)
        return now()

    # 707 / 64 = 11.05 round trips of a second, and none can be cut
    assert run(main()) == 12.0
    assert len(ledger) == 707


def test_conversations_are_made_only_when_there_is_room_for_them(ledger: Ledger) -> None:
    dispatcher = make(ledger)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most_alive = 0

    def jobs() -> Iterator[Callable[[], Awaitable[None]]]:
        nonlocal most_alive
        for number in range(200):
            job = asking(dispatcher, number)
            alive.add(job)
            gc.collect(0)
            most_alive = max(most_alive, len(alive))
            yield job

    run(run_all(jobs(), dispatcher))
    assert len(ledger) == 200
    # twice the four in flight, and the one in the making
    assert most_alive <= 2 * 4 + 1


def test_a_run_without_jobs_ends(ledger: Ledger) -> None:
    run(run_all([], make(ledger)))


@pytest.mark.parametrize("cause", [AccountFailure("HTTP 401"), DataError("no such chunk"), TemporaryFailure("left")])
def test_the_first_cause_is_raised_when_everything_in_flight_is_recorded(ledger: Ledger, cause: Exception) -> None:
    dispatcher = make(ledger, lambda asked, attempt: (3.0, answer()))

    async def breaking() -> None:
        await asyncio.sleep(1)
        if isinstance(cause, AccountFailure):
            dispatcher._till.halt(cause)
        raise cause

    async def main() -> None:
        jobs = [asking(dispatcher, 0), asking(dispatcher, 1), breaking, *(asking(dispatcher, n) for n in range(2, 50))]
        with pytest.raises(type(cause)) as raised:
            await run_all(jobs, dispatcher)
        assert raised.value is cause
        assert now() == 3.0

    run(main())
    assert len(ledger) == 4
    assert ledger.spending.in_flight == 0


def test_an_error_of_the_one_who_makes_the_jobs_ends_the_run_likewise(ledger: Ledger) -> None:
    dispatcher = make(ledger)

    def jobs() -> Iterator[Callable[[], Awaitable[None]]]:
        yield asking(dispatcher, 0)
        raise DataError("groups.jsonl:2")

    with pytest.raises(DataError, match="groups"):
        run(run_all(jobs(), dispatcher, alive=1))
    assert len(ledger) == 1


def test_a_reached_budget_is_raised_even_when_conversations_swallow_it(ledger: Ledger) -> None:
    dispatcher = make(ledger, budget_dollars=0.004)

    def swallowing(name: int) -> Callable[[], Awaitable[None]]:
        async def job() -> None:
            try:
                await asking(dispatcher, name)()
            except BudgetReached:
                return

        return job

    with pytest.raises(BudgetReached, match=r"budget_dollars is \$0\.004"):
        run(run_all((swallowing(n) for n in range(50)), dispatcher))
    assert 0 < len(ledger) < 50
    assert ledger.spending.at_most <= 0.004


def test_a_cancelled_run_lets_go_of_what_is_in_flight(ledger: Ledger) -> None:
    dispatcher = make(ledger, lambda asked, attempt: (10.0, answer()))

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await run_all((asking(dispatcher, n) for n in range(50)), dispatcher)
        assert now() == 5.0

    run(main())
    assert ledger.spending.lost > 0
    assert ledger.spending.in_flight == dispatcher.in_flight == 0


# interruption


def interrupted_at(ledger: Ledger, *moments: tuple[float, signal.Signals]) -> tuple[float, list[str], Dispatcher]:
    dispatcher = make(ledger, lambda asked, attempt: (10.0, answer()))
    lines: list[str] = []
    ended = 0.0

    async def main() -> None:
        nonlocal ended
        loop = asyncio.get_running_loop()
        for time, number in moments:
            loop.call_at(time, os.kill, os.getpid(), number)
        try:
            await run_all((asking(dispatcher, n) for n in range(50)), dispatcher, say=lines.append)
        finally:
            ended = now()

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run(main())
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    return ended, lines, dispatcher


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interruption_finishes_what_is_in_flight(ledger: Ledger, number: signal.Signals) -> None:
    ended, lines, dispatcher = interrupted_at(ledger, (15.0, number))
    assert ended == 20.0
    assert lines == ["stopping: 4 requests in flight, finished and kept; Ctrl-C again drops them"]
    assert len(ledger) == 8
    assert ledger.spending.lost == 0
    assert isinstance(dispatcher.cause, Stopped)


def test_the_second_interruption_drops_what_is_in_flight(ledger: Ledger) -> None:
    ended, lines, _ = interrupted_at(ledger, (15.0, signal.SIGINT), (16.0, signal.SIGINT))
    assert ended == 16.0
    assert lines[1].startswith("dropping 4 requests in flight; up to $0.00")
    assert len(ledger) == 4
    assert ledger.spending.lost > 0
    assert ledger.spending.in_flight == 0


def test_an_account_failure_that_comes_before_the_interruption_is_what_is_raised(ledger: Ledger) -> None:
    def script(asked: LLMRequest, attempt: int) -> tuple[float, Any]:
        return (5.0, AccountFailure("HTTP 401")) if asked.prompt == "0" else (10.0, answer())

    dispatcher = make(ledger, script)

    async def main() -> None:
        asyncio.get_running_loop().call_at(6.0, os.kill, os.getpid(), signal.SIGINT)
        await run_all((asking(dispatcher, n) for n in range(50)), dispatcher, say=lambda line: None)

    with pytest.raises(AccountFailure):
        run(main())


def test_in_another_thread_signals_are_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    seen: list[Any] = []

    def work() -> None:
        with Ledger(tmp_path / "other.sqlite") as other:
            dispatcher = make(other, lambda asked, attempt: (0.0, answer()))
            run(run_all([asking(dispatcher, 0)], dispatcher))
            seen.append(len(other))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [1]
    assert signal.getsignal(signal.SIGINT) is before


PROGRAM = """
import asyncio, sys
from pathlib import Path
from groundtune.config import WriterConfig
from groundtune.llm import Ledger, LLMRequest, LLMResponse
from groundtune.llm.dispatch import Dispatcher, run_all

class Client:
    model = writer = "m"
    async def complete(self, request):
        print("sent", flush=True)
        await asyncio.sleep(0.3)
        return LLMResponse("x", 1, 1, "end", "m")
    async def close(self):
        pass

def job(dispatcher, number):
    return lambda: dispatcher.ask(LLMRequest("s", str(number), {}, "m"), tags={}, classify=lambda r: "complete")

async def main(ledger):
    dispatcher = Dispatcher(Client(), ledger, config=WriterConfig(max_in_flight=2))
    try:
        await run_all((job(dispatcher, n) for n in range(1000)), dispatcher)
    finally:
        await dispatcher.close()

with Ledger(Path(sys.argv[1])) as ledger:
    try:
        asyncio.run(main(ledger))
    except KeyboardInterrupt:
        print("answers", len(ledger))
        sys.exit(130)
"""


def test_a_real_program_that_is_interrupted_keeps_what_it_had_asked_and_exits_with_130(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", PROGRAM, str(tmp_path / "ledger.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "sent\n"
        assert program.stdout.readline() == "sent\n"
        program.send_signal(signal.SIGINT)
        out, error = program.communicate(timeout=30)
    assert out == "answers 2\n"
    assert error.strip() == "stopping: 2 requests in flight, finished and kept; Ctrl-C again drops them"
    assert program.returncode == 130
