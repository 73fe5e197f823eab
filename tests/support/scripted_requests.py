"""What was asked, in one form for both protocols, and the request checks a real provider makes before it works."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

Protocol = Literal["anthropic", "openai"]
Mode = Literal["tool", "schema", "json", "text"]
"""How the answer is held to JSON: by a tool's input, by a schema, by JSON mode, or by words alone."""


_KNOWN: Mapping[Protocol, frozenset[str]] = {
    "anthropic": frozenset(
        [
            "cache_control",
            "container",
            "context_management",
            "diagnostics",
            "inference_geo",
            "max_tokens",
            "mcp_servers",
            "messages",
            "metadata",
            "model",
            "output_config",
            "service_tier",
            "speed",
            "stop_sequences",
            "stream",
            "system",
            "temperature",
            "thinking",
            "tool_choice",
            "tools",
            "top_k",
            "top_p",
        ]
    ),
    "openai": frozenset(
        [
            "audio",
            "frequency_penalty",
            "function_call",
            "functions",
            "logit_bias",
            "logprobs",
            "max_completion_tokens",
            "max_tokens",
            "messages",
            "metadata",
            "modalities",
            "model",
            "n",
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "prompt_cache_retention",
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "seed",
            "service_tier",
            "stop",
            "store",
            "stream",
            "stream_options",
            "temperature",
            "tool_choice",
            "tools",
            "top_logprobs",
            "top_p",
            "user",
            "verbosity",
            "web_search_options",
        ]
    ),
}
"""Parameters; any other is refused, as the providers themselves do."""


@dataclass(frozen=True)
class ProviderRequest:
    """One request for text."""

    protocol: Protocol
    model: str
    system: str
    messages: tuple[tuple[str, str], ...]
    """Role and text; text blocks of one message stand one behind the other, with nothing between."""
    mode: Mode
    schema: Mapping[str, Any] | None
    tool_name: str
    max_tokens: int | None
    stream: bool
    body: Mapping[str, Any]
    """As it came."""
    headers: Mapping[str, str]
    """Names in lower case. Of a batch: those of the call that made it."""
    batch: str = ""
    """Id of the batch it came in."""
    custom_id: str = ""
    attempt: int = 0
    """1 for the first time this key is seen."""
    number: int = 0
    """1 for the first request of all."""

    @cached_property
    def key(self) -> str:
        return request_key(self.model, self.system, self.messages)

    @property
    def user(self) -> str:
        """All user turns."""
        return "\n\n".join(text for role, text in self.messages if role == "user")


def request_key(model: str, system: str, messages: Collection[tuple[str, str]]) -> str:
    """sha256 of what the model is told."""
    value = [model, system, [list(message) for message in messages]]
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def key_of(model: str, system: str, user: str) -> str:
    """Key of a request of one user turn; `user` as the client sends it (:attr:`LLMRequest.full_prompt`)."""
    return request_key(model, system, [("user", user)])


