"""How much an optimizer step computes, and how fast this machine could at best: what speeds are judged by.

The operations of a training step, forward and backward together, are counted as

    6 x matrix_parameters x computed tokens
    + 6 x source_parameters x supervised sources
    + 12 x attention_width x attention pairs

A product with a matrix costs 2 operations a parameter and token, and twice that again backward. Matrix parameters are the
weights of two dimensions without the embedding, which is looked up. Source parameters are multiplied for tokens that
something is to be predicted from, and for no others: the projection to the vocabulary, and the last layer's feed-forward
block where `groundtune.prefix` narrows it. A pair is a token and one it attends to, in one layer; scores and weighted
values cost 2 operations each for every unit of width, and twice that again backward. Frozen matrices
(the base under an adapter, `train.freeze`) need 2 less, and another 2 less as far down as nothing below them is trained
either; the attention of frozen layers is counted as if they were trained. Left out are norms, activations,
softmax and the optimizer, experts (weights of three dimensions), and what gradient checkpointing computes a second time: the
figure is the useful work, never more than was done. What this module does not do: run a training.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import PreTrainedModel

from groundtune.models import best_matrix_rate, matrix_rate
from groundtune.models.machine import FEWEST_REPETITIONS, MATRIX_SIZE
from groundtune.models.quantising import held_numbers
from groundtune.prefix.fused import is_gated_block
from groundtune.training.steps import Indices, Packer, Tensors

GPU_MATRIX_SIZE = 8192
"""On a GPU smaller products are over before all of it is at work."""

PRODUCTS_TOGETHER = 10
"""On a GPU so many are timed at once: one is shorter than the call."""

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")

FORMULA = (
    "6 x matrix_parameters x computed_tokens + 6 x source_parameters x sources + 12 x attention_width x attention_pairs"
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is computed for some examples."""

    examples: int = 0
    dataset_tokens: int = 0
    """Lengths of the examples as in the dataset."""
    supervised_tokens: int = 0
    computed_tokens: int = 0
    """That go through the layers, padding left out."""
    sources: int = 0
    """Computed tokens that something is predicted from."""
    attention_pairs: int = 0
    """Over all layers."""

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class ModelSizes:
    """What the operations of a model depend on; see the module's text."""

    parameters: int
    """All of them, a tied projection counted once."""
    matrix_parameters: int
    source_parameters: int
    attention_width: int
    """Heads times their width."""
    windows: tuple[int | None, ...]
    """How far back each layer sees, in tokens; None: to the beginning."""
    spared_matrices: int = 0
    """Matrix parameters of which no gradient is computed, and again those behind which none is."""
    spared_sources: int = 0
    """Likewise, of source parameters."""

    @classmethod
    def of(cls, model: PreTrainedModel) -> ModelSizes:
        """Of a causal model as it is about to be trained."""
        head = model.get_output_embeddings()
        # what peft keeps of a module that is trained whole beside the adapter is not computed
        used = {name: each for name, each in model.named_parameters() if ".original_module." not in f".{name}"}
        looked_up = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)}
        projecting = {id(each) for each in head.parameters()}
        spared = _spared(used, projecting)
        matrices = {id(each): held_numbers(each) for each in used.values() if each.ndim == 2}
        sources = (projecting | _narrowed(model)) & matrices.keys()
        inside = matrices.keys() - looked_up - sources
        return cls(
            parameters=sum(map(held_numbers, used.values())),
            matrix_parameters=sum(matrices[each] for each in inside),
            source_parameters=sum(matrices[each] for each in sources),
            attention_width=_attention_width(model),
            windows=_windows(model),
            spared_matrices=sum(matrices[each] * spared[each] for each in inside),
            spared_sources=sum(matrices[each] * spared[each] for each in sources),
        )

    def operations(self, work: Work) -> int:
        """Floating-point operations of training on `work`, forward and backward.

        >>> sizes = ModelSizes(0, matrix_parameters=100, source_parameters=50, attention_width=4, windows=(None,))
        >>> sizes.operations(Work(computed_tokens=10, sources=2, attention_pairs=55))
        9240
        """
        return (
            (6 * self.matrix_parameters - 2 * self.spared_matrices) * work.computed_tokens
            + (6 * self.source_parameters - 2 * self.spared_sources) * work.sources
            + 12 * self.attention_width * work.attention_pairs
        )


def _narrowed(model: PreTrainedModel) -> set[int]:
    """Weights of the last layer's feed-forward block, when the prefix tree computes it for sources alone; by their ids."""
    layers = getattr(model.base_model, "layers", None)
    if not isinstance(layers, nn.ModuleList) or not len(layers) or getattr(layers[-1], "gradient_checkpointing", False):
        return set()
    block = getattr(layers[-1], "mlp", None)
    if not isinstance(block, nn.Module) or not is_gated_block(block):
        return set()
    return {id(each) for each in block.parameters()}


