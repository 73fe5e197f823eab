"""Next-token training of a fresh model on the documents' text.

Leaves in its folder: ``model/`` (safetensors, tokenizer, configuration), ``metrics.jsonl``, ``timings.json`` and
``tensorboard/``. Killed and called again it goes on exactly, like fine-tuning.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.config import ComputingConfig, PretrainConfig
from groundtune.files import make_folder
from groundtune.training.documents import pack_documents
from groundtune.training.plan import Plan
from groundtune.training.records import TrainingRecord
from groundtune.training.running import finish_training, replace_folder_with_weights, run_training
from groundtune.training.watching import CHECKPOINT_SECONDS

MODEL_NAME = "model"


def pretrain(
    texts: Iterable[str],
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    *,
    config: PretrainConfig,
    seed: int,
    out: Path,
    computing: ComputingConfig,
    recall_share: float = 0.0,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> TrainingRecord:
    """Train `model` in place on `texts` and write it to ``out/model``. With no epochs it is written as it is.

    Args:
        recall_share: share of the sequences that repeat parts of their own text; see `pack_documents`.
        checkpoint_seconds: how much work a kill may cost; a checkpoint is also written after every epoch.

    Raises:
        TrainingError: no text, or a loss that is no number.
        StorageError: the folder cannot be written.
    """
    sequences = pack_documents(
        texts, tokenizer, sequence_tokens=config.sequence_tokens, recall_share=recall_share, seed=seed
    )
    plan = Plan(
        label="pretraining",
        config=config,
        epochs=config.epochs,
        computing=computing,
        examples_per_step=config.batch_sequences,
        # sequences of running text share next to nothing
        sharing="plain",
        probe=False,
        seed=seed,
        folder=make_folder(out),
        checkpoint_seconds=checkpoint_seconds,
    )
    record, processes = run_training(plan, model, sequences, (), lambda: None)
    if processes.first:
        replace_folder_with_weights(model, tokenizer, out / MODEL_NAME)
        finish_training(out, record)
    return record
