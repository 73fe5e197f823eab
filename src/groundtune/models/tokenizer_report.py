"""How well tokenizers fit some texts: tokens per word and per character, side by side. It trains and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from transformers import PreTrainedTokenizerBase

TEXTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class TokenizerSummary:
    """How well a tokenizer fits some texts."""

    entries: int
    tokens: int
    tokens_per_word: float
    """Words are what white space parts."""
    characters_per_token: float
    tokens_per_character: float
    changed_texts: int
    """Texts that do not come back exactly when their tokens are decoded: a tokenizer may drop or normalise characters."""


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> TokenizerSummary:
    """Count the tokens of `texts`."""
    return compare_tokenizers({"": tokenizer}, texts)[""]


def compare_tokenizers(
    tokenizers: Mapping[str, PreTrainedTokenizerBase], texts: Iterable[str]
) -> dict[str, TokenizerSummary]:
    """The same texts counted by each tokenizer, in the order given. `texts` is read once and not kept.

    Tokens are those of the text alone: nothing is put around it, and a special token's name in it is spelt out.
    """
    tokens, changed = dict.fromkeys(tokenizers, 0), dict.fromkeys(tokenizers, 0)
    words = characters = 0
    for batch in _batches(texts):
        words += sum(len(text.split()) for text in batch)
        characters += sum(map(len, batch))
        for name, tokenizer in tokenizers.items():
            encoded = tokenizer(batch, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
            decoded = tokenizer.batch_decode(encoded, clean_up_tokenization_spaces=False)
            tokens[name] += sum(map(len, encoded))
            changed[name] += sum(text != back for text, back in zip(batch, decoded, strict=True))
    return {
        name: TokenizerSummary(
            entries=len(tokenizer),
            tokens=tokens[name],
            tokens_per_word=round(tokens[name] / max(words, 1), 3),
            characters_per_token=round(characters / max(tokens[name], 1), 3),
            tokens_per_character=round(tokens[name] / max(characters, 1), 4),
            changed_texts=changed[name],
        )
        for name, tokenizer in tokenizers.items()
    }


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, TEXTS_AT_ONCE)):
        yield batch
