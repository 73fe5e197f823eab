"""The loss of a model on examples, without training it; logits are never stored."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from transformers import PreTrainedModel

from groundtune.architecture import evaluating
from groundtune.models import cpu_threads
from groundtune.prefix import PreparedModel
from groundtune.training.examples import Examples, check_examples, in_columns
from groundtune.training.precision import autocast
from groundtune.training.steps import Batch, Packer, Sharing


def measure_loss(
    model: PreTrainedModel,
    examples: Examples,
    *,
    max_pack_tokens: int,
    sharing: Sharing = "tree",
    threads: int = 0,
) -> float:
    """Mean cross entropy in nats over the supervised tokens of `examples`, each by its weight and each shared prefix
    computed once a row.

    Args:
        max_pack_tokens: tokens in one forward pass; it changes memory and time, not the loss.
        sharing: "plain" for models that sharing is wrong for.

    Raises:
        TrainingError: no examples, one without a trained token, one longer than `max_pack_tokens`, or a model that cannot
            take rows.
    """
    columns = in_columns(examples)
    check_examples(columns, "evaluation")
    packer = Packer(columns, sharing=sharing, max_pack_tokens=max_pack_tokens)
    with cpu_threads(threads), PreparedModel(model, share=sharing == "tree") as prepared:
        total = summed_loss(prepared, packer.pack_all())
    return total / float(packer.examples.total_weights.sum())


def measure_each_loss(
    model: PreTrainedModel,
    examples: Examples,
    *,
    max_pack_tokens: int,
    sharing: Sharing = "tree",
    threads: int = 0,
) -> tuple[list[float], list[int]]:
    """Of each example, the summed cross entropy in nats over its supervised tokens, and their number; weights are left out.

    Arguments and errors are those of `measure_loss`.
    """
    columns = in_columns(examples)
    check_examples(columns, "evaluation")
    packer = Packer(columns, sharing=sharing, max_pack_tokens=max_pack_tokens, keep_owners=True)
    sums = torch.zeros(len(columns), dtype=torch.float64)
    tokens = torch.zeros(len(columns), dtype=torch.int64)
    with cpu_threads(threads), PreparedModel(model, share=sharing == "tree") as prepared, evaluating(model):
        for batch in packer.pack_all():
            assert batch.owners is not None, "the packer was told to keep them"
            on_device = {name: each.to(model.device) for name, each in batch.make().items()}
            with torch.no_grad():
                losses = prepared.edge_losses(on_device).to("cpu", torch.float64)
            owners = torch.from_numpy(batch.owners.examples)
            sums.index_add_(0, owners, losses[torch.from_numpy(batch.owners.edges)])
            tokens.index_add_(0, owners, torch.ones_like(owners))
    return sums.tolist(), tokens.tolist()


def summed_loss(prepared: PreparedModel, batches: Iterable[Batch], *, bfloat16: bool = False) -> float:
    """Weighted sum of the cross entropies of `batches`, added up in float64; the model is left as it was."""
    model: nn.Module = prepared.model
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total = 0.0
    with torch.no_grad(), autocast(device, bfloat16=bfloat16):
        for batch in batches:
            total += float(prepared.row_loss({name: each.to(device) for name, each in batch.make().items()}))
    model.train(was_training)
    return total
