import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from scripted_http import JSON_TYPE, Connection, HttpRequest, HttpServer
from scripted_provider import ScriptedProvider

from groundtune.config import WriterConfig
from groundtune.errors import ConfigError
from groundtune.llm import AccountFailure, LLMRequest, RequestRefused, TemporaryFailure
from groundtune.llm.providers import BatchClient, BatchResult, batch_client
from groundtune.llm.providers.batches import CANCELLED, EXPIRED, MISSING, OWN_BATCH_BYTES

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
REQUESTS = [LLMRequest("s", f"Soru {number}\u2028?", SCHEMA, "scripted-1", {"max_tokens": 100}) for number in range(8)]
BOTH = pytest.mark.parametrize("provider", ["anthropic", "openai"])
Value = TypeVar("Value")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")


def with_client(provider: str, url: str, work: Callable[[BatchClient], Awaitable[Value]], **settings: object) -> Value:
    config = {
        "provider": provider,
        "model": "scripted-1",
        "base_url": url + ("/v1" if provider == "openai" else ""),
        **settings,
    }

    async def session() -> Value:
        client = batch_client(WriterConfig.model_validate(config))
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(session())


async def submit_and_collect(client: BatchClient) -> BatchResult:
    batch_id = await client.submit(REQUESTS)
    result = await client.collect(batch_id)
    assert result is not None
    return result


@BOTH
def test_a_batch_answers_every_request_by_its_key(provider: str) -> None:
    with ScriptedProvider() as server:
        result = with_client(provider, server.url, submit_and_collect)
        billed = server.log.billed_in_batches["scripted-1"]
    assert set(result.answers) == {request.key for request in REQUESTS}
    assert result.failures == {}
    assert all(json.loads(answer.text).keys() == {"n"} for answer in result.answers.values())
    assert sum(answer.output_tokens for answer in result.answers.values()) == billed.output


@BOTH
def test_a_batch_that_runs_can_be_left_and_collected_by_another_client(provider: str) -> None:
    with ScriptedProvider(batch_polls=2) as server:
        batch_id = with_client(provider, server.url, lambda client: client.submit(REQUESTS))
        looks = [with_client(provider, server.url, lambda client: client.collect(batch_id)) for _ in range(4)]
    assert looks[:2] == [None, None]
    assert looks[2] is not None
    assert looks[2] == looks[3], "collecting twice says the same"


@BOTH
def test_equal_requests_are_sent_once(provider: str) -> None:
    with ScriptedProvider() as server:
        with_client(provider, server.url, lambda client: client.submit([*REQUESTS, *REQUESTS[:3]]))
        assert server.log.attempts == len(REQUESTS)


@BOTH
@pytest.mark.parametrize(("fault", "retry"), [("400", False), ("500", True), ("529", True), ("413", False)])
def test_a_failed_item_has_a_reason_and_says_whether_to_ask_again(provider: str, fault: str, retry: bool) -> None:
    with ScriptedProvider(faults=lambda request: fault if "Soru 3" in request.user else "ok") as server:
        result = with_client(provider, server.url, submit_and_collect)
    assert len(result.answers) == 7
    reason, again = result.failures[REQUESTS[3].key]
    assert again is retry
    assert reason


@BOTH
def test_a_truncated_item_is_a_truncated_answer(provider: str) -> None:
    with ScriptedProvider(faults=lambda request: "max_tokens") as server:
        result = with_client(provider, server.url, submit_and_collect)
    assert {answer.stop_reason for answer in result.answers.values()} == {"max_tokens"}


@BOTH
def test_a_lost_submission_may_be_billed_and_is_found_again(provider: str) -> None:
    async def lose_and_find(client: BatchClient) -> tuple[str | None, str | None, BatchResult | None]:
        with pytest.raises(TemporaryFailure) as caught:
            await client.submit(REQUESTS)
        assert caught.value.may_be_billed
        found = await client.find(REQUESTS)
        assert found is not None
        result = await client.collect(found)
        return found, await client.find(REQUESTS, known=[found]), result

    with ScriptedProvider(call_faults={"batch_create": ["reset"]}) as server:
        found, another, result = with_client(provider, server.url, lose_and_find)
        assert server.log.attempts == len(REQUESTS), "sent once"
    assert found
    assert another is None
    assert result is not None
    assert len(result.answers) == len(REQUESTS)


