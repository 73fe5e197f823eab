"""Who writes text and at what price: one section shape for generation, its judge and augmentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator, model_validator

from groundtune.config.section import Positive, Section

REACHING = (
    "base_url", "api_key_env", "timeout_seconds", "max_in_flight", "max_attempts", "prices", "budget_dollars", "batch",
    "prompts_folder", "max_output_tokens", "structured",
)  # fmt: skip
"""Settings of how a writer is reached, paid and paced: what is made of its answers does not depend on them."""

Provider = Literal["offline", "anthropic", "openai"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asks of one run of generation or of the judge; no part of the configuration."""

    top_up: bool = False
    """Ask about what no pair rests on yet."""
    retry_failed: bool = False
    """Take up conversations again that were given up."""
    wait: bool = False
    """Stay until batches are answered."""
    retry_verdicts: bool = False
    """Ask for verdicts on answers again that the judge did not give."""


class PriceConfig(Section):
    """US dollars a million tokens; in place of the built-in table."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(None, ge=0)
    """None: as dear as `input`."""
    cache_write: float | None = Field(None, ge=0)
    """None: as dear as `input`."""
    batch_discount: float = Field(0.0, ge=0, lt=1)
    """0.5: batches cost half."""


class WriterConfig(Section):
    """A language model behind a provider, or the keyless offline writer."""

    provider: Provider = "offline"
    """``offline``: the keyless rule-based stand-in. ``openai``: any server of that protocol (vLLM, Ollama, llama.cpp,
    OpenRouter) by `base_url`."""
    model: str | None = None
    """The provider's name of the model; needed unless `provider` is offline."""
    base_url: str | None = None
    """Of another server than the provider's own: ``http://localhost:11434/v1``."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; None: ANTHROPIC_API_KEY or OPENAI_API_KEY. A server on this
    machine needs none."""
    temperature: float | None = Field(None, ge=0, le=2)
    """None leaves it to the provider."""
    max_output_tokens: Positive = 8192
    structured: Literal["auto", "schema", "json", "text"] = "auto"
    """How an OpenAI-compatible server is held to JSON: by schema, by JSON mode, or by the prompt alone. ``auto`` begins with
    the schema and steps down when the server refuses it."""
    timeout_seconds: float = Field(180.0, gt=0)
    """Without a byte from the server."""
    max_in_flight: int = Field(16, ge=1, le=1024)
    """Requests that wait for an answer at the same time, at most; fewer while the server says it is overloaded."""
    max_attempts: int = Field(8, ge=1)
    """For one request, before it is given up for this run."""
    prices: dict[str, PriceConfig] = Field(default_factory=dict)
    """Of models, by name; goes before the built-in table."""

    @field_validator("api_key_env")
    @classmethod
    def _name_of_a_variable(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            # not quoted: it may be the key
            raise ValueError(
                "api_key_env holds something that is no name of an environment variable in capitals, such as MY_API_KEY; the key "
                "itself belongs into the environment"
            )
        return name

    @model_validator(mode="after")
    def _model_named(self) -> WriterConfig:
        if self.provider != "offline" and not self.model:
            raise ValueError(
                f"provider is {self.provider} and model is not set; name the model, as the provider calls it"
            )
        if self.provider == "offline" and (self.model or self.base_url):
            given = "model" if self.model else "base_url"
            raise ValueError(
                f"{given} is set and provider is offline, which has none; set provider to anthropic or openai"
            )
        return self
