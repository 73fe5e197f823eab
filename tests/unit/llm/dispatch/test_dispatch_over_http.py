"""The dispatcher over real HTTP, through the real SDKs, against a server that follows a script of faults."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest
from scripted_process import ProviderProcess
from scripted_provider import Log, ScriptedProvider, key_of

from groundtune.config import PriceConfig, WriterConfig
from groundtune.llm import AccountFailure, Ledger, LLMRequest, LLMResponse
from groundtune.llm.dispatch import Dispatcher, Progress, run_all
from groundtune.llm.prices import cost
from groundtune.llm.providers import make_client

PRICE = PriceConfig(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}

DELIVERY_FAULTS = {"429": 0.04, "500": 0.04, "529": 0.04, "hang": 0.02, "reset": 0.03, "reset_midway": 0.03}


def config(server: ScriptedProvider | ProviderProcess, provider: Literal["anthropic", "openai"]) -> WriterConfig:
    return WriterConfig(
        provider=provider,
        model="scripted-1",
        base_url=server.url if provider == "anthropic" else server.openai_url,
        max_output_tokens=200,
        max_in_flight=32,
        timeout_seconds=2.0,
        prices={"scripted-1": PRICE},
    )


def request(number: int) -> LLMRequest:
    return LLMRequest("Answer in JSON.", f"Question {number}", SCHEMA, "scripted-1", {"max_tokens": 200})


def ask(dispatcher: Dispatcher, number: int) -> Callable[[], Awaitable[None]]:
    async def job() -> None:
        await dispatcher.ask(request(number), tags={"purpose": "test"}, classify=lambda response: "complete")

    return job


def ask_all(ledger: Ledger, settings: WriterConfig, count: int, budget_dollars: float) -> Progress:
    async def main() -> Progress:
        dispatcher = Dispatcher(make_client(settings), ledger, config=settings, budget_dollars=budget_dollars)
        try:
            await run_all((ask(dispatcher, number) for number in range(count)), dispatcher)
        finally:
            await dispatcher.close()
        return dispatcher.progress

    return asyncio.run(main())


def bill(log: Log) -> float:
    """By the server's own count."""
    usage = log.billed["scripted-1"]
    tokens = (usage.input, usage.output, "end", "scripted-1", usage.cache_read, usage.cache_write)
    return cost(PRICE, LLMResponse("", *tokens))


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_run_under_a_fifth_of_faults_answers_everything_once_and_knows_its_bill(
    tmp_path: Path, provider: Literal["anthropic", "openai"]
) -> None:
    faults = dict(DELIVERY_FAULTS)
    with (
        ScriptedProvider(
            answer="smallest", faults=faults, seed=5, latency_seconds=0.01, retry_after_seconds=0.1
        ) as server,
        Ledger(tmp_path / "ledger.sqlite") as ledger,
    ):
        progress = ask_all(ledger, config(server, provider), 80, budget_dollars=5.0)
        assert len(ledger) == progress.answered == server.log.answered == 80
        assert server.log.answered_twice() == []
        assert sum(progress.retries.values()) == server.log.attempts - 80 > 8
        assert server.log.highest_simultaneous <= 32
        assert progress.spending.answered <= bill(server.log) <= progress.spending.at_most <= 5.0
        assert progress.spending.in_flight == 0
        assert progress.lost > 0
        # whoever runs it again sends nothing
        again = ask_all(ledger, config(server, provider), 80, budget_dollars=5.0)
        assert (again.reused, again.answered) == (80, 0)


def test_an_account_that_runs_dry_stops_the_run_and_keeps_what_was_answered(tmp_path: Path) -> None:
    with (
        ScriptedProvider(answer="smallest", after=(60, "402"), latency_seconds=0.02) as server,
        Ledger(tmp_path / "ledger.sqlite") as ledger,
    ):
        with pytest.raises(AccountFailure):
            ask_all(ledger, config(server, "anthropic"), 500, budget_dollars=50.0)
        assert len(ledger) == server.log.answered == 59
        assert server.log.attempts <= 60 + 32
        assert ledger.spending.at_most == pytest.approx(bill(server.log))


PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[3], sys.argv[4]]
from test_dispatch_over_http import Ledger, ask_all, config
class Server:
    url, openai_url = sys.argv[1], sys.argv[1] + "/v1"
with Ledger(Path(sys.argv[2])) as ledger:
    ask_all(ledger, config(Server, "openai"), 120, budget_dollars=20.0)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_sends_no_recorded_request_twice_and_knows_its_bill(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite"
    here = Path(__file__).parent
    attempts_when_recorded: dict[str, int] = {}
    with ProviderProcess(tmp_path / "log.jsonl", answer="smallest", faults={"500": 0.1}, latency_seconds=0.1) as server:
        command = [sys.executable, "-c", PROGRAM, server.url, str(path), str(here), str(here.parents[2] / "support")]
        for kills, stop_after in enumerate((30, 80, None), start=1):
            with subprocess.Popen(command) as program:
                while program.poll() is None:
                    if stop_after is not None and server.log.answered >= stop_after:
                        program.kill()
                    time.sleep(0.03)
            assert program.returncode == (0 if stop_after is None else -9)
            with Ledger(path) as ledger:
                recorded = ledger.states().keys()
            # a kill takes at most the answers that are on their way, which the server has counted
            assert len(recorded) >= (120 if stop_after is None else stop_after - 32 * kills)
            for number in range(120):
                key = key_of("scripted-1", "Answer in JSON.", f"Question {number}")
                if request(number).key in recorded:
                    attempts_when_recorded.setdefault(key, server.log.keys[key].attempts)
        log = server.log
    assert {key: log.keys[key].attempts for key in attempts_when_recorded} == attempts_when_recorded
    assert len(attempts_when_recorded) == 120
    with Ledger(path) as ledger:
        spending = ledger.spending
    assert spending.answered <= bill(log) <= spending.at_most <= 20.0
    assert spending.lost > 0