def test_a_lost_upload_is_no_batch() -> None:
    with ScriptedProvider(call_faults={"file_upload": ["reset"]}) as server:
        with pytest.raises(TemporaryFailure) as caught:
            with_client("openai", server.url, lambda client: client.submit(REQUESTS))
        assert not caught.value.may_be_billed
        assert with_client("openai", server.url, lambda client: client.find(REQUESTS)) is None


@BOTH
def test_a_batch_of_other_requests_is_not_taken_for_ours(provider: str) -> None:
    async def find_other(client: BatchClient) -> str | None:
        batch_id = await client.submit(REQUESTS)
        await client.collect(batch_id)
        return await client.find([LLMRequest("s", f"other {number}", SCHEMA, "m") for number in range(len(REQUESTS))])

    with ScriptedProvider() as server:
        assert with_client(provider, server.url, find_other) is None


@BOTH
def test_a_lost_look_is_temporary(provider: str) -> None:
    with ScriptedProvider(call_faults={"batch_results": ["reset_midway"], "file_content": ["reset_midway"]}) as server:
        batch_id = with_client(provider, server.url, lambda client: client.submit(REQUESTS))
        with pytest.raises(TemporaryFailure):
            with_client(provider, server.url, lambda client: client.collect(batch_id))
        result = with_client(provider, server.url, lambda client: client.collect(batch_id))
    assert result is not None
    assert len(result.answers) == len(REQUESTS)


@BOTH
def test_an_unknown_batch_names_the_key_to_use(provider: str) -> None:
    with ScriptedProvider() as server, pytest.raises(AccountFailure, match=f"{provider.upper()}_API_KEY"):
        with_client(provider, server.url, lambda client: client.collect("msgbatch_9999"))


@BOTH
@pytest.mark.parametrize("fault", ["401", "402"])
def test_the_account_is_told_apart_when_submitting(provider: str, fault: str) -> None:
    with ScriptedProvider(call_faults={"batch_create": [fault]}) as server, pytest.raises(AccountFailure):
        with_client(provider, server.url, lambda client: client.submit(REQUESTS))


@BOTH
def test_a_server_without_batches_says_what_to_set(provider: str) -> None:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        await connection.send(404, JSON_TYPE, b'{"detail": "Not Found"}')

    with pytest.raises(AccountFailure, match="set batch to false"):
        serve(provider, handle, lambda client: client.submit(REQUESTS))
    with pytest.raises(RequestRefused, match="does not list batches"):
        serve(provider, handle, lambda client: client.find(REQUESTS))


def test_offline_has_no_batches() -> None:
    with pytest.raises(ConfigError, match="no batch service"):
        batch_client(WriterConfig())


# -- outcomes by hand


def serve(provider: str, handle: Any, work: Callable[[BatchClient], Awaitable[Value]]) -> Value:
    async def session() -> Value:
        server = HttpServer(handle)
        url = f"http://127.0.0.1:{await server.start(0)}{'/v1' if provider == 'openai' else ''}"
        client = batch_client(WriterConfig.model_validate({"provider": provider, "model": "m", "base_url": url}))
        try:
            return await work(client)
        finally:
            await client.close()
            await server.stop()

    return asyncio.run(session())


def anthropic_results(*items: dict[str, Any], kept: bool = True) -> Any:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        if http.path.endswith("/results"):
            await connection.send(
                200,
                {"content-type": "application/x-jsonl"},
                "".join(json.dumps(item) + "\n" for item in items).encode(),
            )
            return
        batch = {"id": "msgbatch_1", "processing_status": "ended", "type": "message_batch"}
        if kept:
            batch["results_url"] = f"http://{http.headers['host']}/v1/messages/batches/msgbatch_1/results"
        await connection.send(200, JSON_TYPE, json.dumps(batch).encode())

    return handle


def test_expired_and_cancelled_items_of_anthropic_are_to_be_asked_again() -> None:
    error = {"type": "error", "error": {"type": "billing_error", "message": "no money"}}
    items = [
        {"custom_id": "a", "result": {"type": "expired"}},
        {"custom_id": "b", "result": {"type": "canceled"}},
        {"custom_id": "c", "result": {"type": "errored", "error": error}},
        {"custom_id": "d", "result": {"type": "succeeded", "message": {"type": "message", "content": []}}},
    ]
    result = serve("anthropic", anthropic_results(*items), lambda client: client.collect("msgbatch_1"))
    assert result is not None
    assert result.failures["a"] == (EXPIRED, True)
    assert result.failures["b"] == (CANCELLED, True)
    assert result.failures["c"][1]
    assert "credit" in result.failures["c"][0]
    assert result.failures["d"][1]
    assert result.others == (MISSING, True)


