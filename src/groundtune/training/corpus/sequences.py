"""Token files cut into sequences of equal length, and the order an epoch meets them in.

An epoch has every sequence of the documents and the texts once, the recall sequences of the documents
(:mod:`groundtune.training.documents`), and so many of the general texts as are their share. All that is known of it is
computed from its place: no list of sequences, let alone of tokens, is kept.

Legend: n sequences of an epoch, g of them general, S tokens of a sequence.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from groundtune.training.corpus.store import Ids, TokenFile
from groundtune.training.documents import Separators, recall_sequence

Indices = npt.NDArray[np.int64]

ROUNDS = 6
"""Of the Feistel network: by four it is as good as random, and these cost microseconds."""


def permuted(places: Indices, count: int, seed: str) -> Indices:
    """Where each of `places` (from 0 to `count` - 1) goes in the shuffling of `count` things that `seed` names.

    A Feistel network (Luby and Rackoff 1988) permutes the smallest even number of bits that holds `count`; what it sends
    beyond `count` is sent on until it is inside, at most a few times.

    >>> permuted(np.arange(7), 7, "a").tolist()
    [3, 5, 6, 0, 4, 2, 1]
    """
    half = np.uint64(max(1, -(-(count - 1).bit_length() // 2)))
    mask = np.uint64((1 << int(half)) - 1)
    keys = np.frombuffer(hashlib.sha512(seed.encode()).digest(), "<u8")[:ROUNDS]
    values = places.astype(np.uint64)
    outside = np.ones(len(values), bool)
    while outside.any():
        left, right = values[outside] >> half, values[outside] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        values[outside] = left << half | right
        outside = values >= count
    return values.astype(np.int64)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64's finisher (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class Cut:
    """A token file as sequences. The last one is as short as what is left; where that would be one token, which has nothing
    to predict, its neighbour gives it another."""

    file: TokenFile
    sequence_tokens: int

    def __len__(self) -> int:
        return -(-self.file.tokens // self.sequence_tokens) if self.file.tokens > 1 else 0

    def starts(self, places: Indices) -> Indices:
        """In tokens; also of the place behind the last one, where the file ends."""
        starts = np.minimum(places * self.sequence_tokens, self.file.tokens)
        alone = self.file.tokens % self.sequence_tokens == 1 and len(self) > 1
        return np.where(places == len(self) - 1, starts - 1, starts) if alone else starts

    def read(self, place: int) -> Ids:
        start, stop = self.starts(np.array([place, place + 1])).tolist()
        return self.file.read(start, stop)


@dataclass(frozen=True, eq=False)
class Recall:
    """Recall sequences, made when they are asked for of texts that are held in memory: those of a documentation."""

    texts: TokenFile
    count: int
    separators: Separators
    sequence_tokens: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def read(self, place: int) -> Ids:
        chance = random.Random(f"recall-{self.seed}-{place}")
        made = recall_sequence(self._bare, self.separators.before, self.sequence_tokens, chance)
        return np.array(made, np.int64)

    @cached_property
    def _bare(self) -> list[list[int]]:
        """The texts without what stands around them."""
        first, behind = len(self.separators.before), len(self.separators.after)
        bare = (ids[first : len(ids) - behind].tolist() for ids in self.texts.first_texts(self.texts.texts))
        return [ids for ids in bare if ids]


@dataclass(frozen=True, eq=False)
class Mixture:
    """The sequences of a round, by number: those of `parts` one after the other, recall sequences, then general ones."""

    parts: tuple[Cut, ...]
    """Of each the whole is in every epoch."""
    sequence_tokens: int
    seed: int
    recall: Recall | None = None
    """In every epoch too."""
    general: Cut | None = None
    general_share: float = 0.0
    """Of an epoch's sequences."""
    key: str = ""
    """A hash of the texts and the tokenizer."""

    def __len__(self) -> int:
        """All sequences, of which an epoch may have but some general ones."""
        return self._firsts[-1]

    @property
    def own(self) -> int:
        """In every epoch: all but the general ones."""
        return self._firsts[-2]

    @property
    def drawn(self) -> int:
        """General ones in an epoch."""
        if self.general is None or not len(self.general):
            return 0
        return round(self.own * self.general_share / (1 - self.general_share))

    @property
    def fingerprint(self) -> str:
        """Of what is trained on and in which order."""
        return f"{self.key} {self.sequence_tokens} {self.seed} {self._firsts} {self.drawn}"

    @cached_property
    def lengths(self) -> Indices:
        """[all] tokens of each."""
        lengths = np.full(len(self), self.sequence_tokens, np.int64)
        for first, cut in zip(self._firsts, self._kinds, strict=False):
            if isinstance(cut, Cut) and len(cut):
                last = np.array([len(cut) - 2, len(cut) - 1, len(cut)])[-min(len(cut) + 1, 3) :]
                lengths[first + last[:-1]] = np.diff(cut.starts(last))
        return lengths

    @cached_property
    def total_weights(self) -> npt.NDArray[np.float64]:
        """[all] targets of each: every token but the first."""
        return (self.lengths - 1).astype(np.float64)

    def read(self, index: int) -> Ids:
        """The tokens of a sequence."""
        kind = bisect_right(self._firsts, index) - 1
        return self._kinds[kind].read(index - self._firsts[kind])

    def epoch(self, epoch: int, start: int = 0, stop: int | None = None) -> Indices:
        """The sequences at the places from `start` to `stop` of an epoch. General ones are spread evenly among the others,
        and epochs go on in them where the one before ended, so that none comes again before all have been."""
        total = self.own + self.drawn
        places = np.arange(start, total if stop is None else min(stop, total), dtype=np.int64)
        before = places * self.drawn // total
        is_general = (places + 1) * self.drawn // total > before
        indices = np.empty(len(places), np.int64)
        own = places[~is_general] - before[~is_general]
        indices[~is_general] = permuted(own, self.own, f"own-{self.seed}-{epoch}")
        if self.general is not None and is_general.any():
            passes, inside = np.divmod(before[is_general] + epoch * self.drawn, len(self.general))
            drawn = np.empty(len(inside), np.int64)
            for number in np.unique(passes).tolist():
                of_pass = passes == number
                drawn[of_pass] = permuted(inside[of_pass], len(self.general), f"general-{self.seed}-{number}")
            indices[is_general] = self.own + drawn
        return indices

    @cached_property
    def _kinds(self) -> tuple[Cut | Recall, ...]:
        return tuple(each for each in (*self.parts, self.recall, self.general) if each is not None)

    @cached_property
    def _firsts(self) -> list[int]:
        """Number of the first sequence of each kind; then of the first general one, and of all."""
        own = [len(each) for each in (*self.parts, self.recall) if each is not None]
        general = 0 if self.general is None else len(self.general)
        firsts: list[int] = np.cumsum([0, *own, general]).tolist()
        return firsts
