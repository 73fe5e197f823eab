"""Single keys from a terminal, and characters from anything else.

What this module does not do: know what a key means.
"""

from __future__ import annotations

import codecs
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CONTROL_D = "\x04"
_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.|.)?")
"""What arrows, function keys and Alt send."""


class Keys:
    """Iterates over the keys pressed, one at a time, until Ctrl-D or the terminal is gone.

    Inside ``with terminal_keys() as keys`` a key counts without Enter and is not echoed; Ctrl-C interrupts and Ctrl-Z stops as
    everywhere.
    """

    def __init__(self, handle: int, woken: int) -> None:
        self._handle = handle
        self._woken = woken

    def __iter__(self) -> Iterator[str]:
        # a letter of two bytes may come in two pieces
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        while data := self._read():
            for key in _SEQUENCE.sub("", decoder.decode(data)):
                if key == CONTROL_D:
                    return
                if not key.isspace():
                    yield key

    def _read(self) -> bytes:
        while True:
            ready, _, _ = select.select([self._handle, self._woken], [], [])
            if self._woken in ready:
                # what a signal asks for is done by now, or the next time round
                os.read(self._woken, 1024)
            if self._handle in ready:
                try:
                    return os.read(self._handle, 1024)
                except OSError:
                    # the terminal has gone away
                    return b""


@contextmanager
def terminal_keys(on_return: Callable[[], None]) -> Iterator[Keys]:
    """Standard input as single keys; the terminal is as before afterwards, however this ends, short of SIGKILL.

    `on_return` is called when the process was stopped and goes on: others have written on the terminal.
    """
    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    def go_on(_: int, __: FrameType | None) -> None:
        # the shell has set the terminal its own way while this process was stopped
        tty.setcbreak(handle, termios.TCSANOW)
        on_return()

    handlers = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGCONT: go_on}
    earlier = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        tty.setcbreak(handle, termios.TCSANOW)
        with _told_of_signals() as woken:
            yield Keys(handle, woken)
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
        # keys that nobody has read are not for the shell
        termios.tcsetattr(handle, termios.TCSAFLUSH, before)


@contextmanager
def _told_of_signals() -> Iterator[int]:
    """A pipe that can be read from when a signal has come.

    The system may hand a signal to a thread of a library (those of OpenBLAS, say). What Python does about it waits for the main
    thread then, which a key would be needed to wake.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(earlier)
        os.close(reading)
        os.close(writing)
