"""How many CPU threads a matrix product may use without standing in its own way.

OpenMP threads wait for one another after every product. Threads that spin while they wait take the core from the one that
is waited for, so on a shared machine as many of them as cores can be several times slower than one fewer; threads that
sleep while they wait (``OMP_WAIT_POLICY=PASSIVE``, which the command line sets before torch is loaded) do not. Figures:
docs/decisions/0003. The rule here is static; nothing is measured.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")

_sharers = 1
"""Processes that compute on this machine's cores at the same time."""


def safe_threads() -> int:
    """The number of threads to compute with: `OMP_NUM_THREADS` where it is set, else every core, or one fewer where threads spin;
    its part of them inside `sharing_cores`.

    Cores are physical ones (two hyper-threads share one arithmetic unit), limited to those this process may run on
    (CPU affinity) and to the container's quota.
    """
    wish = os.environ.get("OMP_NUM_THREADS", "")
    if wish.isdigit() and int(wish) > 0:
        return int(wish)
    cores = usable_cores()
    sleeping = os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
    return max(1, (cores if sleeping or cores < 3 else cores - 1) // _sharers)


def usable_cores() -> int:
    """Physical cores this process may use, at least 1."""
    logical = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    physical = psutil.cpu_count(logical=False) or logical
    # affinity counts logical processors: with two to a core, half as many cores
    cores = min(physical, math.ceil(allowed * physical / logical))
    return max(1, min(cores, _container_quota() or cores))


def _container_quota() -> int | None:
    """Whole cores the control group grants ("200000 100000" is 2), None where it sets no limit."""
    try:
        quota, period = CGROUP_LIMIT.read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


@contextmanager
def cpu_threads(threads: int = 0) -> Iterator[int]:
    """Compute with `threads` CPU threads inside the block (0: `safe_threads`) and put the old number back after it. Inside
    `sharing_cores` they are those of all processes together."""
    import torch

    before = torch.get_num_threads()
    chosen = max(1, threads // _sharers) if threads else safe_threads()
    torch.set_num_threads(chosen)
    try:
        yield chosen
    finally:
        torch.set_num_threads(before)


@contextmanager
def sharing_cores(processes: int) -> Iterator[None]:
    """Inside the block so many processes compute on this machine, and each takes its part of the threads."""
    global _sharers
    before, _sharers = _sharers, max(1, processes)
    try:
        yield
    finally:
        _sharers = before
