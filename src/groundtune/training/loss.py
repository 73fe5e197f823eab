"""The loss over supervised tokens, with only their hidden states in the vocabulary projection.

The projection of a small model costs as much as several of its layers, and most tokens of a grounded example (its
context) carry no loss. A hook in front of the output embedding picks the rows that do, so loss and gradients are the
same and the logits of the rest are never computed. It works on any model whose logits come out of
`get_output_embeddings()`, whatever the model does with them afterwards; a model where that does not hold is noticed by
comparing both ways on one batch, and is trained the plain way.

Legend: B batch, T tokens, S supervised sources (each predicts the token behind it), D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from groundtune.training.batches import IGNORED

AGREEMENT = 1e-3
"""Largest relative difference between both ways that counts as rounding. A real difference (scaled or capped logits) is larger."""


class SupervisedLoss:
    """Computes the summed loss of a batch; `gathered` says whether only supervised rows are projected."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.gathered = isinstance(model.get_output_embeddings(), nn.Module)
        self._projection = model.get_output_embeddings()

    def choose(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> bool:
        """Compare both ways on `batch` and keep the gathered one only if they agree. Leaves the model as it was."""
        if not self.gathered:
            return False
        was_training = model.training
        model.eval()
        with torch.no_grad():
            plain = self._plain(model, batch)
            gathered = self._gathered(model, batch)
        model.train(was_training)
        self.gathered = gathered is not None and bool((plain - gathered).abs() <= AGREEMENT * plain.abs())
        return self.gathered

    def __call__(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The sum of cross entropies over the supervised tokens of `batch`, a scalar."""
        loss = self._gathered(model, batch) if self.gathered else self._plain(model, batch)
        assert loss is not None, "the way was checked by choose()"
        return loss

    def _gathered(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor | None:
        targets_BT = batch["labels"][:, 1:]
        sources_S = _flat_sources(batch["labels"])
        with _projecting(self._projection, sources_S):
            logits = _forward(model, batch)
        logits_SV = logits.reshape(-1, logits.shape[-1])
        if len(logits_SV) != len(sources_S):
            return None
        targets_S = targets_BT[targets_BT != IGNORED]
        return nn.functional.cross_entropy(logits_SV.float(), targets_S, reduction="sum")

    def _plain(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        logits_BTV = _forward(model, batch)[:, :-1]
        return nn.functional.cross_entropy(
            logits_BTV.reshape(-1, logits_BTV.shape[-1]).float(),
            batch["labels"][:, 1:].reshape(-1),
            ignore_index=IGNORED,
            reduction="sum",
        )


def _forward(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    logits: torch.Tensor = model(input_ids=batch["input_ids"], use_cache=False).logits
    return logits


def _flat_sources(labels_BT: torch.Tensor) -> torch.Tensor:
    """Places in the flattened [B * T] of the tokens whose successor is supervised.

    >>> _flat_sources(torch.tensor([[-100, -100, 7, 8], [-100, 5, -100, -100]])).tolist()
    [1, 2, 4]
    """
    wanted_BT = nn.functional.pad(labels_BT[:, 1:] != IGNORED, (0, 1))
    return wanted_BT.reshape(-1).nonzero().squeeze(1)


@contextmanager
def _projecting(projection: nn.Module, sources_S: torch.Tensor) -> Iterator[None]:
    """Inside the block `projection` sees the hidden states of `sources_S` only, as [1, S, D]."""

    def pick(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden_BTD = inputs[0]
        # index_select: its backward adds in a fixed order, which exact resumption rests on
        return (hidden_BTD.reshape(-1, hidden_BTD.shape[-1]).index_select(0, sources_S)[None], *inputs[1:])

    handle = projection.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()
