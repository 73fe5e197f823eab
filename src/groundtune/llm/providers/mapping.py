"""The errors of both SDKs, mapped once to the three failures of :mod:`groundtune.llm.failures`.

Read by shape (`status_code`, `body`, headers), so that neither SDK has to be imported to map the errors of the other.
Callers raise what `failure_of` returns *outside* their ``except`` block: an SDK's error holds the request with its key, and
must not hang on ours as cause or context.

Sources, as of 2026-11: docs "Errors" of the Claude API and its `error.type` list (`anthropic/types/shared/error_type.py`);
OpenAI's guide "Error codes". Known oddities: Anthropic tells of an empty account by 400 ("credit balance is too low") and
by ``error.details.error_code`` (``..._spend_limit_reached``); OpenAI by 429 with code ``insufficient_quota``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx2

from groundtune.errors import GenerationError
from groundtune.llm.failures import AccountFailure, RequestRefused, TemporaryFailure
from groundtune.llm.providers.endpoint import Endpoint

Remedy = Literal["account", "request", "later"]
"""What has to change for the request to be answered: the account or config, the request itself, or nothing but time."""

_LONGEST_QUOTE = 300
_BILLING = re.compile(
    r"insufficient_quota|billing|spend_limit|organization_on_hold|credit_balance|insufficient_(credits|balance|funds)|"
    r"payment_required"
)
_BILLING_WORDS = re.compile(
    r"credit balance is too low|usage limits|insufficient (credits|balance|funds)", re.IGNORECASE
)
_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""For errors that come inside a stream that began with status 200."""
_REQUEST_STATUS = (400, 413, 422, 431)
_LATER_STATUS = (408, 409, 425, 429, 499)
_NEVER_STATUS = (501, 505)
_OVERLOADED_STATUS = (429, 503, 529)
_UNSURE_STATUS = (408, 499, 504, 524)
"""A gateway gave up waiting; what stands behind it may have finished, and billed."""


class ProtocolError(Exception):
    """What came is not an answer of the protocol: a web page, no JSON, no choices."""


class CutOffError(Exception):
    """The stream ended in good order before the answer did."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a server said instead of an answer."""

    status: int
    codes: tuple[str, ...] = ()
    """Of the machine-readable kind: type, code, error_code."""
    message: str = ""
    parameter: str = ""
    """Which part of the request is at fault, if it says so."""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_late: bool = False
    """Whether the answer had begun."""

    @property
    def remedy(self) -> Remedy:
        if self.is_billing or self.status in (401, 402, 404) or "model_not_found" in self.codes:
            return "account"
        if self.status == 403:
            return "request" if "flagged" in self.message else "account"
        if self.status == 429 and self.message.startswith("Request too large"):
            return "request"
        if self.status in _REQUEST_STATUS:
            return "request"
        if self.status in _LATER_STATUS or (self.status >= 500 and self.status not in _NEVER_STATUS):
            return "later"
        return "account"

    @property
    def is_billing(self) -> bool:
        if self.status == 402 or any(_BILLING.search(code) for code in self.codes):
            return True
        return self.status in (400, 403, 429) and bool(_BILLING_WORDS.search(self.message))

    @property
    def is_about_length(self) -> bool:
        """Whether prompt and answer together are too long for the model."""
        return "context_length_exceeded" in self.codes or bool(
            re.search(r"context (length|limit|window)", self.message)
        )

    def names(self, *words: str) -> bool:
        """Whether a refusal (400, 422) speaks of one of `words`."""
        if self.status not in (400, 422):
            return False
        told = f"{self.parameter} {' '.join(self.codes)} {self.message[:_LONGEST_QUOTE]}".lower()
        return any(word in told for word in words)


def problem_of(error: Exception) -> Problem | None:
    """The server's words in `error`; None when it is not about something that a server said."""
    body = getattr(error, "body", None)
    status = getattr(error, "status_code", None)
    if status is None and body is None:
        return None
    response = getattr(error, "response", None)
    headers = {} if response is None else {name.lower(): value for name, value in response.headers.items()}
    problem = read_problem(body, status if isinstance(status, int) else 200, headers)
    return problem if problem.status >= 300 else read_late_problem(body, headers)


