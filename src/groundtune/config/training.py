"""Sections of the model, its training and its evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from groundtune.config.section import Positive, Section, Share


class TokenizerConfig(Section):
    """Used when `model.path` is null: the tokenizer made from the documents."""

    vocab_size: int = Field(6000, ge=300, le=64000)
    """Most entries. The model's embedding has a row for each: a preset has its full size with 64,000."""


PresetName = Literal["tiny-v1", "tiny-v2", "tiny-v1-llama", "tiny-v2-llama"]

_V1 = {"layers": 12, "width": 256, "heads": 8, "kv_heads": 2, "feed_forward": 688}
_V2 = {"layers": 12, "width": 512, "heads": 8, "kv_heads": 4, "feed_forward": 1376}
# 10,000 is what every program takes that does not find the setting
_OF_PRESET: dict[str, dict[str, Any]] = {
    "alibi": {"positions": "alibi", "context_tokens": 2048, "copying_start": False},
    "rotary": {"positions": "rotary", "context_tokens": 2048, "copying_start": False, "rotary_base": 10_000.0},
}
PRESETS: Mapping[PresetName, Mapping[str, Any]] = {
    "tiny-v1": _V1 | _OF_PRESET["alibi"],
    "tiny-v2": _V2 | _OF_PRESET["alibi"],
    "tiny-v1-llama": _V1 | _OF_PRESET["rotary"],
    "tiny-v2-llama": _V2 | _OF_PRESET["rotary"],
}
"""What `model.preset` sets. The twins in Llama's layout have the same sizes, and rotary positions in place of ALiBi."""

FIXED_BY_PRESET = ("layers", "width", "heads", "kv_heads", "feed_forward", "positions")
"""Another value of these makes another architecture; what else a preset sets is a default that may be changed."""


class ModelConfig(Section):
    """The model to fine-tune: one from a folder or hub, or a small one made from scratch."""

    path: str | None = None
    """Folder or Hugging Face id. None makes a tokenizer and a Llama-style model from scratch."""
    chat_template: str | None = None
    """A built-in template (llama3, chatml, mistral, gemma, alpaca, plain) or a Jinja file; None keeps the tokenizer's own."""
    preset: PresetName | None = None
    """A model of known sizes, from scratch: they need not be given, and others than its own are refused. With 64,000
    tokenizer entries the two v1 have 24.7 and the two v2 67.6 million parameters."""
    layers: Positive = 4
    width: Positive = 256
    heads: Positive = 4
    kv_heads: Positive = 4
    feed_forward: Positive = 512
    context_tokens: int = Field(1024, ge=64)
    positions: Literal["rotary", "alibi"] = "rotary"
    """How a model from scratch knows where a token stands: rotary is Llama's way, which every program loads; ALiBi holds
    for longer texts than it was trained on, and needs groundtune to be loaded."""
    rotary_base: float = Field(1e7, gt=1)
    copying_start: bool = True
    """Whether the first weights of a model from scratch can already copy from the context (docs/decisions/0004). Off,
    unless asked for, with a preset; with ALiBi there is no such start."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, value: Any) -> Any:
        """What the preset says, and what the kind of positions says, where the file says nothing."""
        if not isinstance(value, dict):
            return value
        # an unknown name is told of by the field
        preset = next((sizes for name, sizes in PRESETS.items() if name == value.get("preset")), {})
        for name in FIXED_BY_PRESET:
            if name in preset and value.get(name, preset[name]) != preset[name]:
                raise ValueError(
                    f"model.{name} is {value[name]!r}, and model.preset {value['preset']} has {preset[name]!r}; take one of the two out"
                )
        value = {**preset, **value}
        return value if value.get("positions") != "alibi" else {"copying_start": False, **value}

    @model_validator(mode="after")
    def _from_scratch(self) -> ModelConfig:
        if self.preset is not None and self.path is not None:
            raise ValueError(
                f"model.preset ({self.preset}) makes a model from scratch, and model.path ({self.path}) names one that is there; "
                "take one of the two out"
            )
        if self.path is None and self.positions == "alibi" and self.copying_start:
            raise ValueError(
                "model.copying_start is written into rotary positions, and model.positions is alibi; set copying_start: false"
            )
        return self

    @model_validator(mode="after")
    def _divisible(self) -> ModelConfig:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width ({self.width}) must be an even multiple of heads ({self.heads})")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        size = self.width // self.heads
        if self.path is None and self.copying_start and (min(self.layers, self.heads) < 2 or size < 32 or size % 8):
            raise ValueError(
                f"copying_start needs 2 layers, 2 heads and a head size (width / heads) that is a multiple of 8 from 32; found "
                f"{self.layers} layers, {self.heads} heads of {size}; enlarge them, or set copying_start: false"
            )
        return self


class OptimizerConfig(Section):
    """AdamW with a cosine that ends at a share of the peak, after a linear warm-up."""

    learning_rate: float = Field(5e-4, gt=0)
    warmup_share: Share = 0.1
    final_lr_share: float = Field(0.1, ge=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    dropout: Share = 0.0


class ComputingConfig(Section):
    """How a training is computed: what changes its time and memory, and what is learnt by rounding only."""

    max_pack_tokens: int = Field(4096, ge=64)
    """Most tokens in one forward pass; a step of more is computed in several. Lower it when memory runs out."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products; weights stay float32. ``auto`` is bfloat16 on a GPU that has it, and float32 on a CPU."""
    gradient_checkpointing: bool = False
    """Compute each layer again in the backward pass instead of keeping it: about a third slower, far less memory."""
    threads: int = Field(0, ge=0)
    """CPU threads; 0 leaves the choice to groundtune."""


