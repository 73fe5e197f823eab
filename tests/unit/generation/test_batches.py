"""Batch mode: rounds that are left and collected, money that is never passed, and kills at every moment."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest
from scripted_process import ProviderProcess
from scripted_provider import ScriptedProvider

from groundtune.config import PriceConfig, WriterConfig
from groundtune.errors import GenerationError
from groundtune.generation.batches import (
    Batched,
    BatchService,
    Conversation,
    Notice,
    batches_out,
    collect_batches,
    reservations_out,
    run_in_batches,
)
from groundtune.generation.batches.service import MAX_TRIES, SETTLE_SECONDS
from groundtune.llm import AccountFailure, Ledger, LLMRequest, LLMResponse, RequestRefused, TemporaryFailure
from groundtune.llm.ledger.file import LedgerFile
from groundtune.llm.prices import cost, highest_cost
from groundtune.llm.providers import BatchResult, batch_client

PRICE = PriceConfig(input=1.0, output=5.0, batch_discount=0.5)
MAX_OUTPUT = 100
SCHEMA = {"type": "object", "properties": {"pairs": {"type": "array", "items": {}}}, "required": ["pairs"]}


def make_request(name: str) -> LLMRequest:
    return LLMRequest(
        "Sistem: ığüşöç", name, SCHEMA, "scripted-1", {"max_tokens": MAX_OUTPUT}, context=f"bağlam {name}"
    )


def state_of(response: LLMResponse, tags: object = None) -> Any:
    return "malformed" if response.text == "?" else "complete"


class Talk:
    """A conversation of one request, or of two when the first answer is no good; what was said is kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: list[str] = []
        self.begun = 0

    async def __call__(self, ask: Any) -> None:
        self.begun += 1
        said = []
        request = make_request(self.name)
        while True:
            response = await ask(request, tags={"purpose": "pairs", "talk": self.name}, classify=state_of)
            said.append(response.text)
            if state_of(response) == "complete":
                break
            request = make_request(f"{request.prompt} again")
        self.said = said


@dataclass
class Provider:
    """A batch service that outlives its clients. Odd talks are answered at the second asking."""

    polls: int = 1
    """How often a batch is still running when asked for."""
    batches: dict[str, list[LLMRequest]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    done: dict[str, BatchResult] = field(default_factory=dict)
    submitted: Counter[str] = field(default_factory=Counter)
    """How often each request was, by key."""
    answered: Counter[str] = field(default_factory=Counter)
    billed: float = 0.0
    failing: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)
    """By prompt: what happens to it in its first, second, ... batch."""

    def take(self, requests: Sequence[LLMRequest]) -> str:
        batch_id = f"batch_{len(self.batches) + 1}"
        self.batches[batch_id] = list(requests)
        self.submitted.update(request.key for request in requests)
        return batch_id

    def look(self, batch_id: str) -> BatchResult | None:
        if batch_id not in self.batches:
            raise RequestRefused("no such batch")
        self.seen[batch_id] += 1
        if self.seen[batch_id] <= self.polls:
            return None
        if batch_id not in self.done:
            self.done[batch_id] = self._work(batch_id)
        return self.done[batch_id]

    def _work(self, batch_id: str) -> BatchResult:
        result = BatchResult()
        for request in self.batches[batch_id]:
            failing = self.failing.get(request.prompt, [])
            if failing:
                result.failures[request.key] = failing.pop(0)
                continue
            odd = request.prompt[-1] in "13579"
            response = LLMResponse("?" if odd else f"pairs of {request.prompt}", 40, 30, "end", "scripted-1")
            result.answers[request.key] = response
            self.answered[request.key] += 1
            self.billed += cost(PRICE, response, batch=True)
        return result


class Killed(BaseException):
    pass


@dataclass
class Moments:
    """Kills at the moment of this number; counts when there is none."""

    at: int = -1
    passed: int = 0

    def moment(self) -> None:
        if self.passed == self.at:
            raise Killed
        self.passed += 1


