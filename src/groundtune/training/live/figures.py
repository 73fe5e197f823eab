"""The figures of a run at one moment, and its loss so far, thinned to what a terminal can show."""

from __future__ import annotations

from dataclasses import dataclass

SMOOTHING = 0.9
"""Of the mean loss shown, the weight of what was before; the last ten rows are two thirds of it."""

MOST_POINTS = 512
"""Kept of a curve: more than a terminal is wide."""


class Curve:
    """A value row by row: the last one, a moving average, and the way there as at most `MOST_POINTS` means.

    >>> curve = Curve()
    >>> for value in (4.0, 2.0, 2.0):
    ...     curve.add(value)
    >>> curve.last, round(curve.smoothed, 2), curve.points()
    (2.0, 2.6, [4.0, 2.0, 2.0])
    """

    def __init__(self) -> None:
        self.last: float | None = None
        self._sum = self._weight = 0.0
        self._means: list[float] = []
        self._size = 1
        """Rows in each mean."""
        self._open: list[float] = []

    @property
    def smoothed(self) -> float | None:
        """None before the first row. The first rows weigh as they should: nothing is drawn towards zero."""
        return self._sum / self._weight if self._weight else None

    def add(self, value: float) -> None:
        self.last = value
        self._sum = SMOOTHING * self._sum + (1 - SMOOTHING) * value
        self._weight = SMOOTHING * self._weight + (1 - SMOOTHING)
        self._open.append(value)
        if len(self._open) == self._size:
            self._means.append(sum(self._open) / self._size)
            self._open = []
        if len(self._means) == MOST_POINTS:
            # a new list: the one before may be being drawn
            self._means = [(one + two) / 2 for one, two in zip(self._means[::2], self._means[1::2], strict=True)]
            self._size *= 2

    def points(self) -> list[float]:
        return list(self._means)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What is known of a run; None, 0 and "" for what is not, or not yet."""

    label: str
    """What is going on: "fine-tuning"."""
    total_steps: int
    steps_per_epoch: int = 0
    """0: there are no epochs to speak of."""
    step: int = 0
    elapsed_seconds: float = 0.0
    """Of this session; an interrupted run has had others."""
    left_seconds: float | None = None
    train_loss: float | None = None
    smoothed_loss: float | None = None
    losses: tuple[float, ...] = ()
    """From the start, evenly spread."""
    valid_loss: float | None = None
    best_loss: float | None = None
    best_place: str = ""
    """Where it was measured: "in epoch 2"."""
    learning_rate: float | None = None
    grad_norm: float | None = None
    """Before clipping."""
    max_grad_norm: float = 0.0
    """0: there is no clipping."""
    tokens_per_second: float | None = None
    """Of the training examples."""
    unique_tokens_per_second: float | None = None
    """Computed."""
    supervised_tokens: int = 0
    memory_bytes: int = 0
    peak_memory_bytes: int = 0
    gpu_bytes: int = 0
    peak_gpu_bytes: int = 0
    phase: str = ""
    finding: str = ""
    finding_style: str = ""

    @property
    def epoch_text(self) -> str:
        """
        >>> RunFigures("", total_steps=30, steps_per_epoch=10, step=11).epoch_text
        'epoch 2 of 3'
        """
        if not self.steps_per_epoch:
            return ""
        epochs = -(-self.total_steps // self.steps_per_epoch)
        return f"epoch {min(max(-(-self.step // self.steps_per_epoch), 1), epochs)} of {epochs}"