def test_results_that_are_no_longer_kept_fail_all_of_the_batch() -> None:
    result = serve("anthropic", anthropic_results(kept=False), lambda client: client.collect("msgbatch_1"))
    assert result is not None
    assert (result.answers, result.failures) == ({}, {})
    assert "no longer kept" in result.others[0]


def test_an_item_that_refuses_the_form_is_asked_in_another() -> None:
    error = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "tool_choice: type tool is not supported"},
    }

    async def work(client: BatchClient) -> tuple[BatchResult | None, list[str]]:
        return await client.collect("msgbatch_1"), client.notes

    items = [{"custom_id": key, "result": {"type": "errored", "error": error}} for key in ("a", "b")]
    result, notes = serve("anthropic", anthropic_results(*items), work)
    assert result is not None
    assert [retry for _, retry in result.failures.values()] == [True, True]
    assert len(notes) == 1


def test_a_refused_temperature_does_not_condemn_the_requests() -> None:
    error = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "temperature is deprecated for this model."},
    }
    item = {"custom_id": "a", "result": {"type": "errored", "error": error}}
    result = serve("anthropic", anthropic_results(item), lambda client: client.collect("msgbatch_1"))
    assert result is not None
    reason, retry = result.failures["a"]
    assert "unset temperature" in reason
    assert retry


def openai_batch(status: str, output: str | None = None, errors: str | None = None, told: Any = None) -> Any:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        if http.path.endswith("/content"):
            text = output if "file-out" in http.path else errors
            await connection.send(200, {"content-type": "application/octet-stream"}, (text or "").encode())
            return
        batch = {
            "id": "batch_1",
            "object": "batch",
            "status": status,
            "output_file_id": "file-out" if output is not None else None,
            "error_file_id": "file-err" if errors is not None else None,
            "errors": told,
        }
        await connection.send(200, JSON_TYPE, json.dumps(batch).encode())

    return handle


def test_an_expired_openai_batch_keeps_what_was_answered() -> None:
    message = {"role": "assistant", "content": "bir\u2028iki"}
    body = {
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }
    answered = {"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}
    lost = {"custom_id": "b", "response": None, "error": {"code": "batch_expired", "message": "could not be executed"}}
    server = openai_batch("expired", json.dumps(answered, ensure_ascii=False), json.dumps(lost) + "\n")
    result = serve("openai", server, lambda client: client.collect("batch_1"))
    assert result is not None
    assert result.answers["a"].text == "bir\u2028iki"
    assert result.failures == {"b": (EXPIRED, True)}
    assert result.others == (EXPIRED, True)


@pytest.mark.parametrize("status", ["validating", "in_progress", "finalizing", "cancelling"])
def test_an_openai_batch_under_way_has_no_result(status: str) -> None:
    assert serve("openai", openai_batch(status), lambda client: client.collect("batch_1")) is None


def test_an_openai_batch_that_failed_says_why() -> None:
    told = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]}
    result = serve("openai", openai_batch("failed", told=told), lambda client: client.collect("batch_1"))
    assert result is not None
    assert result.others == ("the batch was refused: Enqueued token limit reached", True)


def test_half_a_line_is_an_error_and_not_a_loss() -> None:
    with pytest.raises(AccountFailure, match="no answer of the openai protocol"):
        serve("openai", openai_batch("completed", '{"custom_id": "a", "resp'), lambda client: client.collect("batch_1"))


# -- limits


@BOTH
def test_as_many_as_fit_are_counted(provider: str) -> None:
    large = LLMRequest("s", "x" * (OWN_BATCH_BYTES // 4), SCHEMA, "m")
    sizes = with_client(provider, "http://127.0.0.1:9", lambda client: _fits(client, [[], REQUESTS, [large] * 6]))
    assert sizes == [0, len(REQUESTS), 3]
    huge = LLMRequest("s", "x" * (OWN_BATCH_BYTES + 1), SCHEMA, "m")
    assert with_client(provider, "http://127.0.0.1:9", lambda client: _fits(client, [[huge, huge]])) == [1]


async def _fits(client: BatchClient, sizes: list[list[LLMRequest]]) -> list[int]:
    return [client.fits(requests) for requests in sizes]


def test_a_batch_that_is_refused_whole_is_a_refused_request() -> None:
    with ScriptedProvider(batch_max_requests=3) as server, pytest.raises(RequestRefused):
        with_client("anthropic", server.url, lambda client: client.submit(REQUESTS))
