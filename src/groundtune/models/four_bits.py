"""A linear layer whose weight is held in 4 bits, computed as any other layer is. Importing this module needs bitsandbytes.

bitsandbytes' own layer settles the number format of its products at its first call, whatever that was, and on processors
with bfloat16 products it lays its weight out anew when it is first evaluated: in bfloat16, and with no way back to a
gradient. A layer that is measured, trained, measured and continued to the same bits can have neither.
"""

from __future__ import annotations

from typing import Any

import torch
from bitsandbytes.autograd._functions import matmul_4bit
from bitsandbytes.nn.modules import Linear4bit, fix_4bit_weight_quant_state_from_module
from typing_extensions import override

UNPACKED = (torch.float32, torch.bfloat16, torch.float16)
"""Formats that bitsandbytes unpacks to. Asked for another on a CPU it gives memory as it finds it, without a word."""


class FourBitLinear(Linear4bit):
    """``x @ W.T + bias`` with the weight unpacked for the product: in autocast's format inside of it, in that of x elsewhere."""

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # moving a module between devices leaves the constants behind
        fix_4bit_weight_quant_state_from_module(self)
        kind = x.device.type
        wanted = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        dtype = wanted if wanted in UNPACKED else torch.float32
        bias = None if self.bias is None else self.bias.to(dtype)
        weight: Any = self.weight
        product: torch.Tensor = matmul_4bit(x.to(dtype), weight, bias=bias, quant_state=weight.quant_state)
        return product.to(wanted)
