"""How fast a training went, some hundred times over it. By the clock, so not the same in every run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """The speed of the steps since the row before."""

    step: int
    seconds: float
    """Of these steps, validation and saving left out."""
    tokens_per_second: float
    """Tokens of the training examples."""
    unique_tokens_per_second: float
    """Tokens computed."""


@dataclass(slots=True)
class Pace:
    """The rows so far, and what had been done at the last of them."""

    rows: list[SpeedRow] = field(default_factory=list)
    seconds: float = 0.0
    dataset_tokens: int = 0
    computed_tokens: int = 0

    def note(self, every: int, *, step: int, seconds: float, dataset_tokens: int, computed_tokens: int) -> None:
        """Add a row where `every` steps were taken since the last one. All but `every` are counted from the first step.

        >>> pace = Pace()
        >>> for step in range(1, 5):
        ...     pace.note(2, step=step, seconds=step / 2, dataset_tokens=100 * step, computed_tokens=40 * step)
        >>> [(row.step, row.tokens_per_second, row.unique_tokens_per_second) for row in pace.rows]
        [(2, 200.0, 80.0), (4, 200.0, 80.0)]
        """
        if step - (self.rows[-1].step if self.rows else 0) < every:
            return
        passed = seconds - self.seconds
        rates = [
            round(tokens / max(passed, 1e-9), 1)
            for tokens in (dataset_tokens - self.dataset_tokens, computed_tokens - self.computed_tokens)
        ]
        self.rows.append(SpeedRow(step, round(passed, 3), *rates))
        self.seconds, self.dataset_tokens, self.computed_tokens = seconds, dataset_tokens, computed_tokens
