"""Leaves parts of a model as they are while the rest is trained (`train.freeze`).

Parts are named by what they are (``embeddings``, ``head``, ``norms``), by their layers (``layers.0-3``), or by part of a
weight's name, in which ``*`` stands for anything.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn
from transformers import PreTrainedModel

from groundtune.errors import TrainingError

KINDS = ("embeddings", "head", "norms")
SHOWN_NAMES = 12
"""Names in an error before the rest is counted."""

_LAYERS = re.compile(r"layers\.(\d+)(?:-(\d+))?")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def freeze(model: PreTrainedModel, wanted: Sequence[str]) -> tuple[str, ...]:
    """Let no gradient reach what `wanted` names; returns what a reader of the record should know.

    Raises:
        TrainingError: a name that means no weight, or nothing is left to be trained.
    """
    if not wanted:
        return ()
    # of tied weights both names
    weights = dict(model.named_parameters(remove_duplicate=False))
    frozen: set[str] = set()
    for name in wanted:
        meant = _meant(model, name, list(weights))
        if not meant:
            raise TrainingError(_no_such_weight(model, name, list(weights)))
        frozen |= meant
    for name in frozen:
        weights[name].requires_grad_(False)
    if not any(each.requires_grad for each in model.parameters()):
        raise TrainingError(
            f"train.freeze ({', '.join(wanted)}) freezes every weight of {type(model).__name__}, so there is nothing to train; take "
            "one of them out"
        )
    return _notes(model, frozen)


def _meant(model: PreTrainedModel, name: str, weights: Sequence[str]) -> set[str]:
    """Weights by the name of a part."""
    layers = _LAYERS.fullmatch(name)
    if layers is not None:
        return _of_layers(name, int(layers[1]), int(layers[2] or layers[1]), weights)
    if name in KINDS:
        head = model.get_output_embeddings()
        return {
            f"{place}.{each}"
            for place, module in model.named_modules()
            if _is_kind(name, module, head)
            for each, _ in module.named_parameters(recurse=False)
        }
    return {each for each in weights if fnmatchcase(each, f"*{name}*")}


def _is_kind(kind: str, module: nn.Module, head: nn.Module | None) -> bool:
    if kind == "head":
        return module is head
    # learnt positions are looked up too
    return isinstance(module, nn.Embedding) if kind == "embeddings" else "norm" in type(module).__name__.lower()


def _of_layers(name: str, first: int, last: int, weights: Sequence[str]) -> set[str]:
    """The first number in a weight's name is its layer's, whatever the architecture calls its layers."""
    numbers = {each: int(found[0]) for each in weights if (found := _NUMBER.search(each))}
    count = max(numbers.values(), default=-1) + 1
    if first > last or last >= count:
        raise TrainingError(
            f"train.freeze names {name!r}, and the model has {count} layers, from 0; expected "
            f"layers.0{f'-{count - 1}' if count > 1 else ''} or some of them"
        )
    return {each for each, number in numbers.items() if first <= number <= last}


def _no_such_weight(model: PreTrainedModel, name: str, weights: Sequence[str]) -> str:
    parts = list(dict.fromkeys([*KINDS, *(part for each in weights for part in each.split(".") if not part.isdigit())]))
    near = difflib.get_close_matches(name, parts, n=3, cutoff=0.5)
    more = f" and {len(parts) - SHOWN_NAMES} more" if len(parts) > SHOWN_NAMES else ""
    expected = ", ".join(parts[:SHOWN_NAMES])
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected layers.N-M, or some of {expected}{more}"
    return f"train.freeze names {name!r}, which is in no weight of {type(model).__name__}; {hint}"


def _notes(model: PreTrainedModel, frozen: set[str]) -> tuple[str, ...]:
    """Weights that were frozen under one of their names alone are frozen under the others too."""
    named: dict[int, list[str]] = {}
    for name, weight in model.named_parameters(remove_duplicate=False):
        named.setdefault(id(weight), []).append(name)
    told = []
    for names in named.values():
        also = [name for name in names if name not in frozen]
        if also and len(also) < len(names):
            by = ", ".join(name for name in names if name in frozen)
            told.append(f"train.freeze: {by} and {', '.join(also)} are the same weights (tied), so both are frozen")
    return tuple(told)
