"""From a config to a client. An SDK is imported when a client of its provider is made, not before."""

from __future__ import annotations

from groundtune.config import WriterConfig
from groundtune.errors import ConfigError
from groundtune.llm.client import LLMClient
from groundtune.llm.offline import OfflineWriter
from groundtune.llm.providers.batches import BatchClient


def make_client(config: WriterConfig) -> LLMClient:
    """The writer that `config` names; nothing is sent yet.

    Raises:
        AccountFailure: the environment variable of the key is not set, and the server is not on this machine.
        ConfigError: `base_url` cannot be used.
    """
    if config.provider == "anthropic":
        from groundtune.llm.providers.anthropic_messages import AnthropicClient

        return AnthropicClient(config)
    if config.provider == "openai":
        from groundtune.llm.providers.openai_chat import OpenAIClient

        return OpenAIClient(config)
    return OfflineWriter()


def batch_client(config: WriterConfig, client: LLMClient | None = None) -> BatchClient:
    """The batch service of the provider that `config` names; nothing is sent yet. Raises as `make_client`.

    Args:
        client: of `make_client`, to go on with what it has learned of its server, and with its connections. In a batch a
            refusal of the form of answers costs the whole batch (time, not money); one ordinary request first finds out.
    """
    if config.provider == "anthropic":
        from groundtune.llm.providers.anthropic_batches import AnthropicBatches
        from groundtune.llm.providers.anthropic_messages import AnthropicClient

        return AnthropicBatches(client if isinstance(client, AnthropicClient) else AnthropicClient(config))
    if config.provider == "openai":
        from groundtune.llm.providers.openai_batches import OpenAIBatches
        from groundtune.llm.providers.openai_chat import OpenAIClient

        return OpenAIBatches(client if isinstance(client, OpenAIClient) else OpenAIClient(config))
    raise ConfigError("provider is offline, which has no batch service; set batch to false")
