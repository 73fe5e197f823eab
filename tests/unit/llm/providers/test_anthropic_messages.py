import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from scripted_http import EVENT_STREAM, JSON_TYPE, Connection, HttpRequest, HttpServer
from scripted_provider import ScriptedProvider

from groundtune.config import WriterConfig
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.llm.providers.anthropic_messages import TOOL, AnthropicClient

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
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-0123456789")


def config_at(url: str, **settings: object) -> WriterConfig:
    return WriterConfig.model_validate({"provider": "anthropic", "model": "scripted-1", "base_url": url, **settings})


def ask(
    server: ScriptedProvider, *requests: LLMRequest, **settings: object
) -> tuple[list[LLMResponse], AnthropicClient]:
    async def session() -> tuple[list[LLMResponse], AnthropicClient]:
        client = AnthropicClient(config_at(server.url, **settings))
        try:
            return [await client.complete(request) for request in requests], client
        finally:
            await client.close()

    return asyncio.run(session())


def test_the_answer_is_the_input_of_a_forced_strict_tool() -> None:
    with ScriptedProvider(answer=lambda request: '{"pairs": ["Depo nedir?"]}') as server:
        (response,), client = ask(server, REQUEST)
        body = server.requests[0].body
    assert json.loads(response.text) == {"pairs": ["Depo nedir?"]}
    assert (response.stop_reason, response.model) == ("end", "scripted-1")
    assert client.writer == "anthropic/scripted-1"
    assert body["tool_choice"] == {"type": "tool", "name": TOOL, "disable_parallel_tool_use": True}
    (tool,) = body["tools"]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    assert body["stream"] is True
    assert (body["max_tokens"], "temperature" in body) == (900, False)
    assert client.notes == []


