"""What the tests of exactness share: small random models, the plain computation they are compared with, and the comparison.

Everything is computed in float64. transformers casts norms, rotary angles, softmax and router scores to float32 by name even in
a model of doubles; what is rounded to float32 after different float64 sums differs by 1e-7 here and there, which would
hide anything smaller. `Doubles` therefore turns every cast to float32 into one to float64, on both sides alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from groundtune.prefix import PreparedModel, TokenisedExamples, build_tree, pack_rows, row_tensors

VOCABULARY = 32

EXACT = 1e-10

Drawn = list[tuple[list[int], list[float]]]
"""Examples: token ids and the weight of each token as a target."""

SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


class Doubles(ExitStack):
    """Inside the block float32 is float64 wherever code asks for it by name.

    By replacing the functions and not by a `TorchFunctionMode`, which is not at work where checkpointing computes again.
    """

    def __enter__(self) -> Doubles:
        super().__enter__()
        for owner, name in CASTS:
            self.enter_context(patch.object(owner, name, _widened(getattr(owner, name))))
        self.enter_context(patch.object(torch.Tensor, "float", torch.Tensor.double))
        return self


CASTS = (
    *((torch.Tensor, name) for name in ("to", "type", "softmax")),
    *((torch, name) for name in ("softmax", "zeros", "zeros_like", "ones", "full", "arange")),
    (nn.functional, "softmax"),
)


def _widened(function: Callable[..., Any]) -> Callable[..., Any]:
    def widened(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_wider, args), **{name: _wider(value) for name, value in kwargs.items()})

    return widened


def _wider(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


def build(model_class: type[PreTrainedModel], seed: int = 0, **settings: Any) -> PreTrainedModel:
    """A small model of doubles whose weights, norms and biases are all random and large enough to matter."""
    config = model_class.config_class(**{**SIZES, **settings})
    torch.manual_seed(seed)
    return enliven(model_class(config).double())


def enliven(model: Any) -> Any:
    """Random values in place of zeros, ones and tiny numbers: a bias of zero would hide that nobody reads it."""
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            spread = 0.25 if parameter.ndim > 1 else 0.1
            parameter.add_(torch.randn_like(parameter) * spread)
            if "embed" in name or "wte" in name:
                parameter.mul_(1.5)
    return model


def checkpoint_activations(model: Any, reentrant: bool) -> None:
    """Switch gradient checkpointing on, by the name that this transformers has for it, and training mode with it."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})
    model.train()


def examples_of(drawn: Drawn) -> TokenisedExamples:
    return TokenisedExamples.from_sequences([ids for ids, _ in drawn], [weights for _, weights in drawn])


def rows_of(drawn: Drawn, max_pack_tokens: int) -> list[Any]:
    return pack_rows(build_tree(examples_of(drawn)), range(len(drawn)), max_pack_tokens=max_pack_tokens)


def plain_loss(model: nn.Module, drawn: Drawn) -> torch.Tensor:
    """One example at a time through the model's own forward, logits and all; nothing of groundtune takes part."""
    total = torch.zeros((), dtype=torch.float64)
    for ids, weights in drawn:
        # weights are kept as float32 on the way into the tree
        targets = [(at, float(np.float32(weight))) for at, weight in enumerate(weights) if at and weight]
        if not targets:
            continue
        logits_TV = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double()
        for at, weight in targets:
            total = total - weight * logits_TV[at - 1].log_softmax(-1)[ids[at]]
    return total


def tree_loss(prepared: PreparedModel, drawn: Drawn, max_pack_tokens: int) -> torch.Tensor:
    return torch.stack([prepared.row_loss(row_tensors(row)) for row in rows_of(drawn, max_pack_tokens)]).sum()


def gradients(model: nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of every parameter that takes part; the model's own are left empty."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    found = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Norm of the difference relative to the norm of the second."""
    norm = float(other.norm())
    return float((one - other).norm()) / norm if norm else float(one.norm())


def largest_gap(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> tuple[float, str]:
    """The worst relative difference and whose it is. A gradient that only one side has counts as zero on the other,
    and one that is rounding only (that of a key's bias, say, which no softmax feels) is measured by the largest gradient.
    """
    scale = max((float(each.norm()) for each in wanted.values()), default=0.0)
    worst = (0.0, "")
    for name in sorted(found.keys() | wanted.keys()):
        one, other = (side.get(name) for side in (found, wanted))
        one = torch.zeros_like(other) if one is None else one  # type: ignore[arg-type]
        other = torch.zeros_like(one) if other is None else other
        gap = float((one - other).norm()) / max(float(other.norm()), 1e-3 * scale, 1e-30)
        worst = max(worst, (gap, name))
    return worst


def compare(model: Any, drawn: Drawn, packs: Iterable[int] = (64,), share: bool = True) -> tuple[float, float, str]:
    """Worst relative difference of the loss and of a gradient between tree and plain computation, and whose gradient."""
    with Doubles():
        wanted_loss = plain_loss(model, drawn)
        wanted = gradients(model, wanted_loss)
        worst_loss, worst = 0.0, (0.0, "")
        with PreparedModel(model, share=share) as prepared:
            for max_pack_tokens in packs:
                loss = tree_loss(prepared, drawn, max_pack_tokens)
                worst_loss = max(worst_loss, apart(loss.detach(), wanted_loss.detach()))
                worst = max(worst, largest_gap(gradients(model, loss), wanted))
    return worst_loss, *worst


def assert_exact(model: Any, drawn: Drawn, packs: Iterable[int] = (64,)) -> None:
    loss_gap, gap, name = compare(model, drawn, packs)
    assert loss_gap < EXACT, f"losses differ by {loss_gap:.1e}"
    assert gap < EXACT, f"gradients of {name} differ by {gap:.1e}"


def drawn_tree(seed: int, tokens: int, branching: float = 0.2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A random row: where subtrees end [T], depths [T], and who is an ancestor of whom or the same [T, T]."""
    random = np.random.default_rng(seed)
    parents = [-1]
    for token in range(1, tokens):
        parent = token - 1
        while parent >= 0 and random.random() < branching:
            parent = parents[parent]
        parents.append(parent)
    seen = np.eye(tokens, dtype=bool)
    for token, parent in enumerate(parents):
        if parent >= 0:
            seen[token] |= seen[parent]
    ends = [int(np.flatnonzero(seen[:, token])[-1]) + 1 for token in range(tokens)]
    return torch.tensor(ends), torch.from_numpy(seen.sum(1) - 1), torch.from_numpy(seen)


class Largest(TorchDispatchMode):
    """Inside the block, the number of elements of the largest tensor that an operation makes, and of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0
        self.operations: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.operations.append(str(func))
        for each in made if isinstance(made, tuple | list) else [made]:
            # an expanded view has no storage of its own
            if isinstance(each, torch.Tensor) and each.numel():
                self.elements = max(self.elements, each.untyped_storage().nbytes() // each.element_size())
        return made
