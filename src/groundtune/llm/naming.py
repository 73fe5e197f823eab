"""The names of a configured writer, without making its client: a run that has all answers in the ledger needs no key."""

from __future__ import annotations

from groundtune.config import WriterConfig
from groundtune.llm.offline import OfflineWriter


def model_name(config: WriterConfig) -> str:
    """What requests to it carry."""
    return config.model or OfflineWriter.model


def writer_name(config: WriterConfig) -> str:
    """Who signs its pairs.

    >>> writer_name(WriterConfig()), writer_name(WriterConfig(provider="openai", model="qwen3"))
    ('offline-rules/1', 'openai/qwen3')
    """
    return OfflineWriter.writer if config.provider == "offline" else f"{config.provider}/{config.model}"
