"""Where requests of a provider go, and with which key: read from the config and the environment, checked before anything is sent.

The key lives here and in the SDK's client, and nowhere else: it is not in the repr, and texts of others are cleared of it
before they are shown (`Endpoint.cleared`).
"""

from __future__ import annotations

import functools
import os
import re
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

import httpx2

from groundtune.config import WriterConfig
from groundtune.errors import ConfigError
from groundtune.llm.failures import AccountFailure

KEY_VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
OWN_ADDRESSES = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
ADDRESS_VARIABLES = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL"}
"""The SDKs read these; so do we, to know whom we speak to."""

_PLACEHOLDER = "none-needed"
_SHORTEST_SECRET = 8
"""Characters of a key in a row that are never shown."""
_CONNECT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider's model at one address."""

    provider: Literal["anthropic", "openai"]
    model: str
    base_url: str
    key_variable: str
    key: str = field(repr=False)

    @property
    def host(self) -> str:
        """``api.openai.com`` or ``localhost:11434``: what messages name."""
        return urlsplit(self.base_url).netloc

    @property
    def is_own(self) -> bool:
        """Whether this is the provider itself rather than another server that speaks its protocol."""
        return urlsplit(self.base_url).hostname == urlsplit(OWN_ADDRESSES[self.provider]).hostname

    @property
    def is_loopback(self) -> bool:
        return _is_loopback(self.base_url)

    @property
    def where(self) -> str:
        """The beginning of every message."""
        return f"{self.provider} at {self.host}, model {self.model!r}"

    def without_key(self, answer: str) -> str:
        """A model's answer without the key, which a proxy or a model with tools may have let it see. Its ends alone may stand
        in it: an answer is not changed for what only looks like a key."""
        if self.key == _PLACEHOLDER or len(self.key) < _SHORTEST_SECRET:
            return answer
        return answer.replace(self.key, "[key]")

    def cleared(self, text: str) -> str:
        """`text` without any part of the key; servers like to quote it, or its ends with stars between them.

        >>> Endpoint("openai", "m", "https://x.org/v1", "K", "sk-abcdefghijkl").cleared("key sk-abcdefg*** is wrong")
        'key [key] is wrong'
        """
        size = min(_SHORTEST_SECRET, len(self.key))
        if self.key == _PLACEHOLDER or not size:
            return text
        hidden = [False] * len(text)
        for start in range(len(text) - size + 1):
            if text[start : start + size] in self.key:
                hidden[start : start + size] = [True] * size
        pieces = ["\0" if hide else character for character, hide in zip(text, hidden, strict=True)]
        return re.sub(r"[^\s'\"]*(?:\0|\*{3})[^\s'\"]*", "[key]", "".join(pieces))


def open_endpoint(config: WriterConfig) -> Endpoint:
    """
    Raises:
        AccountFailure: no key in the environment, and the server is not on this machine.
        ConfigError: `base_url` is no address, or holds a password.
    """
    provider, model = config.provider, config.model
    if provider == "offline" or model is None:
        raise ConfigError("provider is offline, which has no address; set provider to anthropic or openai, and model")
    base_url = config.base_url or os.environ.get(ADDRESS_VARIABLES[provider]) or OWN_ADDRESSES[provider]
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"base_url: {base_url!r} is no address; expected something like 'http://localhost:11434/v1'")
    if parts.username or parts.password:
        raise ConfigError(
            f"base_url for {parts.hostname} holds a user name or password, which would be written to logs; "
            "leave them out and put the key into the environment (api_key_env)"
        )
    variable = config.api_key_env or KEY_VARIABLES[provider]
    return Endpoint(provider, model, base_url, variable, _key(variable, provider, model, base_url))


def http_client(endpoint: Endpoint, config: WriterConfig) -> httpx2.AsyncClient:
    """Room for `max_in_flight` connections; a proxy from the environment is not used for a server on this machine."""
    room = config.max_in_flight + 8
    return httpx2.AsyncClient(
        limits=httpx2.Limits(max_connections=room, max_keepalive_connections=room),
        timeout=request_timeout(config),
        follow_redirects=True,
        trust_env=not endpoint.is_loopback,
        verify=_trusted_certificates(),
    )


@functools.cache
def _trusted_certificates() -> ssl.SSLContext:
    """Reading them takes 20 ms; clients of writer, judge and pilot share them."""
    return httpx2.create_ssl_context()


def request_timeout(config: WriterConfig) -> httpx2.Timeout:
    """`timeout_seconds` without a byte; answers are streamed, so a long answer does not run into it."""
    return httpx2.Timeout(config.timeout_seconds, connect=min(_CONNECT_SECONDS, config.timeout_seconds), pool=None)


def _key(variable: str, provider: str, model: str, base_url: str) -> str:
    """A malformed key is refused here: the HTTP library would quote it in its error."""
    key = os.environ.get(variable, "").strip()
    where = f"{provider} at {urlsplit(base_url).netloc}, model {model!r}"
    if not key and _is_loopback(base_url):
        return _PLACEHOLDER
    if not key:
        raise AccountFailure(
            f"{where}: the environment variable {variable} is not set; set it to a key of this service, "
            "or name another variable in api_key_env"
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise AccountFailure(
            f"{where}: the environment variable {variable} holds blanks or characters that no key has; "
            "set it to the key alone"
        )
    return key


def _is_loopback(base_url: str) -> bool:
    name = urlsplit(base_url).hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