def test_system_and_context_end_a_cached_prefix_each_and_the_prompt_does_not() -> None:
    with ScriptedProvider() as server:
        ask(server, REQUEST)
        body = server.requests[0].body
    assert [block.get("cache_control") for block in body["system"]] == [{"type": "ephemeral"}]
    context, prompt = body["messages"][0]["content"]
    assert context["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in prompt
    assert context["text"] + prompt["text"] == REQUEST.full_prompt


def test_cached_tokens_are_counted_apart() -> None:
    other = LLMRequest("Kurallar.", "Başka soru yaz.", SCHEMA, "scripted-1", {}, context=REQUEST.context)
    with ScriptedProvider() as server:
        (first, second), _ = ask(server, REQUEST, other)
        billed = server.log.billed["scripted-1"]
    assert first.cache_write_tokens > 1000
    assert first.cache_read_tokens == 0
    assert second.cache_read_tokens == first.cache_write_tokens
    assert second.input_tokens < 1000
    assert billed.input == first.input_tokens + second.input_tokens
    assert billed.output == first.output_tokens + second.output_tokens
    assert (billed.cache_read, billed.cache_write) == (second.cache_read_tokens, first.cache_write_tokens)


def test_a_request_without_max_tokens_gets_the_configs() -> None:
    request = LLMRequest("s", "p", SCHEMA, "scripted-1", {"temperature": 0.5, "top_p": 0.9})
    with ScriptedProvider() as server:
        ask(server, request, max_output_tokens=321)
        body = server.requests[0].body
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (321, 0.5, 0.9)


def test_a_truncated_answer_keeps_every_letter() -> None:
    whole = json.dumps({"pairs": ["Bir soru daha?"] * 60}, ensure_ascii=False)
    request = LLMRequest("s", "p", SCHEMA, "scripted-1", {"max_tokens": 50})
    with ScriptedProvider(answer=lambda request: whole) as server:
        (response,), _ = ask(server, request)
    assert response.stop_reason == "max_tokens"
    assert len(response.text) > 100
    assert whole.startswith(response.text)


def test_words_in_place_of_the_tool_are_the_text() -> None:
    with ScriptedProvider(faults=["prose"]) as server:
        (response,), _ = ask(server, REQUEST)
    assert response.stop_reason == "end"
    assert "```" in response.text


def test_a_refusal_is_a_refusal() -> None:
    with ScriptedProvider(faults=["refusal"]) as server:
        (response,), _ = ask(server, REQUEST)
    assert response.stop_reason == "refusal"
    assert "cannot help" in response.text


def test_a_schema_that_cannot_be_strict_is_sent_as_it_is() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    with ScriptedProvider() as server:
        ask(server, LLMRequest("s", "p", schema, "scripted-1"))
        (tool,) = server.requests[0].body["tools"]
    assert "strict" not in tool
    assert tool["input_schema"] == schema


# -- models that refuse a form: a server that speaks just enough, and refuses by its own rules

EVENTS: Sequence[dict[str, Any]] = (
    {
        "type": "message_start",
        "message": {"type": "message", "model": "m-1", "usage": {"input_tokens": 7, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "{hm}"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": '{"pairs": []}'}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
)


def session_with(
    refusals: dict[str, str], events: Sequence[dict[str, Any]] = EVENTS, model: str = "scripted-1", asked: int = 1
) -> Any:
    """Bodies that were sent, responses, notes. `refusals`: message by the marker in the body that provokes it."""
    bodies: list[dict[str, Any]] = []

    async def handle(http: HttpRequest, connection: Connection) -> None:
        bodies.append(http.json())
        message = next((message for marker, message in refusals.items() if marker in http.body.decode()), None)
        if message is not None:
            error = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
            await connection.send(400, JSON_TYPE, json.dumps(error).encode())
            return
        lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
        await connection.send(200, EVENT_STREAM, "".join(lines).encode())

    async def session() -> tuple[list[dict[str, Any]], list[LLMResponse], list[str]]:
        server = HttpServer(handle)
        client = AnthropicClient(config_at(f"http://127.0.0.1:{await server.start(0)}", model=model))
        try:
            responses = [await client.complete(LLMRequest("s", f"p{number}", SCHEMA, "m")) for number in range(asked)]
            return bodies, responses, list(client.notes)
        finally:
            await client.close()
            await server.stop()

    return asyncio.run(session())


def test_a_model_without_strict_tools_gets_a_plain_one_from_then_on() -> None:
    bodies, responses, notes = session_with(
        {'"strict":true': "tools.0.custom.strict: Extra inputs are not permitted"}, asked=3
    )
    assert len(bodies) == 4, "refused once, and remembered"
    assert bodies[-1]["tools"][0]["input_schema"] == SCHEMA
    assert len(responses) == 3
    assert len(notes) == 1


def test_a_model_that_refuses_forced_tools_is_held_by_the_format() -> None:
    refusal = 'tool_choice: type "tool" and "any" are not supported for this model.'
    bodies, (response,), notes = session_with({'"tool_choice":{"type":"tool"': refusal})
    assert "tools" not in bodies[1]
    assert bodies[1]["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert response.text == '{"pairs": []}', "thoughts are no part of it"
    assert (response.input_tokens, response.output_tokens) == (7, 9)
    assert len(notes) == 1


def test_a_model_that_thinks_by_default_is_held_by_the_format() -> None:
    refusal = "Thinking may not be enabled when tool_choice forces tool use."
    bodies, _, _ = session_with({'"tool_choice":{"type":"tool"': refusal})
    assert "output_config" in bodies[1]


def test_the_last_form_asks_for_the_tool_in_words() -> None:
    bodies, _, notes = session_with(
        {
            '"type":"tool"': "tool_choice: type tool is not supported",
            "output_config": "output_config: Extra inputs are not permitted",
        }
    )
    assert len(bodies) == 3
    assert bodies[2]["tool_choice"]["type"] == "auto"
    assert TOOL in bodies[2]["messages"][0]["content"][-1]["text"]
    assert len(notes) == 2


def test_a_model_known_to_refuse_forced_tools_is_not_asked_for_them() -> None:
    bodies, _, notes = session_with({}, model="claude-opus-5-5")
    assert len(bodies) == 1
    assert "tools" not in bodies[0]
    assert notes == []


def test_a_context_window_that_is_full_is_a_truncation() -> None:
    full = {
        "type": "message_delta",
        "delta": {"stop_reason": "model_context_window_exceeded"},
        "usage": {"output_tokens": 9},
    }
    _, (response,), _ = session_with({}, [*EVENTS[:-2], full, EVENTS[-1]])
    assert response.stop_reason == "max_tokens"


def test_an_unknown_stop_reason_is_noted() -> None:
    odd = {"type": "message_delta", "delta": {"stop_reason": "weary"}, "usage": {"output_tokens": 9}}
    _, (response,), notes = session_with({}, [*EVENTS[:-2], odd])
    assert response.stop_reason == "end"
    assert "'weary'" in notes[0]


def test_a_second_call_is_noted_and_the_first_one_taken() -> None:
    calls = [
        {
            "type": "content_block_start",
            "index": place,
            "content_block": {"type": "tool_use", "name": TOOL, "input": {"pairs": [text]}},
        }
        for place, text in ((3, "b"), (2, "a"))
    ]
    _, (response,), notes = session_with({}, [EVENTS[0], *calls, *EVENTS[-2:]])
    assert json.loads(response.text) == {"pairs": ["a"]}
    assert "more than once" in notes[0]