class Client:
    """In place of an SDK's; its server lists no batches."""

    model = "scripted-1"
    writer = "scripted/scripted-1"

    def __init__(self, provider: Provider, moments: Moments | None = None, *, most: int = 1000) -> None:
        self.provider = provider
        self.moments = moments or Moments()
        self.most = most
        self.notes: list[str] = []
        self.refusals: list[Exception] = []
        """Raised by the first, second, ... submission, instead of submitting."""
        self.broken: list[Exception] = []
        """Raised by the first, second, ... submission, after submitting."""
        self.refuses: set[str] = set()
        """Prompts that a whole batch is refused for."""

    def fits(self, requests: Sequence[LLMRequest]) -> int:
        return min(len(requests), self.most)

    async def submit(self, requests: Sequence[LLMRequest]) -> str:
        self.moments.moment()
        await asyncio.sleep(0)
        if self.refusals:
            raise self.refusals.pop(0)
        if self.refuses & {request.prompt for request in requests}:
            raise RequestRefused("400: a request of this batch is too long")
        batch_id = self.provider.take(requests)
        self.moments.moment()
        if self.broken:
            raise self.broken.pop(0)
        return batch_id

    async def collect(self, batch_id: str) -> BatchResult | None:
        self.moments.moment()
        return self.provider.look(batch_id)

    async def find(self, requests: Sequence[LLMRequest], known: Collection[str] = ()) -> str | None:
        raise RequestRefused("404: this server lists no batches")

    async def close(self) -> None:
        pass


class FindingClient(Client):
    """Finds a batch by what is in it."""

    async def find(self, requests: Sequence[LLMRequest], known: Collection[str] = ()) -> str | None:
        self.moments.moment()
        latest = reversed(self.provider.batches.items())
        return next((name for name, held in latest if name not in known and self.like(name, held, requests)), None)

    def like(self, name: str, held: Sequence[LLMRequest], requests: Sequence[LLMRequest]) -> bool:
        return {request.key for request in held} == {request.key for request in requests}


class SizeClient(FindingClient):
    """Takes a batch of the right size that is still running for the one it looks for."""

    def like(self, name: str, held: Sequence[LLMRequest], requests: Sequence[LLMRequest]) -> bool:
        running = name not in self.provider.done
        return len(held) == len(requests) if running else super().like(name, held, requests)


class KillableFile(LedgerFile):
    """A kill before and after each transaction."""

    moments: Moments

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self.moments.moment()
        with super().transaction() as connection:
            yield connection
        self.moments.moment()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def service_of(
    book: Ledger,
    client: Client,
    *,
    clock: Clock | None = None,
    notices: list[Notice] | None = None,
    price: PriceConfig | None = PRICE,
) -> BatchService:
    clock = clock or Clock()
    return BatchService(
        book,
        client,
        price=price,
        max_output_tokens=MAX_OUTPUT,
        classify=state_of,
        on_notice=(notices if notices is not None else []).append,
        clock=clock,
        sleep=clock.sleep,
    )


def run(book: Ledger, client: Client, talks: Sequence[Conversation], **options: Any) -> Batched:
    keys = ("clock", "notices", "price")
    service = service_of(book, client, **{key: options.pop(key) for key in keys if key in options})
    return asyncio.run(run_in_batches(talks, service, **options))


def talks_of(count: int) -> list[Talk]:
    return [Talk(f"talk {number}") for number in range(count)]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def answers_of(book: Ledger) -> list[Any]:
    columns = "key, prompt, raw, state, tags, dollars"
    return book.file.connection.execute(f"SELECT {columns} FROM answers ORDER BY key").fetchall()


