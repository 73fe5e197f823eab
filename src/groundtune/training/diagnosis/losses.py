"""Training losses that jump, that run away, and that swing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from statistics import median, pstdev

from groundtune.training.diagnosis.findings import Finding, Watched
from groundtune.training.diagnosis.windows import noise_of, straightened, strongest_period
from groundtune.training.records import StepRow

# spikes

BASELINE_ROWS = 16
NOISE_ROWS = 32
MINIMUM_ROWS = 12
"""With fewer rows before, their noise is not known well enough."""

SPIKE_NOISES = 8.0
"""In standard deviations. That of 12 to 32 rows is known to a third, so this is five and more: one in a million rows."""

SPIKE_LOG_NOISES = 6.0
"""The same for logarithms: losses of small steps lie askew, and 8 deviations of theirs are no rarity."""

SPIKE_RATIO = 1.25
"""A smaller rise harms nothing, however clear it is."""

CLEAR_RATIO, JOLT_RATIO = 2.0, 2.0
"""From here, and with a gradient as much longer than usual, one row is enough."""

ROWS_IN_A_ROW = 3
"""Otherwise so many: a step of other, harder examples rises too, and its gradients are no longer than usual."""

USUAL_EXCURSIONS, USUAL_WITHIN_ROWS = 4, 96
"""Where losses went as high so often, there are two kinds of examples, and this is the other kind."""

SPIKES_TOO_MANY, SPIKES_WITHIN_ROWS = 3, 200
"""One spike may be one bad batch; three are the learning rate."""


class Spikes:
    """Finds losses far above those just before, and rates that make them again and again."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._told_rate = False
        self._rows = 0
        self._spikes: deque[tuple[int, int]] = deque(maxlen=SPIKES_TOO_MANY)
        self.reset()

    def reset(self) -> None:
        """Forget what losses were like: another kind of examples follows."""
        self._before: deque[float] = deque(maxlen=NOISE_ROWS)
        self._norms: deque[float] = deque(maxlen=BASELINE_ROWS)
        self._excursions: deque[int] = deque(maxlen=USUAL_EXCURSIONS)
        self._high = 0
        """Rows that stood out in a row, up to now."""
        self._often = self._told = False

    def add(self, row: StepRow) -> Iterator[Finding]:
        self._rows += 1
        usual = self._usual()
        if usual is not None and self._stands_out(row.train_loss, usual):
            yield from self._excursion(row, usual)
        else:
            self._high, self._told = 0, False
        # a level that stays becomes the usual one
        self._before.append(row.train_loss)
        self._norms.append(row.grad_norm)

    def _excursion(self, row: StepRow, usual: float) -> Iterator[Finding]:
        if not self._high:
            known = len(self._excursions) == USUAL_EXCURSIONS
            self._often = known and self._rows - self._excursions[0] < USUAL_WITHIN_ROWS
            self._excursions.append(self._rows)
        self._high += 1
        # the last step of an epoch may hold few examples
        jolted = row.grad_norm >= JOLT_RATIO * median(self._norms) and not _ends_epoch(row)
        enough = (jolted and row.train_loss >= CLEAR_RATIO * usual) or self._high >= ROWS_IN_A_ROW
        if enough and not self._often and not self._told:
            self._told = True
            yield self._spike(row, usual)
            yield from self._too_many(row)

    def _usual(self) -> float | None:
        if len(self._before) < MINIMUM_ROWS:
            return None
        return median(list(self._before)[-BASELINE_ROWS:])

    def _stands_out(self, loss: float, usual: float) -> bool:
        if usual <= 0 or loss < SPIKE_RATIO * usual or loss < usual + SPIKE_NOISES * noise_of(self._before):
            return False
        logs = [math.log(each) for each in self._before if each > 0]
        return math.log(loss / usual) > SPIKE_LOG_NOISES * noise_of(logs)

    def _spike(self, row: StepRow, usual: float) -> Finding:
        self._spikes.append((self._rows, row.step))
        return Finding(
            "loss_spike", "warning", row.step, row.epoch, row.train_loss,
            f"the training loss jumped to {row.train_loss:.3g}, where it had been about {usual:.3g}",
            f"if it comes back by itself leave it, otherwise lower {self._run.key('learning_rate')} (now at "
            f"{row.learning_rate:.2g}) or {self._run.key('max_grad_norm')}",
        )  # fmt: skip

    def _too_many(self, row: StepRow) -> Iterator[Finding]:
        crowded = len(self._spikes) == SPIKES_TOO_MANY and self._rows - self._spikes[0][0] <= SPIKES_WITHIN_ROWS
        if crowded and not self._told_rate:
            self._told_rate = True
            steps = ", ".join(str(step) for _, step in self._spikes)
            yield Finding(
                "learning_rate_too_high", "warning", row.step, row.epoch, row.learning_rate,
                f"the loss keeps jumping (steps {steps}) at a learning rate of {row.learning_rate:.2g}",
                f"lower {self._run.key('learning_rate')} to a third, or raise {self._run.key('warmup_share')}",
            )  # fmt: skip