class PretrainConfig(OptimizerConfig):
    """Next-token training of a model made from scratch on the documents' text. Not run when `model.path` is set."""

    learning_rate: float = Field(1e-3, gt=0)
    epochs: int = Field(1, ge=0)
    sequence_tokens: int = Field(256, ge=32)
    batch_sequences: Positive = 8
    """Sequences in one optimizer step."""
    recall_share: Share = 0.5
    """Share of the sequences that say parts of their own text again, so that copying from the context is practised."""


class AdapterConfig(Section):
    """A low-rank adapter (LoRA) trained in place of the weights themselves."""

    rank: Positive = 8
    alpha: float | None = Field(None, gt=0)
    """Scale of the adapter is ``alpha / rank``; None is twice the rank."""
    dropout: Share = 0.0
    targets: tuple[str, ...] = ("all",)
    """Names of the layers that get one; ``all`` is every linear layer but the vocabulary's."""


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
                f"preference.label_smoothing is {self.label_smoothing} and preference.loss {self.loss}, which has none; set it to 0"
            )
        return self


class TrainConfig(OptimizerConfig, ComputingConfig):
    """Fine-tuning on the pairs, with loss on the assistant's tokens only. Pretraining is computed in the same way."""

    name: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The run's folder below ``runs/``."""
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
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Of the learning rate after the warm-up; cosine and linear end at `final_lr_share` of it."""
    warmup_steps: int | None = Field(None, ge=0)
    """In place of `warmup_share`."""
    max_steps: int = Field(0, ge=0)
    """Stop after so many optimizer steps; 0: `epochs` decides."""
    eval_steps: int = Field(0, ge=0)
    """Measure the validation loss so often, besides after each epoch; 0: not."""
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
    """Validation questions answered before and after training."""
    sample_tokens: Positive = 96
    """Longest answer to each of them."""

    @model_validator(mode="after")
    def _no_chance_in_preferences(self) -> TrainConfig:
        dropped = self.dropout or (self.adapter.dropout if self.adapter else 0)
        if self.preference is not None and dropped:
            raise ValueError(
                f"train.preference compares a model with itself before training, and dropout ({dropped}) would make that a "
                "matter of chance; set train.dropout and train.adapter.dropout to 0"
            )
        return self


class EvaluationConfig(Section):
    max_questions: int = Field(120, ge=0)
    """Test questions answered by the base and by the tuned model; 0 asks all."""
    max_new_tokens: Positive = 96
    batch_questions: Positive = 16
    show_questions: int = Field(3, ge=0)
    """Answers of both models shown at the end of a run."""
