"""Progress with time left, on standard error: a live bar in a terminal, a plain line every few seconds elsewhere.

Nothing is shown for work that ends within two seconds. Standard output is left to results.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

QUIET_SECONDS = 2.0
"""Work shorter than this shows nothing."""

PLAIN_INTERVAL_SECONDS = 10.0
"""How often a line is written where there is no terminal."""


def stderr_console() -> Console:
    """The console for everything that is not a result. Made anew, so that a redirected stream is honoured."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


class ProgressBar:
    """``with ProgressBar("reading documents", total=120, unit="files") as bar: bar.advance()``."""

    def __init__(self, label: str, *, total: int, unit: str) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.done = 0
        self._note = ""
        self._console = stderr_console()
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._started = time.monotonic()
        self._last_line = self._started

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def advance(self, steps: int = 1, *, note: str | None = None) -> None:
        """Count `steps` more as done; `note` is a short text shown behind the bar ("loss 2.31")."""
        self.done += steps
        if note is not None:
            self._note = note
        elapsed = time.monotonic() - self._started
        if elapsed < QUIET_SECONDS:
            return
        if self._console.is_terminal:
            self._show_live()
        elif time.monotonic() - self._last_line >= PLAIN_INTERVAL_SECONDS and self.done < self.total:
            self._last_line = time.monotonic()
            left = elapsed / max(self.done, 1) * (self.total - self.done)
            note_text = f", {self._note}" if self._note else ""
            self._console.print(
                f"  {self.label}: {self.done}/{self.total} {self.unit}, {format_seconds(left)} left{note_text}",
                markup=False,
            )

    def say(self, text: str, *, style: str = "") -> None:
        """A line of its own, above the bar where there is one."""
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def _show_live(self) -> None:
        if self._live is None:
            self._live = Progress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn(self.unit),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=self._console,
                transient=True,
            )
            self._live.start()
            self._task = self._live.add_task(self.label, total=self.total, note=self._note)
        if self._task is not None:
            self._live.update(self._task, completed=self.done, note=self._note)


def format_seconds(seconds: float) -> str:
    """
    >>> format_seconds(7.6), format_seconds(75), format_seconds(3720)
    ('8 s', '1 min 15 s', '1 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