def read_late_problem(body: object, headers: Mapping[str, str] | None = None) -> Problem:
    """An error whose status line said nothing of it: inside a stream, or in the results of a batch.

    >>> read_late_problem({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}).status
    529
    """
    problem = read_problem(body, 200, headers)
    numbers = [int(code) for code in problem.codes if re.fullmatch(r"[45]\d\d", code)]
    kinds = [_STATUS_OF_TYPE[code] for code in problem.codes if code in _STATUS_OF_TYPE]
    return replace(problem, status=(numbers + kinds + [500])[0], is_late=True)


def read_problem(body: object, status: int, headers: Mapping[str, str] | None = None) -> Problem:
    """Reads an error body of any of the usual shapes.

    >>> read_problem({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529).codes
    ('overloaded_error',)
    >>> read_problem({"detail": "no such route"}, 404).message
    'no such route'
    """
    inner: object = body
    if isinstance(body, Mapping) and isinstance(body.get("error"), (Mapping, str)):
        inner = body["error"]
    if not isinstance(inner, Mapping):
        text = inner if isinstance(inner, str) else ""
        return Problem(status, (), "a web page" if _is_page(text) else text, "", headers or {})
    details = inner.get("details")
    code = details.get("error_code") if isinstance(details, Mapping) else None
    codes = tuple(str(value) for value in (code, inner.get("code"), inner.get("type")) if isinstance(value, (str, int)))
    message = inner.get("message", inner.get("detail", ""))
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, default=str)
    return Problem(status, codes, text, str(inner.get("param") or ""), headers or {})


def failure_of(
    error: Exception, endpoint: Endpoint, parameters: Mapping[str, Any], *, answered: bool
) -> GenerationError:
    """What `error` means for the run.

    Args:
        parameters: of the request; one that the server names in a refusal is to be unset.
        answered: whether this endpoint has answered before. If it has not, a web page in place of an answer means that
            the address is wrong; if it has, that something is in the way for a while.
    """
    problem = problem_of(error)
    if problem is not None:
        return failure_of_problem(problem, endpoint, parameters)
    if isinstance(error, ProtocolError) or not isinstance(_root(error), (httpx2.TransportError, CutOffError)):
        found = _quoted(str(error), endpoint)
        said = f"{endpoint.where}: what came is no answer of the {endpoint.provider} protocol ({found})"
        if answered:
            return TemporaryFailure(f"{said}, although it was before", may_be_billed=True)
        return AccountFailure(f"{said}; check base_url{'' if endpoint.is_own else ', which often ends in /v1'}")
    return _transport_failure(_root(error), endpoint)


_STATUS_WORDS = {
    408: "time-out",
    409: "conflict",
    429: "too many requests",
    503: "overloaded",
    504: "time-out",
    529: "overloaded",
}


def failure_of_problem(problem: Problem, endpoint: Endpoint, parameters: Mapping[str, Any]) -> GenerationError:
    said = f"HTTP {problem.status}{': ' if problem.message else ''}{_quoted(problem.message, endpoint)}"
    where = endpoint.where
    if problem.remedy == "later":
        return TemporaryFailure(
            f"{where}: {said}",
            retry_after_seconds=retry_after_seconds(problem.headers),
            overloaded=problem.status in _OVERLOADED_STATUS,
            may_be_billed=problem.is_late or problem.status in _UNSURE_STATUS,
            reason=f"{_STATUS_WORDS.get(problem.status, 'server error')} ({problem.status})",
        )
    if problem.remedy == "account":
        return AccountFailure(f"{where}: {_account_words(problem, endpoint, said)}")
    refused = _refused_parameter(problem, parameters)
    if refused == "max_tokens":
        return AccountFailure(f"{where}: the model does not write that much ({said}); set max_output_tokens lower")
    if refused:
        return AccountFailure(f"{where}: the model does not take {refused} ({said}); unset {refused} in the config")
    return RequestRefused(f"{where}: the request is refused ({said})")


