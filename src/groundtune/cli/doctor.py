"""`groundtune doctor`: what this machine has, what training would choose on it, and what is wrong."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from groundtune import __version__
from groundtune.cli.options import AsJson, print_json

State = Literal["ok", "note", "problem"]

SLOWER_WITH_ALL = 0.9
"""With fewer than this share of the rate of one thread fewer, the last thread is in the way; less is measurement noise."""

WORTH_SWITCHING = 1.3
"""A number of threads this much faster than training's is worth naming."""

MINIMUM_MEMORY = 4e9
MINIMUM_DISK = 2e9
"""Bytes."""


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
    from rich.text import Text

    from groundtune.cli.display import Sheet, output

    colours: dict[State, str] = {"ok": "green", "note": "yellow", "problem": "red"}
    sheet = Sheet("", "", "", "", left=(0, 1), prose=True)
    for check in checks:
        remedy = (f"\n{check.remedy}", "dim") if check.remedy else ""
        sheet.row(check.name, Text(check.state, colours[check.state]), Text.assemble(check.found, remedy))
    sheet.show(output())


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

    from groundtune.evaluation.verdict.wording import size

    memory = psutil.virtual_memory()
    found = f"{size(memory.available)} free of {size(memory.total)}"
    if memory.available < MINIMUM_MEMORY:
        return Check(
            "memory",
            "note",
            found,
            f"the demo wants {size(MINIMUM_MEMORY)}; close something, or lower train.max_pack_tokens",
        )
    return Check("memory", "ok", found)


def _disk() -> Check:
    from groundtune.evaluation.verdict.wording import size

    free = shutil.disk_usage(Path.cwd()).free
    found = f"{size(free)} free here"
    if not os.access(Path.cwd(), os.W_OK):
        return Check(
            "disk", "problem", f"{Path.cwd()} cannot be written", "work elsewhere, or set workdir in the configuration"
        )
    if free < MINIMUM_DISK:
        return Check("disk", "note", found, f"keep at least {size(MINIMUM_DISK)} for checkpoints")
    return Check("disk", "ok", found)


def _threads() -> Check:
    """Measured, because a machine whose cores are shared can be slower with all threads than with one fewer."""
    from groundtune.errors import TrainingError
    from groundtune.models import safe_threads, thread_rates_apart, usable_cores

    cores, chosen = usable_cores(), safe_threads()
    try:
        rates = thread_rates_apart(sorted({max(cores - 1, 1), cores, chosen}))
    except TrainingError as error:
        return Check("threads", "problem", str(error), "torch does not compute here; install it again")
    return judge_threads(rates, cores=cores, chosen=chosen)


def judge_threads(rates: Mapping[int, float], *, cores: int, chosen: int) -> Check:
    """What the float32 matrix rates (FLOP/s by number of threads) mean for a training that computes on `chosen` threads."""
    sleeping = os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
    found = (
        f"training uses {chosen} of {cores}, {_why_so_many(cores, sleeping)}; float32 matrix product "
        + ", ".join(f"{rate / 1e9:.0f} GFLOP/s on {count}" for count, rate in sorted(rates.items()))
        + f" (threads {'sleep' if sleeping else 'spin'} while they wait)"
    )
    if cores > 1 and rates[cores] < SLOWER_WITH_ALL * rates[cores - 1]:
        slower = f"{cores} threads are slower than {cores - 1}: other work shares the cores"
        if chosen < cores:
            return Check("threads", "ok", found, f"{slower}, and training already leaves one free")
        waiting = "" if sleeping else "OMP_WAIT_POLICY=PASSIVE in the environment, or "
        return Check("threads", "note", found, f"{slower}; set {waiting}train.threads={cores - 1} if that stays so")
    best = max(rates, key=lambda count: rates[count])
    if rates[best] > WORTH_SWITCHING * rates[chosen]:
        return Check(
            "threads", "note", found, f"{best} threads were faster just now: set train.threads={best} if that stays so"
        )
    return Check("threads", "ok", found)


def _why_so_many(cores: int, sleeping: bool) -> str:
    """The reason for what `safe_threads` says."""
    wish = os.environ.get("OMP_NUM_THREADS", "")
    if wish.isdigit() and int(wish) > 0:
        return f"because OMP_NUM_THREADS={wish}"
    if sleeping:
        return "every core, because OMP_WAIT_POLICY=PASSIVE"
    if cores < 3:
        return "every core, because there are fewer than three"
    return "one fewer than there are, because waiting threads would take the core of a working one"


def _bf16() -> Check:
    from groundtune.models import safe_bfloat16

    works, why = safe_bfloat16()
    if works:
        return Check("bf16", "ok", f"{why}; training uses float32 there unless told otherwise")
    return Check("bf16", "note", why, "training stays with float32 on the CPU")


def _gpu() -> Check:
    import torch

    from groundtune.evaluation.verdict.wording import size

    if not torch.cuda.is_available():
        return Check("gpu", "note", "none that torch can use", "training runs on the CPU")
    properties: Any = torch.cuda.get_device_properties(0)
    return Check(
        "gpu",
        "ok",
        f"{properties.name}, {size(properties.total_memory)}, compute capability {properties.major}.{properties.minor}",
    )
