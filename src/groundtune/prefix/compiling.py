"""The layers of a model run compiled (`torch.compile`), while a row is trained and at no other time.

Each part of a layer (attention with its projections, feed-forward block, norms) is compiled for itself: parts of one kind
share what is compiled of the first, so it takes no longer for many layers, nothing is renamed or wrapped, and checkpointing,
which goes around a layer, has no part in it. Shapes are dynamic, because every row is of another length. Attention over a tree
stays outside: who sees whom differs from row to row, and what computes it is one kernel already. Generation, validation and
the probe run the model's own code, which would be compiled once more for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from groundtune.errors import TrainingError
from groundtune.prefix.attention import ATTENTION, tree_attention


class CompiledLayers:
    """The layers of a model's `body` (without its head). Raises `TrainingError` when it keeps them where nobody looks."""

    def __init__(self, body: nn.Module) -> None:
        layers = _layers_of(body)
        self._parts = [part for layer in layers for part in layer.children()]
        self._compiled: list[Callable[..., Any]] = []
        self.modules = {module for layer in layers for module in layer.modules()}
        """All that is compiled."""

    @contextmanager
    def used(self) -> Iterator[None]:
        """Inside the block the layers run compiled; the first call of a kind takes as long as compiling does.

        Raises:
            TrainingError: it failed; the message has torch's reason.
        """
        # here, because importing it takes seconds
        from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

        if not self._compiled:
            AttentionInterface.register(ATTENTION, torch.compiler.disable(tree_attention))
            # as nn.Module.compile does, but without leaving it switched on
            self._compiled = [torch.compile(part._call_impl, dynamic=True) for part in self._parts]
        for part, compiled in zip(self._parts, self._compiled, strict=True):
            part._compiled_call_impl = compiled
        try:
            yield
        except (TorchDynamoException, FailOnRecompileLimitHit) as error:
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise TrainingError(
                f"train.compile: torch.compile failed on this model or machine ({reason[:300]}); set train.compile to false"
            ) from error
        finally:
            for part in self._parts:
                del part._compiled_call_impl


def _layers_of(body: nn.Module) -> list[nn.Module]:
    """By the names that transformers has for them: Llama's and its kin's, GPT-2's, and GPT-NeoX's among the first."""
    for name in ("layers", "h", "blocks"):
        layers = getattr(body, name, None)
        if isinstance(layers, nn.ModuleList) and len(layers):
            return list(layers)
    raise TrainingError(
        f"train.compile: {type(body).__name__} has no list of layers that groundtune knows; set train.compile to false"
    )