def _spared(weights: Mapping[str, nn.Parameter], projecting: Collection[int]) -> dict[int, int]:
    """Of the two products that the backward pass has for each weight, how many are not computed; by their ids. The lowest
    layer with something to train counts as having nothing below it: which of its weights come first, names do not tell."""
    layers = {name: int(found[0]) for name in weights if (found := _NUMBER.search(name))}
    first = next(iter(weights))
    # what is looked up comes before all layers, as what has no number otherwise comes behind them
    heights = {name: layers.get(name, -1 if name == first else len(layers)) for name in weights}
    lowest = min((heights[name] for name, each in weights.items() if each.requires_grad), default=0)
    return {
        id(each): (not each.requires_grad) + (lowest >= 0 and heights[name] <= lowest and id(each) not in projecting)
        for name, each in weights.items()
    }


def _attention_width(model: PreTrainedModel) -> int:
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", None) or 0
    return int(heads * (getattr(config, "head_dim", None) or config.hidden_size // max(heads, 1)))


def _windows(model: PreTrainedModel) -> tuple[int | None, ...]:
    config = model.config.get_text_config()
    layers: int = config.num_hidden_layers
    window = getattr(config, "sliding_window", None)
    if not isinstance(window, int) or not getattr(config, "use_sliding_window", True):
        return (None,) * layers
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"] * layers
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def step_work(packer: Packer, indices: Indices, windows: Sequence[int | None] = ()) -> Work:
    """The work of a step of the examples `indices`; `windows` are those of the model's layers."""
    examples = packer.examples
    work = Work(
        examples=len(indices),
        dataset_tokens=int(examples.lengths[indices].sum()),
        supervised_tokens=examples.subset(indices).supervised_tokens,
    )
    for batch in packer.pack(indices):
        tensors = batch.make()
        work += Work(
            computed_tokens=batch.tokens,
            sources=len(torch.unique(tensors["edge_sources"])),
            attention_pairs=_pairs(_seen(tensors), windows),
        )
    return work


def _seen(tensors: Tensors) -> npt.NDArray[np.int64]:
    """How many tokens each computed one attends to, itself included, without a window."""
    if "position_ids" in tensors:
        return tensors["position_ids"][0].numpy() + 1
    # a plain batch: every example is needed up to its last source, and what is behind that is padding
    longest = tensors["input_ids"].shape[1]
    rows, places = np.divmod(tensors["edge_sources"].numpy(), longest)
    needed = np.zeros(tensors["input_ids"].shape[0], np.int64)
    np.maximum.at(needed, rows, places + 1)
    return np.concatenate([np.arange(1, length + 1) for length in needed])


def _pairs(seen: npt.NDArray[np.int64], windows: Sequence[int | None]) -> int:
    layers = Counter(windows)
    return sum(
        count * int((seen if window is None else np.minimum(seen, window)).sum()) for window, count in layers.items()
    )


@dataclass(frozen=True, slots=True)
class MatrixRates:
    """FLOP/s of large square products, in the number format of the training."""

    torch: float
    """Of ``torch.mm``."""
    best: float
    """Of the fastest library that torch carries."""


@dataclass(frozen=True, slots=True)
class MatrixTrial:
    """How matrix products are measured."""

    size: int | None = None
    """Of the matrices; None: large enough for the device."""
    seconds: float = 0.5
    """For each library."""


def measure_matrix_rates(device: torch.device, dtype: torch.dtype, threads: int, trial: MatrixTrial) -> MatrixRates:
    """What this machine's matrix products reach right now."""
    if device.type == "cuda":
        rate = _cuda_rate(device, dtype, trial.size or GPU_MATRIX_SIZE, trial.seconds)
        return MatrixRates(rate, rate)
    size = trial.size or MATRIX_SIZE
    own = matrix_rate(threads, trial.seconds, dtype, size=size)
    # measured one after the other, so the best of several may come out slower than the first of them
    return MatrixRates(own, max(own, best_matrix_rate(threads, trial.seconds, dtype, size=size)))


def _cuda_rate(device: torch.device, dtype: torch.dtype, size: int, seconds: float) -> float:
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    result = torch.empty_like(left)

    def products() -> None:
        for _ in range(PRODUCTS_TOGETHER):
            torch.mm(left, right, out=result)
        torch.cuda.synchronize(device)

    return PRODUCTS_TOGETHER * 2 * size**3 / _median_seconds(products, seconds)


def _median_seconds(work: Callable[[], None], seconds: float) -> float:
    work()
    taken: list[float] = []
    while len(taken) < FEWEST_REPETITIONS or sum(taken) < seconds:
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return median(taken)
