"""What the two clients have in common that speak to their provider through its SDK: whom they ask, what they remember and note."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import httpx2

from groundtune.config import WriterConfig
from groundtune.llm.client import LLMRequest, LLMResponse
from groundtune.llm.providers.endpoint import Endpoint, http_client, open_endpoint, request_timeout
from groundtune.llm.providers.mapping import CutOffError, Problem, ProtocolError
from groundtune.llm.providers.reply import Notes, Reply, response_of

TRANSPORT_ERRORS: tuple[type[Exception], ...] = (
    httpx2.HTTPError,
    httpx2.StreamError,
    json.JSONDecodeError,
    UnicodeDecodeError,
    ProtocolError,
    CutOffError,
)
"""What goes wrong below an SDK, or in what it hands on."""


class SDKClient(ABC):
    """An `LLMClient` but for `complete`. One per run and model: it remembers what its server does not take."""

    errors: ClassVar[tuple[type[Exception], ...]]
    """How a call of the SDK fails."""
    sdk: Any

    def __init__(self, config: WriterConfig) -> None:
        """
        Raises:
            AccountFailure, ConfigError: as :func:`groundtune.llm.providers.endpoint.open_endpoint`.
        """
        self.endpoint: Endpoint = open_endpoint(config)
        self.notes = Notes()
        self._max_tokens = config.max_output_tokens
        self._answered = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.writer!r} at {self.endpoint.host})"

    @property
    def model(self) -> str:
        return self.endpoint.model

    @property
    def writer(self) -> str:
        return f"{self.endpoint.provider}/{self.endpoint.model}"

    async def close(self) -> None:
        await self.sdk.close()

    def accept(self, reply: Reply, request: LLMRequest | None = None) -> LLMResponse:
        """The response, with notes of what was odd. Without the request (batches) an estimate knows the answer only."""
        self._answered = True
        if reply.tokens is None:
            self.notes.say(f"{self.endpoint.host} tells no token counts; they are estimated from the bytes")
        if reply.remark:
            self.notes.say(f"{self.endpoint.host}: {reply.remark}")
        return response_of(replace(reply, text=self.endpoint.without_key(reply.text)), self.model, request)

    @abstractmethod
    def is_about_form(self, problem: Problem) -> bool:
        """Whether `problem` is with the way answers are held to JSON."""

    @abstractmethod
    def adapt(self, problem: Problem | None) -> bool:
        """Ask differently from now on, if that is what `problem` is about."""

    def _connection(self, config: WriterConfig) -> dict[str, Any]:
        """Arguments of either SDK. Tried once: who asks again, and when, is not the SDK's to decide."""
        return {
            "api_key": self.endpoint.key,
            "base_url": self.endpoint.base_url,
            "max_retries": 0,
            "timeout": request_timeout(config),
            "http_client": http_client(self.endpoint, config),
        }
