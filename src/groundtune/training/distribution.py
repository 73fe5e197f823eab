"""On which device a training runs, and how a model is spread over processes: our settings in Trainer's words.

Spread means that weights, gradients and optimizer state lie in parts on the processes and are gathered layer by layer as
they are needed: by torch's FSDP2 through accelerate, or by DeepSpeed (:mod:`.zero`), which spreads over CPUs too. Every
pass then needs all processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor
from transformers import TrainingArguments

from groundtune.config import ComputingConfig
from groundtune.errors import ConfigError
from groundtune.training.processes import Processes
from groundtune.training.zero import WHOLE_STAGE, in_parts, read_settings, stage_of, whole_state


def check_device(computing: ComputingConfig, processes: int | None = None) -> str:
    """The kind of device that `computing` will be computed on, ``cpu``, ``cuda`` or ``mps``.

    Args:
        processes: on this machine; None: as many as the launcher that started this one says.

    Raises:
        ConfigError: it is named and is not there, or there are fewer GPUs than processes.
    """
    here = processes or int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    wish, gpus = computing.device, torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wish == "cuda" and not gpus:
        built = "" if torch.version.cuda or torch.version.hip else ": this PyTorch is built for CPUs only"
        raise ConfigError(f"train.device is cuda, and PyTorch finds no GPU here{built}; set it to auto or cpu")
    if wish == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("train.device is mps, and PyTorch finds no Apple GPU here; set it to auto or cpu")
    if wish in ("auto", "cuda") and gpus:
        if here > gpus:
            raise ConfigError(
                f"{here} processes on this machine, which has {gpus} GPU{'s' * (gpus > 1)}, and each needs one; start {gpus}, or set "
                "train.device to cpu"
            )
        return "cuda"
    if wish == "mps" or (wish == "auto" and torch.backends.mps.is_available() and here == 1):
        return "mps"
    return "cpu"


def device_arguments(computing: ComputingConfig) -> dict[str, Any]:
    """The device in Trainer's words."""
    # several processes without a GPU talk by gloo only if they are told that there is none
    return {"use_cpu": computing.device == "cpu" or ("LOCAL_RANK" in os.environ and not torch.cuda.is_available())}


def is_spread(computing: ComputingConfig, arguments: TrainingArguments) -> bool:
    """Whether the model of a training, or its gradients and optimizer, is spread over its processes. accelerate spreads over
    GPUs alone."""
    if computing.deepspeed is not None:
        return int(arguments.world_size) > 1
    return _wanted(computing) and arguments.distributed_state.distributed_type != DistributedType.MULTI_CPU


def unspread_note(computing: ComputingConfig, processes: Processes) -> tuple[str, ...]:
    """What to say where that was asked for and is not so."""
    if computing.deepspeed is not None and processes.count == 1:
        return (
            "train.deepspeed spread nothing, since there is one process; what its file keeps in the CPU's memory was kept there",
        )
    if processes.spread or (computing.fsdp is None and not _wanted(computing)):
        return ()
    why = "there is one process" if processes.count == 1 else "accelerate spreads models over GPUs, and there is none"
    return (f"train.fsdp had no effect, and each process held the whole model: {why}",)


def _wanted(computing: ComputingConfig) -> bool:
    """By the configuration, or by accelerate's launcher."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return False
    return computing.fsdp is not None or _asked_by_accelerate("FSDP")


def _asked_by_accelerate(way: str) -> bool:
    return os.environ.get(f"ACCELERATE_USE_{way}", "").lower() == "true"


def check_spreading(computing: ComputingConfig, *, quantised: bool = False) -> None:
    """Raises `ConfigError` for settings of DeepSpeed as `read_settings` does, a version of FSDP that is not supported, or weights in
    4 bits that would be cut into parts."""
    if _asked_by_accelerate("DEEPSPEED"):
        raise ConfigError(
            "accelerate's configuration asks for DeepSpeed; take it out there, and name DeepSpeed's own file under train.deepspeed"
        )
    if computing.deepspeed is not None:
        if stage_of(computing) == WHOLE_STAGE and quantised:
            raise ConfigError(
                "train.deepspeed: ZeRO-3 cuts weights into parts, and a base in 4 bits (train.adapter.quantise) cannot be cut; set "
                "zero_optimization.stage to 2"
            )
        return
    if not _wanted(computing):
        return
    version = str((computing.fsdp or {}).get("version", os.environ.get("FSDP_VERSION", "2")))
    if version != "2":
        raise ConfigError(f"train.fsdp.version is {version}; expected 2 (fsdp_version in accelerate's configuration)")
    if quantised:
        raise ConfigError(
            "train.fsdp cuts weights into parts, and a base in 4 bits (train.adapter.quantise) cannot be cut; take one of the two out"
        )


def check_computing(computing: ComputingConfig, *, quantised: bool = False) -> None:
    """What can be said before any work. Raises `ConfigError` as `check_device` and `check_spreading` do."""
    check_device(computing)
    check_spreading(computing, quantised=quantised)


def spreading_arguments(computing: ComputingConfig) -> dict[str, Any]:
    """How the model is spread, in Trainer's words."""
    if computing.deepspeed is not None:
        return {"deepspeed": read_settings(computing)}
    if computing.fsdp is None or not _wanted(computing):
        return {}
    options = {name.removeprefix("fsdp_"): value for name, value in computing.fsdp.items()}
    return {"fsdp": True, "fsdp_config": {"version": 2, **options}}


def checkpoint_settings(computing: ComputingConfig, processes: Processes) -> dict[str, Any]:
    """What a checkpoint has to agree with besides the run: DeepSpeed's are in as many parts as there were processes."""
    if computing.deepspeed is None:
        return {}
    return {"deepspeed": {"stage": stage_of(computing), "processes": processes.count}}


@contextmanager
def whole_weights(model: nn.Module, processes: Processes) -> Iterator[None]:
    """Inside the block the first process finds in the state of `model` whole tensors, wherever their parts lie. All have to come here."""
    state: dict[str, Any]
    if in_parts(model):
        state = whole_state(model, wanted=processes.first)
    elif any(isinstance(each, DTensor) for each in model.parameters()):
        state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    else:
        yield
        return

    def state_dict(*_: Any, **__: Any) -> dict[str, Any]:
        return state

    model.__dict__["state_dict"] = state_dict
    try:
        yield
    finally:
        del model.__dict__["state_dict"]
