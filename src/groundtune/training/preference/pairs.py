"""Pairs as examples: pair p is example 2p with the better answer and example 2p + 1 with the worse one.

Legend: P pairs, M the two examples of each pair of a step, one behind the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from typing_extensions import override

from groundtune.errors import TrainingError
from groundtune.prefix import PrefixTree, TokenisedExamples, build_tree
from groundtune.training.processes import Processes
from groundtune.training.steps import (
    Batch,
    Indices,
    LoadedStep,
    OptimizerSteps,
    Packer,
    Tensors,
    own_batches,
    supervised_targets,
    weightless,
)

BLOCK_TOKENS = 1 << 18
"""Shared ones counted for each example. Laid out, a token takes some 60 bytes, and a whole data set would not fit."""


def interleave(chosen: TokenisedExamples, rejected: TokenisedExamples) -> TokenisedExamples:
    """The examples of both, in turn, every target weighing 1. Raises `TrainingError` unless there are as many."""
    if len(chosen) != len(rejected):
        raise TrainingError(f"{len(chosen)} chosen answers come with {len(rejected)} rejected ones; expected pairs")
    both = TokenisedExamples.joined([chosen, rejected]) if len(chosen) else chosen
    order = np.arange(2 * len(chosen)).reshape(2, -1).T.reshape(-1)
    mixed = both.subset(order)
    return TokenisedExamples(mixed.token_ids, (mixed.weights > 0).astype(np.float32), mixed.offsets)


def members_of(pairs: Indices) -> Indices:
    """
    >>> members_of(np.array([3, 0])).tolist()
    [6, 7, 0, 1]
    """
    return np.stack([2 * pairs, 2 * pairs + 1], axis=1).reshape(-1)


def place_targets(batch: Batch, members: Indices) -> tuple[torch.Tensor, torch.Tensor]:
    """Edge and place in `members` of every target of a batch."""
    assert batch.owners is not None, "the packer was told to keep them"
    by_number = np.argsort(members, kind="stable")
    places = by_number[np.searchsorted(members[by_number], batch.owners.examples)]
    return torch.from_numpy(batch.owners.edges), torch.from_numpy(places)


def tree_blocks(tree: PrefixTree, members: Indices) -> Iterator[Indices]:
    """Places in `members`, in the order of the tree, a block of some `BLOCK_TOKENS` at a time: what is laid out at once."""
    order = np.argsort(tree.ranks[members], kind="stable")
    ends = np.cumsum(tree.needed[members[order]])
    begin = 0
    while begin < len(order):
        before = ends[begin - 1] if begin else 0
        until = max(int(np.searchsorted(ends, before + BLOCK_TOKENS, side="right")), begin + 1)
        yield order[begin:until]
        begin = until


class PreferenceSteps(OptimizerSteps):
    """Optimizer steps of whole pairs: dealt as the chosen examples are, which share what their pairs share."""

    def __init__(self, packer: Packer, *, examples_per_step: int, seed: int, processes: Processes) -> None:
        super().__init__(packer, examples_per_step=examples_per_step, seed=seed, processes=processes)
        chosen = packer.examples.subset(np.arange(0, len(packer.examples), 2))
        self._parts = [("", build_tree(chosen))]

    @override
    def members(self, number: int) -> Indices:
        return members_of(self.indices(number))

    @override
    def _needed(self, indices: Indices) -> Indices:
        needed: Indices = self.packer.tree.needed[members_of(indices)].reshape(-1, 2).sum(axis=1)
        return needed

    @override
    def __getitem__(self, number: int) -> LoadedStep:
        pairs = self.indices(number)
        members = members_of(pairs)
        batches = self.packer.pack(members, at_least=self._processes.count)
        own = own_batches(batches, self._processes)
        tensors: list[Tensors] = [batch.make() for batch in own]
        targets = [place_targets(batch, members) for batch in own]
        if not own:
            tensors = [weightless(min(batches, key=lambda batch: batch.places))]
            nothing = torch.zeros(0, dtype=torch.int64)
            targets = [(nothing, nothing)]
        return {
            "number": number,
            "batches": tensors,
            "weight": float(len(pairs)),
            "tokens": sum(batch.tokens for batch in batches),
            "phase": "",
            "dataset_tokens": int(self.packer.examples.lengths[members].sum()),
            "supervised": supervised_targets(self.packer.examples, members),
            "preference": {
                "pairs": pairs,
                "edges": [edges for edges, _ in targets],
                "members": [places for _, places in targets],
            },
        }
