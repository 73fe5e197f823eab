"""Noise on the embeddings while training: NEFTune (Jain et al. 2023, "NEFTune: Noisy Embeddings Improve Instruction
Finetuning", arXiv:2310.05914).

Every number that the embedding module gives a token gets uniform noise of ``[-1, 1] * alpha / sqrt(L * d)`` added, `d` being
their count and `L` the length of the token's example. What that means here:

- **The length** is that of the example alone, in tokens that are computed (up to its last target, whose own embedding nobody
  reads), never that of padding. transformers and TRL take the padded length of the batch, so an example's noise there is
  the smaller the longer its neighbours are.
- **In the tree** a shared token gets one draw, and `L` of the longest example that goes through it in its row: the noise
  of no example is larger than alone. Any other token has the noise of plain training. Where a tree is cut between rows,
  the path above the cut is in both, each with the longest example of its own row.
- **The draw** is no state of a generator but a function of seed, step, the tokens up to this one, and the column. So it is
  the same for a run that is continued, for any number of processes, for any `max_pack_tokens` and on any device; the same
  tokens at the beginning of two examples of a step have the same draw in plain batches too, as they have in the tree.
- **After the module**: architectures that scale embeddings (Gemma) scale the noise with them, as in TRL.

There is none outside `EmbeddingNoise.on`, which the trainer's training pass alone enters: not in validation, samples, probe,
or where layers are computed again in the backward pass, which begins behind the embeddings.

Legend: B rows of a plain batch, T tokens of a row, P places of a batch (T, or B * T), D width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from groundtune.errors import TrainingError
from groundtune.prefix import PreparedModel
from groundtune.training.steps import Tensors

BLOCK_NUMBERS = 1 << 20
"""Drawn at a time: they are made of integers of 64 bits, which need several times the memory of the noise."""

DRAWN_BITS = 23
"""Of a draw: with the half step that makes it even about 0 they fill a float32's digits."""

Words = npt.NDArray[np.uint64]

GOLDEN, FIRST_FACTOR, SECOND_FACTOR = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Of splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators")."""


class EmbeddingNoise:
    """Adds noise to what a model's embedding module gives.

    Args:
        prepared: the model; its adapters and wrappers share the module.
        alpha: NEFTune's.
    """

    def __init__(self, prepared: PreparedModel, *, alpha: float, seed: int) -> None:
        self._model = prepared.causal
        self._alpha = alpha
        self._seed = seed

    @contextmanager
    def on(self, batch: Tensors, step: int) -> Iterator[None]:
        """Inside the block the forward pass of `batch` (as `Batch.make` gives it) has the noise of this step.

        Raises:
            TrainingError: the model has no embedding module, did not call it, or called it on other tokens.
        """
        keys_P, lengths_P = place_keys(batch, self._seed, step), example_lengths(batch)
        calls: list[None] = []

        def add(_module: nn.Module, _inputs: Any, embedded: torch.Tensor) -> torch.Tensor:
            calls.append(None)
            width = embedded.shape[-1]
            if embedded.numel() != len(keys_P) * width:
                raise self._without_effect(f"is embedded as {tuple(embedded.shape)}, not token by token")
            largest_P = (self._alpha / np.sqrt(lengths_P * width)).astype(np.float32)
            noise_PD = uniform(torch.from_numpy(keys_P.view(np.int64)).to(embedded.device), width)
            noise_PD.mul_(torch.from_numpy(largest_P).to(embedded.device)[:, None])
            return embedded + noise_PD.view(embedded.shape).to(embedded.dtype)

        handle = self._embeddings().register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()
        if not calls:
            raise self._without_effect("does not pass through its embedding module")

    def _embeddings(self) -> nn.Module:
        try:
            module: nn.Module | None = self._model.get_input_embeddings()
        except NotImplementedError:
            module = None
        if module is None:
            raise self._without_effect("has no embedding module")
        return module

    def _without_effect(self, why: str) -> TrainingError:
        return TrainingError(
            f"train.neftune_alpha is {self._alpha:g}, and a batch of {type(self._model).__name__} {why}; set it to 0"
        )


