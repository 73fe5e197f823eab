"""Keeps the memory that a training step frees for the next one, instead of giving it back to the system.

glibc maps every large block anew and unmaps it when it is freed, so each step touches its hundreds of megabytes for the
first time again, page by page; on the plain workload of the benchmarks that costs about a tenth of the time. What this
module does not do: anything where the C library is not glibc.
"""

from __future__ import annotations

import ctypes
import functools
import platform
from collections.abc import Callable

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names and numbers of glibc's malloc.h."""

MAPPED_BYTES = 32 * 2**20
"""Blocks from this size on are still mapped: the largest threshold glibc takes. In one heap they would leave holes."""

DEFAULT_MMAP_BYTES = 128 * 1024
DEFAULT_TRIM_BYTES = 128 * 1024

_keeping: list[None] = []
"""One entry for each that asked: the setting is the process's, not theirs."""


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError:
        return None


def keep_freed_memory() -> Callable[[], None]:
    """From now on freed blocks stay with the process. Returns what undoes it and gives the memory back."""
    library = _glibc()
    if library is None:
        return lambda: None
    _keeping.append(None)
    library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
    library.mallopt(M_TRIM_THRESHOLD, ctypes.c_int(-1))

    def give_back() -> None:
        _keeping.pop()
        if _keeping:
            return
        # glibc's own start values; that it would have moved them by itself since is not to be had back
        library.mallopt(M_MMAP_THRESHOLD, DEFAULT_MMAP_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, DEFAULT_TRIM_BYTES)
        library.malloc_trim(0)

    return give_back
