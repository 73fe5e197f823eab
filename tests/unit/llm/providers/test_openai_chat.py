import asyncio
import json
from typing import Any

import pytest
from scripted_http import EVENT_STREAM, JSON_TYPE, Connection, HttpRequest, HttpServer
from scripted_provider import ScriptedProvider

from groundtune.config import WriterConfig
from groundtune.llm import AccountFailure, LLMRequest, LLMResponse, TemporaryFailure
from groundtune.llm.providers.openai_chat import OpenAIClient

SCHEMA = {
    "type": "object",
    "properties": {"pairs": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
    "required": ["pairs"],
}
REQUEST = LLMRequest(
    "Kurallar.", "Soru yaz.", SCHEMA, "scripted-1", {"max_tokens": 900}, context="Bağlam: " + "stok " * 2000
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")


def config_at(url: str, **settings: object) -> WriterConfig:
    return WriterConfig.model_validate({"provider": "openai", "model": "scripted-1", "base_url": url, **settings})


def ask(server: ScriptedProvider, *requests: LLMRequest, **settings: object) -> tuple[list[LLMResponse], OpenAIClient]:
    async def session() -> tuple[list[LLMResponse], OpenAIClient]:
        client = OpenAIClient(config_at(server.openai_url, **settings))
        try:
            return [await client.complete(request) for request in requests], client
        finally:
            await client.close()

    return asyncio.run(session())


def test_the_answer_is_held_by_a_strict_schema() -> None:
    with ScriptedProvider(answer=lambda request: '{"pairs": ["Depo nedir?"]}') as server:
        (response,), client = ask(server, REQUEST)
        body = server.requests[0].body
    assert json.loads(response.text) == {"pairs": ["Depo nedir?"]}
    assert (response.stop_reason, response.model) == ("end", "scripted-1")
    assert client.writer == "openai/scripted-1"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert [message["content"] for message in body["messages"]] == [REQUEST.system, REQUEST.full_prompt]
    assert body["max_tokens"] == 900
    assert "temperature" not in body
    assert client.notes == []


def test_a_schema_that_cannot_be_strict_is_not_said_to_be() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    with ScriptedProvider() as server:
        ask(server, LLMRequest("s", "p", schema, "scripted-1"))
        assert server.requests[0].body["response_format"]["json_schema"] == {"name": "answer", "schema": schema}


@pytest.mark.parametrize(("refused", "last"), [(["json_schema"], "json"), (["json_schema", "json_object"], "text")])
def test_auto_steps_down_once_and_says_so(refused: list[str], last: str) -> None:
    with ScriptedProvider(refuses=refused) as server:
        responses, client = ask(server, REQUEST, LLMRequest("s", "other", SCHEMA, "scripted-1"))
        modes = [request.mode for request in server.requests]
        turned_away = server.log.calls()["chat 400"]
        told = server.requests[-1].user
    assert len(responses) == 2
    assert all(json.loads(response.text).keys() == {"pairs"} for response in responses)
    assert modes == [last, last]
    assert turned_away == len(refused)
    assert len(client.notes) == len(refused)
    assert json.dumps(SCHEMA, separators=(",", ":")) in told


def test_many_at_once_step_down_together() -> None:
    async def session(server: ScriptedProvider) -> OpenAIClient:
        client = OpenAIClient(config_at(server.openai_url))
        await asyncio.gather(
            *(client.complete(LLMRequest("s", f"p{number}", SCHEMA, "scripted-1")) for number in range(12))
        )
        await client.close()
        return client

    with ScriptedProvider(refuses=["json_schema"], latency_seconds=0.02) as server:
        client = asyncio.run(session(server))
        assert server.log.answered == 12
    assert client.manner.structured == "json"
    assert len(client.notes) == 1


def test_a_fixed_form_that_is_refused_says_what_to_set() -> None:
    with (
        ScriptedProvider(refuses=["json_schema"]) as server,
        pytest.raises(AccountFailure, match="set structured to auto"),
    ):
        ask(server, REQUEST, structured="schema")


@pytest.mark.parametrize(("structured", "kind"), [("json", "json_object"), ("text", None)])
def test_the_form_can_be_fixed(structured: str, kind: str | None) -> None:
    with ScriptedProvider() as server:
        ask(server, REQUEST, structured=structured)
        body = server.requests[0].body
    assert body.get("response_format", {}).get("type") == kind
    assert "JSON Schema" in body["messages"][1]["content"]


def test_max_completion_tokens_is_learned() -> None:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        if "max_tokens" in http.json():
            error = {
                "message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
                "param": "max_tokens",
            }
            await connection.send(400, JSON_TYPE, json.dumps({"error": error}).encode())
        else:
            await connection.send(200, JSON_TYPE, json.dumps(completion("{}")).encode())

    (response, bodies, _) = session_with(handle)
    assert response.text == "{}"
    assert bodies[-1]["max_completion_tokens"] == 900


def test_openai_itself_is_asked_with_max_completion_tokens() -> None:
    client = OpenAIClient(WriterConfig(provider="openai", model="gpt-x"))
    body = client.body(REQUEST, client.manner)
    assert body["max_completion_tokens"] == 900
    assert "max_tokens" not in body


def test_a_server_that_knows_no_stream_options_is_asked_without() -> None:
    with ScriptedProvider(refuses=["stream_options"]) as server:
        (response,), client = ask(server, REQUEST)
    assert response.input_tokens > 1000, "estimated"
    assert ["tells no token counts" in note for note in client.notes] == [True]


def test_cached_tokens_are_counted_apart() -> None:
    other = LLMRequest("Kurallar.", "Başka soru yaz.", SCHEMA, "scripted-1", {}, context=REQUEST.context)
    with ScriptedProvider() as server:
        (first, second), _ = ask(server, REQUEST, other)
        billed = server.log.billed["scripted-1"]
    assert second.cache_read_tokens > 1000
    assert billed.cache_read == second.cache_read_tokens
    assert billed.output == first.output_tokens + second.output_tokens
    assert billed.input + billed.cache_write == first.input_tokens + second.input_tokens


def test_a_truncated_answer_keeps_every_letter() -> None:
    whole = json.dumps({"pairs": ["Bir soru daha?"] * 60}, ensure_ascii=False)
    with ScriptedProvider(answer=lambda request: whole) as server:
        (response,), _ = ask(server, LLMRequest("s", "p", SCHEMA, "scripted-1", {"max_tokens": 50}))
    assert response.stop_reason == "max_tokens"
    assert whole.startswith(response.text)
    assert len(response.text) > 100


@pytest.mark.parametrize("fault", ["refusal", "content_filter"])
def test_a_refusal_is_a_refusal(fault: str) -> None:
    with ScriptedProvider(faults=[fault]) as server:
        (response,), _ = ask(server, REQUEST)
    assert response.stop_reason == "refusal"


# -- servers that differ


def completion(content: object, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 60}}
    choice = {"index": 0, "message": message, "finish_reason": more.pop("finish", "stop")}
    return {"object": "chat.completion", "model": "m-1", "choices": [choice], "usage": usage, **more}


def session_with(handle: Any, **settings: object) -> tuple[LLMResponse, list[dict[str, Any]], list[str]]:
    bodies: list[dict[str, Any]] = []

    async def noted(http: HttpRequest, connection: Connection) -> None:
        bodies.append(http.json())
        await handle(http, connection)

    async def session() -> tuple[LLMResponse, list[dict[str, Any]], list[str]]:
        server = HttpServer(noted)
        client = OpenAIClient(config_at(f"http://127.0.0.1:{await server.start(0)}/v1", **settings))
        try:
            return await client.complete(REQUEST), bodies, list(client.notes)
        finally:
            await client.close()
            await server.stop()

    return asyncio.run(session())


def sent_whole(body: dict[str, Any]) -> Any:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        await connection.send(200, JSON_TYPE, json.dumps(body).encode())

    return handle


def streamed(*chunks: Any) -> Any:
    async def handle(http: HttpRequest, connection: Connection) -> None:
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        await connection.send(200, EVENT_STREAM, "".join([*lines, "data: [DONE]\n\n"]).encode())

    return handle


def piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "object": "chat.completion.chunk",
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def test_a_server_that_does_not_stream_is_read_too() -> None:
    response, _, _ = session_with(sent_whole(completion('{"pairs": []}')))
    assert response.text == '{"pairs": []}'
    assert (response.input_tokens, response.cache_read_tokens, response.output_tokens) == (40, 60, 5)


@pytest.mark.parametrize(
    "text",
    ['<think>maybe {"a": 1}</think>\n{"pairs": []}', 'maybe {"a": 1}</think>{"pairs": []}', '{"pairs": []}'],
)
def test_thoughts_at_the_beginning_are_no_part_of_the_answer(text: str) -> None:
    halves = [piece({"content": text[:9], "reasoning_content": "hm"}), piece({"content": text[9:]}), piece({}, "stop")]
    response, _, _ = session_with(streamed(*halves))
    assert response.text == '{"pairs": []}'


def test_thoughts_cut_at_the_limit_leave_an_empty_truncated_answer() -> None:
    response, _, _ = session_with(streamed(piece({"content": "<think>and then {"}), piece({}, "length")))
    assert (response.text, response.stop_reason) == ("", "max_tokens")


def test_content_in_parts_is_joined_without_thoughts() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "{}"}]
    response, _, _ = session_with(streamed(piece({"content": parts}), piece({}, "stop")))
    assert response.text == "{}"


