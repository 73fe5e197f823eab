"""Candidates for near copies: MinHash signatures of word shingles, cut into bands, in tables of four-byte numbers.

Shingles are the words and the pairs of words, so that short rows have enough of them. Two rows are candidates when they
agree in a whole band (locality-sensitive hashing, Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4).
With 32 bands of three hashes, rows that share a Jaccard part of 0.74 of their shingles (one word in ten changed) meet with a
probability of 1 - 5e-8, of 0.49 (one letter in twenty, which is one word in four) with 0.98, of 0.1 (unrelated) with 0.03.

The signatures are datasketch's; its own index holds a set a bucket, 8 kB a row. The tables here take 8 bytes a band and
row, and the heads of their chains 4 to 8: at most 512 bytes a row (768 with the shorter bands of loose similarities). What this module does not do: compare texts.
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

NUM_HASHES = 96
LONGEST_CHAIN = 32
"""Of the rows that agree in a band only so many are looked at, latest first: what half of a set has in common (a phrase
every prompt begins with) says little, and near copies also meet in the bands of what is their own."""

_NOBODY = 2**32 - 1
_FIRST_SLOTS = 2**12
_ODD = 0x9E3779B97F4A7C15
_PAIR, _BAND, _MIX = 0x100000001B3, 0xC2B2AE3D27D4EB4F, 0xFF51AFD7ED558CCD


class BandTable:
    """Rows by the bands of their signatures. Rows are numbered in the order they are added."""

    def __init__(self, rows_per_band: int = 3) -> None:
        # half a second, for scipy: only when asked
        from datasketch import MinHash

        self._minhash: Any = MinHash(num_perm=NUM_HASHES, seed=1, hashfunc=int)
        self._per_band = rows_per_band
        self.num_bands = NUM_HASHES // rows_per_band
        powers = [pow(_ODD, power + 1, 2**64) for power in range(rows_per_band)]
        self._powers = np.array(powers, dtype=np.uint64)
        self._salts = np.arange(1, self.num_bands + 1, dtype=np.uint64) * np.uint64(_BAND)
        self._tags = array("I")
        self._next = array("I")
        self._heads = array("I", [_NOBODY]) * _FIRST_SLOTS

    def __len__(self) -> int:
        return len(self._tags) // self.num_bands

    @property
    def bytes_held(self) -> int:
        return 4 * (len(self._tags) + len(self._next) + len(self._heads))

    def tags_of(self, words: Sequence[str]) -> list[int]:
        """A 32-bit number for each band of the signature of `words`."""
        self._minhash.clear()
        self._minhash.update_batch(shingles(words).tolist())
        bands = self._minhash.hashvalues.astype(np.uint64).reshape(self.num_bands, self._per_band)
        mixed = (bands * self._powers).sum(axis=1, dtype=np.uint64) + self._salts
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(_MIX)
        tags: list[int] = (mixed >> np.uint64(32)).tolist()
        return tags

    def meetings(self, tags: Sequence[int]) -> Counter[int]:
        """Rows that agree in a band, with the number of bands."""
        met: Counter[int] = Counter()
        heads, following, known, bands = self._heads, self._next, self._tags, self.num_bands
        mask = len(heads) - 1
        for tag in tags:
            entry, looked = heads[tag & mask], 0
            while entry != _NOBODY and looked < LONGEST_CHAIN:
                if known[entry] == tag:
                    met[entry // bands] += 1
                    looked += 1
                entry = following[entry]
        return met

    def add(self, tags: Sequence[int]) -> int:
        """Number of the new row."""
        row = len(self)
        if len(self._tags) + len(tags) > len(self._heads):
            self._grow()
        mask = len(self._heads) - 1
        for tag in tags:
            self._next.append(self._heads[tag & mask])
            self._heads[tag & mask] = len(self._tags)
            self._tags.append(tag)
        return row

    def _grow(self) -> None:
        """Twice the heads; every chain is tied again, latest entry first."""
        slots = len(self._heads) * 2
        place: npt.NDArray[np.uint32] = np.frombuffer(self._tags, dtype=np.uint32) & np.uint32(slots - 1)
        order = np.argsort(place, kind="stable").astype(np.uint32)
        place = place[order]
        same = place[1:] == place[:-1]
        before = np.full(len(order), _NOBODY, dtype=np.uint32)
        before[order[1:][same]] = order[:-1][same]
        heads = np.full(slots, _NOBODY, dtype=np.uint32)
        last = np.append(~same, True) if len(order) else np.zeros(0, dtype=bool)
        heads[place[last]] = order[last]
        self._next = array("I", before.tobytes())
        self._heads = array("I", heads.tobytes())


def shingles(words: Sequence[str]) -> npt.NDArray[np.uint32]:
    """Distinct 32-bit hashes of the words and of the pairs of words, rising; of no words one that stands for nothing."""
    if not words:
        return np.zeros(1, dtype=np.uint32)
    single = np.array([zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words], dtype=np.uint64)
    pairs = (single[:-1] * np.uint64(_PAIR) + single[1:]) * np.uint64(_ODD) >> np.uint64(32)
    return np.unique(np.concatenate([single, pairs])).astype(np.uint32)