def test_rounds_go_on_until_every_conversation_has_ended(book: Ledger) -> None:
    provider, talks = Provider(), talks_of(6)
    outcome = run(book, FindingClient(provider), talks, wait=True)
    assert (outcome.finished, outcome.failed, outcome.waiting, outcome.out) == (6, 0, 0, ())
    assert [talk.said for talk in talks[:2]] == [["pairs of talk 0"], ["?", "pairs of talk 1 again"]]
    assert [len(requests) for requests in provider.batches.values()] == [6, 3]
    assert set(provider.submitted.values()) == {1}
    assert book.spending.in_flight == book.spending.lost == 0
    assert book.spending.answered == pytest.approx(provider.billed)
    states = Counter(book.states().values())
    assert states == {"complete": 6, "malformed": 3}


def test_the_command_may_be_left_and_collects_when_called_again(book: Ledger) -> None:
    provider = Provider(polls=2)
    first = run(book, FindingClient(provider), talks_of(4))
    assert (first.waiting, first.submitted, [batch.batch_id for batch in first.out]) == (4, 4, ["batch_1"])
    assert book.spending.in_flight > 0
    assert reservations_out(book) == {1, 2, 3, 4}
    again = run(book, FindingClient(provider), talks_of(4))
    assert (again.waiting, again.submitted) == (4, 0)
    run(book, FindingClient(provider), talks_of(4))
    third = run(book, FindingClient(provider), talks_of(4))
    assert (third.finished, third.waiting, [batch.batch_id for batch in third.out]) == (2, 2, ["batch_2"])
    last = run(book, FindingClient(provider), talks_of(4), wait=True)
    assert (last.complete, last.finished, last.submitted) == (True, 4, 0)
    assert set(provider.submitted.values()) == {1}


def test_conversations_are_not_begun_again_while_nothing_has_come_back(book: Ledger) -> None:
    talks = talks_of(4)
    run(book, FindingClient(Provider(polls=50)), talks, wait=True)
    assert [talk.begun for talk in talks] == [2, 3, 2, 3]


def test_answers_that_no_group_asks_for_any_more_are_recorded_all_the_same(book: Ledger) -> None:
    provider = Provider(polls=0)
    run(book, FindingClient(provider), talks_of(3))
    settled = asyncio.run(collect_batches(service_of(book, FindingClient(provider))))
    assert settled == 1
    assert len(book) == 3
    row = answers_of(book)[0]
    original = next(make_request(f"talk {n}") for n in range(3) if make_request(f"talk {n}").key == row[0])
    assert row[1] == original.full_prompt
    assert json.loads(row[4]) == {"purpose": "pairs", "talk": original.prompt}


def test_what_was_not_answered_is_asked_again_and_given_up_after_some_batches(book: Ledger) -> None:
    provider = Provider()
    provider.failing["talk 0"] = [("expired", True)]
    provider.failing["talk 2"] = [("expired", True)] * 9
    provider.failing["talk 4"] = [("too long", False)]
    outcome = run(book, FindingClient(provider), talks_of(6), wait=True)
    assert (outcome.finished, outcome.failed) == (4, 2)
    assert provider.submitted[make_request("talk 0").key] == 2
    assert provider.submitted[make_request("talk 2").key] == MAX_TRIES
    reasons = {key: failure.reason for key, failure in book.failures().items()}
    assert reasons == {
        make_request("talk 2").key: f"expired (in {MAX_TRIES} batches)",
        make_request("talk 4").key: "too long",
    }
    assert book.spending.at_most == pytest.approx(provider.billed)
    assert run(book, FindingClient(provider), talks_of(6), wait=True).submitted == 0


def test_requests_are_split_by_what_the_service_takes(book: Ledger) -> None:
    provider = Provider()
    run(book, FindingClient(provider, most=4), talks_of(11), max_requests=6)
    assert sorted(len(requests) for requests in provider.batches.values()) == [3, 4, 4]


def test_equal_requests_of_two_conversations_are_submitted_once(book: Ledger) -> None:
    provider = Provider()
    talks = [Talk("talk 2"), Talk("talk 2")]
    assert run(book, FindingClient(provider), talks, wait=True).finished == 2
    assert list(provider.submitted.values()) == [1]


