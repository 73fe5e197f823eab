"""Batches of examples of like length, in an order that depends on seed and epoch alone.

Padding is on the right and is not masked: under causal attention no real token can see what comes after it, so the
padding changes nothing but the time it costs, and attention without a mask has the faster kernel.

Legend: B examples of a batch, T longest of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from groundtune.training.examples import Tokenised

IGNORED = -100
"""Label of a token that carries no loss: transformers' own convention."""

POOL_BATCHES = 24
"""Batches drawn at random together and sorted by length among themselves: little padding, and still mixed."""


class LengthGroupedBatches(Sampler[list[int]]):
    """Indices of each batch of the current `epoch`. Draws nothing from the global random state."""

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self.drop_last = False
        self.epoch = 0
        self._lengths = lengths
        self._seed = seed

    def __len__(self) -> int:
        return -(-len(self._lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        chance = random.Random(f"batches-{self._seed}-{self.epoch}")
        order = list(range(len(self._lengths)))
        chance.shuffle(order)
        batches = []
        pool_size = self.batch_size * POOL_BATCHES
        for start in range(0, len(order), pool_size):
            pool = sorted(order[start : start + pool_size], key=lambda place: self._lengths[place])
            batches += [pool[at : at + self.batch_size] for at in range(0, len(pool), self.batch_size)]
        chance.shuffle(batches)
        yield from batches


def collate(examples: Sequence[Tokenised], *, filler: int) -> dict[str, torch.Tensor]:
    """``input_ids`` and ``labels``, both [B, T]; ``labels`` are unshifted, `IGNORED` where nothing is learnt."""
    longest = max(len(example.input_ids) for example in examples)
    input_BT = torch.full((len(examples), longest), filler, dtype=torch.long)
    labels_BT = torch.full((len(examples), longest), IGNORED, dtype=torch.long)
    for row, example in enumerate(examples):
        ids = torch.tensor(example.input_ids)
        input_BT[row, : len(ids)] = ids
        labels_BT[row, : len(ids)] = torch.where(torch.tensor(example.trained), ids, IGNORED)
    # so that a count of labels is the number of losses, whether the counter shifts them or not
    labels_BT[:, 0] = IGNORED
    return {"input_ids": input_BT, "labels": labels_BT}