def _ends_epoch(row: StepRow) -> bool:
    return abs(row.epoch - round(row.epoch)) < 1e-6


# running away

RECENT_ROWS = 20
"""All but one have to be high: of two kinds of examples, half of each, that happens once in fifty thousand times."""
BEST_ROWS = 8
LOST_SHARE = 0.5
"""Of what had been won since the start. Losing half of it is no swing."""
LOST_RATIO = 1.25
LOST_NOISES, LOST_NOISES_NOW = 3.0, 1.5
"""Of single rows, when the loss was best and now: noise grows with the loss. The median of 20 varies by less than a third of
one, the best of all medians of 8 lies one or two below the rest."""


class Runaway:
    """Finds a loss that has risen for good: the run is lost, and what it learnt with it."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._told = False
        self.reset()

    def reset(self) -> None:
        self._recent: deque[float] = deque(maxlen=NOISE_ROWS)
        self._start: float | None = None
        self._best = math.inf
        self._best_step = 0
        self._best_noise = 0.0

    def add(self, row: StepRow) -> Iterator[Finding]:
        self._recent.append(row.train_loss)
        if self._told or len(self._recent) < BEST_ROWS:
            return
        losses = list(self._recent)
        level = median(losses[-BEST_ROWS:])
        if self._start is None:
            self._start = level
        if level < self._best:
            self._best, self._best_step, self._best_noise = level, row.step, noise_of(losses)
        if len(losses) < BEST_ROWS + RECENT_ROWS:
            return
        now = median(losses[-RECENT_ROWS:])
        least = max(
            LOST_SHARE * (self._start - self._best),
            (LOST_RATIO - 1) * abs(self._best),
            LOST_NOISES * self._best_noise,
            LOST_NOISES_NOW * noise_of(losses),
        )
        if now - self._best >= least and self._all_are_high(losses[-RECENT_ROWS:], now):
            self._told = True
            yield Finding(
                "learning_rate_too_high", "fatal", row.step, row.epoch, now,
                f"the training loss has risen to {now:.3g} and stays there, after {self._best:.3g} about step {self._best_step}: the "
                "training has diverged",
                f"lower {self._run.key('learning_rate')} (now at {row.learning_rate:.2g}) to a third, or raise "
                f"{self._run.key('warmup_share')}, and begin again",
            )  # fmt: skip

    def _all_are_high(self, losses: list[float], now: float) -> bool:
        """Whether at most one row is still nearer to the best. Of two kinds of examples that alternate, many are."""
        return sum(loss < (self._best + now) / 2 for loss in losses) <= 1


# swinging

SWING_ROWS = 48
LONGEST_PERIOD = 16.0
"""In rows: slower ones cannot be told from a bend of the curve."""
PERIODIC_SHARE = 0.6
"""Of the variance, that belongs to one period. Noise alone comes to it once in a million windows (`strongest_period`)."""
SWING_SHARE = 0.2
"""From crest to trough, of the loss: smaller swings harm nothing."""
LOOK_EVERY_ROWS = 8


class Swings:
    """Finds losses that go up and down in step with themselves, which noise does not."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._recent: deque[float] = deque(maxlen=SWING_ROWS)
        self._seen = 0
        self._told = False

    def reset(self) -> None:
        self._recent.clear()
        self._seen = 0

    def add(self, row: StepRow) -> Iterator[Finding]:
        self._recent.append(row.train_loss)
        self._seen += 1
        if self._told or len(self._recent) < SWING_ROWS or self._seen % LOOK_EVERY_ROWS:
            return
        left = straightened(list(self._recent))
        level = median(self._recent)
        swing = 2 * math.sqrt(2) * pstdev(left)
        if level <= 0 or swing < SWING_SHARE * level:
            return
        period, share = strongest_period(left, longest=LONGEST_PERIOD)
        if share >= PERIODIC_SHARE:
            self._told = True
            yield Finding(
                "oscillation", "warning", row.step, row.epoch, swing,
                f"the training loss swings by {swing:.3g} around {level:.3g}, up and down every {period:.1f} rows of the journal",
                f"lower {self._run.key('learning_rate')} (now at {row.learning_rate:.2g}) to a half, or raise {self._run.batch_key}",
            )  # fmt: skip