def test_spent_and_out_never_pass_the_budget_and_what_it_held_back_comes_later(book: Ledger) -> None:
    provider, talks = Provider(), talks_of(10)
    each = highest_cost(PRICE, make_request("talk 0"), MAX_OUTPUT, batch=True)
    left = run(book, FindingClient(provider), talks, budget_dollars=3.5 * each)
    assert (left.submitted, left.held_back, left.waiting) == (3, 7, 10)
    assert book.spending.at_most <= 3.5 * each
    small = 1.2 * each
    ended = run(book, FindingClient(provider), talks_of(10), budget_dollars=small, wait=True)
    assert book.spending.at_most <= small
    assert book.spending.at_most == pytest.approx(provider.billed)
    assert ended.out == ()
    assert ended.waiting == ended.held_back > 0
    more = run(book, FindingClient(provider), talks_of(10), budget_dollars=100 * each, wait=True)
    assert more.finished == 10
    assert set(provider.submitted.values()) == {1}


def test_a_budget_without_a_price_is_an_error(book: Ledger) -> None:
    with pytest.raises(GenerationError, match="has no price"):
        run(book, Client(Provider()), talks_of(1), price=None, budget_dollars=1.0)
    assert run(book, Client(Provider()), talks_of(2), price=None, wait=True).finished == 2
    assert book.dollars() == dict.fromkeys(book.states())


def test_a_refused_batch_is_tried_in_halves_until_the_request_is_found(book: Ledger) -> None:
    provider, client = Provider(), FindingClient(Provider())
    client.provider, client.refuses = provider, {"talk 5"}
    outcome = run(book, client, talks_of(8), wait=True)
    assert (outcome.finished, outcome.failed) == (7, 1)
    assert [failure.reason for failure in book.failures().values()] == ["400: a request of this batch is too long"]
    assert set(provider.submitted.values()) == {1}
    assert book.spending.at_most == pytest.approx(provider.billed)


def test_a_submission_that_surely_failed_is_tried_again_and_costs_nothing(book: Ledger) -> None:
    provider, clock = Provider(), Clock()
    client = Client(provider)
    client.refusals = [TemporaryFailure("429", retry_after_seconds=7.0), TemporaryFailure("529")]
    assert run(book, client, talks_of(2), clock=clock).submitted == 2
    assert clock.now >= 1_000_007.0
    assert set(provider.submitted.values()) == {1}
    client.refusals = [TemporaryFailure("down")] * 20
    with pytest.raises(TemporaryFailure):
        run(book, client, [Talk("talk 8")])
    assert [batch.batch_id for batch in batches_out(book)] == ["batch_1"]
    assert reservations_out(book) == {
        reservation for batch in batches_out(book) for reservation in batch.reservations.values()
    }
    assert book.file.connection.execute("SELECT count(*) FROM reservations").fetchone() == (2,)


def test_an_account_that_is_refused_stops_at_once_with_no_money_reserved(book: Ledger) -> None:
    client = Client(Provider())
    client.refusals = [AccountFailure("no credit")]
    with pytest.raises(AccountFailure):
        run(book, client, talks_of(3), wait=True)
    assert (batches_out(book), book.spending.at_most) == ((), 0.0)


def test_a_batch_whose_id_was_lost_on_the_way_is_adopted(book: Ledger) -> None:
    provider, notices = Provider(), list[Notice]()
    provider.take([make_request("somebody else's")])
    provider.take([make_request(f"another {number}") for number in range(4)])
    client = FindingClient(provider)
    client.broken = [TemporaryFailure("connection lost", may_be_billed=True)]
    left = run(book, client, talks_of(4), notices=notices)
    assert [(batch.batch_id, left.submitted) for batch in left.out] == [("", 4)]
    outcome = run(book, client, talks_of(4), wait=True, notices=notices)
    assert outcome.finished == 4
    assert "adopted" in [notice.kind for notice in notices]
    assert provider.submitted[make_request("talk 0").key] == 1
    assert (book.spending.in_flight, book.spending.lost) == (0, 0)


