"""What all tests have in common: what is collected as garbage, what is waited for, and how many examples a law is tried on."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

from hypothesis import settings

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 4 * 2**30
"""The folders of all tests together take one gigabyte."""

# hypothesis would also fail a test for the time it takes, which is the machine's
settings.register_profile("fast", deadline=None, max_examples=50)
settings.register_profile("prove", deadline=None, max_examples=500)
settings.load_profile("fast")

# processes are killed in these tests and the machine is not: nothing is proved by waiting for the disk
os.fsync = os.fstat  # type: ignore[assignment]
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# test processes are given the width of the terminal that the tests are started in
os.environ.pop("COLUMNS", None)

# until pytest_collection_finish: whatever is loaded stays
gc.disable()


def pytest_collection_finish() -> None:
    """Take what is there now for no garbage.

    Trainers collect garbage whenever they begin; looking through seven thousand tests, torch and transformers takes as long
    as a tiny training.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
