"""Encodes texts through a memory of words, exactly as the tokenizer would; only for tokenizers where that is proven.

Most of an encoder's time goes into cutting a text into words it has met a thousand times. Here texts are cut at spaces by
Python's own `split`, known words are looked up, and the tokenizer sees each new word once, many at a time and on all
cores. :mod:`groundtune.chat.boundaries` says for which tokenizers the ids cannot differ.

What this module does not do: render templates, or guess: :meth:`WordEncoder.of` gives None where the proof fails.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from groundtune.chat.boundaries import pieces_are_independent
from groundtune.chat.tokens import ControlTokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_WORDS = 1_000_000
"""Words kept at most, about 150 MB; then the memory starts anew."""

ID_BYTES = 4
"""Ids are kept as the bytes of little 32-bit integers, which join faster than lists."""

_CROWDED = re.compile(r" (?:\s|(?<=\s ))")
_LONE_SPACE = re.compile(r"(?<=\S) (?=\S)")


class _Memory(dict[str, bytes]):
    """Ids by word; a word asked for in vain is noted in `unknown` and counted in `misses`, and gives no ids."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: set[str] = set()
        self.misses = 0

    def __missing__(self, word: str) -> bytes:
        self.unknown.add(word)
        self.misses += 1
        return b""


@dataclass(slots=True)
class WordEncoder:
    """Ids of texts, as bytes of int32.

    ``added`` finds every added token, control tokens among them, and ``ids`` has their numbers.
    """

    tokenizer: PreTrainedTokenizerBase
    added: re.Pattern[str]
    ids: dict[str, bytes]
    control: frozenset[int]
    keeps_text: bool
    """Whether ids decode to the text itself; else to its NFC."""
    _first: _Memory = field(default_factory=_Memory)
    """Words as they begin a text."""
    _later: _Memory = field(default_factory=_Memory)
    """Words behind a space, by the word without it."""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, control: ControlTokens) -> WordEncoder | None:
        """None where cutting at spaces is not proven to change nothing."""
        backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        if not getattr(tokenizer, "is_fast", False) or backend is None:
            return None
        description = json.loads(backend.to_str())
        added = {token["content"]: int(token["id"]) for token in description.get("added_tokens") or []}
        if any(added.get(text) != number for text, number in control.ids.items()):
            return None
        if not pieces_are_independent(description):
            return None
        longest_first = sorted(added, key=lambda text: (-len(text), text))
        return cls(
            tokenizer,
            re.compile("|".join(map(re.escape, longest_first)) or "(?!)"),
            {text: _packed([number]) for text, number in added.items()},
            frozenset(control.ids.values()) - {tokenizer.unk_token_id},
            description.get("normalizer") is None,
        )

    def cut(self, text: str) -> list[str]:
        """`text` around its added tokens: plain, added, plain, ... plain; the plain ones may be empty."""
        parts, end = [], 0
        for match in self.added.finditer(text):
            parts += [text[end : match.start()], match.group()]
            end = match.end()
        return [*parts, text[end:]]

    def encode(self, texts: Sequence[str]) -> list[bytes | None]:
        """Ids of texts without added tokens; None for one that holds a word which reads as a control token."""
        if len(self._first) + len(self._later) > MAX_WORDS:
            self._first.clear()
            self._later.clear()
        encoded = [self._look_up(text) for text in texts]
        if None in encoded:
            self._learn(self._first, "")
            self._learn(self._later, " ")
            encoded = [self._look_up(text) if ids is None else ids for text, ids in zip(texts, encoded, strict=True)]
            self._first.unknown.clear()
            self._later.unknown.clear()
        return encoded

    def _look_up(self, text: str) -> bytes | None:
        # a lone space always begins a piece; a space beside other white space may not
        words = _LONE_SPACE.split(text) if _CROWDED.search(text) else text.split(" ")
        first, later = self._first, self._later
        misses = first.misses + later.misses
        ids = first[words[0]]
        del words[0]
        ids += b"".join(map(later.__getitem__, words))
        return ids if misses == first.misses + later.misses else None

    def _learn(self, memory: _Memory, before: str) -> None:
        """Encode the words that were not found, all at once."""
        words = sorted(memory.unknown)
        memory.unknown.clear()
        if not words:
            return
        encoded = self.tokenizer(
            [before + word for word in words],
            add_special_tokens=False,
            split_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        for word, ids in zip(words, encoded, strict=True):
            # a control token's id can only come from its text, and that is not here: something is odd about this tokenizer
            if self.control.isdisjoint(ids):
                memory[word] = _packed(ids)


def _packed(ids: Sequence[int]) -> bytes:
    return np.asarray(ids, dtype="<i4").tobytes()