def example_lengths(batch: Tensors) -> npt.NDArray[np.int64]:
    """[P] the length of each token's example; in a tree of the longest that goes through it.

    Two questions of one and three tokens on a context of two (the filler of the mask does not matter):

    >>> mask = torch.tensor([[6, 0, 0], [6, 1, 0], [3, 2, 0], [6, 2, 0], [6, 3, 0], [6, 4, 0]])
    >>> example_lengths({"input_ids": torch.zeros(1, 6, dtype=torch.int64), "attention_mask": mask[None, None]}).tolist()
    [5, 5, 3, 5, 5, 5]
    """
    if "attention_mask" in batch:
        ends_T, depth_T = _tree(batch)
        # the deepest token below another one has nothing below itself
        leaves = np.flatnonzero(ends_T == np.arange(1, len(ends_T) + 1))
        first_T, behind_T = (np.searchsorted(leaves, places) for places in (np.arange(len(ends_T)), ends_T))
        # the place behind the last leaf has to be one that exists
        depth_of_leaves = np.append(depth_T[leaves], 0)
        bounds = np.stack([first_T, behind_T], axis=1).reshape(-1)
        return np.maximum.reduceat(depth_of_leaves, bounds)[::2] + 1
    rows, tokens = batch["input_ids"].shape
    sources = batch["edge_sources"].cpu().numpy()
    lengths_B = np.zeros(rows, np.int64)
    np.maximum.at(lengths_B, sources // tokens, sources % tokens + 1)
    return np.repeat(lengths_B, tokens)


def place_keys(batch: Tensors, seed: int, step: int) -> Words:
    """[P] a number for each token, the same for the same tokens before it (and itself), different for any others."""
    ids_BT = batch["input_ids"].cpu().numpy().astype(np.uint64)
    tokens = ids_BT.shape[1]
    start = hashlib.sha256(f"embedding noise {seed} {step}".encode()).digest()[:8]
    base = np.frombuffer(start, np.uint64)
    tree = _tree(batch) if "attention_mask" in batch else None
    depth_T = np.arange(tokens) if tree is None else tree[1]
    own_BT = _mixed(_mixed(ids_BT + base) + depth_T.astype(np.uint64) * np.uint64(GOLDEN))
    if tree is None:
        return _mixed(np.cumsum(own_BT, axis=1)).reshape(-1)
    # a token's number is added where it stands and taken away behind its subtree: what remains is the path
    changes = np.append(own_BT[0], np.uint64(0))
    np.subtract.at(changes, tree[0], own_BT[0])
    return _mixed(np.cumsum(changes)[:-1])


def uniform(keys_P: torch.Tensor, width: int) -> torch.Tensor:
    """[P, D] float32, in steps of 2^-22 between -1 and 1, both left out; `keys_P` are int64, and decide."""
    noise_PD = torch.empty(len(keys_P), width, dtype=torch.float32, device=keys_P.device)
    # the counter of a token's columns, in steps that overflow as those of unsigned words do
    steps_D = torch.from_numpy((np.arange(width, dtype=np.uint64) * np.uint64(GOLDEN)).view(np.int64)).to(keys_P.device)
    rows = max(1, BLOCK_NUMBERS // width)
    for start in range(0, len(keys_P), rows):
        words = keys_P[start : start + rows, None] + steps_D
        for shift, factor in ((30, FIRST_FACTOR), (27, SECOND_FACTOR)):
            words.bitwise_xor_(_shifted(words, shift)).mul_(factor - 2**64)
        words.bitwise_xor_(_shifted(words, 31))
        drawn = _shifted(words, 64 - DRAWN_BITS).mul_(2).add_(1)
        torch.mul(drawn, 2.0**-DRAWN_BITS, out=noise_PD[start : start + rows]).sub_(1)
    return noise_PD


def _shifted(words: torch.Tensor, bits: int) -> torch.Tensor:
    """To the right, as unsigned words are: without copies of the sign."""
    return (words >> bits).bitwise_and_(2 ** (64 - bits) - 1)


def _mixed(words: Words) -> Words:
    """splitmix64's last steps: neighbouring numbers come out unlike each other."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(FIRST_FACTOR)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(SECOND_FACTOR)
    return words ^ (words >> np.uint64(31))


def _tree(batch: Tensors) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """[T] subtree ends and depths of a row."""
    mask_TC = batch["attention_mask"][0, 0].cpu().numpy()
    return mask_TC[:, 0], mask_TC[:, 1]
