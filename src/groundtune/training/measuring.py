"""The loss of a model on examples, without training it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from transformers import PreTrainedModel

from groundtune.models import cpu_threads
from groundtune.training.batches import collate
from groundtune.training.examples import Tokenised, check_examples
from groundtune.training.loss import SupervisedLoss
from groundtune.training.trainer import mean_loss


def measure_loss(model: PreTrainedModel, examples: Sequence[Tokenised], *, batch_size: int, threads: int = 0) -> float:
    """Mean cross entropy in nats over the supervised tokens of `examples`; logits are never stored.

    Raises:
        TrainingError: no examples, or one without a trained token.
    """
    check_examples(examples, "evaluation")
    collate_examples = partial(collate, filler=0)
    supervised_loss = SupervisedLoss(model)
    with cpu_threads(threads):
        supervised_loss.choose(model, collate_examples(examples[:1]))
        return mean_loss(model, supervised_loss, examples, collate_examples, batch_size=batch_size)
