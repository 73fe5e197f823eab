"""A thin subclass of transformers' Trainer: the loop, optimizer, schedule, clipping, accumulation and distribution are its.

What is ours, and why:

- the loss: summed over supervised tokens and divided by their number in the whole optimizer step (:mod:`.loss`);
- the order of the data: from seed and epoch alone (:mod:`.batches`), so a continued run meets the same batches;
- validation: exact over tokens, no logits kept;
- checkpoints: whole or absent (:mod:`.checkpoints`), with the journal inside;
- a loss that is no number stops the run before a checkpoint can hold it.

It prints nothing.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from typing_extensions import override

from groundtune.config import OptimizerConfig
from groundtune.errors import TrainingError
from groundtune.files import TEMPORARY_PREFIX, make_folder
from groundtune.training.batches import LengthGroupedBatches, collate
from groundtune.training.checkpoints import CHECKPOINTS_NAME, publish_checkpoint, saving
from groundtune.training.examples import Tokenised
from groundtune.training.loss import SupervisedLoss
from groundtune.training.records import Journal, save_journal

VALIDATION_BATCH_FACTOR = 2
"""Validation keeps no activations, so its batches can be larger than those of training."""


class SupervisedTrainer(Trainer):
    """Trains a causal model on `Tokenised` examples. See the module's text for what differs from Trainer."""

    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        train: Sequence[Tokenised],
        valid: Sequence[Tokenised],
        *,
        batches: LengthGroupedBatches,
        folder: Path,
        fingerprint: str,
        journal: Journal,
        callbacks: list[TrainerCallback],
    ) -> None:
        use_cache = model.config.use_cache
        # lists are data sets to torch, but not to its type annotations
        self._train: Any = list(train)
        self._valid: Any = list(valid)
        self._unwrapped = model
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=self._train,
            eval_dataset=self._valid or None,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)
        # Trainer turns it off in the configuration that is saved with the weights
        model.config.use_cache = use_cache
        # compute_loss divides by the step's token count: with these two every Trainer version counts and does not divide again
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self.journal = journal
        self.batches = batches
        filler = model.config.get_text_config().pad_token_id
        self._collate = partial(collate, filler=filler if isinstance(filler, int) else 0)
        self.supervised_loss = SupervisedLoss(model)
        self.supervised_loss.choose(model, self._on_device(self._collate(train[:1])))
        self._folder = folder
        self._fingerprint = fingerprint
        self._staging: Path | None = None
        self.step_tokens = 0
        """Supervised tokens of the optimizer step in hand."""

    # data

    @override
    def get_train_dataloader(self) -> DataLoader[Any]:
        loader = DataLoader(self._train, batch_sampler=self.batches, collate_fn=self._collate)
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def _on_device(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.args.device) for name, tensor in batch.items()}

    # loss

    @override
    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The batch's share of the step's mean loss: its sum over the step's number of supervised tokens."""
        if num_items_in_batch is None:
            raise TrainingError("this version of transformers did not count the step's tokens; install the pinned one")
        self.step_tokens = int(num_items_in_batch)
        loss = self.supervised_loss(model, inputs) / num_items_in_batch
        if not torch.isfinite(loss):
            raise self._not_a_number("the loss", float(loss))
        # every process divides by the count of all of them, and gradients are averaged over processes
        loss = loss * self.accelerator.num_processes
        return (loss, None) if return_outputs else loss

    def _not_a_number(self, what: str, value: float) -> TrainingError:
        return TrainingError(
            f"step {self.state.global_step + 1}: {what} is {value}; the training has diverged. Lower the learning rate "
            f"(now at {self._get_learning_rate():.2g}, try a third) or raise warmup_share, and run again"
        )

    @override
    def evaluate(self, *_args: Any, **_kwargs: Any) -> dict[str, float]:
        """Mean loss over every supervised token of the validation examples."""
        loss = mean_loss(
            self._unwrapped, self.supervised_loss, self._valid, self._collate, batch_size=self.args.eval_batch_size
        )
        metrics = {"eval_loss": loss}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    # logging and checkpoints

    @override
    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called for every optimizer step, and once at the end with a summary that the watcher has already."""
        if "grad_norm" not in logs:
            return
        if not math.isfinite(logs["grad_norm"]):
            raise self._not_a_number("the gradient norm", logs["grad_norm"])
        self.control = self.callback_handler.on_log(
            self.args, self.state, self.control, {**logs, "step_tokens": self.step_tokens}
        )

    @override
    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging or super()._get_output_dir(trial))

    @override
    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Trainer's own checkpoint, written where nothing looks for it and moved into place when it is whole."""
        parent = make_folder(self._folder / CHECKPOINTS_NAME)
        with saving(parent), tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=parent) as staging:
            self._staging = Path(staging)
            try:
                super()._save_checkpoint(model, trial)
                [staged] = self._staging.iterdir()
                save_journal(staged, self.journal)
                publish_checkpoint(staged, self._folder, self._fingerprint)
            finally:
                self._staging = None


def mean_loss(
    model: nn.Module,
    supervised_loss: SupervisedLoss,
    examples: Sequence[Tokenised],
    collate_examples: Callable[[Sequence[Tokenised]], dict[str, torch.Tensor]],
    *,
    batch_size: int,
) -> float:
    """Cross entropy per supervised token over all `examples`, summed in float64; batches of like length, no logits kept."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, tokens = 0.0, 0
    ordered = sorted(examples, key=lambda example: len(example.input_ids))
    with torch.no_grad():
        for start in range(0, len(ordered), batch_size):
            batch = collate_examples(ordered[start : start + batch_size])
            total += float(supervised_loss(model, {name: tensor.to(device) for name, tensor in batch.items()}))
            tokens += sum(example.supervised_tokens for example in ordered[start : start + batch_size])
    model.train(was_training)
    return total / tokens


def training_arguments(
    config: OptimizerConfig,
    *,
    epochs: int,
    batch_size: int,
    accumulation_steps: int,
    seed: int,
    folder: Path,
    validate: bool,
    first_evaluation: bool,
) -> TrainingArguments:
    """Our configuration in Trainer's words."""
    return TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        num_train_epochs=epochs,
        per_device_train_batch_size=batch_size,
        per_device_eval_batch_size=batch_size * VALIDATION_BATCH_FACTOR,
        gradient_accumulation_steps=accumulation_steps,
        learning_rate=config.learning_rate,
        # unlike plain cosine with warm-up its first step has a learning rate above zero
        lr_scheduler_type="cosine_warmup_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": config.final_lr_share},
        warmup_steps=config.warmup_share,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch_fused",
        eval_strategy="epoch" if validate else "no",
        eval_on_start=validate and first_evaluation,
        save_strategy="epoch",
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
    )
