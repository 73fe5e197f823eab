"""Trains a byte-level BPE tokenizer on streamed text, with special tokens at fixed ids.

Every text has an encoding and decodes to exactly itself: the 256 bytes are always entries, nothing is normalised (readers
deliver NFC; normalising here could only differ from them, and lower-casing would lose I and İ), and no space is added.
Pieces are cut so that what an answer copies looks the same wherever it stands:

- a word is letters and their combining marks, with the one space before it (`\\p{L}` covers ç ğ ı İ ö ş ü);
- an apostrophe and the suffix behind it are a piece of their own, so "EX-2'de" and "Hammadde'de" share "'de". The patterns
  of GPT-2 and Llama 3 look for English contractions there and cut "'de" into "'d" and "e";
- digits stand singly, without a space: ten symbols spell every number, which a small model can copy without ever having
  seen it. Groups of three would be shorter, but a few hundred pages do not teach a thousand of them, and "1.250" and
  "12.50" would share nothing;
- a hyphen, and the point and comma of a number, are pieces of their own, so that a code is the same tokens behind any mark.

Figures (64,000 entries from tr_text_cppdocs and half of the two others, tokens per word on the other half; groundtune, then
Llama 3's pattern, then GPT-2's): words with an apostrophe 2.31, 2.42, 3.24 in tr_text_react and 2.56, 3.02, 3.51 in
docs_tr_d365projops; all text 1.49, 1.47, 1.56 and 2.01, 1.85, 1.97. The second set is full of dates and identifiers, where
single digits cost 5%; that is the price of the third rule, and taken.

What this module does not do: render conversations (:mod:`groundtune.chat`), say which tokens are trained, or read files.
llama.cpp has the patterns it knows compiled in; one of them gives the same tokens (:mod:`groundtune.models.presets`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

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


LARGEST_VOCABULARY = 64_000

PART_CHARACTERS = 1 << 16
"""A longer text is handed on in parts of about so many: the trainer collects 256 of them before it counts their pieces."""


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int,
    chat_template: str,
    progress: Callable[[int], object] | None = None,
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of at most `vocab_size` entries, special tokens and the 256 bytes included.

    `texts` is read once and not kept: what stays in memory is each different piece (a word, a number's digit) once, with
    its count. A small corpus gives fewer entries than asked for: `len(tokenizer)` says how many. The same texts give the same
    tokenizer. It adds no tokens of its own when encoding; the chat template writes `<|begin_of_text|>`.

    Text that merely *contains* the name of a special token must be encoded with
    ``tokenizer(text, add_special_tokens=False, split_special_tokens=True)``, which spells it out byte by byte.

    Args:
        progress: told how many more characters were read; `ProgressBar.advance` fits.

    Raises:
        DataError: `texts` holds no text, or `vocab_size` has no room for the bytes and the special tokens, or is above
            64,000.
    """
    _check_size(vocab_size)
    backend = _untrained()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=MINIMUM_FREQUENCY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    characters = 0

    def parts() -> Iterator[str]:
        nonlocal characters
        for text in texts:
            if not text.strip():
                continue
            for part in in_parts(text):
                characters += len(part)
                yield part
            if progress is not None:
                progress(len(text))

    backend.train_from_iterator(parts(), trainer)
    if not characters:
        raise DataError("no text to train a tokenizer on: every document is empty")
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


def _check_size(entries: int) -> None:
    smallest = len(SPECIAL_TOKENS) + 256
    if entries < smallest:
        raise DataError(f"tokenizer.vocab_size is {entries}; the special tokens and the 256 bytes need {smallest}")
    if entries > LARGEST_VOCABULARY:
        raise DataError(f"tokenizer.vocab_size is {entries}; at most {LARGEST_VOCABULARY} entries are trained")


def _untrained() -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def in_parts(text: str, characters: int = PART_CHARACTERS) -> Iterator[str]:
    """`text` cut into parts of at least so many characters (but the last), at places where every tokenizer's piece ends.

    Such a place is behind a line end, before a letter.

    >>> list(in_parts("ab\\ncd\\n\\n ef", 1))
    ['ab\\n', 'cd\\n\\n ef']
    """
    start, search = 0, characters
    while (end := text.find("\n", start + search - 1) + 1) and end < len(text):
        if text[end].isalpha():
            yield text[start:end]
            start, search = end, characters
        else:
            search = end - start + 1
    yield text[start:]