class BadRequestError(Exception):
    """The provider refuses the request as it stands: status 400."""

    def __init__(self, message: str, *, param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def read_request(
    protocol: Protocol,
    body: Any,
    headers: Mapping[str, str],
    *,
    refuses: Collection[str] = (),
    batch: str = "",
    custom_id: str = "",
) -> ProviderRequest:
    """The request in `body`.

    Args:
        refuses: what this server does not take: ``json_schema``, ``json_object``, ``strict`` (of a tool),
            ``forced_tool``, or any name of a parameter.

    Raises:
        BadRequestError: a real provider would refuse it.
    """
    if not isinstance(body, dict):
        raise BadRequestError("We could not parse the JSON body of your request.")
    for name in ("model", "messages", *(("max_tokens",) if protocol == "anthropic" else ())):
        if not body.get(name):
            raise BadRequestError(f"{name}: Field required", param=name)
    _check_known(protocol, body, refuses)
    read = _read_anthropic if protocol == "anthropic" else _read_openai
    return read(body, headers, batch, custom_id)


def _check_known(protocol: Protocol, body: Mapping[str, Any], refuses: Collection[str]) -> None:
    for name in body:
        if name not in _KNOWN[protocol]:
            extra = f"{name}: Extra inputs are not permitted"
            raise BadRequestError(
                extra if protocol == "anthropic" else f"Unrecognized request argument supplied: {name}", param=name
            )
    kind = (body.get("response_format") or {}).get("type", "")
    if kind and kind in refuses:
        message = f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model."
        raise BadRequestError(message, param="response_format")
    if "strict" in refuses and any("strict" in tool for tool in body.get("tools") or ()):
        raise BadRequestError("tools.0.custom.strict: Extra inputs are not permitted")
    if "forced_tool" in refuses and (body.get("tool_choice") or {}).get("type") in ("tool", "any"):
        raise BadRequestError("tool_choice: forced tool use is not supported with this model")
    for name in sorted(refuses):
        if body.get(name) is not None:
            raise BadRequestError(_unknown(protocol, name), param=name, code="unsupported_parameter")


def _unknown(protocol: Protocol, name: str) -> str:
    if protocol == "anthropic":
        return f"{name}: Extra inputs are not permitted"
    instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
    return f"Unsupported parameter: '{name}' is not supported with this model.{instead}"


def _read_anthropic(body: Mapping[str, Any], headers: Mapping[str, str], batch: str, custom_id: str) -> ProviderRequest:
    if "anthropic-version" not in headers:
        raise BadRequestError("anthropic-version: header is required")
    mode: Mode
    output_format = (body.get("output_config") or {}).get("format") or {}
    tools = body.get("tools") or []
    if tools and (body.get("tool_choice") or {}).get("type") != "none":
        named = (body.get("tool_choice") or {}).get("name", tools[0].get("name", ""))
        chosen = next((tool for tool in tools if tool.get("name") == named), None)
        if chosen is None:
            raise BadRequestError(f"Tool '{named}' not found in provided tools")
        mode, schema, tool_name = "tool", chosen.get("input_schema"), named
    elif output_format.get("type") == "json_schema":
        mode, schema, tool_name = "schema", output_format.get("schema"), ""
    else:
        mode, schema, tool_name = "text", None, ""
    if (schema is not None or mode == "tool") and (not isinstance(schema, dict) or schema.get("type") != "object"):
        raise BadRequestError("tools.0.custom.input_schema.type: Input should be 'object'")
    return ProviderRequest(
        "anthropic", str(body["model"]), _text_of(body.get("system") or ""), _messages_of(body["messages"]),
        mode, schema, tool_name, int(body["max_tokens"]), bool(body.get("stream")), body, headers, batch, custom_id,
    )  # fmt: skip


def _read_openai(body: Mapping[str, Any], headers: Mapping[str, str], batch: str, custom_id: str) -> ProviderRequest:
    messages = _messages_of(body["messages"])
    system = "\n\n".join(text for role, text in messages if role in ("system", "developer"))
    rest = tuple(message for message in messages if message[0] not in ("system", "developer"))
    wanted = body.get("response_format") or {"type": "text"}
    mode: Mode = "text"
    schema = None
    if wanted.get("type") == "json_schema":
        mode, schema = "schema", _schema_of(wanted.get("json_schema") or {})
    elif wanted.get("type") == "json_object":
        mode = "json"
        if not any("json" in text.lower() for _, text in messages):
            raise BadRequestError(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                param="messages",
            )
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return ProviderRequest(
        "openai", str(body["model"]), system, rest, mode, schema, "", int(limit) if limit else None,
        bool(body.get("stream")), body, headers, batch, custom_id,
    )  # fmt: skip


def _schema_of(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    name = wanted.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name):
        raise BadRequestError(
            f"Invalid 'response_format.json_schema.name': {name!r}.", param="response_format.json_schema.name"
        )
    schema = wanted.get("schema") or {}
    if wanted.get("strict"):
        for place, part in _objects_in(schema, ()):
            properties = part.get("properties", {})
            if part.get("additionalProperties") is not False:
                fault = "'additionalProperties' is required to be supplied and to be false."
            elif set(part.get("required", ())) != set(properties):
                fault = "'required' is required to be supplied and to be an array including every key in properties."
            else:
                continue
            raise BadRequestError(
                f"Invalid schema for response_format '{name}': In context={place}, {fault}", param="response_format"
            )
    return dict(schema)


def _objects_in(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    if isinstance(value, dict):
        if value.get("type") == "object":
            yield place, value
        for name, part in value.items():
            yield from _objects_in(part, (*place, name))
    elif isinstance(value, list):
        for part in value:
            yield from _objects_in(part, place)


def _messages_of(messages: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(message["role"]), _text_of(message.get("content") or "")) for message in messages)


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(_block_text(block) for block in content)


def _block_text(block: Mapping[str, Any]) -> str:
    """Text of a block; a tool's call or result says its JSON."""
    if block.get("type") == "text":
        return str(block["text"])
    return json.dumps(block.get("input", block.get("content", "")), ensure_ascii=False)
