"""One command in several processes: started by :mod:`.launching`, or by torchrun or accelerate, on one machine or several.

Each process is the same command. The first one brings the stages up to date as if alone; the others wait for it, and join
it in the stages that are trained together. The first that fails says why and all end; on this machine the launcher sees to
that even when one of them is killed.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from groundtune.errors import GroundtuneError, StorageError, TrainingError
from groundtune.files import TEMPORARY_PREFIX, make_folder, write_text

if TYPE_CHECKING:
    from groundtune.training.processes import Meeting

Result = TypeVar("Result")

SHARED_SECONDS = 30.0
"""How long another machine may take to see a file: NFS remembers for a while what a folder held."""

PARENT_SECONDS = 0.5
"""Between two looks whether the launcher is alive."""

TELLING_SECONDS = 1.0
"""Left to the process that tells why all end."""

FAILURE, DEFECT, INTERRUPTED = 2, 70, 130
"""Exit statuses of the command."""

LAUNCHED = "GROUNDTUNE_LAUNCHED"
"""Set in processes that `launch_processes` started: it tells what they cannot."""


class Team:
    """The processes of one command, as one of them sees them."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self._told = 0

    @property
    def first(self) -> bool:
        return self._meeting.first

    def check_folder(self, folder: Path) -> None:
        """All see what the first one writes into `folder`. Raises `StorageError` on one that does not."""
        meeting = self._meeting
        if not meeting.first:
            path = folder / meeting.hear(self._key("file"))
            if not _appears(path):
                raise StorageError(
                    f"process {meeting.index} ({os.uname().nodename}) does not see {path}, which the first process wrote: all machines "
                    "need the same work folder; put workdir on a file system that they share"
                )
            meeting.tell(self._key(f"seen {meeting.index}"), "yes")
            return
        path = make_folder(folder) / f"{TEMPORARY_PREFIX}meeting-{uuid.uuid4().hex}"
        write_text(path, "")
        try:
            meeting.tell(self._key("file"), path.name)
            for index in range(1, meeting.count):
                meeting.hear(self._key(f"seen {index}"))
        finally:
            path.unlink(missing_ok=True)

    def work(self, stage: str, work: Callable[[], Result]) -> Result:
        """Compute a stage, with all others."""
        self._call(stage)
        with self._sharing_cores():
            return work()

    def follow(self, works: Mapping[str, Callable[[], object]]) -> None:
        """Join the first process in what it calls for, until it dismisses."""
        while stage := self._next_call():
            with self._sharing_cores():
                works[stage]()

    def dismiss(self) -> None:
        """No more is called for."""
        self._call("")

    def part(self) -> None:
        self._meeting.part()

    def _call(self, stage: str) -> None:
        self._meeting.tell(self._key("call"), stage)
        self._told += 1

    def _next_call(self) -> str:
        stage = self._meeting.hear(self._key("call"))
        self._told += 1
        return stage

    def _key(self, what: str) -> str:
        return f"{self._told} {what}"

    @contextmanager
    def _sharing_cores(self) -> Iterator[None]:
        from groundtune.models import sharing_cores

        with sharing_cores(int(os.environ.get("LOCAL_WORLD_SIZE", "1"))):
            yield

    def is_to_tell(self, error: BaseException) -> bool:
        """Whether this process is the one to tell of what ended it. Raises `TrainingError` in place of an error that says only
        that another process is gone, where nobody says why."""
        from groundtune.training.processes import OtherFailed, is_lost_touch

        if isinstance(error, OtherFailed):
            return False
        if is_lost_touch(error):
            if self._meeting.hears_of_failure():
                return False
            raise _lost_touch(error) from error
        # without a store nobody can be asked, and saying it twice is better than not at all
        with contextlib.suppress(RuntimeError):
            return self._meeting.is_first_to_fail(status_of(error))
        return True


def _appears(path: Path) -> bool:
    until = time.monotonic() + SHARED_SECONDS
    while not path.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
        # reading the folder anew makes network file systems look again
        with contextlib.suppress(OSError):
            os.listdir(path.parent)
    return True


def status_of(error: BaseException) -> int:
    """The exit status that the command gives an error."""
    from groundtune.training.processes import OtherFailed

    if isinstance(error, OtherFailed):
        return error.status
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, (GroundtuneError, OSError)):
        return FAILURE
    return DEFECT


def _lost_touch(error: BaseException) -> GroundtuneError:
    # processes also meet while a checkpoint is saved: what breaks there looks like a file that could not be written
    found = error.__cause__ if isinstance(error, StorageError) and error.__cause__ is not None else error
    reason = str(found).strip().partition("\n")[0][:200]
    return TrainingError(
        f"lost touch with another process of the training ({reason}); look at its machine, then start all of them again: they go on "
        "from the last checkpoint"
    )


@functools.cache
def this_team() -> Team | None:
    """The processes that a launcher started this one among; None for one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1 or "RANK" not in os.environ:
        return None
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _end_with_parent()
    from groundtune.training.processes import Meeting

    return Team(Meeting.joined())


@contextmanager
def one_voice() -> Iterator[bool]:
    """Inside the block only the first process shows anything; whether this is the one. What goes wrong in one of several is told
    once, by the one where it did first; the others end here with its exit status."""
    try:
        team = this_team()
        if team is None or team.first:
            yield True
        else:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                yield False
        if team is not None:
            team.part()
    except BaseException as error:
        if _is_to_tell(error):
            raise
        # not at once: the launcher ends the others as soon as one has ended, and the first may still be telling
        time.sleep(TELLING_SECONDS)
        os._exit(status_of(error))


def _is_to_tell(error: BaseException) -> bool:
    if isinstance(error, KeyboardInterrupt) and LAUNCHED in os.environ:
        # the launcher says so
        return False
    team = this_team()
    return team is None or team.is_to_tell(error)


def _end_with_parent() -> None:
    """A launcher that is killed cannot end its processes; each sees for itself."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
