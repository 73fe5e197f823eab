"""Optimizer steps as tensors: the examples that `plan_steps` puts into a step, as the batches it is computed in.

In tree mode a batch is a row, in which examples share their prefixes; in plain mode it is a few examples of like length,
padded on the right. Padding is not masked: under causal attention no real token can see what comes after it. Which
examples make up a step depends on seed and epoch alone, so both modes, any `max_pack_tokens` and any number of processes
learn the same. Tensors are made when a step is asked for, and only those of this process.

Legend: B examples of a plain batch, T tokens of its longest, S supervised edges.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset

from groundtune.errors import TrainingError
from groundtune.prefix import (
    Owners,
    PrefixTree,
    TokenisedExamples,
    TreeStatistics,
    build_tree,
    pack_rows,
    plan_steps,
    row_tensors,
)
from groundtune.training.phases import Phases
from groundtune.training.processes import Processes

Sharing = Literal["tree", "plain"]
Indices = npt.NDArray[np.int64]
Tensors = dict[str, torch.Tensor]
"""What `PreparedModel.row_loss` takes."""

PADDING_SHARE = 0.2
"""Most padding in a plain batch, as a share of its places."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is computed in one forward pass."""

    tokens: int
    """Computed, padding left out."""
    places: int
    """Padding included: what its time goes by."""
    make: Callable[[], Tensors]
    """Its tensors, made anew at every call."""
    owners: Owners | None = None
    """Which edge is a target of which example, where the packer keeps them."""


class LoadedStep(TypedDict):
    """One optimizer step as this process computes it."""

    number: int
    """In its epoch."""
    batches: list[Tensors]
    weight: float
    """Summed weights of the targets of the whole step, on all processes: what its loss is divided by."""
    tokens: int
    """Computed in the whole step, padding left out."""
    phase: str
    """Name of the phase the step belongs to; empty where there are none."""
    dataset_tokens: NotRequired[int]
    """Of its examples, each counted whole; as many as computed where nothing is said."""
    supervised: NotRequired[int]
    """Targets of its examples; as many as they weigh where nothing is said."""
    preference: NotRequired[PreferenceStep]
    """Of steps of preference pairs: which targets are whose."""


class PreferenceStep(TypedDict):
    """A step of pairs; M stands for their examples, chosen and rejected in turn."""

    pairs: Indices
    """[P] numbers of the pairs."""
    edges: list[torch.Tensor]
    """Of each batch, [targets]: the edge, ..."""
    members: list[torch.Tensor]
    """... and whose target it is: a place in M."""


