"""The writer behind the Claude API, through the official SDK.

Structure comes from one tool whose input is the answer. Models differ in how far they let themselves be held to it, so
a client begins with the strictest form and steps down when the model refuses the form itself (a refused request is not
billed), said once in `notes`:

======================  ==================================================================================
``strict tool``         the tool is forced and its input decoded by the schema
``tool``                the tool is forced (the model or gateway has no strict tools, or the schema is too large)
``format``              no tool; the text is decoded by the schema (models that refuse forced tools)
``offered tool``        the tool is offered and asked for in words
======================  ==================================================================================

Caching: the system prompt and the request's `context` each end a cached prefix, after the tool. Prefixes below the
model's least size (1,024 tokens and more) are not cached, which costs nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import anthropic
from anthropic import AsyncAnthropic, AsyncStream

from groundtune.config import WriterConfig
from groundtune.llm.client import LLMRequest, LLMResponse
from groundtune.llm.providers.anthropic_answers import read_stream
from groundtune.llm.providers.mapping import Problem, failure_of, problem_of
from groundtune.llm.providers.reply import Reply
from groundtune.llm.providers.schemas import strict_schema
from groundtune.llm.providers.sdk_client import TRANSPORT_ERRORS, SDKClient

Manner = Literal["strict tool", "tool", "format", "offered tool"]

TOOL = "hand_in_answer"
_DESCRIPTION = "Hands in the whole answer. Call it exactly once; what is not in its input is not read."
_OFFER = f"Hand in the answer by calling the tool {TOOL} once; write nothing else."
_UNFORCED = ("claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-1", "claude-mythos")
"""Beginnings of names of models that refuse a forced tool. Source, as of 2026-11: "What's new in Claude Opus 5.5", section
"Forced tool use is not supported". Others are found out by their refusal."""
_BELOW: dict[Manner, Manner] = {"strict tool": "tool", "format": "offered tool"}
_FORM_WORDS: dict[Manner, tuple[str, ...]] = {
    "strict tool": ("strict", "schema", "grammar"),
    "format": ("output_config", "format", "schema", "grammar"),
}
_CACHED = {"type": "ephemeral"}


class AnthropicClient(SDKClient):
    """An `LLMClient`. What its model does not take it remembers as `manner`."""

    errors = (anthropic.AnthropicError, *TRANSPORT_ERRORS)
    sdk: AsyncAnthropic

    def __init__(self, config: WriterConfig) -> None:
        super().__init__(config)
        self.sdk = AsyncAnthropic(**self._connection(config))
        self.manner: Manner = "format" if self.endpoint.model.startswith(_UNFORCED) else "strict tool"

    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Answer one request. A refusal of the form of the answer leads to another form, at once."""
        while True:
            manner = self.manner
            outcome = await self._send(request, manner)
            if isinstance(outcome, Reply):
                return self.accept(outcome, request)
            if manner == self.manner and not self.adapt(problem_of(outcome)):
                break
        raise failure_of(outcome, self.endpoint, request.parameters, answered=self._answered)

    def body(self, request: LLMRequest, manner: Manner) -> dict[str, Any]:
        """What is sent, but for streaming. The API requires ``max_tokens``: without one it is the config's."""
        strict = strict_schema(request.schema)
        if strict is None:
            manner = _BELOW.get(manner, manner)
        ending = f"\n\n{_OFFER}" if manner == "offered tool" else ""
        blocks: list[dict[str, Any]] = []
        if request.context:
            blocks.append({"type": "text", "text": f"{request.context}\n\n", "cache_control": _CACHED})
        blocks.append({"type": "text", "text": request.prompt + ending})
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.most_tokens(self._max_tokens),
            "system": [{"type": "text", "text": request.system, "cache_control": _CACHED}],
            "messages": [{"role": "user", "content": blocks}],
        }
        if manner == "format":
            body["output_config"] = {"format": {"type": "json_schema", "schema": strict}}
        else:
            body["tools"] = [_tool(request, strict if manner == "strict tool" else None)]
            body["tool_choice"] = _choice(manner)
        return body | request.sent_parameters

    def is_about_form(self, problem: Problem) -> bool:
        return problem.remedy == "request" and any(_lower(manner, problem) for manner in _BELOW)

    def adapt(self, problem: Problem | None) -> bool:
        """Ask in another form from now on, if that is what `problem` is about."""
        if problem is None or problem.remedy != "request":
            return False
        lower = _lower(self.manner, problem)
        if lower is None:
            return False
        self.notes.say(
            f"{self.endpoint.model} does not take the form {self.manner!r} of answers; asked for as {lower!r}"
        )
        self.manner = lower
        return True

    async def _send(self, request: LLMRequest, manner: Manner) -> Reply | Exception:
        """The error is handed back, not raised: see :mod:`groundtune.llm.providers.mapping`.

        The SDK's `post` rather than its typed `create`, which turns every event into a model first.
        """
        body = self.body(request, manner) | {"stream": True}
        try:
            async with await self.sdk.post(
                "/v1/messages", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
            ) as stream:
                return await read_stream(stream)
        except self.errors as error:
            return error


def _tool(request: LLMRequest, strict: dict[str, Any] | None) -> dict[str, Any]:
    tool = {"name": TOOL, "description": _DESCRIPTION, "input_schema": strict or {"type": "object", **request.schema}}
    return tool | ({"strict": True} if strict else {})


def _choice(manner: Manner) -> dict[str, Any]:
    if manner == "offered tool":
        return {"type": "auto", "disable_parallel_tool_use": True}
    return {"type": "tool", "name": TOOL, "disable_parallel_tool_use": True}


def _lower(manner: Manner, problem: Problem) -> Manner | None:
    if manner in ("strict tool", "tool") and problem.names("tool_choice", "forces tool use", "thinking"):
        return "format"
    return _BELOW[manner] if manner in _BELOW and problem.names(*_FORM_WORDS[manner]) else None
