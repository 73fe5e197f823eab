"""Which tokenizers may be fed word by word, and which may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from groundtune.chat.boundaries import cuts_before_lone_spaces, pieces_are_independent


def byte_level(**changes: Any) -> Any:
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={symbol: number for number, symbol in enumerate(symbols)}, merges=[], **changes))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken("<|end|>", special=True, normalized=False)])
    return inner


def proven(inner: Any) -> bool:
    return pieces_are_independent(json.loads(inner.to_str()))


def test_a_plain_byte_level_tokenizer_may_be_fed_word_by_word() -> None:
    assert proven(byte_level())
    normalising = byte_level()
    normalising.normalizer = normalizers.NFC()
    assert proven(normalising)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("normalizer", normalizers.Lowercase()),
        ("normalizer", normalizers.NFKC()),
        ("pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
        ("pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)),
        ("pre_tokenizer", pre_tokenizers.Metaspace()),
        ("pre_tokenizer", pre_tokenizers.Whitespace()),
        ("pre_tokenizer", pre_tokenizers.Digits()),
        ("decoder", decoders.Metaspace()),
    ],
)
def test_a_tokenizer_with_rules_that_are_not_understood_is_not(part: str, value: Any) -> None:
    inner = byte_level()
    setattr(inner, part, value)
    assert not proven(inner)


def test_a_tokenizer_that_draws_lots_or_lacks_bytes_is_not() -> None:
    assert not proven(byte_level(dropout=0.1))
    assert not proven(byte_level(end_of_word_suffix="</w>"))
    lacking = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    lacking.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    lacking.decoder = decoders.ByteLevel()
    assert not proven(lacking)


@pytest.mark.parametrize(
    "token",
    [
        AddedToken("<t>", lstrip=True),
        AddedToken("<t>", rstrip=True),
        AddedToken("<t>", single_word=True),
        AddedToken("a b"),
        AddedToken("\n\n"),
        AddedToken("end|>x"),  # begins as <|end|> ends
        AddedToken("aba"),  # begins as it ends itself
        AddedToken("|end|"),  # stands inside <|end|>
        AddedToken("¿¡"),  # reads as two bytes
    ],
)
def test_added_tokens_that_touch_their_surroundings_are_no_safe_borders(token: Any) -> None:
    inner = byte_level()
    inner.add_tokens([token])
    assert not proven(inner)


@pytest.mark.parametrize(
    "expression",
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"\p{N}+|\S+|\s+",
    ],
)
def test_the_expressions_of_known_families_cut_before_lone_spaces(expression: str) -> None:
    assert cuts_before_lone_spaces(expression)


@pytest.mark.parametrize(
    "expression",
    [
        r"\p{L}+",  # nothing takes white space: what no match takes stays together
        r"\p{L}+ ?|\s+",  # the space goes with the word before it
        r"\p{L}+(?: \p{L}+)*|\s+",
        r"[^\r\n]+|\s+",
        r"[!-~ ]+|\s+",
        r"[ -~]{2}|\s+",
        r".+|\s+",
        r"[^x]+|\s+",
        r"\p{L}*|\s+",  # an empty match steps over a space
        r"\p{L}+(?!\S)|\s+",  # looks at what follows a word
        r"(?<=a) b|\s+",
        r"\p{L}+$|\s+",
        r"\p{Z}\p{L}\p{Z}|\s+",
        r"\P{L}+|\s+",
        r"\p{L}+\b|\s+",
        r"\s+?|\p{L}+",
    ],
)
def test_expressions_that_might_hold_a_space_inside_are_not_accepted(expression: str) -> None:
    assert not cuts_before_lone_spaces(expression)