def test_a_running_batch_that_was_taken_for_ours_is_found_out_and_ours_is_found(book: Ledger) -> None:
    provider, notices = Provider(polls=2), list[Notice]()
    client = SizeClient(provider, most=4)
    client.broken = [TemporaryFailure("connection lost", may_be_billed=True) for _ in range(2)]
    left = run(book, client, talks_of(8), notices=notices)
    assert [batch.batch_id for batch in left.out] == ["", ""]
    provider.take([make_request(f"another {number}") for number in range(4)])
    outcome = run(book, client, talks_of(8), wait=True, notices=notices)
    assert outcome.finished == 8
    assert [notice.kind for notice in notices].count("adopted") > 2
    assert set(provider.submitted.values()) == {1}
    assert (book.spending.in_flight, book.spending.lost) == (0, 0)


def test_batches_of_another_model_are_left_to_its_client(book: Ledger) -> None:
    provider, other = Provider(), Provider()
    run(book, FindingClient(other), talks_of(2))
    client = FindingClient(provider)
    client.writer = "scripted/another"
    outcome = run(book, client, [Talk("talk 4")], wait=True)
    assert (outcome.finished, outcome.out) == (1, ())
    assert [batch.writer for batch in batches_out(book)] == ["scripted/scripted-1"]
    assert run(book, FindingClient(other), talks_of(2), wait=True).finished == 2


def test_a_batch_that_never_arrived_is_submitted_again_once_that_is_sure(book: Ledger) -> None:
    provider, clock, notices = Provider(), Clock(), list[Notice]()
    client = FindingClient(provider)
    client.refusals = [TemporaryFailure("connection lost", may_be_billed=True)]
    outcome = run(book, client, talks_of(2), clock=clock, notices=notices, wait=True)
    assert outcome.finished == 2
    assert clock.now - 1_000_000 >= SETTLE_SECONDS
    assert "never submitted" in [notice.kind for notice in notices]
    assert book.spending.at_most == pytest.approx(provider.billed)


def test_where_nobody_can_tell_the_money_counts_as_spent_and_it_is_said(book: Ledger) -> None:
    provider, notices = Provider(), list[Notice]()
    client = Client(provider)
    client.broken = [TemporaryFailure("connection lost", may_be_billed=True)]
    outcome = run(book, client, talks_of(2), notices=notices, wait=True)
    assert outcome.finished == 2
    assert [notice.requests for notice in notices if notice.kind == "lost"] == [2]
    for batch_id in provider.batches:
        while provider.look(batch_id) is None:
            pass
    assert book.spending.at_most >= provider.billed > book.spending.answered


def test_a_batch_that_the_provider_has_forgotten_is_asked_again_and_counted_as_spent(book: Ledger) -> None:
    provider, notices = Provider(), list[Notice]()
    client = FindingClient(provider)
    run(book, client, talks_of(2))
    del provider.batches["batch_1"]
    provider.batches["batch_0"] = []
    outcome = run(book, client, talks_of(2), notices=notices, wait=True)
    assert outcome.finished == 2
    assert [notice.batch_id for notice in notices if notice.kind == "lost"] == ["batch_1"]
    assert book.spending.lost > 0


def test_a_batch_that_fails_as_a_whole_is_asked_again(book: Ledger) -> None:
    provider = Provider()
    run(book, FindingClient(provider), talks_of(3))
    provider.done["batch_1"] = BatchResult(others=("the batch was refused", True))
    assert run(book, FindingClient(provider), talks_of(3), wait=True).finished == 3
    assert book.spending.at_most == pytest.approx(provider.billed)


class SlowClient(FindingClient):
    async def submit(self, requests: Sequence[LLMRequest]) -> str:
        await asyncio.sleep(0.05)
        return await super().submit(requests)


def stop_during_submission(book: Ledger, client: Client) -> None:
    async def stopped() -> None:
        running = asyncio.ensure_future(run_in_batches(talks_of(2), service_of(book, client)))
        await asyncio.sleep(0.02)
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stopped())


