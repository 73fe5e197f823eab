"""Every status and disguise, over real HTTP through both SDKs."""

import asyncio
from email.utils import formatdate

import httpx2
import pytest
from scripted_http import JSON_TYPE, Connection, HttpRequest, HttpServer
from scripted_provider import ScriptedProvider

from groundtune.config import WriterConfig
from groundtune.errors import GenerationError
from groundtune.llm import AccountFailure, LLMRequest, LLMResponse, RequestRefused, TemporaryFailure
from groundtune.llm.providers import make_client
from groundtune.llm.providers.endpoint import Endpoint
from groundtune.llm.providers.mapping import failure_of_problem, read_late_problem, read_problem, retry_after_seconds

KEY = "sk-secret-0123456789abcdefghij"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ENDPOINT = Endpoint("openai", "gpt-x", "https://api.openai.com/v1", "OPENAI_API_KEY", KEY)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def config_for(provider: str, server: ScriptedProvider, **settings: object) -> WriterConfig:
    url = server.url if provider == "anthropic" else server.openai_url
    return WriterConfig.model_validate({"provider": provider, "model": "scripted-1", "base_url": url, **settings})


def ask(config: WriterConfig, **parameters: object) -> LLMResponse | GenerationError:
    async def once() -> LLMResponse:
        client = make_client(config)
        try:
            return await client.complete(
                LLMRequest("system", "prompt", SCHEMA, "scripted-1", {"max_tokens": 500, **parameters})
            )
        finally:
            await client.close()

    try:
        return asyncio.run(once())
    except GenerationError as failure:
        return failure


BOTH = pytest.mark.parametrize("provider", ["anthropic", "openai"])


@BOTH
@pytest.mark.parametrize("fault", ["401", "402", "403", "404", "no_credit"])
def test_what_concerns_the_account_stops_everything(provider: str, fault: str) -> None:
    with ScriptedProvider(faults=[fault]) as server:
        failure = ask(config_for(provider, server))
        assert server.log.attempts == 1
    assert isinstance(failure, AccountFailure)
    for word in (provider, "scripted-1", "127.0.0.1:", f"{provider.upper()}_API_KEY"):
        assert word in str(failure)


@BOTH
def test_an_empty_account_is_told_as_such_in_every_disguise(provider: str) -> None:
    for fault in ("402", "no_credit"):
        with ScriptedProvider(faults=[fault]) as server:
            assert "no credit left" in str(ask(config_for(provider, server)))


@BOTH
@pytest.mark.parametrize("fault", ["400", "413", "422"])
def test_a_refused_request_concerns_itself_alone(provider: str, fault: str) -> None:
    with ScriptedProvider(faults=[fault]) as server:
        failure = ask(config_for(provider, server))
    assert isinstance(failure, RequestRefused)
    assert fault in str(failure)


@BOTH
@pytest.mark.parametrize(
    ("fault", "overloaded", "billed"),
    [
        ("408", False, True),
        ("429", True, False),
        ("500", False, False),
        ("503", True, False),
        ("529", True, False),
        ("proxy", False, False),
        ("reset", False, True),
        ("reset_midway", False, True),
        ("error_midway", True, True),
    ],
)
def test_what_passes_is_temporary(provider: str, fault: str, overloaded: bool, billed: bool) -> None:
    with ScriptedProvider(faults=[fault], retry_after_seconds=1.5) as server:
        failure = ask(config_for(provider, server))
        assert server.log.attempts == 1, "the SDK must not try again"
    assert isinstance(failure, TemporaryFailure), failure
    if fault != "error_midway":  # OpenAI's protocol has no status for it
        assert failure.overloaded == overloaded
    assert failure.may_be_billed == billed
    assert failure.retry_after_seconds == (1.5 if fault in ("429", "503", "529") else None)


@BOTH
def test_silence_is_a_time_out(provider: str) -> None:
    with ScriptedProvider(faults=["hang"]) as server:
        failure = ask(config_for(provider, server, timeout_seconds=0.3))
    assert isinstance(failure, TemporaryFailure)
    assert failure.may_be_billed
    assert "timeout_seconds" in str(failure)


@BOTH
def test_a_server_that_is_not_there_is_asked_after(provider: str) -> None:
    with ScriptedProvider() as server:
        config = config_for(provider, server)
    failure = ask(config)
    assert isinstance(failure, TemporaryFailure)
    assert not failure.may_be_billed
    assert "is the server running?" in str(failure)


@BOTH
def test_a_refused_temperature_is_said_and_not_dropped(provider: str) -> None:
    with ScriptedProvider(refuses=["temperature"]) as server:
        assert isinstance(ask(config_for(provider, server)), LLMResponse)
        failure = ask(config_for(provider, server), temperature=0.2)
    assert isinstance(failure, AccountFailure)
    assert "unset temperature" in str(failure)


@BOTH
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<!DOCTYPE html><html><body>Please log in</body></html>"),
        (200, b'{"pong": true}'),
        (200, b"[1, 2]"),
        (200, b"not JSON"),
        (404, b"<html>nothing here</html>"),
    ],
)
def test_a_wrong_address_is_told_at_once(provider: str, status: int, body: bytes) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"

    async def handle(http: HttpRequest, connection: Connection) -> None:
        await connection.send(status, {"content-type": kind}, body)

    failure = asyncio.run(_ask_server(provider, handle))
    assert isinstance(failure, AccountFailure)
    assert "base_url" in str(failure)
    assert "<html>" not in str(failure)


