"""Reads weights that ``torch.save`` wrote (``.pt``, ``.pth``, ``.bin``), without running anything that is in the file.

The names in such a file often carry what wrapped the model when it was saved: ``_orig_mod.`` of torch.compile,
``module.`` of data-parallel training, or a key ``model`` beside the optimizer's state. These come off; apart from them
every name and shape must be the architecture's own, which a preset or a config.json beside the file gives.

What this module does not do: guess at other names, keep the optimizer's state, or read a file that holds Python objects.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from groundtune.errors import TrainingError
from groundtune.models.weight_names import check_names, list_names

CHECKPOINT_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
WRAPPING_KEYS = ("model", "state_dict", "model_state_dict")
"""Under which training programs keep the weights beside other state."""

COMPILED = "_orig_mod."
PARALLEL = "module."

_OBJECT = re.compile(r"GLOBAL ([\w.]+)")
_OPERATION = re.compile(r"Unsupported operand (\d+)")
# STACK_GLOBAL, INST, OBJ, NEWOBJ_EX, REDUCE and the extension codes call for a Python object; FRAME begins a newer pickle
# than torch.save's
_CALLS = {147, 105, 111, 146, 82, 130, 131, 132, 149}


def is_checkpoint(source: str | Path) -> bool:
    """Whether `source` has a name as torch.save's files have, and is no folder."""
    path = Path(source).expanduser()
    return path.suffix.lower() in CHECKPOINT_SUFFIXES and not path.is_dir()


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file of torch.save's, on the CPU, under the architecture's own names.

    Raises:
        TrainingError: the file holds Python objects, is damaged or no checkpoint, or two of its names become one.
    """
    held = _unwrap(_load(path))
    if not isinstance(held, Mapping) or not any(isinstance(value, torch.Tensor) for value in held.values()):
        raise TrainingError(
            f"{path}: holds no weights; expected what torch.save(model.state_dict(), ...) writes, alone or under the key "
            f"{' or '.join(map(repr, WRAPPING_KEYS))}"
        )
    weights: dict[str, torch.Tensor] = {}
    for key, value in held.items():
        name = own_name(str(key))
        if not isinstance(value, torch.Tensor):
            raise TrainingError(
                f"{path}: {key!r} is {type(value).__name__}, not a weight; save model.state_dict() alone"
            )
        if name in weights:
            raise TrainingError(f"{path}: holds {name} twice, once of them as {key}; which is meant cannot be told")
        weights[name] = value
    return weights


def own_name(key: str) -> str:
    """A weight's name without what wrapped the model.

    >>> own_name("module._orig_mod.model.layers.0._orig_mod.mlp.up_proj.weight")
    'model.layers.0.mlp.up_proj.weight'
    """
    name = key
    while name.startswith((COMPILED, PARALLEL)):
        name = name.removeprefix(COMPILED).removeprefix(PARALLEL)
    return name.replace(f".{COMPILED}", ".")


def fill(model: PreTrainedModel, weights: Mapping[str, torch.Tensor], source: object) -> None:
    """Put `weights` into `model`, each exactly one of its own.

    A tied weight may be there once or, with equal values, twice; buffers that are not saved (rotary frequencies, ALiBi
    slopes) may be there if they equal the model's.

    Raises:
        TrainingError: a weight is missing, unknown, of another shape or no floating-point number.
    """
    own = model.state_dict()
    given = dict(weights)
    _leave_out_what_is_computed(model, given, source)
    _complete_tied(model, given, source)
    check_names(
        source,
        missing=own.keys() - given.keys(),
        unexpected=given.keys() - own.keys(),
        shapes={
            name: (weight.shape, own[name].shape)
            for name, weight in given.items()
            if name in own and weight.shape != own[name].shape
        },
    )
    odd = [name for name, weight in given.items() if weight.is_floating_point() != own[name].is_floating_point()]
    if odd:
        raise TrainingError(
            f"{source}: these weights are {given[odd[0]].dtype}, not floating-point numbers: {list_names(odd)}; save the model "
            "before it is quantised"
        )
    model.load_state_dict(given, strict=True)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise TrainingError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            # of protocols and archives: what matters of them comes back as an error
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.PickleError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OSError, EOFError, struct.error) as error:  # fmt: skip
        raise _explain(path, error) from error


def _explain(path: Path, error: Exception) -> TrainingError:
    text = str(error)
    named, operation = _OBJECT.search(text), _OPERATION.search(text)
    if named or (operation and int(operation[1]) in _CALLS) or "TorchScript" in text:
        what = f"the Python object {named[1]}" if named else "Python objects or code"
        return TrainingError(
            f"{path}: holds {what} besides weights, which could run code and is not loaded; where it was made, save "
            "torch.save(model.state_dict(), ...) instead"
        )
    return TrainingError(f"{path}: damaged, or no checkpoint of torch.save; copy it again")


def _unwrap(held: Any) -> Any:
    """The weights' own mapping, out of those around it."""
    while isinstance(held, Mapping):
        inner = next((held[key] for key in WRAPPING_KEYS if isinstance(held.get(key), Mapping)), None)
        if inner is None:
            break
        held = inner
    return held


def _leave_out_what_is_computed(model: PreTrainedModel, given: dict[str, torch.Tensor], source: object) -> None:
    """Take out buffers that a model computes from its configuration, where they are what it computed."""
    saved = model.state_dict().keys()
    for name, buffer in model.named_buffers():
        if name in given and name not in saved:
            found = given.pop(name)
            if found.shape != buffer.shape or not torch.allclose(found.to(buffer.dtype), buffer, rtol=1e-2):
                raise TrainingError(
                    f"{source}: its {name} is not what this architecture computes, so it was made with other settings; give the "
                    "config.json that belongs to it"
                )


def _complete_tied(model: PreTrainedModel, given: dict[str, torch.Tensor], source: object) -> None:
    """Where weights of the model are one, give each of their names the one that is there."""
    names: dict[int, list[str]] = {}
    for name, weight in model.state_dict(keep_vars=True).items():
        names.setdefault(id(weight), []).append(name)
    for tied in names.values():
        there = [name for name in tied if name in given]
        if not there or len(tied) == 1:
            continue
        first = given[there[0]]
        for name in there[1:]:
            if not torch.equal(given[name], first):
                raise TrainingError(
                    f"{source}: {there[0]} and {name} are one weight in this architecture and differ in the file; give a config.json "
                    "with tie_word_embeddings: false beside it"
                )
        given.update(dict.fromkeys(tied, first))
