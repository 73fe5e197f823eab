"""When a training has learnt what it can: the rule of early stopping.

It looks at nothing but the validation losses in the journal, so a continued run and every process of several come to the
same end. What this module does not do: end anything (:mod:`.watching`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from groundtune.training.records import Journal


@dataclass(frozen=True, slots=True)
class EarlyStopping:
    patience: int = 0
    """Validations in a row without a lower loss, after which a training ends; 0: it does not."""
    delta: float = 0.0
    """By how much lower a loss has to be than the lowest that counted."""

    def is_due(self, journal: Journal) -> bool:
        return bool(self.patience) and self.waited(losses_of(journal))[0] >= self.patience

    def waited(self, losses: Iterable[float]) -> tuple[int, float | None]:
        """How many validations in a row did not count as an improvement, and the loss they were held against. The first, before
        training, is none of them. A loss that is no number is no improvement.

        >>> EarlyStopping(2, 0.1).waited([3.0, 2.5, 2.45, 2.41])
        (2, 2.5)
        >>> EarlyStopping(2).waited([3.0, 2.5, 2.6, 2.4])
        (0, 2.4)
        """
        lowest: float | None = None
        count = 0
        for loss in losses:
            if lowest is None or loss < lowest - self.delta:
                lowest, count = loss, 0
            else:
                count += 1
        return count, lowest

    def note(self, journal: Journal, steps: int) -> str | None:
        """Why the training ended in front of its last of `steps` steps, for the record; None where it did not."""
        if not self.is_due(journal) or journal.steps_done >= steps:
            return None
        count, lowest = self.waited(losses_of(journal))
        bound = f"under {lowest:.4f}" if not self.delta else f"more than {self.delta:g} under {lowest:.4f}"
        return (
            f"stopped after step {journal.steps_done} of {steps}: validation loss had not fallen {bound} "
            f"for {count} validations (train.early_stopping_patience)"
        )


def losses_of(journal: Journal) -> list[float]:
    """Validation losses in the order they were measured, as the record shows them."""
    measured = {row.step: row.valid_loss for row in journal.evaluations}
    # an epoch that ended where it was stopped shows the loss of that very validation
    measured |= {row.step: row.valid_loss for row in journal.epochs if row.valid_loss is not None}
    return [measured[step] for step in sorted(measured)]
