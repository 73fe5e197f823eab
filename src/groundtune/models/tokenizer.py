"""Trains a byte-level BPE tokenizer on the documents, with special tokens at fixed ids.

Every text has an encoding and decodes to exactly itself: the 256 bytes are always entries, nothing is normalised (readers
deliver NFC; normalising here could only differ from them), and no space is added. Pieces are cut so that what an answer
copies looks the same wherever it stands:

- a word is letters and their combining marks, with the one space before it (`\\p{L}` covers ç ğ ı İ ö ş ü);
- an apostrophe and the suffix behind it are a piece of their own, so "EX-2'de" and "Hammadde'de" share "'de";
- digits stand singly, without a space: ten symbols spell every number, which a small model can copy without ever having
  seen it. Groups of three would be shorter, but a few hundred pages do not teach a thousand of them.

What this module does not do: render conversations (:mod:`groundtune.chat`) or say which tokens are trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from groundtune.errors import DataError

BEGIN_OF_TEXT = "<|begin_of_text|>"
END_OF_TEXT = "<|end_of_text|>"
PAD = "<|pad|>"
UNKNOWN = "<|unk|>"
START_HEADER = "<|start_header_id|>"
END_HEADER = "<|end_header_id|>"
END_OF_TURN = "<|eot_id|>"
RESERVED_TOKENS = 9
SPECIAL_TOKENS: tuple[str, ...] = (
    BEGIN_OF_TEXT,
    END_OF_TEXT,
    PAD,
    UNKNOWN,
    START_HEADER,
    END_HEADER,
    END_OF_TURN,
    *(f"<|reserved_{number}|>" for number in range(RESERVED_TOKENS)),
)
"""The id of a special token is its place here."""

PIECES = (
    r"['’]\p{L}[\p{L}\p{M}]*"  # an apostrophe with its suffix
    r"| ?\p{L}[\p{L}\p{M}]*"  # a word
    r"|\p{N}"  # one digit
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*"  # punctuation, Markdown marks, table rules
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"  # line ends, and the space that no word takes
)

MINIMUM_FREQUENCY = 2
"""A pair of symbols seen once is not worth an entry."""


def train_tokenizer(texts: Iterable[str], *, vocab_size: int, chat_template: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocab_size` entries, special tokens and the 256 bytes included.

    A small corpus gives fewer entries than asked for: `len(tokenizer)` says how many. The same texts give the same
    tokenizer. It adds no tokens of its own when encoding; the chat template writes `<|begin_of_text|>`.

    Text that merely *contains* the name of a special token must be encoded with
    ``tokenizer(text, add_special_tokens=False, split_special_tokens=True)``, which spells it out byte by byte.

    Raises:
        DataError: `texts` holds no text, or `vocab_size` has no room for the bytes and the special tokens.
    """
    smallest = len(SPECIAL_TOKENS) + 256
    if vocab_size < smallest:
        raise DataError(f"tokenizer.vocab_size is {vocab_size}; the special tokens and the 256 bytes need {smallest}")
    kept = [text for text in texts if text.strip()]
    if not kept:
        raise DataError("no text to train a tokenizer on: every document is empty")
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=MINIMUM_FREQUENCY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(kept, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BEGIN_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PAD,
        unk_token=UNKNOWN,
        chat_template=chat_template,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


@dataclass(frozen=True, slots=True)
class TokenizerSummary:
    """How well a tokenizer fits some texts."""

    entries: int
    tokens: int
    tokens_per_word: float
    """Words are what white space parts."""
    characters_per_token: float


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> TokenizerSummary:
    """Count the tokens of `texts`."""
    tokens = sum(len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]) if texts else 0
    words = sum(len(text.split()) for text in texts)
    return TokenizerSummary(
        entries=len(tokenizer),
        tokens=tokens,
        tokens_per_word=round(tokens / max(words, 1), 3),
        characters_per_token=round(sum(map(len, texts)) / max(tokens, 1), 3),
    )
