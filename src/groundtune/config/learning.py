"""What every training has: its optimizer, how it is computed; and pretraining."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from groundtune.config.section import Positive, Section, Share


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
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """``auto`` is a GPU where there is one. One that is named and is not there is an error."""
    compile: bool = False
    """Compile the model's layers with torch.compile: minutes before the first step, and faster ones after it on a GPU; on a CPU
    no faster than without, as far as measured."""
    preflight: bool = True
    """Compute the largest batch of the training once before its first step, so that too little memory is known at once."""
    fsdp: dict[str, Any] | None = None
    """Weights, gradients and optimizer spread over the processes' GPUs (FSDP2): accelerate's ``fsdp_config``; {} takes its
    defaults."""
    deepspeed: str | None = None
    """DeepSpeed's JSON file, handed on to it; a path from this file's folder."""

    _folder: Path = PrivateAttr(Path())

    @property
    def deepspeed_file(self) -> Path:
        """`deepspeed`, from the folder of the configuration it was read from."""
        return self._folder / Path(self.deepspeed or "").expanduser()

    @model_validator(mode="after")
    def _one_way_to_spread(self) -> ComputingConfig:
        if self.fsdp is not None and self.deepspeed is not None:
            raise ValueError("fsdp and deepspeed both spread a model over processes; take one of the two out")
        return self


class RoundConfig(Section):
    """One round of pretraining, from the weights of the round before; what is not given is as in `pretrain`."""

    sequence_tokens: int | None = Field(None, ge=32)
    batch_sequences: Positive | None = None
    epochs: int | None = Field(None, ge=0)
    max_steps: int | None = Field(None, ge=0)
    learning_rate: float | None = Field(None, gt=0)
    warmup_share: Share | None = None
    dropout: Share | None = None


class PretrainConfig(OptimizerConfig):
    """Next-token training on running text: the documents', and what `texts` names. Of a model made from scratch always; of
    the one in `model.path` where `continued` says so."""

    learning_rate: float = Field(1e-3, gt=0)
    epochs: int = Field(1, ge=0)
    sequence_tokens: int = Field(256, ge=32)
    batch_sequences: Positive = 8
    """Sequences in one optimizer step."""
    recall_share: Share = 0.5
    """Share of the sequences that say parts of their own text again, so that copying from the context is practised."""
    continued: bool = False
    """Whether the model of `model.path` is trained on the text too, before it is fine-tuned."""
    texts: tuple[str, ...] = ()
    """More text: files (.txt, .md, .jsonl and .parquet with a column `text`, also .gz), folders of them, or patterns. Read as
    a stream, once, into token files; never held in memory."""
    general: tuple[str, ...] = ()
    """Text of other matters, in the same forms, mixed among the rest so that the model forgets less."""
    general_share: Share = 0.1
    """Of the tokens of an epoch, that come from `general`, when it is given."""
    max_steps: int = Field(0, ge=0)
    """Stop a round after so many optimizer steps; 0: `epochs` decides."""
    valid_share: float = Field(0.0, ge=0, lt=0.5)
    """Of the texts, that are held out and measured after each epoch; 0: none."""
    samples: int = Field(2, ge=0)
    """Beginnings of texts that the model goes on from before, during and after the training."""
    rounds: tuple[RoundConfig, ...] = ()
    """One after the other, such as 512 tokens first and 2,048 then; none is one round as above."""

    @model_validator(mode="before")
    @classmethod
    def _continued(cls, value: Any) -> Any:
        """A model that has been trained can copy already."""
        return {"recall_share": 0.0, **value} if isinstance(value, dict) and value.get("continued") else value
