"""A thin subclass of transformers' Trainer: the loop, optimizer, clipping and distribution are its.

What is ours, and why:

- the step: an item of the data is a whole optimizer step (:mod:`.steps`), computed batch by batch, each loss divided by
  the weight of the step, so how it is cut and by how many processes it is computed changes nothing but rounding;
- the order of the data: from seed and epoch alone, so a continued run meets the same steps;
- the learning rate: :mod:`.schedule`;
- validation: exact over targets, through the same batches, no logits kept;
- checkpoints: whole or absent (:mod:`.checkpoints`), with the journal inside;
- memory: what runs out of it is computed again in shorter rows (:mod:`.memory`);
- a loss that is no number stops the run before a checkpoint can hold it.

It prints nothing.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from typing_extensions import override

from groundtune.config import ComputingConfig, OptimizerConfig
from groundtune.errors import TrainingError
from groundtune.files import TEMPORARY_PREFIX, make_folder
from groundtune.prefix import PreparedModel
from groundtune.training.checkpoints import CHECKPOINTS_NAME, publish_checkpoint, saving
from groundtune.training.distribution import device_arguments, spreading_arguments
from groundtune.training.measuring import summed_loss
from groundtune.training.memory import RandomState, RowBudget
from groundtune.training.objective import Objective
from groundtune.training.plan import Occasions
from groundtune.training.precision import autocast
from groundtune.training.processes import Processes
from groundtune.training.records import Journal, StepRow, save_journal
from groundtune.training.schedule import Schedule
from groundtune.training.steps import LoadedStep, OptimizerSteps, Packer, Tensors, own_batches

Result = TypeVar("Result")


class SupervisedTrainer(Trainer):
    """Trains a prepared model on `OptimizerSteps`. See the module's text for what differs from Trainer."""

    def __init__(
        self,
        prepared: PreparedModel,
        arguments: TrainingArguments,
        steps: OptimizerSteps,
        valid: Packer | None,
        *,
        processes: Processes,
        bfloat16: bool,
        folder: Path,
        fingerprint: str,
        journal: Journal,
        schedule: Schedule,
        occasions: Occasions,
        callbacks: list[TrainerCallback],
        rows: RowBudget | None = None,
        objective: Objective | None = None,
    ) -> None:
        """`rows`: what is cut when memory runs out; without, running out of it is an error as torch raises it. `objective`: by
        default the cross entropy itself."""
        model: Any = prepared.model
        use_cache = model.config.use_cache
        # Trainer would have its own loss averaged over GPUs by DataParallel, which cannot split a row
        arguments._n_gpu = min(arguments.n_gpu, 1)
        self.steps = steps
        evaluated: Any = valid.examples if valid is not None else None
        super().__init__(model=model, args=arguments, train_dataset=steps, eval_dataset=evaluated, callbacks=callbacks)
        self.remove_callback(PrinterCallback)
        # Trainer turns it off in the configuration that is saved with the weights
        model.config.use_cache = use_cache
        self.prepared = prepared
        self.processes = processes
        self.bfloat16 = bfloat16
        self.journal = journal
        self._schedule = schedule
        self._occasions = occasions
        self._objective = objective or Objective()
        self._folder = folder
        self._fingerprint = fingerprint
        self._staging: Path | None = None
        self._rows = rows
        self._valid_packer = valid
        self._valid = own_batches(valid.pack_all(), processes) if valid is not None else []
        self._valid_weight = float(valid.examples.total_weights.sum()) if valid is not None else 0.0
        self._step_loss = torch.zeros(())
        self._step: LoadedStep = {"number": 0, "batches": [], "weight": 0.0, "tokens": 0, "phase": ""}

    @override
    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        if self.lr_scheduler is None:
            share = partial(self._schedule.share, steps=num_training_steps)
            used: Any = optimizer or self.optimizer
            self.lr_scheduler = LambdaLR(used, share)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    # the step

    @override
    def get_train_dataloader(self) -> DataLoader[Any]:
        # not prepared by accelerate: a step is dealt to the processes by its tokens
        return self.steps.loader()

    @override
    def training_step(
        self, model: nn.Module, inputs: Any, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Forward and backward of one optimizer step; this process's part of its mean loss."""
        step: LoadedStep = inputs
        random = RandomState(self.args.device)

        def compute(again: bool) -> torch.Tensor:
            if again:
                random.restore()
                model.zero_grad()
            return self._compute_step(model, self.steps[step["number"]] if again else step)

        return self.within_memory(compute, self.steps.packer, f"in step {self.state.global_step + 1}")

    def within_memory(self, compute: Callable[[bool], Result], packer: Packer, doing: str) -> Result:
        """As `RowBudget.within`."""
        return compute(False) if self._rows is None else self._rows.within(compute, packer, doing)

    def _compute_step(self, model: nn.Module, step: LoadedStep) -> torch.Tensor:
        """Batch by batch."""
        model.train()
        total = torch.zeros(
            (), dtype=torch.float64 if self.args.device.type != "mps" else None, device=self.args.device
        )
        last = len(step["batches"]) - 1
        for place, batch in enumerate(step["batches"]):
            with self._exchanging(model, place == last):
                # all processes divide by the weight of the whole step, and their gradients are averaged
                loss = self._summed_loss(model, batch) * (self.processes.count / step["weight"])
                self.accelerator.backward(loss)
            total += loss.detach()
        self._step_loss, self._step = total, {**step, "batches": []}
        return total.to(torch.float32)

    @contextmanager
    def _exchanging(self, model: nn.Module, last: bool) -> Iterator[None]:
        """Gradients go between processes once a step, in its last backward pass. Layers are compiled here and nowhere else."""
        if self.is_deepspeed_enabled:
            # accelerate has it take its step behind the backward pass that is said to be the last
            self.accelerator.sync_gradients = last
            local: AbstractContextManager[Any] = nullcontext()
        else:
            local = nullcontext() if last else self.accelerator.no_sync(model)
        with self.prepared.compiled(), local:
            yield

    def _summed_loss(self, model: nn.Module, batch: Tensors) -> torch.Tensor:
        on_device = {name: tensor.to(self.args.device) for name, tensor in batch.items()}
        noise = self._objective.noise
        with (
            nullcontext() if noise is None else noise.on(batch, self.state.global_step),
            autocast(self.args.device, bfloat16=self.bfloat16),
        ):
            return self.prepared.row_loss(on_device, model=model, label_smoothing=self._objective.label_smoothing)

    @override
    def evaluate(self, *_args: Any, **_kwargs: Any) -> dict[str, float]:
        """Mean loss over every supervised token of the validation examples, each by its weight."""
        packer = self._valid_packer
        assert packer is not None, "Trainer asks only where there is something to validate on"

        def compute(again: bool) -> float:
            if again:
                self._valid = own_batches(packer.pack_all(), self.processes)
            return summed_loss(self.prepared, self._valid, bfloat16=self.bfloat16)

        total = self.processes.total(self.within_memory(compute, packer, self._validating))
        metrics = {"eval_loss": total / self._valid_weight}
        self.control = self.callback_handler.on_log(self.args, self.state, self.control, dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @property
    def _validating(self) -> str:
        return f"in the validation behind step {self.state.global_step}"

    def try_batch(self, model: nn.Module, batch: Tensors) -> None:
        """Forward and backward of one batch, as in the middle of a step; its gradients are left."""
        model.train()
        with self._exchanging(model, self.is_fsdp_enabled):
            self.accelerator.backward(self._summed_loss(model, batch))

    # logging and checkpoints

    @override
    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Called for every optimizer step, and once at the end with a summary that the watcher has already. Every step is
        counted; every `log_steps` of them are shown together."""
        if "grad_norm" not in logs:
            return
        # Trainer's own sum is rounded to float32
        loss = self.processes.total(float(self._step_loss)) / self.processes.count
        for what, value in (("the loss", loss), ("the gradient norm", logs["grad_norm"])):
            if not math.isfinite(value):
                raise self._not_a_number(what, value)
        row = StepRow(
            step=self.state.global_step,
            epoch=round(self.state.epoch or 0.0, 6),
            train_loss=loss,
            learning_rate=logs["learning_rate"],
            grad_norm=logs["grad_norm"],
            phase=self._step["phase"],
        )
        last = self.state.global_step >= self.state.max_steps
        noted = self.journal.count_step(
            row,
            weight=self._step["weight"],
            tokens=self._step["tokens"],
            dataset_tokens=self._step.get("dataset_tokens", self._step["tokens"]),
            supervised=self._step.get("supervised", round(self._step["weight"])),
            noted=last or self.state.global_step % self._occasions.log_steps == 0,
        )
        self.control.should_log = False
        if noted is not None:
            shown = {"loss": noted.train_loss, "learning_rate": noted.learning_rate, "grad_norm": noted.grad_norm}
            self.control = self.callback_handler.on_log(self.args, self.state, self.control, shown)

    def _not_a_number(self, what: str, value: float) -> TrainingError:
        return TrainingError(
            f"step {self.state.global_step}: {what} is {value}; the training has diverged. Lower the learning rate "
            f"(now at {self._get_learning_rate():.2g}, try a third) or raise warmup_share, and run again"
        )

    @override
    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging or super()._get_output_dir(trial))

    @override
    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        # DeepSpeed's own checkpoint, which comes next, holds the weights
        if not self.is_deepspeed_enabled:
            super().save_model(output_dir, _internal_call)

    @override
    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Trainer's own checkpoint, written where nothing looks for it and moved into place when it is whole."""
        parent = make_folder(self._folder / CHECKPOINTS_NAME)
        with saving(parent), self._aside(parent) as staging:
            self._staging = staging
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._staging = None
            self.processes.wait()
            if self.processes.first:
                [staged] = staging.iterdir()
                save_journal(staged, self.journal)
                publish_checkpoint(staged, self._folder, self._fingerprint, keep=self._occasions.keep_checkpoints)
            self.processes.wait()

    @contextmanager
    def _aside(self, parent: Path) -> Iterator[Path]:
        """A temporary folder of the first process, that all of them write to."""
        if not self.processes.first:
            yield Path(self.processes.of_first(""))
            return
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=parent) as name:
            yield Path(self.processes.of_first(name))


def training_arguments(
    config: OptimizerConfig,
    computing: ComputingConfig,
    *,
    epochs: int,
    seed: int,
    folder: Path,
    validate: bool,
    max_steps: int = 0,
) -> TrainingArguments:
    """Our configuration in Trainer's words. `max_steps` goes before `epochs`."""
    return TrainingArguments(
        output_dir=str(folder),
        run_name=folder.name,
        seed=seed,
        num_train_epochs=epochs,
        max_steps=max_steps or -1,
        # an item of the data is a whole optimizer step
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch_fused",
        eval_strategy="epoch" if validate else "no",
        save_strategy="epoch",
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        **device_arguments(computing),
        **spreading_arguments(computing),
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        log_level_replica="error",
    )