class Packer:
    """Lays examples out as batches of at most `max_pack_tokens`, which may be lowered."""

    def __init__(
        self, examples: TokenisedExamples, *, sharing: Sharing, max_pack_tokens: int, keep_owners: bool = False
    ) -> None:
        needed = examples.needed
        if len(examples) and int(needed.max()) > max_pack_tokens:
            longest = int(np.argmax(needed))
            raise TrainingError(
                f"example {longest} takes {needed[longest]} tokens, more than train.max_pack_tokens ({max_pack_tokens}), and is "
                "computed in one piece; raise train.max_pack_tokens, or lower dataset.max_tokens"
            )
        self.tree: PrefixTree = build_tree(examples)
        self.longest = int(needed.max(initial=0))
        """Tokens of the longest example: no batch can be smaller."""
        self.largest = 0
        """Places of the largest batch that was last laid out."""
        self._sharing = sharing
        self._max_pack_tokens = max_pack_tokens
        self._keep_owners = keep_owners

    @property
    def examples(self) -> TokenisedExamples:
        return self.tree.examples

    @property
    def statistics(self) -> TreeStatistics:
        return self.tree.statistics

    def pack(self, indices: Indices, *, at_least: int = 1) -> list[Batch]:
        """The examples `indices`, each in one batch; smaller ones where there would be fewer than `at_least`, as far as it goes."""
        batches = self._pack(indices, self._max_pack_tokens)
        if len(batches) < at_least:
            share = -(-sum(batch.tokens for batch in batches) // at_least)
            batches = self._pack(indices, max(share, int(self.tree.needed[indices].max())))
        self.largest = max((batch.places for batch in batches), default=0)
        return batches

    @property
    def max_pack_tokens(self) -> int:
        return self._max_pack_tokens

    def most_tokens(self, indices: Indices) -> int:
        """No batch of these examples holds more, padding left out. Far cheaper than laying them out."""
        tokens = int(self.tree.needed[indices].sum())
        if self._sharing == "tree":
            tokens -= int(self.tree.shared_among(np.sort(self.tree.ranks[indices])).sum())
        return min(tokens, self._max_pack_tokens)

    def limit(self, tokens: int) -> None:
        """From now on batches hold at most `tokens`, or the longest example where it is longer."""
        self._max_pack_tokens = max(min(self._max_pack_tokens, tokens), self.longest)

    def half(self) -> int | None:
        """Half of what the batches laid out last had at most, or the longest example; None where that would be no less."""
        now = min(self._max_pack_tokens, self.largest)
        smaller = max(now // 2, self.longest)
        return smaller if smaller < now else None

    def pack_all(self) -> list[Batch]:
        """Every example, in no order that matters."""
        return self.pack(np.arange(len(self.examples)))

    def _pack(self, indices: Indices, most_tokens: int) -> list[Batch]:
        if self._sharing == "plain":
            return [self._plain_batch(members) for members in _of_like_length(self.tree.needed, indices, most_tokens)]
        rows = pack_rows(self.tree, indices, max_pack_tokens=most_tokens, keep_owners=self._keep_owners)
        return [Batch(len(row.input_ids), len(row.input_ids), partial(row_tensors, row), row.owners) for row in rows]

    def _plain_batch(self, members: Indices) -> Batch:
        needed = self.tree.needed[members]
        places = len(members) * int(needed.max())
        owners = plain_owners(self.examples, members) if self._keep_owners else None
        return Batch(int(needed.sum()), places, partial(plain_tensors, self.examples, members), owners)


def _of_like_length(needed: Indices, indices: Indices, most_tokens: int) -> list[Indices]:
    """`indices`, longest first, in groups that padded hold at most `most_tokens`, and little padding.

    >>> [group.tolist() for group in _of_like_length(np.array([9, 2, 10, 10]), np.arange(4), 25)]
    [[2, 3], [0], [1]]
    """
    groups: list[list[int]] = []
    longest, filled = 0, 0
    for index in indices[np.lexsort((indices, -needed[indices]))].tolist():
        length = int(needed[index])
        places = longest * (len(groups[-1]) + 1) if groups else 0
        if groups and places <= most_tokens and filled + length >= (1 - PADDING_SHARE) * places:
            groups[-1].append(index)
            filled += length
        else:
            groups.append([index])
            longest = filled = length
    return [np.array(group, np.int64) for group in groups]


def plain_tensors(examples: TokenisedExamples, members: Indices) -> Tensors:
    """``input_ids`` [B, T], and ``edge_sources`` (places in the flattened B * T), ``edge_targets``, ``edge_weights`` [S]."""
    needed = examples.needed[members]
    longest = int(needed.max())
    input_BT = np.zeros((len(members), longest), np.int64)
    sources, targets, weights = [], [], []
    for row, (member, length) in enumerate(zip(members.tolist(), needed.tolist(), strict=True)):
        start = int(examples.offsets[member])
        input_BT[row, :length] = examples.token_ids[start : start + length]
        weights_behind = examples.weights[start + 1 : start + length + 1]
        supervised = np.flatnonzero(weights_behind)
        sources.append(row * longest + supervised)
        targets.append(examples.token_ids[start + 1 + supervised])
        weights.append(weights_behind[supervised])
    return {
        "input_ids": torch.from_numpy(input_BT),
        "edge_sources": torch.from_numpy(np.concatenate(sources)),
        "edge_targets": torch.from_numpy(np.concatenate(targets).astype(np.int64)),
        "edge_weights": torch.from_numpy(np.concatenate(weights)),
    }


def supervised_targets(examples: TokenisedExamples, members: Indices) -> int:
    """How many targets `members` have together, whatever they weigh."""
    offsets = examples.offsets
    return sum(int(np.count_nonzero(examples.weights[offsets[at] + 1 : offsets[at + 1]])) for at in members)


def plain_owners(examples: TokenisedExamples, members: Indices) -> Owners:
    """Of the edges of `plain_tensors`, which no two examples share."""
    targets = [
        np.count_nonzero(examples.weights[examples.offsets[at] + 1 : examples.offsets[at + 1]]) for at in members
    ]
    return Owners(np.arange(sum(targets)), np.repeat(members, targets))


def deal(places: Sequence[int], processes: int) -> list[list[int]]:
    """Batches of these sizes to processes: the largest first, each to whom has the least.

    >>> deal([5, 9, 4, 1], 2)
    [[1, 3], [0, 2]]
    """
    hands: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for batch in sorted(range(len(places)), key=lambda batch: -places[batch]):
        least = loads.index(min(loads))
        hands[least].append(batch)
        loads[least] += places[batch]
    return hands


def own_batches(batches: Sequence[Batch], processes: Processes) -> list[Batch]:
    """Those that this process is dealt; none where there are fewer batches than processes. Of a model that is spread over them
    each gets as many, some of which change nothing."""
    hands = deal([batch.places for batch in batches], processes.count)
    own = [batches[place] for place in hands[processes.index]]
    if processes.spread:
        own += [_idle(batches)] * (max(map(len, hands)) - len(own))
    return own


def _idle(batches: Sequence[Batch]) -> Batch:
    """Changes nothing."""
    smallest = min(batches, key=lambda batch: batch.places)
    nobody = np.zeros(0, np.int64)
    return Batch(smallest.tokens, smallest.places, partial(weightless, smallest), Owners(nobody, nobody))


def weightless(batch: Batch) -> Tensors:
    """A batch that changes nothing: for a process that has none, since all have to take part in a step."""
    tensors = batch.make()
    return {**tensors, "edge_weights": torch.zeros_like(tensors["edge_weights"])}


@dataclass(frozen=True, slots=True)
class _PlannedEpoch:
    steps: list[Indices]
    ends: list[int]
    """Where each phase ends, in steps."""
    names: list[str]
    """Of the phases."""

    def phase(self, number: int) -> str:
        """Of a step."""
        return self.names[bisect_right(self.ends, number)]


class OptimizerSteps(Dataset[LoadedStep]):
    """The steps of the current `epoch`, by number. Draws nothing from the global random state."""

    def __init__(
        self,
        packer: Packer,
        *,
        examples_per_step: int,
        seed: int,
        processes: Processes,
        phases: Phases | None = None,
    ) -> None:
        self.epoch = 0
        self.packer = packer
        self._examples_per_step = examples_per_step
        self._seed = seed
        self._processes = processes
        self._parts = [("", packer.tree)] if phases is None else phases.parts(packer.tree)
        self._planned: dict[int, _PlannedEpoch] = {}

    def __len__(self) -> int:
        # asked of the plan: it takes a few steps more where contexts would otherwise be cut, in every epoch as many
        return len(self._plan().steps)

    def __getitem__(self, number: int) -> LoadedStep:
        plan = self._plan()
        indices = plan.steps[number]
        batches = self.packer.pack(indices, at_least=self._processes.count)
        own = [batch.make() for batch in own_batches(batches, self._processes)]
        return {
            "number": number,
            "batches": own or [weightless(min(batches, key=lambda batch: batch.places))],
            "weight": float(self.packer.examples.total_weights[indices].sum()),
            "tokens": sum(batch.tokens for batch in batches),
            "phase": plan.phase(number),
            "dataset_tokens": int(self.packer.examples.lengths[indices].sum()),
            "supervised": supervised_targets(self.packer.examples, indices),
        }

    def indices(self, number: int) -> Indices:
        """What a step of the current epoch is made of."""
        return self._plan().steps[number]

    def members(self, number: int) -> Indices:
        """The examples of a step."""
        return self.indices(number)

    def unshared_tokens(self) -> Indices:
        """[steps] tokens of each step's examples, those they share counted for each: no step computes more."""
        steps = self._plan().steps
        counts = np.fromiter(map(len, steps), np.int64, len(steps))
        return np.add.reduceat(self._needed(np.concatenate(steps)), np.cumsum(counts) - counts)

    def _needed(self, indices: Indices) -> Indices:
        return self.packer.tree.needed[indices]

    def loader(self) -> DataLoader[LoadedStep]:
        """The steps in their order, one an item."""
        return DataLoader(self, batch_size=1, collate_fn=_only)

    def _plan(self) -> _PlannedEpoch:
        if self.epoch not in self._planned:
            steps: list[Indices] = []
            ends: list[int] = []
            for _, tree in self._parts:
                steps += plan_steps(tree, examples_per_step=self._examples_per_step, seed=self._seed, epoch=self.epoch)
                ends.append(len(steps))
            self._planned = {self.epoch: _PlannedEpoch(steps, ends, [name for name, _ in self._parts])}
        return self._planned[self.epoch]


def _only(items: list[LoadedStep]) -> LoadedStep:
    [item] = items
    return item
