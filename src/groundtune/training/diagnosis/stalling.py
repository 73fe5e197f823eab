"""Training losses that do not fall: not at all, or no longer."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from groundtune.training.diagnosis.findings import Finding, Watched
from groundtune.training.diagnosis.windows import standard_error
from groundtune.training.records import StepRow

LOOK_EVERY_ROWS = 16

LEAST_RATE = 0.5
"""Of the highest rate so far. Under a smaller one a loss stands still because the schedule ends."""

ERRORS = 2.0
"""Standard errors that are added to a fall before it is called none: where noise hides the answer, nothing is said."""


class Stalls:
    """Finds losses that never began to fall, and those that stopped while the rate was still high."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._highest_rate = 0.0
        self._told_low = self._told_plateau = False
        self._step = 0
        self.reset()

    def reset(self) -> None:
        self._losses: list[float] = []
        self._epochs: list[float] = []
        self._before = self._step

    def add(self, row: StepRow) -> Iterator[Finding]:
        self._losses.append(row.train_loss)
        self._epochs.append(row.epoch)
        self._step = row.step
        self._highest_rate = max(self._highest_rate, row.learning_rate)
        if len(self._losses) % LOOK_EVERY_ROWS or row.learning_rate < LEAST_RATE * self._highest_rate:
            return
        if not self._told_low and self._never_fell(row):
            self._told_low = True
            yield self._too_low(row)
        elif not self._told_plateau and not self._told_low:
            yield from self._plateau(row)

    # never fallen

    def _never_fell(self, row: StepRow) -> bool:
        """A healthy run has lost some per cent of its loss after a quarter of its steps; one whose rate is ten times too low has not."""
        rows = len(self._losses)
        early = row.step < 0.25 * self._run.total_steps if self._run.total_steps else rows < 128
        if rows < 64 or early:
            return False
        part = rows // 4
        first = median(self._losses[:part])
        fall = first - median(self._losses[-part:])
        most = fall + ERRORS * standard_error(self._losses[-2 * part :], part)
        # one that rose is another matter
        return abs(fall) < 0.03 * abs(first) and most < 0.03 * abs(first)

    def _too_low(self, row: StepRow) -> Finding:
        part = len(self._losses) // 4
        first, last = median(self._losses[:part]), median(self._losses[-part:])
        return Finding(
            "learning_rate_too_low", "warning", row.step, row.epoch, first - last,
            f"the training loss has not fallen since the start ({first:.3g}, now {last:.3g})",
            f"raise {self._run.key('learning_rate')} (now at {row.learning_rate:.2g}) threefold; where that changes nothing, look "
            "whether the right tokens are trained (groundtune dataset preview)",
        )  # fmt: skip

    # no longer falling

    def _plateau(self, row: StepRow) -> Iterator[Finding]:
        """Two halves of a long window that lie as high as one another, by less than a twentieth of what was won before."""
        window = self._window()
        if window is None:
            return
        half = window // 2
        earlier, later = self._losses[-2 * half : -half], self._losses[-half:]
        error = standard_error(self._losses[-2 * half :], half)
        fall = median(earlier) - median(later)
        won = median(self._losses[:LOOK_EVERY_ROWS]) - median(later)
        if won > 2 * ERRORS * error and fall + ERRORS * error < 0.05 * won:
            self._told_plateau = True
            yield Finding(
                "plateau", "note", row.step, row.epoch, fall,
                f"the training loss stands at about {median(later):.3g}: it fell by {max(fall, 0.0):.2g} over the last {2 * half} "
                f"rows, and by {won:.3g} before",
                f"end earlier ({self._run.key('epochs')}), or raise {self._run.key('learning_rate')} (now at "
                f"{row.learning_rate:.2g}) if the answers are not good yet",
            )  # fmt: skip

    def _window(self) -> int | None:
        """Rows to look at. An exponential fall over the run passes a third of it with more than a twentieth of its height; without
        knowing the end, half of what there is serves as well. Losses of several epochs fall in stairs, so a window there must
        be longer than one."""
        rows = len(self._losses)
        whole = self._run.total_steps * rows / max(self._step - self._before, 1)
        wanted = whole / 3 if self._run.total_steps else rows / 2
        an_epoch = rows / max(self._epochs[-1] - self._epochs[0], 1e-9)
        if self._epochs[-1] > 1:
            wanted = max(wanted, 1.5 * an_epoch)
        window = int(max(wanted, 96 if self._run.total_steps else 128))
        return window if window <= rows else None
