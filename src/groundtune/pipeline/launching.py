"""Starts one command in several processes of this machine, by torch's elastic launcher, and says how they ended.

What the processes do together is :mod:`groundtune.pipeline.team`'s.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.errors import ConfigError, TrainingError
from groundtune.pipeline.team import LAUNCHED

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    from groundtune.config import ComputingConfig

SHUTDOWN_SECONDS = 5
"""From being told to end to being killed."""


class Killed(TrainingError):  # noqa: N818
    """A signal ended a process."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def check_processes(computing: ComputingConfig, processes: int) -> str | None:
    """A note on so many processes of this machine, if there is something to say. Raises `ConfigError` where they are too many."""
    from groundtune.models import usable_cores
    from groundtune.training.distribution import check_device, check_spreading

    if "LOCAL_RANK" in os.environ:
        raise ConfigError("--num-processes: a launcher has started several processes already; leave one of the two out")
    device = check_device(computing, processes)
    check_spreading(computing)
    cores = usable_cores()
    if device == "cpu" and processes > cores:
        return f"--num-processes {processes}: this machine has {cores} cores, so some processes will wait for others"
    return None


def launch_processes(arguments: Sequence[str], processes: int) -> int:
    """Run ``groundtune ARGUMENTS`` in `processes` processes of this machine, by torch's elastic launcher; the exit status.

    Raises:
        Killed: one of them was killed, or this process was asked to end.
        KeyboardInterrupt: the launcher was asked to stop from the keyboard.
    """
    _keep_quiet()
    os.environ[LAUNCHED] = "1"
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="groundtune-") as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "groundtune", *arguments)
        except ChildFailedError as error:
            return _status_of_first(error, processes)
        except SignalException as stopped:
            if stopped.sigval == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise Killed(
                f"stopped by {stopped.sigval.name}; the same command continues where it was", stopped.sigval
            ) from None
    return 0


def _keep_quiet() -> None:
    """The launcher tells of processes and signals in its own log; what matters is told here, in a sentence."""
    # read by torch's C++ parts, here and in the processes
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SHUTDOWN_SECONDS))
    # its loggers are made when it is loaded
    importlib.import_module("torch.distributed.launcher.api")

    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _status_of_first(error: ChildFailedError, processes: int) -> int:
    """Of the process that failed by itself, which has said why. Raises `Killed` for one that could not."""
    failures = dict(sorted(error.failures.items()))
    for failure in failures.values():
        if failure.exitcode > 0:
            return failure.exitcode
    # the launcher ends the others by SIGTERM
    killed = [rank for rank, failure in failures.items() if failure.exitcode != -signal.SIGTERM]
    rank, number = (killed[0], -failures[killed[0]].exitcode) if killed else (None, signal.SIGTERM)
    which = f"one of {processes} processes" if rank is None else f"process {rank} of {processes}"
    guess = " (the system may have run out of memory)" if number == signal.SIGKILL else ""
    raise Killed(
        f"{which} was ended by {signal.Signals(number).name}{guess}, and the others with it; the same command continues where it was",
        number,
    )
