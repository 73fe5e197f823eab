"""On which device a training runs, and how a model is spread over processes: our settings in Trainer's words.

Spread means that weights, gradients and optimizer state lie in parts on the processes and are gathered layer by layer as
they are needed: by torch's FSDP2 through accelerate, or by DeepSpeed. Every forward pass then needs all processes.
"""

from __future__ import annotations

import os
from typing import Any

import torch

from groundtune.config import ComputingConfig
from groundtune.errors import ConfigError


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
