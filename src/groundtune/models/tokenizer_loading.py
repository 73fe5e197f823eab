"""Loads any Hugging Face tokenizer safely, with errors that say what to do. No code from its folder is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from groundtune.errors import TrainingError
from groundtune.models.explaining import explained
from groundtune.models.loading import local_folder, read_settings
from groundtune.models.quiet import quiet_transformers

NEEDED = ("bos_token", "eos_token", "pad_token")
"""What a tokenizer names them by; its end token is the only one it cannot do without."""


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder or a Hugging Face id.

    One without a padding token pads with its end token: padding is always masked or behind the last real token, so
    which token it is never changes a result. One without an end token could not tell a model to stop, and is refused.

    Raises:
        TrainingError: there is no such folder or id, no network, no tokenizer files, code to be trusted, no end token, or
            a special token that the tokenizer names and does not have.
    """
    tokenizer = open_tokenizer(source)
    if tokenizer.eos_token_id is None:
        raise TrainingError(f"{source}: the tokenizer names no end token; set eos_token in its tokenizer_config.json")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def open_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer as it is, to count with; it may lack the tokens that a model needs.

    Raises:
        TrainingError: as `load_tokenizer`, but for the end token.
    """
    folder = local_folder(source)
    if folder is not None and not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise TrainingError(
            f"{folder}: holds no tokenizer (tokenizer.json); give the folder that `groundtune tokenizer` or a training wrote"
        )
    with explained(source), quiet_transformers():
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder or source, trust_remote_code=False)
    if folder is not None and (folder / "tokenizer.json").is_file():
        _require_named_tokens(tokenizer, folder)
    return tokenizer


def _require_named_tokens(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """transformers gives a special token that the files only name a new id, which no model has learnt."""
    entries = _entries(read_settings(folder / "tokenizer.json"))
    config = folder / "tokenizer_config.json"
    settings = read_settings(config) if config.is_file() else {}
    added = settings.get("added_tokens_decoder")
    entries |= {token["content"] for token in added.values()} if isinstance(added, dict) else set()
    if (folder / "added_tokens.json").is_file():
        entries |= read_settings(folder / "added_tokens.json").keys()
    for name in NEEDED:
        token = settings.get(name) and getattr(tokenizer, name)
        if token and str(token) not in entries:
            raise TrainingError(
                f"{config}: {name} is {str(token)!r}, which is no entry of tokenizer.json; name one that is, or copy both files of "
                "the same tokenizer"
            )


def _entries(file: dict[str, Any]) -> set[str]:
    """What a tokenizer.json has ids for."""
    held = file.get("model")
    vocabulary: Any = held.get("vocab", ()) if isinstance(held, dict) else ()
    words = vocabulary if isinstance(vocabulary, dict) else (entry[0] for entry in vocabulary)
    return {*words, *(token["content"] for token in file.get("added_tokens") or ())}