def test_a_stop_in_the_middle_of_a_submission_still_writes_down_its_id(book: Ledger) -> None:
    provider = Provider()
    stop_during_submission(book, SlowClient(provider))
    assert [batch.batch_id for batch in batches_out(book)] == ["batch_1"]
    assert run(book, FindingClient(provider), talks_of(2), wait=True).finished == 2
    assert set(provider.submitted.values()) == {1}


def test_a_stop_is_a_stop_also_when_the_submission_fails(book: Ledger) -> None:
    client = SlowClient(Provider())
    client.refusals = [TemporaryFailure("529")]
    stop_during_submission(book, client)
    assert client.provider.batches == {}
    assert run(book, FindingClient(client.provider), talks_of(2), wait=True).finished == 2
    assert book.spending.at_most == pytest.approx(client.provider.billed)


# -- kills


def run_until_killed(path: Path, provider: Provider, clock: Clock, at: int, make: Callable[..., Client]) -> int:
    """Returns how many moments there were; -1 for `at` kills never."""
    moments = Moments(at)
    with Ledger(path) as book:
        book.lose_left(reservations_out(book))
        book.file.__class__ = KillableFile
        book.file.moments = moments  # type: ignore[attr-defined]
        with suppress(Killed):
            run(book, make(provider, moments, most=3), talks_of(5), wait=True, clock=clock, budget_dollars=1.0)
    return moments.passed


def final(path: Path) -> tuple[list[Any], Any]:
    with Ledger(path) as book:
        return answers_of(book), book.spending


@pytest.mark.parametrize(
    "first", [pytest.param(number, marks=[pytest.mark.slow] * (number > 0)) for number in range(4)]
)
@pytest.mark.parametrize("make", [Client, FindingClient, SizeClient])
def test_killed_at_every_moment_batch_mode_ends_with_the_same_answers(
    tmp_path: Path, make: Callable[..., Client], first: int
) -> None:
    """Every fourth moment, from `first` on."""
    moments = run_until_killed(tmp_path / "whole.sqlite", Provider(), Clock(), -1, make)
    unbroken, spent = final(tmp_path / "whole.sqlite")
    assert moments > 60
    for at in range(first, moments, 4):
        path, provider, clock = tmp_path / f"{at}.sqlite", Provider(), Clock()
        run_until_killed(path, provider, clock, at, make)
        clock.now += 40_000
        run_until_killed(path, provider, clock, -1, make)
        answers, spending = final(path)
        assert answers == unbroken
        assert spending.in_flight == 0
        assert spending.at_most >= provider.billed - 1e-12
        if make is not Client:
            assert set(provider.submitted.values()) == {1}
            assert (spending.lost, spending.answered) == (0, pytest.approx(spent.answered))


def test_killed_again_and_again_it_still_ends_with_the_same_answers(tmp_path: Path) -> None:
    run_until_killed(tmp_path / "whole.sqlite", Provider(), Clock(), -1, FindingClient)
    unbroken, _ = final(tmp_path / "whole.sqlite")
    for stride in range(1, 12):
        path, provider, clock = tmp_path / f"{stride}.sqlite", Provider(), Clock()
        at = stride
        while run_until_killed(path, provider, clock, at, FindingClient) == at:
            clock.now += 1000
            at += stride
        answers, spending = final(path)
        assert answers == unbroken
        assert set(provider.submitted.values()) == {1}
        assert (spending.in_flight, spending.lost) == (0, 0)


# -- the real clients, over HTTP


def real_client(provider: str, url: str) -> Any:
    config = WriterConfig(provider=provider, model="scripted-1", base_url=url, api_key_env="GROUNDTUNE_TEST_KEY")
    return batch_client(config)


