"""What takes long to make and every worker of pytest-xdist needs: made by the first of them, copied by the others."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of this worker's own with what `make` leaves in the folder that it is given, which is not there yet.

    One that fails leaves nothing, and the next worker tries again.
    """
    common = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    made = common / f"once-{name}"
    with (common / f"once-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            half = common / f"once-{name}-half"
            shutil.rmtree(half, ignore_errors=True)
            make(half)
            half.rename(made)
    return shutil.copytree(made, factory.mktemp(name) / name, symlinks=True)
