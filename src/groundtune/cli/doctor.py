"""`groundtune doctor`: what this machine has, what training would choose on it, and what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from groundtune import __version__
from groundtune.cli.options import AsJson, print_json

State = Literal["ok", "note", "problem"]

BF16_PROBE = "import torch; a = torch.ones(64, 64, dtype=torch.bfloat16); (a @ a).sum().item()"
"""Run in a process of its own: where AMX is advertised but not usable this dies with an illegal instruction."""

MATRIX_SIZE = 1024
MEASURED_SECONDS = 0.25
MINIMUM_MEMORY_GIB = 4
MINIMUM_DISK_GIB = 2


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    state: State
    found: str
    remedy: str = ""


def doctor(as_json: AsJson = False) -> None:
    """Look at this machine: versions, cores, memory, threads, number formats."""
    checks = [check() for check in (_versions, _python, _cores, _memory, _disk, _threads, _bf16, _gpu)]
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "ok": _healthy(checks)})
    else:
        _print(checks)
    if not _healthy(checks):
        raise typer.Exit(1)


def _healthy(checks: list[Check]) -> bool:
    return all(check.state != "problem" for check in checks)


def _print(checks: list[Check]) -> None:
    from rich.console import Console
    from rich.table import Table

    colours: dict[State, str] = {"ok": "green", "note": "yellow", "problem": "red"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for check in checks:
        found = check.found + (f"\n[dim]{check.remedy}[/dim]" if check.remedy else "")
        table.add_row(check.name, f"[{colours[check.state]}]{check.state}[/]", found)
    Console(highlight=False).print(table)


def _versions() -> Check:
    import tokenizers
    import torch
    import transformers

    found = f"groundtune {__version__}, torch {torch.__version__}, transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
    return Check("versions", "ok", found)


def _python() -> Check:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", "ok", found)


def _cores() -> Check:
    import psutil

    usable = len(os.sched_getaffinity(0))
    found = f"{usable} usable of {psutil.cpu_count(logical=True)} ({psutil.cpu_count(logical=False)} physical)"
    load = os.getloadavg()[0]
    if load > usable:
        return Check(
            "cores",
            "note",
            found,
            f"the load is {load:.1f}: other work shares these cores, timings will be slow and uneven",
        )
    return Check("cores", "ok", found)


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:.1f} GiB free of {memory.total / 2**30:.1f}"
    if memory.available < MINIMUM_MEMORY_GIB * 2**30:
        return Check(
            "memory",
            "note",
            found,
            f"the demo wants {MINIMUM_MEMORY_GIB} GiB; close something, or lower train.batch_examples",
        )
    return Check("memory", "ok", found)


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    found = f"{free:.1f} GiB free here"
    if not os.access(Path.cwd(), os.W_OK):
        return Check(
            "disk", "problem", f"{Path.cwd()} cannot be written", "work elsewhere, or set workdir in the configuration"
        )
    if free < MINIMUM_DISK_GIB:
        return Check("disk", "note", found, f"keep at least {MINIMUM_DISK_GIB} GiB for checkpoints")
    return Check("disk", "ok", found)


def _threads() -> Check:
    """Measured, because a virtual machine whose cores are shared can be slower with all threads than with one fewer."""
    import torch

    from groundtune.models import safe_threads

    chosen = safe_threads()
    rates = {
        count: _matrix_rate(count) for count in sorted({1, max(chosen - 1, 1), chosen, len(os.sched_getaffinity(0))})
    }
    torch.set_num_threads(chosen)
    best = max(rates, key=lambda count: rates[count])
    found = f"training uses {chosen}; float32 matrix product " + ", ".join(
        f"{rate:.0f} GFLOP/s on {count}" for count, rate in rates.items()
    )
    if rates[best] > 1.3 * rates[chosen]:
        return Check(
            "threads", "note", found, f"{best} threads were faster just now: set train.threads={best} if that stays so"
        )
    return Check("threads", "ok", found)


def _matrix_rate(threads: int) -> float:
    """GFLOP/s of a float32 product: 2 n^3 operations each."""
    import torch

    torch.set_num_threads(threads)
    matrix = torch.randn(MATRIX_SIZE, MATRIX_SIZE)
    _ = matrix @ matrix
    started, products = time.perf_counter(), 0
    while time.perf_counter() - started < MEASURED_SECONDS:
        _ = matrix @ matrix
        products += 1
    return 2 * MATRIX_SIZE**3 * products / (time.perf_counter() - started) / 1e9


def _bf16() -> Check:
    done = subprocess.run([sys.executable, "-c", BF16_PROBE], capture_output=True, timeout=120, check=False)
    if done.returncode < 0:
        return Check(
            "bf16",
            "note",
            f"bfloat16 on this CPU dies with signal {-done.returncode}",
            "training stays with float32 on the CPU",
        )
    if done.returncode:
        return Check("bf16", "note", "bfloat16 is not available on this CPU", "training stays with float32 on the CPU")
    return Check("bf16", "ok", "bfloat16 works on this CPU; training uses float32 there unless told otherwise")


def _gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("gpu", "note", "none that torch can use", "training runs on the CPU")
    properties: Any = torch.cuda.get_device_properties(0)
    return Check(
        "gpu",
        "ok",
        f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, compute capability {properties.major}.{properties.minor}",
    )
