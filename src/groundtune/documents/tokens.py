"""How many model tokens a text has: counted by a tokenizer where there is one, estimated otherwise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from groundtune.errors import DataError

TokenCounter = Callable[[str], int]

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes for one token of the estimate. Measured with an 8,000-entry byte-level BPE made from the sample
documentation: 4.3 for Turkish, 3.7 for English."""


def estimate_tokens(text: str) -> int:
    """UTF-8 bytes divided by four, rounded up.

    >>> estimate_tokens("ölçü"), estimate_tokens("")
    (2, 0)
    """
    return -(-len(text.encode("utf-8")) // int(BYTES_PER_TOKEN))


def tokenizer_file(folder: str) -> Path:
    """The file that `documents.tokenizer` stands for."""
    return Path(folder).expanduser() / "tokenizer.json"


def token_counter(folder: str | None) -> TokenCounter:
    """Counts with the ``tokenizer.json`` in `folder`, special tokens not added; without a folder, the estimate.

    Raises:
        DataError: the file is missing or is no tokenizer.
    """
    if folder is None:
        return estimate_tokens
    path = tokenizer_file(folder)
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; documents.tokenizer must be a folder with a tokenizer.json, or null"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable tokenizer.json ({error})") from error
    from tokenizers import Tokenizer  # only when asked: the estimate needs no library

    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower for a file it cannot use
        raise DataError(f"{path}: not a tokenizer the tokenizers library can load ({error})") from error

    def count(passage: str) -> int:
        return len(tokenizer.encode(passage, add_special_tokens=False).ids)

    return count
