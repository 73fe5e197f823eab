"""In which number format a training computes its products, and what is to be said when it is not the one asked for.

Weights, optimizer and losses stay in the format of the weights; bfloat16 is torch's autocast, which needs no scaling.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch

from groundtune.models import safe_bfloat16

Precision = Literal["auto", "float32", "bfloat16"]


def choose_bfloat16(wish: Precision, device: torch.device) -> tuple[bool, str | None]:
    """Whether to compute in bfloat16, and a note for the record where that was wished for and is not possible."""
    if wish == "float32" or (wish == "auto" and device.type != "cuda"):
        return False, None
    works, why = _has_bfloat16(device)
    if works or wish == "auto":
        return works, None
    return False, f"train.precision: bfloat16 was asked for and float32 used: {why}"


def _has_bfloat16(device: torch.device) -> tuple[bool, str]:
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return torch.cuda.is_bf16_supported(including_emulation=False), f"{name} does not compute in it"
    if device.type == "cpu":
        return safe_bfloat16()
    return False, f"it is not tried on {device.type}"


def autocast(device: torch.device, *, bfloat16: bool) -> AbstractContextManager[None]:
    """The context that forward passes are computed in."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16)
