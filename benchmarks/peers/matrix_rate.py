"""This machine's own matrix-product rate: ``matrix_rate.py THREADS``, in groundtune's environment. Prints one JSON line.

Float32 products of 2048 x 2048 matrices, with torch.mm (MKL in the published wheels) and with oneDNN's linear, which is
faster on some processors. GFLOP/s counts two operations a multiply-add. The best repetition is the machine's rate: what
else runs only ever slows it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

SIZE = 2048
REPETITIONS = 15


def measure() -> dict[str, float]:
    """Best and median rate of both products, GFLOP/s."""
    left, right = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    rates = {"threads": float(torch.get_num_threads())}
    rates.update(_rates("mm", lambda: torch.mm(left, right)))
    if torch.backends.mkldnn.is_available():
        product = torch.ops.mkldnn._linear_pointwise
        rates.update(_rates("onednn", lambda: product(left, right, None, "none", [], "")))
    return rates


def _rates(name: str, product: Callable[[], torch.Tensor]) -> dict[str, float]:
    for _ in range(3):
        product()
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - start)
    work = 2 * SIZE**3 / 1e9
    return {f"{name}_gflops": work / min(seconds), f"{name}_median_gflops": work / statistics.median(seconds)}


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    sys.stdout.write(json.dumps(measure()) + "\n")
