"""A tokenizer's kind, its special tokens, and whether it belongs to the model beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

NAMED = ("bos_token", "eos_token", "pad_token", "unk_token")


@dataclass(frozen=True, slots=True)
class SpecialToken:
    """A token with a meaning of its own."""

    name: str
    """As the tokenizer calls it: eos_token."""
    text: str
    id: int


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """A tokenizer in numbers."""

    kind: str
    """BPE, byte-level BPE, Unigram, WordPiece; of the class's name where its files do not say."""
    entries: int
    special: tuple[SpecialToken, ...]
    added_entries: int
    """Beside those of the vocabulary itself."""
    has_template: bool
    spare_rows: int
    """Rows of the embedding that no entry uses; below 0 there are entries without one."""
    problems: tuple[str, ...] = ()


def tokenizer_facts(tokenizer: PreTrainedTokenizerBase, *, embedding_rows: int) -> TokenizerFacts:
    """What is to be known of a tokenizer beside a model with `embedding_rows`."""
    entries = len(tokenizer)
    special = tuple(
        SpecialToken(name, str(getattr(tokenizer, name)), int(getattr(tokenizer, f"{name}_id")))
        for name in NAMED
        if getattr(tokenizer, name, None) is not None and getattr(tokenizer, f"{name}_id") is not None
    )
    problems = []
    if entries > embedding_rows:
        problems.append(
            f"the tokenizer has {entries:,} entries and the embedding {embedding_rows:,} rows: they do not belong together"
        )
    if tokenizer.eos_token_id is None:
        problems.append("the tokenizer names no end token: set eos_token in its tokenizer_config.json")
    return TokenizerFacts(
        kind=_kind(tokenizer),
        entries=entries,
        special=special,
        added_entries=len(tokenizer.added_tokens_decoder),
        has_template=bool(tokenizer.chat_template),
        spare_rows=embedding_rows - entries,
        problems=tuple(problems),
    )


def _kind(tokenizer: PreTrainedTokenizerBase) -> str:
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return type(tokenizer).__name__
    held = json.loads(backend.to_str())
    model = str(held["model"].get("type") or type(tokenizer).__name__)
    byte_level = "ByteLevel" in json.dumps([held.get("pre_tokenizer"), held.get("decoder")])
    return f"byte-level {model}" if byte_level else model
