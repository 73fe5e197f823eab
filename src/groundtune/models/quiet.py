"""Keeps transformers off the terminal: its log lines and its progress bars, not Python's warnings and not its errors."""

from __future__ import annotations

import logging as logs
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging

# whoever imports bitsandbytes first (transformers' Trainer, through peft), it warns that it has no kernel for a way of
# computing that nothing here uses
logs.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logs.ERROR)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Inside the block transformers logs errors only and draws no bars; the caller's settings come back after it."""
    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
