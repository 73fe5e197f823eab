"""What a training needs to know besides model and examples."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from groundtune.config import HARMLESS, ComputingConfig, OptimizerConfig, PreferenceConfig, TrainConfig
from groundtune.training.corpus import Mixture, SequencePacker
from groundtune.training.examples import Examples, in_columns
from groundtune.training.phases import Phases
from groundtune.training.steps import Packer, Sharing
from groundtune.training.stopping import EarlyStopping

ReportTo = Literal["tensorboard", "wandb", "mlflow", "none"]

WITHOUT_EFFECT = {"name", "samples", "sample_steps", "log_steps", *HARMLESS}
"""Settings that change what is learnt by rounding at most: a run may be continued with others."""


@dataclass(frozen=True, slots=True)
class Occasions:
    """When a training ends, and when something is measured, noted, written and kept meanwhile. Counted in optimizer steps."""

    max_steps: int = 0
    """Where it ends; 0: after its epochs."""
    eval_steps: int = 0
    """How often the validation loss is measured besides at the end of each epoch; 0: not."""
    log_steps: int = 1
    save_steps: int = 0
    """How often a checkpoint is written besides by the clock and after each epoch; 0: not."""
    keep_checkpoints: int = 1
    """The newest ones, while the training lasts."""
    keep: Literal["best", "last"] = "best"
    report_to: tuple[ReportTo, ...] = ("tensorboard",)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)
    stop_when_lost: bool = False
    """End with an error where a finding says that the rest of the run gives nothing."""

    @classmethod
    def of(cls, config: TrainConfig) -> Occasions:
        return cls(
            max_steps=config.max_steps,
            eval_steps=config.eval_steps,
            log_steps=config.log_steps,
            save_steps=config.save_steps,
            keep_checkpoints=config.keep_checkpoints,
            keep=config.keep,
            report_to=config.report_to,
            early_stopping=EarlyStopping(config.early_stopping_patience, config.early_stopping_delta),
            stop_when_lost=config.stop_when_lost,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A training, from its settings down to its folder."""

    label: str
    """Of the progress bar."""
    config: OptimizerConfig
    computing: ComputingConfig
    epochs: int
    examples_per_step: int
    sharing: Sharing
    probe: bool
    """Whether a model that is to share prefixes is asked first if that is right for it."""
    seed: int
    folder: Path
    """Holds checkpoints while training; metrics, timings and TensorBoard in the end."""
    checkpoint_seconds: float
    occasions: Occasions = field(default_factory=Occasions)
    phases: Phases | None = None
    preference: PreferenceConfig | None = None
    """Set: the examples are pairs, chosen and rejected in turn."""

    def packer(self, examples: Examples | Mixture) -> Packer:
        if isinstance(examples, Mixture):
            return SequencePacker(
                examples,
                max_pack_tokens=self.computing.max_pack_tokens,
                sequences_per_step=self.examples_per_step,
            )
        return Packer(
            in_columns(examples),
            sharing=self.sharing,
            max_pack_tokens=self.computing.max_pack_tokens,
            keep_owners=self.preference is not None,
        )

    def total_steps(self, steps_per_epoch: int) -> int:
        """Of the whole training."""
        return self.occasions.max_steps or steps_per_epoch * self.epochs

    def settings(self) -> dict[str, Any]:
        """What the result depends on: not where it is written, how it is called or in what pieces it is computed."""
        phases = {} if self.phases is None else {"phases": hashlib.sha256(self.phases.numbers.tobytes()).hexdigest()}
        return {
            "config": self.config.model_dump(exclude=WITHOUT_EFFECT),
            "precision": self.computing.precision,
            "epochs": self.epochs,
            "examples_per_step": self.examples_per_step,
            "sharing": self.sharing,
            "seed": self.seed,
            **phases,
        }