def real_conversations(count: int) -> list[Conversation]:
    def talk(number: int) -> Conversation:
        async def converse(ask: Any) -> None:
            await ask(make_request(f"soru {number}"), tags={"purpose": "pairs"}, classify=state_of)

        return converse

    return [talk(number) for number in range(count)]


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_both_sdks_carry_a_run_with_failing_items_to_its_end(
    tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDTUNE_TEST_KEY", "test")
    faults = {"500": 0.2, "hang": 0.1}
    with (
        ScriptedProvider(answer="smallest", faults=faults, seed=4, batch_polls=1) as server,
        Ledger(tmp_path / "ledger.sqlite") as book,
    ):
        url = server.url if provider == "anthropic" else server.openai_url

        async def work() -> Batched:
            client = real_client(provider, url)
            service = BatchService(
                book, client, price=PRICE, max_output_tokens=MAX_OUTPUT, classify=state_of, sleep=_no_time
            )
            try:
                return await run_in_batches(real_conversations(40), service, wait=True, max_requests=15)
            finally:
                await client.close()

        outcome = asyncio.run(work())
        assert outcome.finished + outcome.failed == 40
        assert outcome.finished >= 35
        assert server.log.answered_twice() == []
        assert len(book) == outcome.finished == server.log.answered
        assert len(book.failures()) == outcome.failed
        billed = server.log.billed_in_batches["scripted-1"]
        tokens = (billed.input, billed.output, billed.cache_read, billed.cache_write)
        columns = "sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_write_tokens)"
        assert book.file.connection.execute(f"SELECT {columns} FROM answers").fetchone() == tokens
        assert (book.spending.in_flight, book.spending.lost) == (0, 0)


async def _no_time(seconds: float) -> None:
    await asyncio.sleep(0)


_PROGRAM = """
import asyncio, importlib.util, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("batches_test", sys.argv[1])
batches_test = importlib.util.module_from_spec(spec)
sys.modules["batches_test"] = batches_test
spec.loader.exec_module(batches_test)
batches_test.real_run(Path(sys.argv[2]), sys.argv[3])
"""


def real_run(path: Path, url: str, count: int = 60) -> None:
    """Batches of four, collected as soon as they are back."""
    with Ledger(path) as book:
        book.lose_left(reservations_out(book))

        async def work() -> None:
            client = real_client("anthropic", url)
            service = BatchService(
                book,
                client,
                price=PRICE,
                max_output_tokens=MAX_OUTPUT,
                classify=state_of,
                # what takes minutes to be sure of takes a moment here
                clock=lambda: time.time() * 3000,
                sleep=_soon,
            )
            await run_in_batches(real_conversations(count), service, wait=True, max_requests=4)
            await client.close()

        asyncio.run(work())


def _soon(seconds: float) -> Awaitable[None]:
    return asyncio.sleep(0.01)


@pytest.mark.slow
def test_a_killed_process_leaves_a_ledger_that_the_next_one_carries_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDTUNE_TEST_KEY", "test")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2] / "support"), *sys.path]))
    ledger = tmp_path / "killed.sqlite"
    with ProviderProcess(tmp_path / "state.jsonl", answer="smallest", batch_polls=3) as server:
        for wanted in (10, 40):
            process = subprocess.Popen([sys.executable, "-c", _PROGRAM, __file__, str(ledger), server.url])
            try:
                _wait_for(lambda wanted=wanted: server.log.attempts >= wanted, process)
            finally:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
        real_run(ledger, server.url)
        log = server.log
    with Ledger(ledger) as book:
        assert len(book) == 60
        assert log.answered_twice() == []
        assert book.failures() == {}
        assert book.spending.in_flight == 0
        prompts = {row[1] for row in answers_of(book)}
        assert prompts == {make_request(f"soru {number}").full_prompt for number in range(60)}
        billed = log.billed_in_batches["scripted-1"]
        spent = cost(
            PRICE,
            LLMResponse("", billed.input, billed.output, "end", "m", billed.cache_read, billed.cache_write),
            batch=True,
        )
        assert book.spending.at_most >= spent - 1e-12


def _wait_for(reached: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "not reached within a minute"
        time.sleep(0.01)
