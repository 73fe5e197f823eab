"""The scripted provider is driven by the real SDKs: what they make of each fault is what groundtune will meet."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from scripted_answers import fitted, schema_in, smallest
from scripted_faults import CONTENT, choose_fault
from scripted_process import ProviderProcess
from scripted_provider import Log, ProviderRequest, ScriptedProvider, key_of, mixed, read_log

from groundtune.generation.answers.schema import Answer, answer_schema
from groundtune.llm import Passage, Task, render_passages, render_task
from groundtune.types import Rule

TEXT = (
    "Lot numarası, aynı üretim partisinden gelen malzemeleri izlemek için kullanılan koddur. "
    "Lot numarası en çok 20 karakter olabilir.\n\n1. Stok ekranını açın.\n2. **Yeni** düğmesine basın.\n3. Kaydedin."
)
SYSTEM = "Soru-cevap çiftleri yaz."


def prompt(breadcrumb: str = "Lot numarası", pairs: int = 4) -> str:
    return f"{render_passages([Passage(1, ('Stok', breadcrumb), TEXT)])}\n\n{render_task(Task('tr', Rule.INDIVIDUAL, pairs, 60))}"


TOOL = {"name": "write_pairs", "description": "Hands the pairs in.", "input_schema": answer_schema()}
PLAN = [{"role": "user", "content": prompt()}]
TOLD = [{"role": "system", "content": SYSTEM}, *PLAN]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "pairs", "schema": answer_schema(), "strict": True}}


@cache
def anthropic_sdk() -> anthropic.Anthropic:
    """One for all tests: making a client costs more than asking."""
    return anthropic.Anthropic(api_key="key-a", max_retries=0)


@cache
def openai_sdk() -> openai.OpenAI:
    return openai.OpenAI(api_key="key-o", max_retries=0)


@pytest.fixture(scope="module", autouse=True)
def _sdks_are_closed() -> Iterator[None]:
    yield
    anthropic_sdk().close()
    openai_sdk().close()


def anthropic_client(server: ScriptedProvider, timeout: float = 10) -> anthropic.Anthropic:
    return anthropic_sdk().with_options(base_url=server.url, timeout=timeout)


def openai_client(server: ScriptedProvider, timeout: float = 10) -> openai.OpenAI:
    return openai_sdk().with_options(base_url=server.openai_url, timeout=timeout)


def ask_anthropic(server: ScriptedProvider, *, stream: bool = True, timeout: float = 10, **changes: Any) -> Any:
    """One message, tool forced; no retries."""
    wanted = {
        "model": "scripted-1", "max_tokens": 4000, "system": SYSTEM, "messages": PLAN, "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "write_pairs"},
    } | changes  # fmt: skip
    client = anthropic_client(server, timeout)
    if not stream:
        return client.messages.create(**wanted)
    with client.messages.stream(**wanted) as events:
        said = "".join(event.partial_json for event in events if event.type == "input_json")
        message = events.get_final_message()
    return message.model_copy(update={"said": said})


def ask_openai(server: ScriptedProvider, *, timeout: float = 10, **changes: Any) -> Any:
    wanted = {"model": "scripted-1", "messages": TOLD, "response_format": SCHEMA} | changes
    answer = openai_client(server, timeout).chat.completions.create(**wanted)
    return list(answer) if changes.get("stream") else answer


def text_of(answer: Any) -> str:
    """What was said, whichever SDK it came through."""
    if isinstance(answer, list):
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    if hasattr(answer, "choices"):
        return str(answer.choices[0].message.content)
    if hasattr(answer, "said") and answer.said:
        return str(answer.said)
    return "".join(
        json.dumps(block.input, ensure_ascii=False) if block.type == "tool_use" else block.text
        for block in answer.content
    )


def ask_every_way(server: ScriptedProvider) -> list[Any]:
    return [
        ask_anthropic(server),
        ask_anthropic(server, stream=False),
        ask_openai(server),
        ask_openai(server, stream=True, stream_options={"include_usage": True}),
    ]


def test_both_sdks_get_the_same_valid_pairs_streaming_or_not() -> None:
    with ScriptedProvider() as server:
        answers = [Answer.model_validate_json(text_of(answer)) for answer in ask_every_way(server)]
    assert "Lot numarası en çok kaç karakter olabilir?" in [pair.question for pair in answers[0].pairs]
    assert all(answer == answers[0] for answer in answers)
    assert server.log.keys.keys() == {key_of("scripted-1", SYSTEM, prompt())}
    assert (server.log.attempts, server.log.answered) == (4, 4)


def test_usage_is_the_same_in_a_stream_and_is_what_was_logged() -> None:
    with ScriptedProvider() as server:
        *_, last = ask_openai(server, stream=True, stream_options={"include_usage": True})
        whole = ask_openai(server)
        message = ask_anthropic(server)
    billed = server.log.billed["scripted-1"]
    assert last.usage == whole.usage
    assert billed.output == last.usage.completion_tokens * 2 + message.usage.output_tokens
    assert billed.input == last.usage.prompt_tokens * 2 + message.usage.input_tokens


def test_questions_that_stand_in_the_request_are_not_written_again() -> None:
    with ScriptedProvider() as server:
        first = Answer.model_validate_json(
            text_of(ask_openai(server, messages=[{"role": "user", "content": prompt(pairs=1)}]))
        )
        written = first.pairs[0].question
        again = [{"role": "user", "content": f"{prompt(pairs=1)}\nAlready written:\n- {written}"}]
        second = Answer.model_validate_json(text_of(ask_openai(server, messages=again)))
    assert len(second.pairs) == 1
    assert second.pairs[0].question != written


def test_without_a_task_the_smallest_value_of_the_schema_is_said() -> None:
    schema = {
        "type": "object", "additionalProperties": False, "required": ["supported", "reason"],
        "properties": {"supported": {"type": "boolean"}, "reason": {"$ref": "#/$defs/Text"}}, "$defs": {"Text": {"type": "string"}},
    }  # fmt: skip
    asked = [{"role": "user", "content": f"Is it so? Answer as JSON: {json.dumps(schema)}"}]
    with ScriptedProvider() as server:
        by_schema = ask_openai(
            server,
            messages=asked,
            response_format={"type": "json_schema", "json_schema": {"name": "j", "schema": schema}},
        )
        by_words = ask_openai(server, messages=asked, response_format={"type": "json_object"})
    assert text_of(by_schema) == text_of(by_words) == '{"supported": true, "reason": "text"}'


def test_answers_are_fitted_to_a_schema_that_asks_for_more_and_less() -> None:
    schema = {
        "type": "object",
        "properties": {"pairs": {"type": "array", "items": {"$ref": "#/$defs/P"}}},
        "$defs": {
            "P": {
                "type": "object",
                "properties": {"q": {"type": "string"}, "n": {"anyOf": [{"const": 3}]}},
                "required": ["n"],
            }
        },
    }
    assert fitted({"pairs": [{"q": "a", "other": 1}]}, schema, schema) == {"pairs": [{"q": "a", "n": 3}]}
    assert smallest({"type": "array", "minItems": 2, "items": {"enum": ["x", "y"]}}, {}) == ["x", "x"]
    assert schema_in('say {"a": 1} as {"type": "object", "properties": {}}') == {"type": "object", "properties": {}}


def test_an_answer_of_ones_own_sees_the_request() -> None:
    def answer(request: ProviderRequest) -> str:
        return json.dumps({"mode": request.mode, "attempt": request.attempt, "tool": request.tool_name})

    with ScriptedProvider(answer=answer) as server:
        assert ask_anthropic(server).content[0].input == {"mode": "tool", "attempt": 1, "tool": "write_pairs"}
        assert json.loads(text_of(ask_openai(server))) == {"mode": "schema", "attempt": 2, "tool": ""}


STATUS_ERRORS = {
    "400": (400, anthropic.BadRequestError, 400, openai.BadRequestError),
    "401": (401, anthropic.AuthenticationError, 401, openai.AuthenticationError),
    "402": (402, anthropic.APIStatusError, 402, openai.APIStatusError),
    "403": (403, anthropic.PermissionDeniedError, 403, openai.PermissionDeniedError),
    "404": (404, anthropic.NotFoundError, 404, openai.NotFoundError),
    "408": (408, anthropic.APIStatusError, 408, openai.APIStatusError),
    "413": (413, anthropic.APIStatusError, 413, openai.APIStatusError),
    "422": (422, anthropic.UnprocessableEntityError, 422, openai.UnprocessableEntityError),
    "429": (429, anthropic.RateLimitError, 429, openai.RateLimitError),
    "500": (500, anthropic.InternalServerError, 500, openai.InternalServerError),
    "503": (503, anthropic.APIStatusError, 503, openai.InternalServerError),
    "529": (529, anthropic.APIStatusError, 503, openai.InternalServerError),
    "proxy": (502, anthropic.InternalServerError, 502, openai.InternalServerError),
    "no_credit": (400, anthropic.BadRequestError, 429, openai.RateLimitError),
}


@pytest.mark.parametrize("fault", STATUS_ERRORS)
def test_a_status_is_the_sdks_error_of_that_status(fault: str) -> None:
    status_a, error_a, status_o, error_o = STATUS_ERRORS[fault]
    with ScriptedProvider(faults=[fault, fault, "ok"], retry_after_seconds=7) as server:
        with pytest.raises(error_a) as from_anthropic:
            ask_anthropic(server)
        with pytest.raises(error_o) as from_openai:
            ask_openai(server)
        assert Answer.model_validate_json(text_of(ask_openai(server))).pairs
    assert (from_anthropic.value.status_code, from_openai.value.status_code) == (status_a, status_o)
    waits = [error.value.response.headers.get("retry-after") for error in (from_anthropic, from_openai)]
    assert waits == (["7", "7"] if fault in ("429", "503", "529") else [None, None])
    [entry] = server.log.keys.values()
    assert (entry.attempts, entry.answered, entry.outcomes) == (3, 1, [fault, fault, "ok"])


def test_no_credit_wears_each_providers_own_disguise() -> None:
    with ScriptedProvider(faults=["no_credit"] * 2) as server:
        with pytest.raises(anthropic.BadRequestError, match="credit balance is too low"):
            ask_anthropic(server)
        with pytest.raises(openai.RateLimitError) as error:
            ask_openai(server)
    assert error.value.code == "insufficient_quota"


@pytest.mark.parametrize("fault", ["hang", "reset", "reset_midway"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_broken_connection_is_a_connection_error(fault: str, stream: bool) -> None:
    with ScriptedProvider(faults=[fault, fault]) as server:
        with pytest.raises(Exception) as from_anthropic:  # noqa: PT011 - in a stream the SDK lets httpx's own error through
            ask_anthropic(server, stream=stream, timeout=0.2)
        with pytest.raises(openai.APIConnectionError):
            ask_openai(server, stream=stream, timeout=0.2)
    module = type(from_anthropic.value).__module__
    assert isinstance(from_anthropic.value, anthropic.APIConnectionError) or module.startswith("httpx")
    [entry] = server.log.keys.values()
    assert (entry.answered, entry.outcomes) == (0, [fault, fault])
    assert (entry.billed.output > 0) == (fault == "reset_midway")


def test_an_error_within_a_stream_is_raised_and_without_one_is_a_status() -> None:
    with ScriptedProvider(faults=["error_midway"] * 3) as server:
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            ask_anthropic(server)
        with pytest.raises(openai.APIError, match="Overloaded"):
            ask_openai(server, stream=True)
        with pytest.raises(openai.InternalServerError):
            ask_openai(server)
    assert server.log.answered == 0


def test_a_slow_answer_comes_whole() -> None:
    with ScriptedProvider(faults=["slow"] * 4, slow_seconds=0.1) as server:
        started = time.monotonic()
        answers = {text_of(answer) for answer in ask_every_way(server)}
    assert time.monotonic() - started > 0.3
    assert len(answers) == 1
    assert server.log.answered == 4


def test_a_client_that_gives_up_is_billed_and_not_answered() -> None:
    with ScriptedProvider(latency_seconds=0.4) as server:
        with pytest.raises(openai.APITimeoutError):
            ask_openai(server, timeout=0.1)
        time.sleep(0.5)
    [entry] = server.log.keys.values()
    assert (entry.answered, entry.outcomes) == (0, ["gone"])
    assert entry.billed.output > 0


def spoiled_answers(fault: str) -> list[Any]:
    with ScriptedProvider(faults=[fault] * 4) as server:
        answers = ask_every_way(server)
    assert server.log.answered == 4
    assert server.log.outcomes == {fault: 4}
    return answers


def test_cut_at_max_tokens_keeps_half_and_says_so() -> None:
    streamed, message, completion, chunks = spoiled_answers("max_tokens")
    assert (streamed.stop_reason, message.stop_reason) == ("max_tokens", "max_tokens")
    assert completion.choices[0].finish_reason == "length"
    assert chunks[-2].choices[0].finish_reason == "length"
    assert text_of(streamed) == text_of(completion) == text_of(chunks)
    assert text_of(completion).startswith('{"pairs": [{"question":')
    assert 1 <= len(message.content[0].input["pairs"]) < 3


def test_a_small_max_tokens_cuts_without_any_fault() -> None:
    with ScriptedProvider() as server:
        message = ask_anthropic(server, max_tokens=20)
        completion = ask_openai(server, max_completion_tokens=20)
    assert (message.stop_reason, completion.choices[0].finish_reason) == ("max_tokens", "length")
    assert message.usage.output_tokens == completion.usage.completion_tokens == 20
    assert server.log.outcomes == {"max_tokens": 2}


def test_truncated_json_stops_as_if_it_were_whole() -> None:
    streamed, message, completion, _ = spoiled_answers("truncated")
    assert (streamed.stop_reason, message.stop_reason, completion.choices[0].finish_reason) == (
        "tool_use",
        "tool_use",
        "stop",
    )
    for answer in (streamed, completion):
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            json.loads(text_of(answer))


def test_prose_stands_around_the_json_and_no_tool_is_called() -> None:
    streamed, message, completion, chunks = spoiled_answers("prose")
    assert [streamed.stop_reason, message.stop_reason] == ["end_turn", "end_turn"]
    assert all(
        "```json\n{" in text_of(answer) and "aşağıdadır" in text_of(answer)
        for answer in (streamed, message, completion, chunks)
    )


def test_wrong_schema_is_json_that_does_not_validate() -> None:
    for answer in spoiled_answers("wrong_schema"):
        with pytest.raises(ValueError, match="validation error"):
            Answer.model_validate(json.loads(text_of(answer)))


def test_wrong_language_and_invented_quotes_are_valid_json_with_every_second_pair_bad() -> None:
    for answer in spoiled_answers("wrong_language"):
        pairs = Answer.model_validate_json(text_of(answer)).pairs
        assert [pair.question.startswith("What ") for pair in pairs] == [True, False, True, False]
    for answer in spoiled_answers("invented_quote"):
        pairs = Answer.model_validate_json(text_of(answer)).pairs
        assert [pair.evidence[0].quote in TEXT for pair in pairs] == [False, True, False, True]


def test_a_refusal_is_told_as_each_provider_tells_it() -> None:
    streamed, message, completion, chunks = spoiled_answers("refusal")
    assert streamed.stop_reason == message.stop_reason == "refusal"
    assert streamed.content == message.content == []
    assert completion.choices[0].message.content is None
    assert completion.choices[0].message.refusal == "".join(
        chunk.choices[0].delta.refusal or "" for chunk in chunks if chunk.choices
    )
    streamed, _, completion, chunks = spoiled_answers("content_filter")
    assert (streamed.stop_reason, completion.choices[0].finish_reason) == ("refusal", "content_filter")
    assert chunks[-2].choices[0].finish_reason == "content_filter"


def test_an_empty_answer_says_nothing() -> None:
    assert [text_of(answer) for answer in spoiled_answers("empty")] == ["", "", "", ""]


def test_content_faults_belong_to_the_request_and_delivery_faults_to_the_attempt() -> None:
    faults = {"429": 0.3, "truncated": 0.3}

    def drawn(number: int, attempt: int) -> str:
        plain = ProviderRequest(
            "openai", "m", "", (("user", str(number)),), "text", None, "", None, False, {}, {}, attempt=attempt
        )
        return choose_fault(faults, plain, 5)

    first = [drawn(number, 1) for number in range(2000)]
    second = [drawn(number, 2) for number in range(2000)]
    assert first == [drawn(number, 1) for number in range(2000)]
    assert 0.26 < first.count("429") / 2000 < 0.34
    assert 0.17 < first.count("truncated") / 2000 < 0.25
    assert all(a == b for a, b in zip(first, second, strict=True) if "429" not in (a, b))
    assert 0.05 < sum(a == b == "429" for a, b in zip(first, second, strict=True)) / 2000 < 0.13


def test_mixed_faults_share_what_is_given_and_an_unknown_name_is_an_error() -> None:
    shares = mixed(0.2, without=("hang",))
    assert sum(shares.values()) == pytest.approx(0.2)
    assert "hang" not in shares
    assert set(CONTENT) < shares.keys()
    with ScriptedProvider(faults=["429"]) as server, pytest.raises(openai.RateLimitError):
        ask_openai(server)
    request = server.requests[0]
    with pytest.raises(ValueError, match="'4-2-9' is not one of"):
        choose_fault({"4-2-9": 0.5}, request, 0)


def test_from_a_certain_request_on_the_account_is_closed() -> None:
    with ScriptedProvider(after=(3, "402")) as server:
        ask_openai(server)
        ask_anthropic(server)
        for _ in range(2):
            with pytest.raises(openai.APIStatusError, match="billing"):
                ask_openai(server)
    assert server.log.outcomes == {"ok": 2, "402": 2}


def test_only_the_right_key_is_let_in_and_only_in_the_right_header() -> None:
    with ScriptedProvider(api_keys=["key-a"]) as server:
        ask_anthropic(server)
        with pytest.raises(openai.AuthenticationError):
            ask_openai(server)
    carriers = [[name for name, value in headers.items() if "key-" in value] for headers in server.headers]
    assert carriers == [["authorization"], ["authorization"]]
    assert [headers["authorization"] for headers in server.headers] == ["Bearer key-a", "Bearer key-o"]
    assert server.log.calls() == {"chat 401": 1}
    assert server.log.attempts == 1


def test_what_a_server_does_not_know_is_a_bad_request_and_no_attempt() -> None:
    with ScriptedProvider(refuses=["json_schema", "temperature"]) as server:
        with pytest.raises(openai.BadRequestError, match="'json_schema' is not supported") as error:
            ask_openai(server)
        with pytest.raises(openai.BadRequestError, match="'temperature' is not supported"):
            ask_openai(server, response_format={"type": "json_object"}, temperature=0.5)
        ask_openai(
            server,
            messages=[*TOLD, {"role": "user", "content": "Say it as JSON."}],
            response_format={"type": "json_object"},
        )
    assert error.value.param == "response_format"
    assert server.log.attempts == 1


def test_requests_that_no_provider_would_take_are_refused() -> None:
    loose = {
        "type": "json_schema",
        "json_schema": {"name": "a", "strict": True, "schema": {"type": "object", "properties": {"x": {}}}},
    }
    with ScriptedProvider() as server:
        with pytest.raises(openai.BadRequestError, match="additionalProperties"):
            ask_openai(server, response_format=loose)
        with pytest.raises(openai.BadRequestError, match="must contain the word 'json'"):
            ask_openai(server, messages=[{"role": "user", "content": "hi"}], response_format={"type": "json_object"})
        with pytest.raises(openai.BadRequestError, match="Unrecognized request argument supplied: retry"):
            ask_openai(server, extra_body={"retry": 1})
        with pytest.raises(anthropic.BadRequestError, match="retry: Extra inputs are not permitted"):
            ask_anthropic(server, extra_body={"retry": 1}, stream=False)
        with pytest.raises(anthropic.BadRequestError, match="not found in provided tools"):
            ask_anthropic(server, tool_choice={"type": "tool", "name": "other"})


def test_a_marked_prefix_is_written_to_the_cache_once_and_read_from_then_on() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    system = [{"type": "text", "text": "Kural. " * 1000, **mark}]
    with ScriptedProvider() as server:
        first, second, third = (
            ask_anthropic(
                server,
                system=system,
                messages=[{"role": "user", "content": [{"type": "text", "text": text, **mark}, *rest]}],
            )
            for text, rest in [("a" * 4000, []), ("b" * 4000, []), ("b" * 4000, [{"type": "text", "text": "c" * 400}])]
        )
        plain = ask_anthropic(server)
        automatic = [
            ask_openai(server, messages=[{"role": "system", "content": "Rule. " * 2000}, *PLAN]) for _ in range(2)
        ]
    assert first.usage.cache_read_input_tokens == 0
    assert second.usage.cache_read_input_tokens == first.usage.cache_creation_input_tokens - 1000
    assert second.usage.cache_creation_input_tokens == 1000
    assert (third.usage.cache_read_input_tokens, third.usage.cache_creation_input_tokens) == (
        first.usage.cache_creation_input_tokens,
        0,
    )
    assert third.usage.input_tokens == 100
    assert plain.usage.cache_creation_input_tokens == 0
    assert [answer.usage.prompt_tokens_details.cached_tokens > 2900 for answer in automatic] == [False, True]


def test_both_sdks_list_models() -> None:
    with ScriptedProvider(models=["org/one", "two"]) as server:
        client, other = openai_client(server), anthropic_client(server)
        assert [model.id for model in client.models.list()] == ["org/one", "two"]
        assert [model.id for model in other.models.list()] == ["org/one", "two"]
        assert client.models.retrieve("two").id == "two"
        with pytest.raises(anthropic.NotFoundError):
            other.models.retrieve("three")


# -- batches


def batch_entries(count: int) -> list[dict[str, Any]]:
    return [
        {
            "custom_id": f"id-{number}",
            "params": {
                "model": "scripted-1", "max_tokens": 4000, "system": SYSTEM, "tools": [TOOL],
                "tool_choice": {"type": "tool", "name": "write_pairs"},
                "messages": [{"role": "user", "content": prompt(f"Lot {number}")}],
            },
        }
        for number in range(count)
    ]  # fmt: skip


def test_an_anthropic_batch_is_made_polled_and_collected() -> None:
    faults = {"Lot 1": "500", "Lot 2": "hang", "Lot 3": "400", "Lot 4": "truncated"}

    def script(request: ProviderRequest) -> str:
        return next((fault for name, fault in faults.items() if name in request.user), "ok")

    with ScriptedProvider(faults=script, batch_polls=1) as server:
        batches = anthropic_client(server).messages.batches
        made = batches.create(requests=batch_entries(6))
        assert made.request_counts.processing == 6
        assert batches.retrieve(made.id).processing_status == "in_progress"
        done = batches.retrieve(made.id)
        assert (done.processing_status, done.request_counts.succeeded, done.request_counts.expired) == ("ended", 3, 1)
        results = {row.custom_id: row.result for row in batches.results(made.id)}
        assert [batch.id for batch in batches.list()] == [made.id]
    kinds = {custom_id: result.type for custom_id, result in results.items()}
    assert kinds == {
        f"id-{n}": kind
        for n, kind in enumerate(["succeeded", "errored", "expired", "errored", "succeeded", "succeeded"])
    }
    assert results["id-1"].error.error.type == "api_error"
    assert results["id-3"].error.error.type == "invalid_request_error"
    assert Answer.model_validate(results["id-0"].message.content[0].input).pairs
    assert server.log.answered == 3
    assert not server.log.billed
    assert server.log.billed_in_batches["scripted-1"].output > 0


def test_a_lost_answer_to_a_batch_leaves_the_batch_there() -> None:
    calls = {"batch_create": ["500", "reset"], "batch_results": ["reset_midway"]}
    with ScriptedProvider(call_faults=calls) as server:
        batches = anthropic_client(server).messages.batches
        with pytest.raises(anthropic.InternalServerError):
            batches.create(requests=batch_entries(1))
        assert list(batches.list()) == []
        with pytest.raises(anthropic.APIConnectionError):
            batches.create(requests=batch_entries(1))
        [found] = batches.list()
        batches.retrieve(found.id)
        with pytest.raises(Exception, match=r"incomplete|reset|closed"):
            list(batches.results(found.id))
        assert len(list(batches.results(found.id))) == 1
    assert server.log.calls()["batch_create reset"] == 1


def test_a_malformed_batch_is_refused_whole() -> None:
    with ScriptedProvider() as server:
        batches = anthropic_client(server).messages.batches
        for entries in (batch_entries(1) * 2, [{**batch_entries(1)[0], "custom_id": "a b"}], []):
            with pytest.raises(anthropic.BadRequestError):
                batches.create(requests=entries)
        with pytest.raises(anthropic.NotFoundError):
            batches.retrieve("msgbatch_0001")
        made = batches.create(requests=batch_entries(2))
        assert batches.cancel(made.id).request_counts.canceled == 2
    assert server.log.outcomes == {"canceled": 2}


def test_an_openai_batch_goes_through_files() -> None:
    lines = [
        {
            "custom_id": f"id-{number}", "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "scripted-1", "messages": [{"role": "user", "content": prompt(f"Lot {number}")}], "response_format": SCHEMA},
        }
        for number in range(4)
    ]  # fmt: skip
    faults = {"Lot 1": "500", "Lot 2": "hang"}

    def script(request: ProviderRequest) -> str:
        return next((fault for name, fault in faults.items() if name in request.user), "ok")

    with ScriptedProvider(faults=script, batch_polls=1) as server:
        client = openai_client(server)
        data = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()
        source = client.files.create(file=("çiftler.jsonl", data), purpose="batch")
        assert client.files.retrieve(source.id).bytes == len(data)
        made = client.batches.create(
            input_file_id=source.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"run": "a"}
        )
        assert client.batches.retrieve(made.id).status == "in_progress"
        done = client.batches.retrieve(made.id)
        assert (done.status, done.request_counts.completed, done.request_counts.failed) == ("completed", 2, 2)
        assert [batch.metadata for batch in client.batches.list()] == [{"run": "a"}]
        answered = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
        failed = {
            row["custom_id"]: row for row in map(json.loads, client.files.content(done.error_file_id).text.splitlines())
        }
        bad = client.files.create(file=("bad.jsonl", b"{}\n"), purpose="batch")
        refused = client.batches.create(input_file_id=bad.id, endpoint="/v1/chat/completions", completion_window="24h")
        assert (refused.status, bool(refused.errors.data)) == ("failed", True)
        client.files.delete(source.id)
        with pytest.raises(openai.NotFoundError):
            client.files.content(source.id)
    assert [row["custom_id"] for row in answered] == ["id-3", "id-0"]
    assert all(
        Answer.model_validate_json(row["response"]["body"]["choices"][0]["message"]["content"]).pairs
        for row in answered
    )
    assert failed["id-1"]["response"]["status_code"] == 500
    assert failed["id-2"]["error"]["code"] == "batch_expired"


# -- many at a time, and another process


async def ask_many(url: str, count: int, at_a_time: int) -> list[Any]:
    """Through the asynchronous SDK; errors come back as values."""
    limit = asyncio.Semaphore(at_a_time)
    async with openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:

        async def ask(number: int) -> Any:
            async with limit:
                return await client.chat.completions.create(
                    model="scripted-1", messages=[{"role": "user", "content": f"{number} json"}]
                )

        return await asyncio.gather(*(ask(number) for number in range(count)), return_exceptions=True)


def test_above_the_limit_requests_are_turned_away_and_the_highest_is_known() -> None:
    with ScriptedProvider(max_simultaneous=5, latency_seconds=0.2, overload="429", retry_after_seconds=2) as server:
        answers = asyncio.run(ask_many(server.openai_url, 12, 12))
    refused = [answer for answer in answers if isinstance(answer, openai.RateLimitError)]
    assert len(refused) == 7
    assert {error.response.headers["retry-after"] for error in refused} == {"2"}
    assert server.log.highest_simultaneous == 5
    assert server.log.attempts == 5
    assert server.log.calls() == {"chat crowded": 7}


def test_the_rate_limit_says_when_to_come_again() -> None:
    with ScriptedProvider(requests_per_second=2, burst=3) as server:
        answers = asyncio.run(ask_many(server.openai_url, 6, 1))
        refused = [answer for answer in answers if isinstance(answer, openai.RateLimitError)]
        assert len(refused) == 3
        wait = float(refused[-1].response.headers["retry-after"])
        assert 0 < wait <= 0.5
        time.sleep(wait)
        ask_openai(server)


def test_sixty_four_are_served_at_the_same_time(tmp_path: Path) -> None:
    with ProviderProcess(tmp_path / "log.jsonl", latency_seconds=1.0, answer="smallest") as server:
        answers = asyncio.run(ask_many(server.openai_url, 64, 64))
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert server.log.highest_simultaneous == 64


CLIENT = """
import openai, sys
client = openai.OpenAI(base_url=sys.argv[1], api_key="sk-secret", max_retries=0)
for number in range(1000):
    client.chat.completions.create(model="scripted-1", messages=[{"role": "user", "content": f"{number} json"}])
    print(number, flush=True)
