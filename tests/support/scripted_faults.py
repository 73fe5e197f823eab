"""What goes wrong, when, and how a provider says so on the wire.

Two families. A *delivery* fault (a status, a hang, a reset) is drawn anew for every attempt, so that a retry can help. A
*content* fault, like a refused request, is drawn from the request alone: asked again, the same request gets the same bad
answer, so a run that was killed and continued sees the very answers of an unbroken one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from scripted_requests import Protocol, ProviderRequest

OK = "ok"
STATUSES: dict[str, tuple[int, str, str, str]] = {
    # name: status, Anthropic's error type, OpenAI's error code, message
    "400": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "prompt is too long: 250000 tokens > 200000 maximum",
    ),
    "401": (401, "authentication_error", "invalid_api_key", "invalid x-api-key"),
    "402": (402, "billing_error", "insufficient_balance", "Your account has a problem with billing."),
    "403": (403, "permission_error", "unsupported_country_region_territory", "Your API key may not use this resource."),
    "404": (404, "not_found_error", "model_not_found", "model: no such model, or you do not have access to it"),
    "408": (408, "timeout_error", "timeout", "Request timed out."),
    "413": (413, "request_too_large", "request_too_large", "Request exceeds the maximum size"),
    "422": (422, "invalid_request_error", "unprocessable", "The request cannot be processed."),
    "429": (429, "rate_limit_error", "rate_limit_exceeded", "This request would exceed your rate limit."),
    "500": (500, "api_error", "server_error", "Internal server error"),
    "503": (503, "api_error", "service_unavailable", "Service unavailable"),
    "529": (529, "overloaded_error", "overloaded", "Overloaded"),
}
"""On OpenAI's protocol 529 is said as 503."""
NO_CREDIT = "no_credit"
"""Out of money, in the providers' own disguises: Anthropic 400 (credit balance too low), OpenAI 429 (insufficient_quota)."""
PROXY = "proxy"
"""502 with a page of HTML, from something in between."""
HANG, SLOW, RESET, RESET_MIDWAY, ERROR_MIDWAY = "hang", "slow", "reset", "reset_midway", "error_midway"
"""Never an answer; in drips; reset before or within the answer; an error event within the stream."""

DELIVERY = ("408", "429", "500", "503", "529", PROXY, HANG, SLOW, RESET, RESET_MIDWAY, ERROR_MIDWAY)
CONTENT = (
    "max_tokens",
    "truncated",
    "prose",
    "wrong_schema",
    "wrong_language",
    "invented_quote",
    "refusal",
    "content_filter",
    "empty",
)
"""Cut at max_tokens; cut JSON with an ordinary stop; words and a code fence around the JSON; and so on."""
REFUSED = ("400", "401", "402", "403", "404", "413", "422", NO_CREDIT)
FAULTS = (*DELIVERY, *CONTENT, *REFUSED)

Faults = Mapping[str, float] | Sequence[str] | Callable[[ProviderRequest], str]
"""Shares by name; or one name for each attempt at a key ("ok" is none; after the last, none); or a choice of one's own."""


def mixed(share: float, *, without: Collection[str] = ()) -> dict[str, float]:
    """Every delivery and content fault but `without`, `share` of requests together."""
    names = [name for name in (*DELIVERY, *CONTENT) if name not in without]
    return dict.fromkeys(names, share / len(names))


def choose_fault(faults: Faults, request: ProviderRequest, seed: int) -> str:
    """The fault of this attempt at this request; a pure function of its arguments."""
    if callable(faults):
        return checked(faults(request))
    if not isinstance(faults, Mapping):
        return checked(faults[request.attempt - 1]) if request.attempt <= len(faults) else OK
    delivery = {name: share for name, share in faults.items() if name in DELIVERY}
    lasting = {name: share for name, share in faults.items() if checked(name) not in DELIVERY}
    fault = _draw(delivery, f"{seed}:{request.key}:{request.attempt}")
    return fault if fault != OK else _draw(lasting, f"{seed}:{request.key}")


def checked(name: str) -> str:
    if name != OK and name not in FAULTS:
        raise ValueError(f"fault {name!r} is not one of {', '.join(FAULTS)}")
    return name


def _draw(shares: Mapping[str, float], what: str) -> str:
    point = draw(what)
    for name in sorted(shares):
        point -= shares[name]
        if point < 0:
            return name
    return OK


def draw(what: str) -> float:
    """Evenly in [0, 1), from the hash of `what`."""
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:8]) / 2**64


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def error_answer(
    protocol: Protocol,
    fault: str,
    *,
    retry_after_seconds: float | None = None,
    message: str = "",
    param: str = "",
    code: str = "",
) -> ErrorAnswer:
    """The answer a provider gives for `fault`; `message`, `param` and `code` in place of the usual ones."""
    if fault == PROXY:
        return ErrorAnswer(502, {"content-type": "text/html"}, b"<html><body><h1>502 Bad Gateway</h1></body></html>")
    status, kind, usual_code, usual_message = _error_of(protocol, fault)
    message, code = message or usual_message, code or usual_code
    if protocol == "anthropic":
        body: dict[str, object] = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_scripted",
        }
    else:
        group = (
            "insufficient_quota" if fault == NO_CREDIT else "invalid_request_error" if status < 429 else "server_error"
        )
        body = {"error": {"message": message, "type": group, "param": param or None, "code": code}}
    headers = {"content-type": "application/json"}
    if status in (429, 503, 529) and fault != NO_CREDIT and retry_after_seconds is not None:
        headers["retry-after"] = f"{retry_after_seconds:g}"
    return ErrorAnswer(status, headers, json.dumps(body).encode())


def _error_of(protocol: Protocol, fault: str) -> tuple[int, str, str, str]:
    if fault == NO_CREDIT and protocol == "anthropic":
        return (
            400,
            "invalid_request_error",
            "",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
        )
    if fault == NO_CREDIT:
        return (
            429,
            "",
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        )
    status, kind, code, message = STATUSES[fault]
    return (503 if status == 529 and protocol == "openai" else status), kind, code, message
