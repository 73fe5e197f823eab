"""Tokenised examples as three flat arrays, so that a million of them are four large allocations rather than objects.

Rendering conversations to token ids is :mod:`groundtune.chat`'s work; merging shared prefixes :mod:`groundtune.prefix.tree`'s.

Legend: n examples, N tokens of all of them together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from groundtune.errors import TrainingError

Ints = npt.NDArray[np.int64]
TokenIds = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]

LARGEST_ID = np.iinfo(np.int32).max - 1
"""One less than 32 bits hold: sorting adds 1 to tell tokens from ends."""

BLOCK_TOKENS = 1 << 24
"""Tokens looked at together where a pass over all of them needs temporaries: they stay at a few hundred MB."""


@dataclass(frozen=True, eq=False)
class TokenisedExamples:
    """All examples one after the other. Raises `TrainingError` for arrays that do not fit together.

    >>> examples = TokenisedExamples.from_sequences([[5, 6, 7, 8], [5, 9]], [[1, 0, 1, 0], [0, 1]])
    >>> len(examples), examples.lengths.tolist(), examples.needed.tolist(), examples.supervised_tokens
    (2, [4, 2], [2, 1], 2)
    """

    token_ids: TokenIds
    """[N]"""
    weights: Weights
    """[N], of the token *as a target*; 0: not supervised. The first token of an example is never a target, whatever its weight."""
    offsets: Ints
    """[n + 1]: example i is `offsets[i]` up to `offsets[i + 1]`."""

    def __post_init__(self) -> None:
        _check_shapes(self.token_ids, self.weights, self.offsets)
        if len(self.token_ids):
            _check_values(self.token_ids, self.weights, self.offsets)

    @classmethod
    def from_sequences(
        cls, ids: Sequence[Sequence[int]], weights: Sequence[Sequence[float]] | Sequence[Sequence[bool]]
    ) -> TokenisedExamples:
        """`weights` as long as `ids`, example by example; marks (True: supervised) are weights of 1 and 0."""
        if len(ids) != len(weights):
            raise TrainingError(f"{len(ids)} examples come with {len(weights)} lists of weights; expected one for each")
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        weight_lengths = np.fromiter(map(len, weights), np.int64, len(ids))
        if (wrong := np.flatnonzero(lengths != weight_lengths)).size:
            at = int(wrong[0])
            raise TrainingError(
                f"example {at} has {lengths[at]} token ids and {weight_lengths[at]} weights; expected a weight for each token"
            )
        total = int(lengths.sum())
        try:
            token_ids = np.fromiter(chain.from_iterable(ids), np.int32, total)
        except OverflowError as error:
            at, large = next((at, one) for at, some in enumerate(ids) for one in some if abs(one) > LARGEST_ID)
            raise TrainingError(
                f"example {at} holds the token id {large}; expected ids from 0 to {LARGEST_ID}"
            ) from error
        return cls(
            token_ids,
            np.fromiter(chain.from_iterable(weights), np.float32, total),
            np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        )

    @classmethod
    def joined(cls, parts: Sequence[TokenisedExamples]) -> TokenisedExamples:
        """The examples of all `parts`, in order. A single part that holds any is returned as it is: it may be mapped, not held."""
        filled = [part for part in parts if len(part)]
        if len(filled) == 1:
            return filled[0]
        lengths = [np.zeros(0, np.int64), *(part.lengths for part in filled)]
        return cls(
            np.concatenate([np.zeros(0, np.int32), *(part.token_ids for part in filled)]),
            np.concatenate([np.zeros(0, np.float32), *(part.weights for part in filled)]),
            np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))]),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Ints:
        """[n] tokens of each example."""
        return np.diff(self.offsets)

    @cached_property
    def needed(self) -> Ints:
        """[n] tokens of each example that have to be computed: up to its last source. A final target needs no forward."""
        needed = np.zeros(len(self), np.int64)
        for block, places, bounds in self._targets():
            some = np.flatnonzero(np.diff(bounds))
            needed[block][some] = places[bounds[some + 1] - 1] - self.offsets[block][some]
        return needed

    @cached_property
    def supervised_tokens(self) -> int:
        """Targets of all examples."""
        return sum(len(places) for _block, places, _bounds in self._targets())

    @cached_property
    def total_weights(self) -> npt.NDArray[np.float64]:
        """[n] summed weights of the targets of each example."""
        totals = np.zeros(len(self))
        for block, places, bounds in self._targets():
            owner = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
            totals[block] = np.bincount(owner, weights=self.weights[places], minlength=len(bounds) - 1)
        return totals

    def subset(self, indices: npt.ArrayLike) -> TokenisedExamples:
        """The examples `indices`, in that order."""
        chosen = np.asarray(indices, np.int64)
        lengths = self.lengths[chosen]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        places = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return TokenisedExamples(self.token_ids[places], self.weights[places], offsets)

    def _targets(self) -> Iterator[tuple[slice, Ints, Ints]]:
        """Blocks of whole examples: which, the places of their targets in `token_ids`, and where each example's begin in those."""
        first = 0
        while first < len(self):
            until = int(np.searchsorted(self.offsets, self.offsets[first] + BLOCK_TOKENS, side="right")) - 1
            block = slice(first, max(until, first + 1))
            borders = self.offsets[first : block.stop + 1]
            start = borders[0]
            supervised = self.weights[start : borders[-1]] > 0
            supervised[borders[:-1][np.diff(borders) > 0] - start] = False
            places = np.flatnonzero(supervised) + start
            yield block, places, np.searchsorted(places, borders)
            first = block.stop


def _check_shapes(token_ids: TokenIds, weights: Weights, offsets: Ints) -> None:
    for name, array, kind in (
        ("token_ids", token_ids, np.int32),
        ("weights", weights, np.float32),
        ("offsets", offsets, np.int64),
    ):
        if array.ndim != 1 or array.dtype != kind:
            raise TrainingError(
                f"{name} is {array.ndim}-dimensional of {array.dtype}; expected one dimension of {np.dtype(kind)}"
            )
    if len(token_ids) != len(weights):
        raise TrainingError(
            f"there are {len(token_ids)} token ids and {len(weights)} weights; expected a weight for each"
        )
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(token_ids) or bool((np.diff(offsets) < 0).any()):
        raise TrainingError(
            f"offsets do not rise from 0 to the number of tokens ({len(token_ids)}); pass the running sum of the lengths"
        )


def _check_values(token_ids: TokenIds, weights: Weights, offsets: Ints) -> None:
    def example_at(place: int) -> int:
        return int(np.searchsorted(offsets, place, side="right")) - 1

    if token_ids.min() < 0 or token_ids.max() > LARGEST_ID:
        place = int(np.flatnonzero((token_ids < 0) | (token_ids > LARGEST_ID))[0])
        raise TrainingError(
            f"example {example_at(place)} holds the token id {token_ids[place]}; expected ids from 0 to {LARGEST_ID}, "
            "and what is not supervised said by a weight of 0"
        )
    if not (weights.min() >= 0 and weights.max() < np.inf):
        place = int(np.flatnonzero(~((weights >= 0) & (weights < np.inf)))[0])
        raise TrainingError(
            f"example {example_at(place)} holds the weight {weights[place]}; expected finite weights of 0 and above"
        )
