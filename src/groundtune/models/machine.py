"""What this machine's matrix products reach, and whether its bfloat16 may be used at all.

Rates are in FLOP/s, 2 n^3 operations a product of n x n matrices, medians of short repetitions: other work on the machine
comes in bursts, and a mean would count them. What may kill a process runs in a process of its own: on some virtual machines
the processor advertises AMX, and the first bfloat16 product large enough to use it is an illegal instruction.

What this module does not do: choose anything. How many threads compute is :mod:`groundtune.models.threads`' static rule,
because a measured choice would differ from run to run.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from groundtune.errors import TrainingError
from groundtune.models.threads import cpu_threads

MATRIX_SIZE = 2048
"""Large enough that products, not their calls or memory, take the time; 17 GFLOP, a tenth of a second."""

FEWEST_REPETITIONS = 3

THREADS_MATRIX_SIZE = 1024
"""Of the comparison of thread numbers, as in docs/decisions/0003: smaller products wait for one another more often."""

PROBE_SECONDS = 120.0

WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "MKL_ENABLE_INSTRUCTIONS": "AVX512"}
"""Keeps both matrix libraries inside torch from AMX."""

BFLOAT16_PROBE = """
import torch
from torch.nn.functional import linear, scaled_dot_product_attention

def product(left, right):
    return left @ right

def projection(left, right):
    return linear(left, right, right[0])

def attention(left, right):
    heads = [each.view(1, 512, 8, 64).transpose(1, 2) for each in (left, right, right)]
    return scaled_dot_product_attention(*heads, is_causal=True)

def outcome(work, matrices, dtype):
    inputs = [matrix.detach().to(dtype, copy=True).requires_grad_() for matrix in matrices]
    result = work(*inputs)
    result.backward(torch.ones_like(result))
    return [tensor.detach().float() for tensor in (result, *(each.grad for each in inputs))]

torch.manual_seed(0)
matrices = [torch.randn(512, 512).bfloat16() for _ in range(2)]
for work in (product, projection, attention):
    for found, expected in zip(outcome(work, matrices, torch.bfloat16), outcome(work, matrices, torch.float32)):
        error = float((found - expected).norm() / expected.norm())
        if not error < 0.05:
            raise SystemExit(f"bfloat16 is wrong by {error:.0%} in a {work.__name__}")
"""
"""Products of 512 x 512 x 512, forward and backward, are large enough for the AMX kernels; bfloat16 alone errs by under 1%."""


def matrix_rate(
    threads: int, seconds: float = 0.5, dtype: torch.dtype = torch.float32, *, size: int = MATRIX_SIZE
) -> float:
    """FLOP/s of ``torch.mm`` on `threads` CPU threads: the median product of about `seconds`, at least three."""
    left, right, result = _matrices(size, dtype)
    return _rates([lambda: torch.mm(left, right, out=result)], threads, seconds, size)[0]


def best_matrix_rate(
    threads: int, seconds: float = 0.5, dtype: torch.dtype = torch.float32, *, size: int = MATRIX_SIZE
) -> float:
    """FLOP/s of the fastest product this torch has: ``torch.mm`` (MKL on x86), or oneDNN's where torch carries it.

    The two take turns for about `seconds` each, so that other work on the machine meets both.
    """
    left, right, result = _matrices(size, dtype)
    products: list[Callable[[], object]] = [lambda: torch.mm(left, right, out=result)]
    if has_onednn_product():
        products.append(lambda: torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""))
    return max(_rates(products, threads, seconds, size))


def has_onednn_product() -> bool:
    """Whether this torch has oneDNN's linear product as an operator of its own."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _matrices(size: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator).to(dtype) for _ in range(2))
    return left, right, torch.empty(size, size, dtype=dtype)