def retry_after_seconds(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """What the server asks to wait, from ``retry-after-ms`` or ``Retry-After`` (seconds or a date).

    >>> retry_after_seconds({"retry-after": "2"}), retry_after_seconds({"retry-after-ms": "250"})
    (2.0, 0.25)
    >>> retry_after_seconds({"retry-after": "Sat, 21 Nov 2026 18:00:10 GMT"}, now=1795284000.0)
    10.0
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        if re.fullmatch(r"\d+(\.\d+)?", value.strip()):
            return float(value) / scale
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, TypeError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def _account_words(problem: Problem, endpoint: Endpoint, said: str) -> str:
    variable = endpoint.key_variable
    if problem.is_billing:
        return (
            f"the account of the key in {variable} has no credit left or has reached its spending limit ({said}); "
            "add credit or raise the limit and run the same command again, everything so far is kept"
        )
    if problem.status == 401:  # the server's words are left out: they like to quote the key
        return f"the key in {variable} is not accepted (HTTP 401); set {variable} to a valid key of this service"
    if problem.status == 403:
        return f"not allowed with the key in {variable} ({said}); use a key that has access to this model"
    if problem.status == 404 or "model_not_found" in problem.codes:
        return f"no such model or address ({said}); check model and base_url (the key is from {variable})"
    return f"{said}; check base_url"


def _refused_parameter(problem: Problem, parameters: Mapping[str, Any]) -> str | None:
    """Which parameter of the config no request to this model may carry; None when the request itself is at fault."""
    if problem.is_about_length:
        return None
    if problem.parameter in ("max_tokens", "max_completion_tokens") or problem.message.startswith("max_tokens:"):
        return "max_tokens"
    names = (name for name in parameters if name != "max_tokens")
    if problem.parameter:
        return next((name for name in names if name == problem.parameter), None)
    return next(
        (name for name in names if re.search(rf"\b{re.escape(name)}\b", problem.message[:_LONGEST_QUOTE])), None
    )


def _transport_failure(error: BaseException, endpoint: Endpoint) -> GenerationError:
    reason = _quoted(str(error) or type(error).__name__, endpoint)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return AccountFailure(
            f"{endpoint.where}: its certificate is not trusted ({reason}); check base_url and the proxy"
        )
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError | httpx2.PoolTimeout | httpx2.ProxyError):
        hint = "is the server running?" if endpoint.is_loopback else "check the network and base_url"
        return TemporaryFailure(f"{endpoint.where}: no connection ({reason}); {hint}", reason="no connection")
    if isinstance(error, httpx2.UnsupportedProtocol):
        return AccountFailure(f"{endpoint.where}: {reason}; check base_url")
    if isinstance(error, httpx2.TimeoutException):
        said, reason = "nothing came for timeout_seconds", "time-out"
    elif isinstance(error, CutOffError):
        said, reason = "the answer stopped before it was finished", "connection lost"
    else:
        said, reason = f"the connection was lost ({reason})", "connection lost"
    return TemporaryFailure(f"{endpoint.where}: {said}", may_be_billed=True, reason=reason)


def _root(error: BaseException) -> BaseException:
    """The transport's error that an SDK wrapped, or `error` itself."""
    cause = error.__cause__
    return cause if isinstance(cause, httpx2.TransportError) else error


def _quoted(message: str, endpoint: Endpoint) -> str:
    words = "a web page" if _is_page(message) else " ".join(message[: 4 * _LONGEST_QUOTE].split())
    cleared = endpoint.cleared(words)
    return cleared if len(cleared) <= _LONGEST_QUOTE else f"{cleared[:_LONGEST_QUOTE]}…"


def _is_page(text: str) -> bool:
    return text.lstrip()[:15].lower().startswith(("<!doctype", "<html", "<head", "<?xml"))
