"""The writer behind any server of the chat-completions protocol, through the official SDK: OpenAI, vLLM, Ollama, llama.cpp, OpenRouter.

Servers differ in what they take. What one refuses with 400 or 422 (a refused request is not billed) is left off for all
later requests and said once in `notes`: the JSON schema steps down to JSON mode and then to the prompt alone,
``max_tokens`` becomes ``max_completion_tokens``, the wish for token counts is dropped. A parameter the user set is never
dropped: that is an `AccountFailure` which says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import openai
from openai import AsyncOpenAI, AsyncStream

from groundtune.config import WriterConfig
from groundtune.llm.client import LLMRequest, LLMResponse
from groundtune.llm.failures import AccountFailure
from groundtune.llm.providers.mapping import Problem, failure_of, problem_of
from groundtune.llm.providers.openai_answers import read_stream
from groundtune.llm.providers.reply import Reply
from groundtune.llm.providers.schemas import schema_in_words, strict_schema
from groundtune.llm.providers.sdk_client import TRANSPORT_ERRORS, SDKClient

Structured = Literal["schema", "json", "text"]

_LOWER: dict[Structured, Structured] = {"schema": "json", "json": "text"}
_NAMES: dict[Structured, str] = {"schema": "a JSON schema", "json": "JSON mode", "text": "the prompt alone"}
_FORMAT_WORDS = ("response_format", "json_schema", "json_object", "structured", "guided", "grammar", "schema")


@dataclass(frozen=True, slots=True)
class Manner:
    """How this server is asked."""

    structured: Structured
    length_name: Literal["max_tokens", "max_completion_tokens"]
    counts_asked: bool = True


class OpenAIClient(SDKClient):
    """An `LLMClient`. What its server does not take it remembers as `manner`."""

    errors = (openai.OpenAIError, *TRANSPORT_ERRORS)
    sdk: AsyncOpenAI

    def __init__(self, config: WriterConfig) -> None:
        super().__init__(config)
        self.sdk = AsyncOpenAI(**self._connection(config))
        self.manner = Manner(
            "schema" if config.structured == "auto" else config.structured,
            "max_completion_tokens" if self.endpoint.is_own else "max_tokens",
        )
        self._may_step_down = config.structured == "auto"

    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Answer one request. A refusal of what the request is wrapped in leads to another wrapping, at once."""
        while True:
            manner = self.manner
            outcome = await self._send(request, manner)
            if isinstance(outcome, Reply):
                return self.accept(outcome, request)
            problem = problem_of(outcome)
            if manner == self.manner and not self.adapt(problem):
                break
        if problem is not None and self.is_about_form(problem) and not self._may_step_down:
            raise AccountFailure(
                f"{self.endpoint.where}: does not take {_NAMES[manner.structured]} (HTTP {problem.status}); "
                "set structured to auto, json or text"
            )
        raise failure_of(outcome, self.endpoint, request.parameters, answered=self._answered)

    def body(self, request: LLMRequest, manner: Manner) -> dict[str, Any]:
        """What is sent, but for streaming."""
        words = "" if manner.structured == "schema" else f"\n\n{schema_in_words(request.schema)}"
        body: dict[str, Any] = {
            "model": request.model,
            "messages": [
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.full_prompt + words},
            ],
        }
        # always said: what a request may cost at most is reckoned by it
        body[manner.length_name] = request.most_tokens(self._max_tokens)
        if manner.structured == "schema":
            body["response_format"] = {"type": "json_schema", "json_schema": _named_schema(request.schema)}
        elif manner.structured == "json":
            body["response_format"] = {"type": "json_object"}
        return body | request.sent_parameters

    def is_about_form(self, problem: Problem) -> bool:
        return problem.remedy == "request" and problem.names(*_FORMAT_WORDS)

    def adapt(self, problem: Problem | None) -> bool:
        """Ask differently from now on, if that is what `problem` is about and the config allows it."""
        if problem is None or problem.remedy != "request" or problem.is_about_length:
            return False
        manner = self.manner
        if manner.counts_asked and problem.names("stream_options", "include_usage"):
            self.manner = replace(manner, counts_asked=False)
            return True
        if manner.length_name == "max_tokens" and problem.names("max_completion_tokens"):
            self.manner = replace(manner, length_name="max_completion_tokens")
            return True
        if manner.structured == "text" or not self._may_step_down or not self.is_about_form(problem):
            return False
        lower = _LOWER[manner.structured]
        self.manner = replace(manner, structured=lower)
        self.notes.say(
            f"{self.endpoint.host} does not take {_NAMES[manner.structured]}; answers are held to JSON by {_NAMES[lower]}"
        )
        return True

    async def _send(self, request: LLMRequest, manner: Manner) -> Reply | Exception:
        """The error is handed back, not raised: see :mod:`groundtune.llm.providers.mapping`.

        The SDK's `post` rather than its typed `create`: that one turns every chunk into a model, which took most of the
        time of a request (5 ms where this takes 2), and servers differ from the types anyway.
        """
        body = self.body(request, manner) | {"stream": True}
        if manner.counts_asked:
            body["stream_options"] = {"include_usage": True}
        try:
            async with await self.sdk.post(
                "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
            ) as stream:
                return await read_stream(stream)
        except self.errors as error:
            return error


def _named_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    strict = strict_schema(schema)
    if strict is None:
        return {"name": "answer", "schema": dict(schema)}
    return {"name": "answer", "schema": strict, "strict": True}
