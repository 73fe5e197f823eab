"""Numbers that are none, and gradients that are far too long or nothing at all."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from statistics import median

from groundtune.training.diagnosis.findings import Finding, Watched
from groundtune.training.diagnosis.windows import noise_of
from groundtune.training.records import StepRow

USUAL_ROWS = 64
MINIMUM_ROWS = 16

BURST_RATIO = 20.0
"""Norms of healthy small steps vary sixfold to both sides of their median (the demo's do)."""
BURST_LOG_NOISES = 6.0

BURSTS_TOO_MANY, BURSTS_WITHIN_ROWS = 3, 200
"""One burst may be one bad batch; three are the learning rate."""

GROWTH_RATIO = 10.0
"""Of the median of 16 rows over the lowest such median before. Training from scratch halves the norm at first, and a model
that begins to know its answers by heart doubles it again."""

NOTHING = 1e-9
NOTHING_ROWS = 8
"""One step may have nothing to learn; eight in a row mean that no weight is reached."""


def not_a_number(row: StepRow, run: Watched) -> Finding | None:
    """A loss or a gradient that is none: every weight is by now, or in the next step."""
    for what, value in (("training loss", row.train_loss), ("gradient norm", row.grad_norm)):
        if not math.isfinite(value):
            return Finding(
                "not_a_number", "fatal", row.step, row.epoch, value,
                f"the {what} is {value}: the training has diverged",
                f"lower {run.key('learning_rate')} (now at {row.learning_rate:.2g}) to a third, or raise "
                f"{run.key('warmup_share')}, and begin again",
            )  # fmt: skip
    return None


class Norms:
    """Finds gradient norms out of the range of the run's own."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._before: deque[float] = deque(maxlen=USUAL_ROWS)
        self._lowest = math.inf
        self._nothing = 0
        self._burst = self._told_growth = self._told_nothing = self._told_rate = False
        self._rows = 0
        self._bursts_at: deque[tuple[int, int]] = deque(maxlen=BURSTS_TOO_MANY)
        """Row and step of the last ones."""

    def reset(self) -> None:
        """Forget what norms were like: another kind of examples follows."""
        self._before.clear()
        self._lowest = math.inf
        self._burst = False

    def add(self, row: StepRow) -> Iterator[Finding]:
        self._rows += 1
        yield from self._vanished(row)
        usual = median(self._before) if len(self._before) >= MINIMUM_ROWS else None
        # whatever is clipped to the longest allowed step anyway is judged against the run alone, shorter ones do no harm
        if usual and row.grad_norm > self._run.max_grad_norm:
            yield from self._bursts(row, usual)
        if row.grad_norm > NOTHING:
            self._before.append(row.grad_norm)
        yield from self._grows(row)

    def _vanished(self, row: StepRow) -> Iterator[Finding]:
        self._nothing = self._nothing + 1 if row.grad_norm <= NOTHING else 0
        if self._nothing >= NOTHING_ROWS and not self._told_nothing:
            self._told_nothing = True
            yield Finding(
                "gradient_norm", "fatal", row.step, row.epoch, row.grad_norm,
                f"the gradient norm has been {row.grad_norm:.1g} for {NOTHING_ROWS} rows: nothing is being learnt",
                "look whether all weights are frozen (train.adapter.targets) and whether any token is trained (groundtune dataset "
                "preview)",
            )  # fmt: skip

    def _bursts(self, row: StepRow, usual: float) -> Iterator[Finding]:
        least = max(BURST_RATIO, math.exp(BURST_LOG_NOISES * noise_of([math.log(each) for each in self._before])))
        bursts = row.grad_norm > least * usual
        if bursts and not self._burst:
            self._bursts_at.append((self._rows, row.step))
            yield Finding(
                "gradient_norm", "warning", row.step, row.epoch, row.grad_norm,
                f"the gradient norm is {row.grad_norm:.3g}, where {usual:.3g} is usual; it was clipped to {self._run.max_grad_norm:g}",
                f"look at the examples of this step; if it comes again, lower {self._run.key('learning_rate')} or "
                f"{self._run.key('max_grad_norm')}",
            )  # fmt: skip
            yield from self._too_many(row)
        self._burst = bursts

    def _too_many(self, row: StepRow) -> Iterator[Finding]:
        at = self._bursts_at
        if len(at) == BURSTS_TOO_MANY and self._rows - at[0][0] <= BURSTS_WITHIN_ROWS and not self._told_rate:
            self._told_rate = True
            steps = ", ".join(str(step) for _, step in at)
            yield Finding(
                "learning_rate_too_high", "warning", row.step, row.epoch, row.learning_rate,
                f"gradients burst again and again (steps {steps}) at a learning rate of {row.learning_rate:.2g}",
                f"lower {self._run.key('learning_rate')} to a third, or raise {self._run.key('warmup_share')}",
            )  # fmt: skip

    def _grows(self, row: StepRow) -> Iterator[Finding]:
        if len(self._before) < MINIMUM_ROWS or self._told_growth:
            return
        now = median(list(self._before)[-MINIMUM_ROWS:])
        self._lowest = min(self._lowest, now)
        if now >= GROWTH_RATIO * self._lowest and now > self._run.max_grad_norm:
            self._told_growth = True
            yield Finding(
                "gradient_norm", "warning", row.step, row.epoch, now,
                f"gradient norms have grown from {self._lowest:.3g} to {now:.3g}, which comes before a divergence",
                f"lower {self._run.key('learning_rate')} (now at {row.learning_rate:.2g}) to a half",
            )  # fmt: skip
