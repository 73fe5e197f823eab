"""How much memory a training needs, by a formula: an estimate that is there before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["full", "lora", "qlora"]
Precision = Literal["float32", "bfloat16"]
"""Of the products, as `train.precision` has it. Weights stay float32 in both."""

FLOAT32, BFLOAT16 = 4, 2
ADAM_BYTES = 8
"""Two float32 moments of each trained weight."""

NF4_BYTES = (4 + 0.127) / 8
"""Of a weight in 4-bit NormalFloat with its constants quantised a second time: Dettmers et al. 2023 (QLoRA), section 3.
bitsandbytes' layers measure the same (tests/unit/models/test_quantising.py), and 4.5 bits without `double_quantise`."""

FORMULA = (
    "weights 4 bytes each (and 2 for a copy where products are bfloat16; 4.127 bits in place of both for the linear layers of "
    "QLoRA), gradients 4 and Adam's moments 8 bytes for each trained weight, activations per token and layer "
    "6 widths + 3 queries + 2 keys + 4 feed-forwards (2 where it has no gate), at 4 or 2 bytes"
)
LEFT_OUT = (
    "the CUDA context (half a GiB to one), fragmentation, a chunk of logits, the layer that 4-bit weights are unpacked for, "
    "checkpoints being written, and the data"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes that activations depend on."""

    layers: int
    width: int
    queries: int
    """All query heads together."""
    keys: int
    """All key heads together; values likewise."""
    feed_forward: int
    """Of all experts that a token goes through."""
    gated: bool


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes of one way to train, at its peak."""

    method: Method
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


def activation_bytes(shape: Shape, tokens: int, precision: Precision, *, checkpointing: bool = False) -> int:
    """What a forward pass of `tokens` keeps for the backward pass.

    The inventory of a layer, in elements a token: both norms keep what they get, what they scale, and what they give (6
    widths); attention its rotated queries, keys, values, its output and the output laid out anew (3 queries, 2 keys), and no
    scores, as fused kernels keep none; a gated feed-forward block gate, its activation, the other half and their product (4),
    one without a gate its inner layer and its activation (2). For a GPT-2 layer that makes 19 widths, where Korthikanti et
    al. 2022 ("Reducing Activation Recomputation in Large Transformer Models", section 4.1) count 34 bytes of 2-byte elements,
    dropout's masks among them and scores apart. Measured on Llama, Qwen3 and GPT-2 layers it is right to a fourth
    (tests/unit/models/test_inspecting.py); an activation written out in Python, as GPT-2's own, keeps more. With checkpointing a layer's input and one whole layer are kept.

    >>> activation_bytes(Shape(layers=1, width=8, queries=8, keys=8, feed_forward=32, gated=False), 1, "bfloat16")
    304
    """
    halves = 4 if shape.gated else 2
    layer = 6 * shape.width + 3 * shape.queries + 2 * shape.keys + halves * shape.feed_forward
    elements = layer + shape.layers * shape.width if checkpointing else shape.layers * layer
    return tokens * elements * (FLOAT32 if precision == "float32" else BFLOAT16)


def memory_needs(
    shape: Shape | None,
    *,
    parameters: int,
    linear_parameters: int,
    lora_parameters: int,
    tokens: int,
    precision: Precision,
    checkpointing: bool = False,
) -> tuple[MemoryNeed, ...]:
    """What full fine-tuning, LoRA and QLoRA need. See `FORMULA` and `LEFT_OUT`.

    Model states are those that Rajbhandari et al. 2020 ("ZeRO", section 3.1) count for Adam, with weights and gradients in
    float32 as groundtune keeps them.

    Args:
        shape: None where the configuration does not name its sizes; then activations are 0.
        linear_parameters: of the layers that QLoRA stores in 4 bits.
        lora_parameters: of the adapter.
        tokens: in one forward pass (`train.max_pack_tokens`).
    """
    kept = activation_bytes(shape, tokens, precision, checkpointing=checkpointing) if shape is not None else 0
    # autocast keeps the copy it computed with until the backward pass
    each = FLOAT32 + (BFLOAT16 if precision == "bfloat16" else 0)
    whole, adapter = parameters * each, lora_parameters * each
    packed = round(linear_parameters * NF4_BYTES) + (parameters - linear_parameters) * each
    moments = lora_parameters * ADAM_BYTES
    return (
        MemoryNeed("full", whole, parameters * FLOAT32, parameters * ADAM_BYTES, kept),
        MemoryNeed("lora", whole + adapter, lora_parameters * FLOAT32, moments, kept),
        MemoryNeed("qlora", packed + adapter, lora_parameters * FLOAT32, moments, kept),
    )
