"""What a training minimises beyond the cross entropy of its targets: smoothed labels, and noise on the embeddings.

Both belong to the training pass alone. Validation, `measure_loss` and preference tuning know neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.config import OptimizerConfig, TrainConfig
from groundtune.prefix import PreparedModel
from groundtune.training.noise import EmbeddingNoise


@dataclass(frozen=True, slots=True)
class Objective:
    """Of one training."""

    label_smoothing: float = 0.0
    """Share of each target spread evenly over the vocabulary (:mod:`groundtune.prefix.loss`)."""
    noise: EmbeddingNoise | None = None
    note: str | None = None
    """What a reader of the record should know: why its two losses are not of one kind."""

    @classmethod
    def of(cls, config: OptimizerConfig, prepared: PreparedModel, *, seed: int) -> Objective:
        """The one of these settings: that of pretraining is the cross entropy itself."""
        if not isinstance(config, TrainConfig):
            return cls()
        smoothing, alpha = config.label_smoothing, config.neftune_alpha
        noise = EmbeddingNoise(prepared, alpha=alpha, seed=seed) if alpha else None
        kinds = [f"smoothed labels (train.label_smoothing {smoothing:g})"] if smoothing else []
        kinds += [f"noise on the embeddings (train.neftune_alpha {alpha:g})"] if alpha else []
        if not kinds:
            return cls()
        note = f"train_loss is that of {' and '.join(kinds)}; valid_loss is the cross entropy without, so the two do not compare"
        return cls(smoothing, noise, note)
