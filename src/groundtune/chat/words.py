"""Encodes texts through a memory of words, exactly as the tokenizer would; only for tokenizers where that is proven.

Most of an encoder's time goes into cutting a text into words it has met a thousand times. Here texts are cut at spaces by
Python's own `split`, known words are looked up, and the tokenizer sees each new word once, many at a time and on all
cores. :mod:`groundtune.chat.boundaries` says for which tokenizers the ids cannot differ.

What this module does not do: render templates, or guess: :meth:`WordEncoder.of` gives None where the proof fails.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from groundtune.chat.boundaries import pieces_are_independent
from groundtune.chat.tokens import ControlTokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_CHARACTERS = 10_000_000
"""Of all words kept, about a million words and 250 MB; then the memory starts anew."""

ID_BYTES = 4
"""Ids are kept as the bytes of 32-bit integers, which join faster than lists."""

_ENCODING = ("__call__", "_encode_plus", "_batch_encode_plus", "_decode")

_CROWDED = re.compile(r" (?:\s|(?<=\s ))")
LONE_SPACE = re.compile(r"(?<=\S) (?=\S)")
"""Where a text can be cut, the space going with what follows it."""


class _Memory(dict[str, bytes | None]):
    """Ids by word; a word asked for in vain gives None and is noted in `unknown`. `characters` is the length of all."""

    def __init__(self) -> None:
        super().__init__()
        self.unknown: set[str] = set()
        self.characters = 0

    def learn(self, word: str, ids: bytes) -> None:
        self[word] = ids
        self.characters += len(word)

    def clear(self) -> None:
        super().clear()
        self.characters = 0

    def __missing__(self, word: str) -> None:
        self.unknown.add(word)


@dataclass(slots=True)
class WordEncoder:
    """Ids of texts, as bytes of int32.

    ``added`` finds every added token, control tokens among them, and ``ids`` has their numbers.
    """

    tokenizer: PreTrainedTokenizerBase
    backend: Any
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
        if backend is None or not _is_unchanged(tokenizer):
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
            backend,
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
        if self._first.characters + self._later.characters > MAX_CHARACTERS:
            self._first.clear()
            self._later.clear()
        encoded: list[bytes | None] = []
        waiting: list[tuple[int, list[str], list[bytes | None]]] = []
        for place, text in enumerate(texts):
            # a lone space always begins a piece; a space beside other white space may not
            words = LONE_SPACE.split(text) if _CROWDED.search(text) else text.split(" ")
            found = list(map(self._later.__getitem__, islice(words, 1, None)))
            found.insert(0, self._first[words[0]])
            try:
                encoded.append(b"".join(found))  # type: ignore[arg-type]
            except TypeError:
                encoded.append(None)
                waiting.append((place, words, found))
        if waiting:
            self._learn(self._first, "")
            self._learn(self._later, " ")
        for place, words, found in waiting:
            encoded[place] = self._complete(words, found)
        return encoded

    def _complete(self, words: list[str], found: list[bytes | None]) -> bytes | None:
        """The ids, with those words filled in that were new when they were looked up."""
        place = -1
        for _ in range(found.count(None)):
            place = found.index(None, place + 1)
            memory = self._later if place else self._first
            if (ids := memory.get(words[place])) is None:
                return None
            found[place] = ids
        return b"".join(found)  # type: ignore[arg-type]

    def _learn(self, memory: _Memory, before: str) -> None:
        """Encode the words that were not found, all at once."""
        words = sorted(memory.unknown)
        memory.unknown.clear()
        if not words:
            return
        # the first goes the usual way, which puts the backend's switches where `encode` has them
        checked = self.tokenizer(before + words[0], add_special_tokens=False, split_special_tokens=False, verbose=False)
        found = self.backend.encode_batch_fast([before + word for word in words], add_special_tokens=False)
        if found[0].ids != checked["input_ids"]:
            return
        for word, encoding in zip(words, found, strict=True):
            ids = encoding.ids
            # a control token's id can only come from its text, and that is not here: something is odd about this tokenizer
            if self.control.isdisjoint(ids):
                memory.learn(word, _packed(ids))


def _packed(ids: Sequence[int]) -> bytes:
    return array("i", ids).tobytes()


def _is_unchanged(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether transformers' own code, no subclass's, stands between a text and the backend."""
    owners = [next((each for each in type(tokenizer).__mro__ if name in vars(each)), None) for name in _ENCODING]
    return all(owner is None or owner.__module__.startswith("transformers.tokenization_utils") for owner in owners)
