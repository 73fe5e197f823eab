"""How well tokenizers fit some texts: tokens per word and per character, side by side. It trains and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from transformers import PreTrainedTokenizerBase

TEXTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Fit:
    """How many tokens some of the texts take."""

    tokens: int
    tokens_per_word: float
    """Words are what white space parts."""
    tokens_per_character: float


@dataclass(frozen=True, slots=True)
class TokenizerSummary:
    """How well a tokenizer fits some texts."""

    entries: int
    tokens: int
    tokens_per_word: float
    """Words are what white space parts."""
    characters_per_token: float
    tokens_per_character: float
    unused_entries: int
    """Entries that are in none of the texts; special tokens, which never are, among them."""
    changed_texts: int
    """Texts that do not come back exactly when their tokens are decoded: a tokenizer may drop or normalise characters."""
    by_language: Mapping[str, Fit] = field(default_factory=dict)
    """In the order in which the languages came; empty where they are not told apart."""


def describe_tokenizer(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> TokenizerSummary:
    """Count the tokens of `texts`."""
    return compare_tokenizers({"": tokenizer}, texts)[""]


def compare_tokenizers(
    tokenizers: Mapping[str, PreTrainedTokenizerBase],
    texts: Iterable[str],
    *,
    language_of: Callable[[str], str] | None = None,
) -> dict[str, TokenizerSummary]:
    """The same texts counted by each tokenizer, in the order given. `texts` is read once and not kept.

    Tokens are those of the text alone: nothing is put around it, and a special token's name in it is spelt out.

    Args:
        language_of: tells the language of a text; None tells none apart.
    """
    counts = {name: _Counts(tokenizer) for name, tokenizer in tokenizers.items()}
    words: dict[str, int] = {}
    characters: dict[str, int] = {}
    for batch in _batches(texts):
        languages = [language_of(text) if language_of is not None else "" for text in batch]
        for language, text in zip(languages, batch, strict=True):
            words[language] = words.get(language, 0) + len(text.split())
            characters[language] = characters.get(language, 0) + len(text)
        for count in counts.values():
            count.add(batch, languages)
    return {name: count.summary(words, characters) for name, count in counts.items()}


class _Counts:
    """What one tokenizer makes of the texts."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._tokens: dict[str, int] = {}
        self._changed = 0
        self._used: set[int] = set()

    def add(self, batch: Sequence[str], languages: Sequence[str]) -> None:
        encoded = self._tokenizer(list(batch), add_special_tokens=False, split_special_tokens=True, verbose=False)[
            "input_ids"
        ]
        decoded = self._tokenizer.batch_decode(encoded, clean_up_tokenization_spaces=False)
        for language, text, ids, back in zip(languages, batch, encoded, decoded, strict=True):
            self._tokens[language] = self._tokens.get(language, 0) + len(ids)
            self._changed += text != back
            self._used.update(ids)

    def summary(self, words: Mapping[str, int], characters: Mapping[str, int]) -> TokenizerSummary:
        all_tokens, all_characters = sum(self._tokens.values()), sum(characters.values())
        return TokenizerSummary(
            entries=len(self._tokenizer),
            tokens=all_tokens,
            tokens_per_word=_ratio(all_tokens, sum(words.values()), 3),
            characters_per_token=_ratio(all_characters, all_tokens, 3),
            tokens_per_character=_ratio(all_tokens, all_characters, 4),
            unused_entries=len(self._tokenizer) - len(self._used),
            changed_texts=self._changed,
            by_language={
                language: Fit(tokens, _ratio(tokens, words[language], 3), _ratio(tokens, characters[language], 4))
                for language, tokens in self._tokens.items()
                if language
            },
        )


def _ratio(part: int, whole: int, digits: int) -> float:
    return round(part / max(whole, 1), digits)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(texts)
    while batch := list(islice(iterator, TEXTS_AT_ONCE)):
        yield batch
