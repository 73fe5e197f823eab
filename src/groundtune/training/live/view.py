"""Shows a run on standard error: a live panel in a terminal, a plain line every few seconds elsewhere.

As with every progress of groundtune nothing is shown for work that ends within two seconds (where there is no terminal:
before the first line is due), and standard output is left alone. The panel is drawn four times a second by a thread of its own, so that it goes on while a long step is computed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from groundtune.progress import PLAIN_INTERVAL_SECONDS, QUIET_SECONDS, format_seconds, stderr_console
from groundtune.training.live.figures import RunFigures
from groundtune.training.live.panel import render_panel

FRAMES_PER_SECOND = 4

PLAIN_WIDTH = 100
"""Columns of a remark where there is no terminal."""


class RunView:
    """A context manager; leaving it takes the panel away and leaves a line that says how far the run came.

    Args:
        clock: seconds, from any beginning.
    """

    def __init__(
        self,
        label: str,
        *,
        total_steps: int,
        steps_per_epoch: int = 0,
        max_grad_norm: float = 0.0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.figures = RunFigures(
            label, total_steps=total_steps, steps_per_epoch=steps_per_epoch, max_grad_norm=max_grad_norm
        )
        self._console = console or stderr_console()
        self._clock = clock
        self._live: Live | None = None
        self._first_step = 0
        self._started = self._last_line = clock()

    def __enter__(self) -> RunView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self.seen:
            self._console.print(self._summary(interrupted=kind is not None), markup=False, soft_wrap=True)

    @property
    def seen(self) -> bool:
        """Whether the run lasts long enough for anything to be shown."""
        quiet = QUIET_SECONDS if self._console.is_terminal else PLAIN_INTERVAL_SECONDS
        return self._clock() - self._started >= quiet

    def begin(self, step: int) -> None:
        """The first step of this session follows; `step` were done before."""
        self._first_step = step
        self._started = self._last_line = self._clock()
        self.figures = replace(self.figures, step=step)

    def show(self, **figures: Any) -> None:
        """Take over these fields of `RunFigures`."""
        self.figures = replace(self.figures, **figures)
        if not self.seen:
            return
        if self._console.is_terminal:
            self._go_live()
        elif self._clock() - self._last_line >= PLAIN_INTERVAL_SECONDS and self.figures.step < self.figures.total_steps:
            self._last_line = self._clock()
            self._console.print(self._plain_line(), markup=False)

    def say(self, text: str, *, style: str = "") -> None:
        """A line of its own, above the panel where there is one."""
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def remark(self, text: str) -> None:
        """As `say`, cut to one line, and not at all for a run that is over at once."""
        if self.seen:
            line = Text("  " + " ".join(text.split()), style="dim")
            width = self._console.width if self._console.is_terminal else PLAIN_WIDTH
            line.truncate(width, overflow="ellipsis")
            self._console.print(line, soft_wrap=True)

    def _go_live(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console,
                get_renderable=self._render,
                refresh_per_second=FRAMES_PER_SECOND,
                transient=True,
                # what goes to a file or a pipe is a result
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.start()

    def _render(self) -> RenderableType:
        options = self._console.options
        return render_panel(self._timed(), self._console.width, ascii_only=options.ascii_only)

    def _timed(self) -> RunFigures:
        """The figures as of now."""
        figures = self.figures
        elapsed = self._clock() - self._started
        done = figures.step - self._first_step
        left = elapsed / done * (figures.total_steps - figures.step) if done else None
        return replace(figures, elapsed_seconds=elapsed, left_seconds=left)

    def _plain_line(self) -> str:
        figures = self._timed()
        parts = [f"{figures.step}/{figures.total_steps} steps"]
        if figures.left_seconds is not None:
            parts.append(f"{format_seconds(figures.left_seconds)} left")
        if figures.phase:
            parts.append(figures.phase)
        if figures.train_loss is not None:
            parts.append(f"loss {figures.train_loss:.3f}")
        if figures.learning_rate is not None and figures.grad_norm is not None:
            parts += [f"rate {figures.learning_rate:.2e}", f"gradient norm {figures.grad_norm:.3g}"]
        if figures.tokens_per_second is not None:
            parts.append(f"{figures.tokens_per_second:,.0f} tokens/s")
        return f"  {figures.label}: {', '.join(parts)}"

    def _summary(self, *, interrupted: bool) -> str:
        figures = self._timed()
        took = format_seconds(figures.elapsed_seconds)
        steps = (
            f"{figures.step:,} steps"
            if not interrupted
            else f"ended at step {figures.step:,} of {figures.total_steps:,}"
        )
        parts = [f"{steps} {'in' if not interrupted else 'after'} {took}"]
        if figures.smoothed_loss is not None:
            parts.append(f"training loss {figures.smoothed_loss:.3f}")
        if figures.best_loss is not None:
            parts.append(f"best validation loss {figures.best_loss:.3f} {figures.best_place}".rstrip())
        if figures.tokens_per_second is not None:
            parts.append(f"{figures.tokens_per_second:,.0f} tokens/s")
        return f"  {figures.label}: {', '.join(parts)}"
