"""What a diagnosis says, and what it is given besides the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "not_a_number",
    "loss_spike",
    "oscillation",
    "plateau",
    "overfitting",
    "gradient_norm",
    "learning_rate_too_high",
    "learning_rate_too_low",
    "repetitive_samples",
    "slow_data",
]

Severity = Literal["note", "warning", "fatal"]
"""note: worth knowing; warning: the result is probably worse than it could be; fatal: what comes after is lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, found in one step."""

    kind: Kind
    severity: Severity
    step: int
    """The optimizer step in which it could be told."""
    epoch: float
    figure: float
    """What it was told by; `message` says of what."""
    message: str
    """What was seen, in one sentence."""
    remedy: str
    """The usual one, in one sentence, with the setting to change."""

    @property
    def should_stop(self) -> bool:
        """Whether going on cannot give anything: the run is lost from here."""
        return self.severity == "fatal"

    @property
    def text(self) -> str:
        """Both sentences, for a person.

        >>> Finding("plateau", "note", 7, 1.5, 0.0, "the loss stands still", "stop").text
        'step 7 (epoch 1.50): the loss stands still; stop'
        """
        return f"step {self.step} (epoch {self.epoch:.2f}): {self.message}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Watched:
    """The run that is looked at, as planned. Without `total_steps` findings that need to know the end come later."""

    total_steps: int = 0
    """0: not known."""
    max_grad_norm: float = 1.0
    """Where gradients are clipped: larger ones do no harm by themselves."""
    keeps_best: bool = True
    """Whether the weights of the lowest validation loss are the result (`train.keep: best`)."""
    section: Literal["train", "pretrain"] = "train"
    """Of the configuration, for the remedies."""

    @property
    def batch_key(self) -> str:
        """The setting for how much one optimizer step averages over."""
        return "train.examples_per_step" if self.section == "train" else "pretrain.batch_sequences"

    def key(self, name: str) -> str:
        return f"{self.section}.{name}"


@dataclass(frozen=True, slots=True)
class Sample:
    """An answer the model gave behind an optimizer step."""

    step: int
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class StepTiming:
    """Where the time of an optimizer step went. By the clock, so not the same in every run."""

    step: int
    waiting_seconds: float
    """Until its data was there."""
    computing_seconds: float
