"""What more than one room has to know of a model of transformers, whoever made it: how it rotates, and how it is put to rest.

What this module does not do: load a model, or change one for good. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def rotates_otherwise_beyond(config: Any) -> int | None:
    """Tokens of a sequence beyond which transformers' "dynamic" and "longrope" rotation depend on the longest of a call.

    Args:
        config: of the model or of a layer; None where there is none. None comes back for every other rotation.
    """
    parameters = getattr(config, "rope_parameters", None)
    if not isinstance(parameters, dict):
        return None
    limits = [
        each.get("original_max_position_embeddings")
        or getattr(config, "original_max_position_embeddings", None)
        or config.max_position_embeddings
        for each in (parameters, *parameters.values())  # one for the model, or one for each type of layer
        if isinstance(each, dict) and each.get("rope_type") in ("dynamic", "longrope")
    ]
    return min(limits, default=None)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Inside the block nothing is in training mode; afterwards exactly what was before."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