def test_a_server_without_counts_has_them_estimated_and_noted() -> None:
    response, _, notes = session_with(streamed(piece({"content": "{}"}), piece({}, "stop")))
    assert response.output_tokens == 1
    assert response.input_tokens > len(REQUEST.full_prompt) // 4
    assert len(notes) == 1


@pytest.mark.parametrize(
    "chunks",
    [[piece({"content": "{"})], [piece({"content": "{"}), piece({}, "error")], []],
    ids=["no finish reason", "finished by an error", "nothing"],
)
def test_a_stream_that_ends_early_is_no_answer(chunks: list[dict[str, Any]]) -> None:
    with pytest.raises((TemporaryFailure, AccountFailure)):
        session_with(streamed(*chunks))


def test_an_error_chunk_of_openrouter_is_temporary() -> None:
    with pytest.raises(TemporaryFailure, match="Provider disconnected"):
        session_with(streamed(piece({"content": "{"}), {"error": {"code": 502, "message": "Provider disconnected"}}))


def test_odd_chunks_do_not_break_the_reading() -> None:
    odd = [
        {"choices": None},
        {"choices": []},
        piece({"content": None}),
        {"object": "ping"},
        {"choices": [{"index": 0}]},
    ]
    response, _, _ = session_with(streamed(*odd, piece({"content": "{}"}, "stop")))
    assert response.text == "{}"


def test_deepseeks_cache_counts_are_understood() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64}
    response, _, _ = session_with(sent_whole(completion("{}", usage=usage)))
    assert (response.input_tokens, response.cache_read_tokens) == (36, 64)
