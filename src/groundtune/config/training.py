"""The section of fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from groundtune.config.learning import ComputingConfig, OptimizerConfig
from groundtune.config.section import Positive, Section, Share


class AdapterConfig(Section):
    """A low-rank adapter (LoRA) trained in place of the weights themselves."""

    rank: Positive = 8
    alpha: float | None = Field(None, gt=0)
    """Scale of the adapter is ``alpha / rank``; None is twice the rank."""
    rslora: bool = False
    """Scale by ``alpha / sqrt(rank)`` (rank-stabilised LoRA)."""
    dora: bool = False
    """Train the length of each weight vector too, apart from its direction (weight-decomposed LoRA)."""
    dropout: Share = 0.0
    targets: tuple[str, ...] = ("all",)
    """Names of the layers that get one; ``all`` is every linear layer but the vocabulary's."""
    modules_to_save: tuple[str, ...] = ()
    """Names of modules trained whole beside the adapter, and kept with it, such as embed_tokens and lm_head."""
    quantise: Literal["nf4", "fp4"] | None = None
    """Keep the base's linear layers in 4 bits (QLoRA, by bitsandbytes); the adapter is trained on top."""
    double_quantise: bool = True
    """Quantise the constants of the quantisation too: 0.4 bits a weight less."""


class PreferenceConfig(Section):
    """Training on pairs of a better and a worse answer, in place of answers alone."""

    loss: Literal["sigmoid", "hinge", "ipo", "robust", "apo_zero", "simpo", "orpo"] = "sigmoid"
    """``sigmoid`` is DPO. ``simpo`` and ``orpo`` need no reference."""
    beta: float = Field(0.1, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    """The share of pairs thought to be the wrong way round; with sigmoid and robust alone."""
    sft_weight: float = Field(0.0, ge=0)
    """Of the chosen answers' mean cross entropy, added to the loss."""
    margin: float = Field(0.5, ge=0)
    """Of simpo (its gamma): by how much the chosen answer should lead."""

    @model_validator(mode="after")
    def _smoothing_is_used(self) -> PreferenceConfig:
        if self.label_smoothing and self.loss not in ("sigmoid", "robust"):
            raise ValueError(
                f"train.preference.label_smoothing is {self.label_smoothing} and train.preference.loss {self.loss}, which has none; set "
                "it to 0"
            )
        return self


HARMLESS = (
    "threads", "max_pack_tokens", "gradient_checkpointing", "device", "compile", "preflight", "fsdp", "deepspeed", "probe",
    "save_steps", "keep_checkpoints", "report_to", "stop_when_lost", "preset",
)  # fmt: skip
"""Settings of a training that change what it makes by rounding at most: it may be continued with others, and a finished one is
not done again for them."""

TrainPresetName = Literal["conservative", "balanced", "aggressive"]

TRAIN_PRESETS: Mapping[TrainPresetName, Mapping[str, Any]] = {
    "conservative": {"learning_rate": 1e-5, "epochs": 2, "examples_per_step": 8, "rank": 8},
    "balanced": {"learning_rate": 5e-5, "epochs": 3, "examples_per_step": 16, "rank": 32},
    "aggressive": {"learning_rate": 1e-4, "epochs": 5, "examples_per_step": 32, "rank": 64},
}
"""What `train.preset` sets where the file says nothing; the rank where there is an adapter."""


class TrainConfig(OptimizerConfig, ComputingConfig):
    """Fine-tuning on the pairs, with loss on the assistant's tokens only. Pretraining is computed in the same way."""

    name: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The run's folder below ``runs/``."""
    preset: TrainPresetName | None = None
    """How much a run may change the model: learning rate 1e-5, 5e-5 or 1e-4, epochs 2, 3 or 5, examples in a step 8, 16 or
    32, rank of an adapter 8, 32 or 64. What is given beside it stands."""
    epochs: Positive = 3
    examples_per_step: Positive = 8
    """Examples in one optimizer step, over all processes."""
    sharing: Literal["tree", "plain"] = "tree"
    """``tree`` computes a prefix that examples of a step share once; ``plain`` computes each example by itself, for models
    that the tree is wrong for."""
    adapter: AdapterConfig | None = None
    """None trains all weights."""
    preference: PreferenceConfig | None = None
    """Set: trained on preference pairs (`data` with chosen and rejected answers), `examples_per_step` of them in a step."""
    freeze: tuple[str, ...] = ()
    """What is left as it is: ``embeddings``, ``head``, ``norms``, ``layers.0-3`` (the first four), or part of a weight's name,
    with * for anything. Not with an adapter, which leaves everything as it is."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each target spread evenly over the vocabulary. Validation is measured without."""
    neftune_alpha: float = Field(0.0, ge=0)
    """Noise on the embeddings while training (NEFTune), 5 to 15 where it is used; 0: none."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Of the learning rate after the warm-up; cosine and linear end at `final_lr_share` of it."""
    warmup_steps: int | None = Field(None, ge=0)
    """In place of `warmup_share`."""
    max_steps: int = Field(0, ge=0)
    """Stop after so many optimizer steps; 0: `epochs` decides."""
    eval_steps: int = Field(0, ge=0)
    """Measure the validation loss so often, besides after each epoch; 0: not."""
    early_stopping_patience: int = Field(0, ge=0)
    """Stop after so many validations in a row without a loss lower than the best; 0: not."""
    early_stopping_delta: float = Field(0.0, ge=0)
    """By how much lower it has to be to count."""
    log_steps: Positive = 1
    save_steps: int = Field(0, ge=0)
    """Write a checkpoint so often, besides by time; 0: not."""
    keep_checkpoints: Positive = 1
    keep: Literal["best", "last"] = "best"
    """Which weights are the result: those of the lowest validation loss, or the last ones."""
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow", "none"], ...] = ("tensorboard",)
    stop_when_lost: bool = False
    """Stop as soon as the loss has run away for good, or nothing is being learnt. A loss that is no number always stops it."""
    probe: bool = True
    """Whether a model is asked before training if sharing is right for it."""
    drills: int = Field(0, ge=0)
    """Conversations made from the documents' own sentences, mixed among the pairs: a model from scratch practises finding
    and copying on them (docs/decisions/0004)."""
    samples: int = Field(4, ge=0)
    """Validation questions answered before training, after each epoch, and by the weights that are kept."""
    sample_steps: int = Field(0, ge=0)
    """Answer them so often, besides; 0: not."""
    sample_tokens: Positive = 96
    """Longest answer to each of them."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, value: Any) -> Any:
        """What the preset says, where the file says nothing."""
        if not isinstance(value, dict):
            return value
        # an unknown name is told of by the field
        preset = dict(next((each for name, each in TRAIN_PRESETS.items() if name == value.get("preset")), {}))
        rank = preset.pop("rank", None)
        filled = {**preset, **value}
        if rank is not None and isinstance(filled.get("adapter"), dict):
            filled["adapter"] = {"rank": rank, **filled["adapter"]}
        return filled

    @model_validator(mode="after")
    def _frozen_or_adapted(self) -> TrainConfig:
        if not all(name.strip() for name in self.freeze):
            raise ValueError(
                "train.freeze has an empty name, which would mean every weight; name embeddings, head, norms, layers.N-M or part of a "
                "weight's name, or take it out"
            )
        if self.freeze and self.adapter is not None:
            raise ValueError(
                f"train.freeze ({', '.join(self.freeze)}) has no meaning with train.adapter, which leaves every weight of the model "
                "as it is; take one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _plain_preferences(self) -> TrainConfig:
        used = [name for name in ("label_smoothing", "neftune_alpha") if getattr(self, name)]
        if self.preference is not None and used:
            hint = "; it has a label_smoothing of its own" if used[0] == "label_smoothing" else ""
            raise ValueError(
                f"train.{used[0]} is of training on answers, and train.preference compares them{hint}; set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _no_chance_in_preferences(self) -> TrainConfig:
        dropped = self.dropout or (self.adapter.dropout if self.adapter else 0)
        if self.preference is not None and dropped:
            raise ValueError(
                f"train.preference compares a model with itself before training, and dropout ({dropped}) would make that a "
                "matter of chance; set train.dropout and train.adapter.dropout to 0"
            )
        return self
