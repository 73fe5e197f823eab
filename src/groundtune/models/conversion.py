"""Turns a checkpoint file into a model folder: config.json, model.safetensors and the tokenizer, ready to be trained on."""

from __future__ import annotations

from pathlib import Path

from groundtune.files import atomic_folder
from groundtune.models.llama import ModelSummary, describe_model
from groundtune.models.loading import load_model
from groundtune.models.quiet import quiet_transformers
from groundtune.models.tokenizer_loading import load_tokenizer


def convert_checkpoint(
    checkpoint: Path,
    out: Path,
    *,
    tokenizer: str | Path,
    preset: str | None = None,
    described_by: Path | None = None,
) -> ModelSummary:
    """Write the weights of `checkpoint` (a file of torch.save's) and a tokenizer as the folder `out`, whole or not at all.

    Args:
        tokenizer: folder or Hugging Face id; its entries must be the checkpoint's.
        preset: the architecture; None takes it from a config.json.
        described_by: the folder of that config.json; None is the one that the file is in.

    Raises:
        TrainingError: as `load_model` and `load_tokenizer`.
        StorageError: `out` cannot be written.
    """
    words = load_tokenizer(tokenizer)
    model = load_model(checkpoint, tokenizer=words, preset=preset, described_by=described_by)
    with atomic_folder(out) as folder, quiet_transformers():
        model.save_pretrained(folder)
        words.save_pretrained(str(folder))
    return describe_model(model)
