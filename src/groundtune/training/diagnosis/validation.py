"""Validation losses that rise while training losses fall: the model learns its examples by heart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from groundtune.training.diagnosis.findings import Finding, Watched

RISE = 0.02
"""Of the lowest loss, behind a whole epoch. The same examples are measured each time, so there is little noise; the figure is
a fiftieth of a nat for a loss of one, which nobody would see in the answers."""

PARTLY_RISE, IN_A_ROW = 0.01, 3
"""Inside an epoch a single rise may be the order of the examples: three in a row are not."""

NOT_FALLING = 1.05
"""A training loss that has risen by more since the best validation: then it is not learning by heart but running away."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A validation, and what training was like since the one before."""

    step: int
    epoch: float
    valid_loss: float
    train_loss: float | None
    """Mean over the rows since then; None without any."""


class Validations:
    """Finds the epoch from which on the validation loss rises."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._train: list[float] = []
        self._best: Validation | None = None
        self._last: Validation | None = None
        self._rises = 0
        self._told = False

    def add_loss(self, train_loss: float) -> None:
        if math.isfinite(train_loss):
            self._train.append(train_loss)

    def add(self, step: int, epoch: float, valid_loss: float, *, whole_epoch: bool) -> Iterator[Finding]:
        measured = Validation(step, epoch, valid_loss, fmean(self._train) if self._train else None)
        self._train.clear()
        if not math.isfinite(valid_loss):
            yield _not_a_number(measured, self._run)
            return
        last, self._last = self._last, measured
        if self._best is None or valid_loss < self._best.valid_loss:
            self._best, self._rises, self._told = measured, 0, False
            return
        above = (valid_loss - self._best.valid_loss) / max(abs(self._best.valid_loss), 1e-9)
        rises = last is not None and valid_loss > last.valid_loss and above > PARTLY_RISE
        self._rises = self._rises + 1 if rises else 0
        enough = (whole_epoch and above > RISE) or self._rises >= IN_A_ROW
        if enough and not self._told and self._still_learns(measured, self._best):
            self._told = True
            yield self._overfitting(measured, self._best)

    def _still_learns(self, now: Validation, best: Validation) -> bool:
        """Whether it is the examples that are learnt: their loss lies below that of others, and is no higher than it was."""
        if now.train_loss is None or now.train_loss >= now.valid_loss:
            return False
        # before training, examples are as strange to the model as those of validation
        before = best.valid_loss if best.train_loss is None else best.train_loss
        return now.train_loss <= NOT_FALLING * before

    def _overfitting(self, now: Validation, best: Validation) -> Finding:
        gap = now.valid_loss - now.train_loss if now.train_loss is not None else 0.0
        number = max(math.ceil(now.epoch - 1e-6), 1)
        epochs = max(math.ceil(best.epoch - 1e-6), 1)
        kept = "; the weights of then are kept" if self._run.keeps_best else ", or set train.keep to best"
        if not best.step:
            # nothing of then is kept: it was before training
            return Finding(
                "overfitting", "warning", now.step, now.epoch, gap,
                f"overfitting in epoch {number}: the validation loss is {now.valid_loss:.4g}, and was {best.valid_loss:.4g} before "
                f"training, while the training loss went to {now.train_loss:.4g}",
                f"lower {self._run.key('learning_rate')}, or add examples: on what it has not seen the model is worse than it was",
            )  # fmt: skip
        return Finding(
            "overfitting", "warning", now.step, now.epoch, gap,
            f"overfitting in epoch {number}: the validation loss has risen to {now.valid_loss:.4g} from {best.valid_loss:.4g} (step "
            f"{best.step}) while the training loss went to {now.train_loss:.4g}",
            f"set {self._run.key('epochs')} to {epochs}, lower {self._run.key('learning_rate')}, or add examples{kept}",
        )  # fmt: skip


def _not_a_number(measured: Validation, run: Watched) -> Finding:
    if not measured.step:
        return Finding(
            "not_a_number", "fatal", measured.step, measured.epoch, measured.valid_loss,
            f"the validation loss is {measured.valid_loss} before training: the model itself gives no numbers",
            "look whether its weights are whole, and try train.precision: float32",
        )  # fmt: skip
    return Finding(
        "not_a_number", "fatal", measured.step, measured.epoch, measured.valid_loss,
        f"the validation loss is {measured.valid_loss}: the training has diverged",
        f"lower {run.key('learning_rate')} to a third, or raise {run.key('warmup_share')}, and begin again",
    )  # fmt: skip
