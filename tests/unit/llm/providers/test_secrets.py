"""Keys go into the request's header and nowhere else, whatever goes wrong and however much the SDKs log."""

import asyncio
import json
import logging
import traceback
from collections.abc import Iterator

import pytest
from scripted_http import EVENT_STREAM, JSON_TYPE, Connection, HttpRequest, HttpServer
from scripted_provider import ScriptedProvider

from groundtune.config import WriterConfig
from groundtune.errors import GenerationError
from groundtune.llm import LLMRequest
from groundtune.llm.providers import batch_client, make_client

KEY = "sk-test-Zq8WvLmN3xRtYp5KdHs7BcFgJ2uE9aVo"
BOTH = pytest.mark.parametrize("provider", ["anthropic", "openai"])
REQUEST = LLMRequest("s", "p", {"type": "object", "properties": {"n": {"type": "integer"}}}, "m")


@pytest.fixture(autouse=True)
def _everything_logs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    loggers = [
        logging.getLogger(name)
        for name in ("anthropic", "openai", "httpx2", "httpcore2", "httpx", "httpcore", "asyncio")
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def parts_of_the_key(text: str) -> list[str]:
    return [KEY[start : start + 6] for start in range(8, len(KEY) - 5) if KEY[start : start + 6] in text]


def everything_said(failure: BaseException) -> str:
    """With causes and contexts."""
    return "".join(traceback.format_exception(failure)) + repr(failure) + str(vars(failure))


@BOTH
@pytest.mark.parametrize(
    "fault", ["ok", "401", "403", "429", "400", "500", "proxy", "reset", "reset_midway", "error_midway", "hang"]
)
def test_no_log_and_no_error_holds_the_key(provider: str, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedProvider(faults=[fault], api_keys=[KEY]) as server:
        url = server.url if provider == "anthropic" else server.openai_url
        said = asyncio.run(_session(provider, url))
        assert any(KEY in value for headers in server.headers for value in headers.values()), "it was sent"
    assert caplog.records
    assert parts_of_the_key(caplog.text) == []
    assert parts_of_the_key(said) == []


@BOTH
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_server_that_quotes_the_key_is_not_quoted(
    provider: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    message = f"Incorrect API key provided: {KEY}. Also {KEY[:10]}*****{KEY[-4:]} and {KEY[9:30]}"

    async def handle(http: HttpRequest, connection: Connection) -> None:
        body = {"error": {"type": "api_error", "message": message, "code": None}}
        await connection.send(status, JSON_TYPE, json.dumps(body).encode())

    said = asyncio.run(_session_with(provider, handle))
    assert said.count("127.0.0.1") >= 3, "three calls, three failures"
    assert parts_of_the_key(said) == []
    assert KEY[-4:] not in said


@BOTH
def test_a_stream_that_quotes_the_key_is_not_quoted(provider: str) -> None:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        error = {"type": "error", "error": {"type": "api_error", "message": KEY}}
        await connection.send(200, EVENT_STREAM, f"event: error\ndata: {json.dumps(error)}\n\n".encode())

    assert parts_of_the_key(asyncio.run(_session_with(provider, handle))) == []


@BOTH
def test_our_failures_do_not_drag_the_sdks_error_along(provider: str) -> None:
    async def session() -> GenerationError:
        client = make_client(
            WriterConfig.model_validate({"provider": provider, "model": "m", "base_url": "http://127.0.0.1:9"})
        )
        try:
            await client.complete(REQUEST)
        except GenerationError as failure:
            return failure
        finally:
            await client.close()
        raise AssertionError

    failure = asyncio.run(session())
    assert failure.__cause__ is None
    assert failure.__context__ is None


@BOTH
def test_nothing_that_is_printed_holds_the_key(provider: str) -> None:
    config = WriterConfig.model_validate({"provider": provider, "model": "m"})
    client, batches = make_client(config), batch_client(config)
    for thing in (client, batches, client.endpoint, client.notes, config, client.sdk):  # type: ignore[attr-defined]
        assert parts_of_the_key(repr(thing)) == []
    assert parts_of_the_key(config.model_dump_json()) == []


async def _session_with(provider: str, handle: object) -> str:
    server = HttpServer(handle)  # type: ignore[arg-type]
    port = await server.start(0)
    try:
        return await _session(provider, f"http://127.0.0.1:{port}{'/v1' if provider == 'openai' else ''}")
    finally:
        await server.stop()


async def _session(provider: str, url: str) -> str:
    config = WriterConfig.model_validate({"provider": provider, "model": "m", "base_url": url, "timeout_seconds": 0.4})
    client = make_client(config)
    batches = batch_client(config, client)
    said = []
    for call in (client.complete(REQUEST), batches.submit([REQUEST]), batches.collect("b-1")):
        try:
            said.append(repr(await call))
        except GenerationError as failure:
            said.append(everything_said(failure))
    await batches.close()
    return "\n".join(said)
