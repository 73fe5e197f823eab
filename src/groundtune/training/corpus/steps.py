"""Sequences of a mixture as batches of one shape, and optimizer steps of them.

Every batch of an epoch has as many rows and places as every other: short sequences are padded, and so is the last step. A
model that is compiled is then compiled once. Nothing is kept of a corpus but how long its sequences are.

Legend: B rows of a batch, T = sequence_tokens - 1 places of a row, E = B * T edges.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from typing_extensions import override

from groundtune.errors import TrainingError
from groundtune.prefix import TreeStatistics
from groundtune.training.corpus.sequences import Mixture
from groundtune.training.processes import Processes
from groundtune.training.steps import (
    Batch,
    Indices,
    LoadedStep,
    OptimizerSteps,
    Packer,
    Tensors,
    own_batches,
    weightless,
)


class SequencePacker(Packer):
    """Lays sequences out as batches of at most `max_pack_tokens`, without a prefix tree: they share nothing."""

    def __init__(self, mixture: Mixture, *, max_pack_tokens: int, sequences_per_step: int) -> None:
        self.longest = mixture.sequence_tokens - 1
        if self.longest > max_pack_tokens:
            raise TrainingError(
                f"pretrain.sequence_tokens ({mixture.sequence_tokens}) is above train.max_pack_tokens ({max_pack_tokens}), and a "
                "sequence is computed in one piece; raise train.max_pack_tokens, or lower pretrain.sequence_tokens"
            )
        self.mixture = mixture
        self.largest = 0
        self._sequences_per_step = sequences_per_step
        self._max_pack_tokens = max_pack_tokens

    @property
    @override
    def examples(self) -> Mixture:  # type: ignore[override]
        return self.mixture

    @property
    @override
    def statistics(self) -> TreeStatistics:
        """Of the first epoch; others differ by a few tokens where the general texts end."""
        indices = self.mixture.epoch(0)
        tokens = int(self.mixture.lengths[indices].sum())
        needed = tokens - len(indices)
        return TreeStatistics(len(indices), tokens, needed, needed, needed)

    @override
    def pack(self, indices: Indices, *, at_least: int = 1) -> list[Batch]:
        # as many batches as a whole step takes, whatever is in this one
        most = max(1, self._max_pack_tokens // self.longest)
        batches = max(-(-self._sequences_per_step // most), min(at_least, self._sequences_per_step))
        rows = -(-self._sequences_per_step // batches)
        packed = [self._batch(indices[start : start + rows], rows) for start in range(0, len(indices), rows)]
        self.largest = max((batch.places for batch in packed), default=0)
        return packed

    @override
    def most_tokens(self, indices: Indices) -> int:
        # all batches are of one shape: the first is as large as any
        return self._max_pack_tokens

    def _batch(self, members: Indices, rows: int) -> Batch:
        tokens = int(self.mixture.lengths[members].sum()) - len(members)
        return Batch(tokens, rows * self.longest, partial(sequence_tensors, self.mixture, members, rows))


def sequence_tensors(mixture: Mixture, members: Indices, rows: int) -> Tensors:
    """``input_ids`` [B, T], and ``edge_sources`` (places in the flattened B * T), ``edge_targets``, ``edge_weights`` [E], which
    are 0 for what is padding. Padding is not masked: under causal attention no real token can see what comes after it."""
    places = mixture.sequence_tokens - 1
    input_BT, target_BT = np.zeros((2, rows, places), np.int64)
    weight_BT = np.zeros((rows, places), np.float32)
    for row, member in enumerate(members.tolist()):
        ids = mixture.read(member)
        input_BT[row, : len(ids) - 1] = ids[:-1]
        target_BT[row, : len(ids) - 1] = ids[1:]
        weight_BT[row, : len(ids) - 1] = 1
    return {
        "input_ids": torch.from_numpy(input_BT),
        "edge_sources": torch.arange(rows * places),
        "edge_targets": torch.from_numpy(target_BT.reshape(-1)),
        "edge_weights": torch.from_numpy(weight_BT.reshape(-1)),
    }


class SequenceSteps(OptimizerSteps):
    """The steps of the current `epoch` of a mixture, by number: its sequences in their order, so many to a step."""

    def __init__(self, packer: SequencePacker, *, sequences_per_step: int, processes: Processes) -> None:
        self.epoch = 0
        self.packer: SequencePacker = packer
        self._sequences_per_step = sequences_per_step
        self._processes = processes

    @override
    def __len__(self) -> int:
        mixture = self.packer.mixture
        return -(-(mixture.own + mixture.drawn) // self._sequences_per_step)

    @override
    def unshared_tokens(self) -> Indices:
        """Of the first step alone: all are of one shape."""
        return np.full(1, self.packer.max_pack_tokens)

    @override
    def __getitem__(self, number: int) -> LoadedStep:
        mixture, indices = self.packer.mixture, self.indices(number)
        batches = self.packer.pack(indices, at_least=self._processes.count)
        own = [batch.make() for batch in own_batches(batches, self._processes)]
        targets = int(mixture.lengths[indices].sum()) - len(indices)
        return {
            "number": number,
            "batches": own or [weightless(batches[0])],
            "weight": float(targets),
            "tokens": targets,
            "phase": "",
            "dataset_tokens": targets + len(indices),
            "supervised": targets,
        }

    @override
    def indices(self, number: int) -> Indices:
        first = number * self._sequences_per_step
        return self.packer.mixture.epoch(self.epoch, first, first + self._sequences_per_step)
