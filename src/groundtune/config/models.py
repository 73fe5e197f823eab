"""The sections of the model: its tokenizer, its sizes where it is made from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from groundtune.config.section import Positive, Section

PRESET_ENTRIES = 64_000
"""Tokenizer entries with which a preset has the parameters it is known for; also the most there may be."""


class TokenizerConfig(Section):
    """Used when `model.path` is null: the tokenizer made from the documents."""

    vocab_size: int = Field(6000, ge=300, le=PRESET_ENTRIES)
    """Most entries; with `model.preset` 64,000 where nothing is said. The model's embedding has a row for each entry there is."""


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