"""


def test_the_log_of_a_process_outlives_a_killed_client_and_the_server(tmp_path: Path) -> None:
    state = tmp_path / "log.jsonl"
    with ProviderProcess(state, latency_seconds=0.03) as server:
        client = subprocess.Popen([sys.executable, "-c", CLIENT, server.openai_url], stdout=subprocess.PIPE, text=True)
        assert client.stdout is not None
        for _ in range(5):
            client.stdout.readline()
        client.send_signal(signal.SIGKILL)
        printed = 5 + len(client.communicate()[0].splitlines())
        time.sleep(0.2)
        log = server.log
        assert printed <= log.answered <= printed + 1
        assert log.attempts - log.answered <= 1
        asyncio.run(ask_many(server.openai_url, 3, 1))
        assert sorted(server.log.answered_twice()) == sorted(list(log.keys)[:3])
    assert "sk-secret" not in state.read_text()
    assert read_log(state).events[0]["secrets"] == ["authorization"]
    before = read_log(state)
    with ScriptedProvider(state=state, faults=lambda request: "ok" if request.attempt == 1 else "500") as server:
        assert server.log.keys == before.keys
        with pytest.raises(openai.InternalServerError):
            openai_client(server).chat.completions.create(
                model="scripted-1", messages=[{"role": "user", "content": "0 json"}]
            )


def test_a_half_written_line_of_the_log_is_left_out(tmp_path: Path) -> None:
    state = tmp_path / "log.jsonl"
    with ScriptedProvider(state=state) as server:
        ask_openai(server)
    whole = state.read_bytes()
    state.write_bytes(whole + b'{"event": "req')
    assert read_log(state).attempts == 1
    assert read_log(tmp_path / "none.jsonl") == Log()