@BOTH
def test_a_web_page_after_an_answer_passes(provider: str) -> None:
    async def session() -> GenerationError:
        with ScriptedProvider() as scripted:
            client = make_client(config_for(provider, scripted))
            await client.complete(LLMRequest("s", "p", SCHEMA, "scripted-1"))
            port = int(scripted.url.rsplit(":", 1)[1])

        async def handle(http: HttpRequest, connection: Connection) -> None:
            await connection.send(200, {"content-type": "text/html"}, b"<html>maintenance</html>")

        server = HttpServer(handle)
        await server.start(port)
        try:
            await client.complete(LLMRequest("s", "p", SCHEMA, "scripted-1"))
        except GenerationError as failure:
            return failure
        finally:
            await client.close()
            await server.stop()
        raise AssertionError

    assert isinstance(asyncio.run(session()), TemporaryFailure)


async def _ask_server(provider: str, handle: object) -> GenerationError:
    server = HttpServer(handle)  # type: ignore[arg-type]
    port = await server.start(0)
    tail = "/v1" if provider == "openai" else ""
    client = make_client(
        WriterConfig.model_validate({"provider": provider, "model": "m", "base_url": f"http://127.0.0.1:{port}{tail}"})
    )
    try:
        await client.complete(LLMRequest("s", "p", SCHEMA, "m"))
    except GenerationError as failure:
        return failure
    finally:
        await client.close()
        await server.stop()
    raise AssertionError("no failure")


@BOTH
@pytest.mark.parametrize("header", [("retry-after", "3"), ("retry-after-ms", "3000"), ("Retry-After", "date")])
def test_retry_after_comes_in_three_forms(provider: str, header: tuple[str, str]) -> None:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        import time

        value = formatdate(time.time() + 4, usegmt=True) if header[1] == "date" else header[1]
        await connection.send(
            429, {**JSON_TYPE, header[0]: value}, b'{"error": {"type": "rate_limit_error", "message": "slow"}}'
        )

    failure = asyncio.run(_ask_server(provider, handle))
    assert isinstance(failure, TemporaryFailure)
    assert failure.retry_after_seconds == pytest.approx(3, abs=1)


def test_an_unreadable_retry_after_is_none() -> None:
    assert retry_after_seconds({"retry-after": "soon"}) is None
    assert retry_after_seconds({}) is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (429, {"code": "insufficient_quota", "type": "insufficient_quota", "message": "You exceeded"}, AccountFailure, "no credit"),
        (429, {"error": {"type": "rate_limit_error", "message": "x", "details": {"error_code": "enforced_spend_limit_reached"}}}, AccountFailure, "spending"),
        (400, {"error": {"type": "invalid_request_error", "message": "You have reached your specified API usage limits."}}, AccountFailure, "spending"),
        (400, {"error": {"code": "model_not_found", "message": "The model `x` does not exist"}}, AccountFailure, "check model"),
        (404, {"error": {"message": "model 'llama9' not found"}}, AccountFailure, "llama9"),
        (400, {"message": "max_tokens: 99999 > 64000, which is the maximum allowed number of output tokens"}, AccountFailure, "max_output_tokens"),
        (400, {"message": "too large", "param": "max_completion_tokens", "code": "invalid_value"}, AccountFailure, "max_output_tokens"),
        (400, {"code": "context_length_exceeded", "message": "maximum context length is 8192 tokens", "param": "messages"}, RequestRefused, "8192"),
        (400, {"message": "'max_tokens' is too large: 9. This model's maximum context length is 4"}, RequestRefused, "context length"),
        (400, {"error": {"code": "content_policy_violation", "message": "not allowed"}}, RequestRefused, "not allowed"),
        (403, {"error": {"message": "Your input was flagged", "code": 403}}, RequestRefused, "flagged"),
        (429, {"message": "Request too large for gpt-4o on tokens per min (TPM): Limit 10, Requested 20"}, RequestRefused, "too large"),
        (422, {"detail": [{"loc": ["body", "x"], "msg": "bad"}]}, RequestRefused, "bad"),
        (501, {"error": "not implemented"}, AccountFailure, "not implemented"),
        (405, {"detail": "Method Not Allowed"}, AccountFailure, "check base_url"),
        (504, "upstream timed out", TemporaryFailure, "upstream"),
    ],
)  # fmt: skip
def test_words_of_servers_are_understood(status: int, body: object, kind: type[GenerationError], words: str) -> None:
    failure = failure_of_problem(read_problem(body, status), ENDPOINT, {"max_tokens": 5, "temperature": 0.1})
    assert type(failure) is kind
    assert words in str(failure)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, 529),
        ({"error": {"code": 502, "message": "Provider disconnected"}}, 502),
        ({"message": "boom"}, 500),
    ],
)
def test_an_error_within_a_stream_has_a_status(body: object, status: int) -> None:
    assert read_late_problem(body).status == status


def test_a_long_message_is_cut_and_a_key_in_it_hidden() -> None:
    failure = failure_of_problem(read_problem({"message": f"bad {KEY} " + "x" * 5000}, 400), ENDPOINT, {})
    assert len(str(failure)) < 500
    assert KEY[:12] not in str(failure)


def test_an_untrusted_certificate_is_not_tried_again() -> None:
    from groundtune.llm.providers.mapping import failure_of

    error = httpx2.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    assert isinstance(failure_of(error, ENDPOINT, {}, answered=False), AccountFailure)