def _rates(products: Sequence[Callable[[], object]], threads: int, seconds: float, size: int) -> list[float]:
    """FLOP/s of each product, taking turns."""
    taken: list[list[float]] = [[] for _ in products]
    with cpu_threads(threads), torch.no_grad():
        for product in products:
            product()
        began = time.perf_counter()
        while len(taken[0]) < FEWEST_REPETITIONS or time.perf_counter() - began < seconds * len(products):
            for product, times in zip(products, taken, strict=True):
                started = time.perf_counter()
                product()
                times.append(time.perf_counter() - started)
    return [2 * size**3 / median(times) for times in taken]


def thread_rates(counts: Sequence[int], *, rounds: int = 5, seconds: float = 0.1) -> dict[int, float]:
    """FLOP/s of float32 products on each number of threads: the median of `rounds`, in which the numbers take turns."""
    rates: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count, measured in rates.items():
            measured.append(matrix_rate(count, seconds, size=THREADS_MATRIX_SIZE))
    return {count: median(measured) for count, measured in rates.items()}


def thread_rates_apart(counts: Sequence[int]) -> dict[int, float]:
    """`thread_rates` in a process of its own, where nothing has set up OpenMP but the environment.

    Raises:
        TrainingError: the process did not come back with figures.
    """
    script = (
        "import json; from groundtune.models.machine import thread_rates; "
        f"print(json.dumps(thread_rates({list(counts)!r})))"
    )
    end = run_probe(script)
    if not end.well:
        raise TrainingError(f"the matrix rate could not be measured: the process {end.how}")
    return {int(count): float(rate) for count, rate in json.loads(end.output.splitlines()[-1]).items()}


@dataclass(frozen=True, slots=True)
class ProbeEnd:
    """How a probe's process ended."""

    well: bool
    how: str
    """Continues a sentence: "ended well", "was killed by SIGILL (illegal instruction)"."""
    illegal_instruction: bool
    output: str


def run_probe(
    script: str, *, timeout_seconds: float = PROBE_SECONDS, environment: Mapping[str, str] | None = None
) -> ProbeEnd:
    """Run Python code in a process of its own, with `environment` over the present one, and judge its end."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", script],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_seconds,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ProbeEnd(False, f"did not end within {timeout_seconds:g} seconds", False, "")
    except OSError as error:
        return ProbeEnd(False, f"could not be started ({error})", False, "")
    if done.returncode == 0:
        return ProbeEnd(True, "ended well", False, done.stdout)
    illegal = done.returncode == -signal.SIGILL
    return ProbeEnd(False, _how_it_failed(done.returncode, done.stderr), illegal, done.stdout)


def _how_it_failed(status: int, errors: str) -> str:
    if status == -signal.SIGILL:
        return "was killed by SIGILL (illegal instruction)"
    if status < 0:
        known = -status in signal.valid_signals()
        return f"was killed by {signal.Signals(-status).name if known else f'signal {-status}'}"
    lines = errors.strip().splitlines()
    return f"failed ({lines[-1] if lines else f'exit status {status}'})"


@functools.cache
def safe_bfloat16() -> tuple[bool, str]:
    """Whether bfloat16 may be used for training on this CPU, and why, in a sentence for the user.

    Takes a few seconds the first time and nothing after that: a process of its own computes products, projections and
    attention of 512 x 512 x 512, forward and backward, and compares them with float32.
    """
    return judge_bfloat16(BFLOAT16_PROBE)


def judge_bfloat16(script: str) -> tuple[bool, str]:
    """The verdict of `safe_bfloat16` by the end that the code `script` comes to."""
    end = run_probe(script)
    if end.well:
        return True, "bfloat16 products, forward and backward, work on this CPU and agree with float32"
    if not end.illegal_instruction:
        return False, f"bfloat16 cannot be used on this CPU: a trial {end.how}; stay with float32"
    verdict = (
        f"bfloat16 cannot be used on this CPU: a trial {end.how}. Its processor advertises matrix instructions (AMX) "
        "that this machine does not execute; stay with float32"
    )
    if run_probe(script, environment=WITHOUT_AMX).well:
        settings = " ".join(f"{name}={value}" for name, value in WITHOUT_AMX.items())
        verdict += f", or set {settings} in the environment before starting: tried, and with it bfloat16 works"
    return False, verdict
