"""The prefix tree of tokenised examples, kept as a sorted order and what neighbours share.

Examples sorted by their tokens, with the number of leading tokens each shares with the one before, *are* the tree: the
nodes are the tokens not shared with the neighbour before. No node objects are made, so a million examples need a few
arrays. Laying trees out in rows is :mod:`groundtune.prefix.rows`' work.

An example takes part with its *needed* tokens: up to its last source. A final target needs no forward.

Legend: n examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from groundtune.prefix.examples import Ints, TokenisedExamples

WINDOW_TOKENS = 16
"""Tokens compared at once while all examples of a group still agree."""

BLOCK_EXAMPLES = 1 << 18
"""Examples compared at once: bounds the temporaries at about 100 MB."""


@dataclass(frozen=True)
class TreeStatistics:
    examples: int
    tokens: int
    """Whole, as in the dataset."""
    needed_tokens: int
    """Up to the last source of each example: what is computed when nothing is shared."""
    unique_tokens: int
    """Nodes of the tree: what is computed when everything is shared."""
    supervised_tokens: int
    """Targets, before equal ones are merged."""


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """Made by :func:`build_tree`.

    >>> ids, weights = [[5, 6, 9, 1], [5, 7, 1], [5, 6, 8, 1]], [[0, 0, 0, 1], [0, 0, 1], [0, 0, 0, 1]]
    >>> examples = TokenisedExamples.from_sequences(ids, weights)
    >>> tree = build_tree(examples)
    >>> tree.order.tolist(), tree.shared.tolist(), tree.statistics.unique_tokens
    ([2, 0, 1], [0, 2, 1], 5)
    """

    examples: TokenisedExamples
    order: Ints
    """[n] example indices, sorted by their needed tokens; equal ones by index."""
    shared: Ints
    """[n] leading needed tokens that `order[i]` shares with `order[i - 1]`; 0 for i = 0."""

    @property
    def needed(self) -> Ints:
        """[n] needed tokens, by example index."""
        return self.examples.needed

    @cached_property
    def ranks(self) -> Ints:
        """[n] the place of each example in `order`."""
        ranks = np.empty(len(self.order), np.int64)
        ranks[self.order] = np.arange(len(self.order))
        return ranks

    @cached_property
    def statistics(self) -> TreeStatistics:
        needed = int(self.needed.sum())
        return TreeStatistics(
            examples=len(self.examples),
            tokens=len(self.examples.token_ids),
            needed_tokens=needed,
            unique_tokens=needed - int(self.shared.sum()),
            supervised_tokens=self.examples.supervised_tokens,
        )

    def shared_among(self, ranks: Ints) -> Ints:
        """[k] leading needed tokens each of the rising `ranks` shares with the one before; 0 for the first."""
        shared = np.zeros(len(ranks), np.int64)
        if len(ranks) < 2:
            return shared
        first, last = ranks[:-1] + 1, ranks[1:]
        span = last - first + 1
        level = np.maximum(np.frexp(np.maximum(span, 1).astype(np.float64))[1] - 1, 0)
        low = np.minimum(
            self._minima[level, np.minimum(first, len(self.order) - 1)], self._minima[level, last - (1 << level) + 1]
        )
        # the same example twice shares all it has
        shared[1:] = np.where(span == 0, self.needed[self.order[ranks[1:]]], low)
        return shared

    @cached_property
    def _minima(self) -> npt.NDArray[np.int32]:
        """[levels, n]: the smallest of `shared[i : i + 2**level]`, so that any range is the minimum of two entries."""
        row = self.shared.astype(np.int32)
        levels = [row]
        while (half := 1 << (len(levels) - 1)) * 2 <= len(row):
            above = levels[-1].copy()
            above[:-half] = np.minimum(above[:-half], levels[-1][half:])
            levels.append(above)
        return np.stack(levels)


def build_tree(examples: TokenisedExamples) -> PrefixTree:
    """Sort by tokens, near linear in the tokens that are shared. Exact: only token ids are compared, nothing is hashed."""
    order, shared = _Sorting(examples).run()
    return PrefixTree(examples, order, shared)


class _Sorting:
    """Refines one group of all examples into single ones, longest-common-prefix by longest-common-prefix.

    Every group is a slice of `order` whose members agree in their first `depth` tokens. As long as all agree with the
    first of the group the depth moves on by whole windows; where they do not, the next few tokens, packed into one
    integer, sort the group into smaller ones. Groups of one, and groups of equal examples that ended, are settled.
    """

    def __init__(self, examples: TokenisedExamples) -> None:
        self._ids = examples.token_ids
        self._first = examples.offsets[:-1]
        self._needed = examples.needed
        largest = int(self._ids.max()) + 1 if len(self._ids) else 1
        self._bits = largest.bit_length()
        self._key_tokens = 63 // self._bits
        self._order = np.arange(len(examples))
        self._shared = np.zeros(len(examples), np.int64)

    def run(self) -> tuple[Ints, Ints]:
        count = len(self._order)
        starts, sizes, depths = np.zeros(1, np.int64), np.full(1, count), np.zeros(1, np.int64)
        if count < 2 or not len(self._ids):
            return self._order, self._shared
        while len(starts):
            agreed = self._agreement(starts, sizes, depths)
            depths = depths + agreed
            apart = agreed < WINDOW_TOKENS
            moved = [(starts[~apart], sizes[~apart], depths[~apart])]
            if apart.any():
                moved.append(self._split(starts[apart], sizes[apart], depths[apart]))
            starts, sizes, depths = self._unsettled(*(np.concatenate(parts) for parts in zip(*moved, strict=True)))
        return self._order, self._shared

    def _unsettled(self, starts: Ints, sizes: Ints, depths: Ints) -> tuple[Ints, Ints, Ints]:
        """Leave out groups whose members agree beyond the end of the first: they are equal, and share all they have."""
        ended = depths > self._needed[self._order[starts]]
        members = _ranges(starts[ended] + 1, sizes[ended] - 1)
        self._shared[members] = self._needed[self._order[members]]
        return starts[~ended], sizes[~ended], depths[~ended]

    def _agreement(self, starts: Ints, sizes: Ints, depths: Ints) -> Ints:
        """How many tokens behind `depths`, at most a window, all members of each group agree in."""
        agreed = np.empty(len(starts), np.int64)
        ends = np.cumsum(sizes)
        first = 0
        while first < len(starts):
            done = int(ends[first] - sizes[first])
            until = max(int(np.searchsorted(ends, done + BLOCK_EXAMPLES, side="right")), first + 1)
            block = slice(first, until)
            agreed[block] = self._block_agreement(starts[block], sizes[block], depths[block])
            first = until
        return agreed

    def _block_agreement(self, starts: Ints, sizes: Ints, depths: Ints) -> Ints:
        members = self._order[_ranges(starts, sizes)]
        window = self._codes(members, np.repeat(depths, sizes), WINDOW_TOKENS)
        heads = np.cumsum(sizes) - sizes
        same = window == np.repeat(window[heads], sizes, axis=0)
        agreed = np.where(same.all(axis=1), WINDOW_TOKENS, same.argmin(axis=1))
        return np.minimum.reduceat(agreed, heads)

    def _codes(self, members: Ints, depths: Ints, tokens: int) -> npt.NDArray[np.int32]:
        """[members, tokens] token ids plus 1 from `depths` on; 0 behind the last needed one."""
        columns = depths[:, None] + np.arange(tokens)
        inside = columns < self._needed[members][:, None]
        columns += self._first[members][:, None]
        np.minimum(columns, len(self._ids) - 1, out=columns)
        return np.where(inside, self._ids[columns] + np.int32(1), np.int32(0))

    def _split(self, starts: Ints, sizes: Ints, depths: Ints) -> tuple[Ints, Ints, Ints]:
        """Sort the members of each group by their next few tokens; the groups that remain."""
        places = _ranges(starts, sizes)
        members = self._order[places]
        depth = np.repeat(depths, sizes)
        group = np.repeat(np.arange(len(starts)), sizes)
        keys = self._keys(members, depth)
        sorted_by = np.lexsort((keys, group))
        keys = keys[sorted_by]
        self._order[places] = members[sorted_by]
        inside = group[1:] == group[:-1]
        differ = keys[1:] ^ keys[:-1]
        border = np.flatnonzero(inside & (differ != 0))
        self._shared[places[border + 1]] = depth[border] + self._equal_tokens(differ[border])
        begins = np.flatnonzero(np.concatenate([[True], ~inside | (differ != 0)]))
        counts = np.diff(begins, append=len(places))
        several = counts > 1
        return places[begins[several]], counts[several], depth[begins[several]] + self._key_tokens

    def _keys(self, members: Ints, depth: Ints) -> npt.NDArray[np.int64]:
        codes = self._codes(members, depth, self._key_tokens)
        keys = np.zeros(len(members), np.int64)
        for column in range(self._key_tokens):
            keys = (keys << self._bits) | codes[:, column]
        return keys

    def _equal_tokens(self, differ: npt.NDArray[np.int64]) -> Ints:
        """Leading tokens of two keys before the highest bit in which they differ."""
        equal = np.zeros(len(differ), np.int64)
        for tokens in range(1, self._key_tokens):
            equal += (differ >> (self._bits * (self._key_tokens - tokens))) == 0
        return equal


def _ranges(starts: Ints, counts: Ints) -> Ints:
    """The numbers `starts[k]` up to `starts[k] + counts[k]`, range after range.

    >>> _ranges(np.array([7, 2]), np.array([2, 3])).tolist()
    [7, 8, 2, 3, 4]
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - (ends - counts), counts) + np.arange(total)
