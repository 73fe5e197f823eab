"""The callback that tells the view, TensorBoard and the like how a run is doing by the clock."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from groundtune.training.live.figures import Curve
from groundtune.training.live.view import RunView
from groundtune.training.records import EpochRow, EvaluationRow, Journal

SPEED_SECONDS = 10.0
"""Speeds are those of about so long: of single steps they jump."""

LOOK_SECONDS = 0.25
"""How often memory is looked at."""

SPEED_ROWS = 100
"""Noted of a whole training, in timings.json."""


@dataclass(frozen=True, slots=True)
class _Moment:
    seconds: float
    """Spent on steps."""
    dataset_tokens: int
    computed_tokens: int


class Onlooker(TrainerCallback):
    """Reads the journal, which another callback keeps, and changes nothing but its speeds. Has to come after that one, and
    before those that draw: what the clock says is added to what they are given."""

    def __init__(self, view: RunView, journal: Journal, device: torch.device, *, shows: bool) -> None:
        self._view = view
        self._journal = journal
        self._on_gpu = device.type == "cuda"
        self._device = device
        self._shows = shows
        self._losses = Curve()
        self._moments: deque[_Moment] = deque()
        self._process = psutil.Process()
        self._looked = 0.0

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._losses = Curve()
        for row in self._journal.steps:
            self._losses.add(row.train_loss)
        self._moments = deque([self._moment()])
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats(self._device)
        if self._shows:
            self._view.begin(state.global_step)
            self._show_validations()

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._shows:
            memory = self._memory() if time.monotonic() - self._looked >= LOOK_SECONDS else {}
            self._view.show(step=state.global_step, **memory)

    @override
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        row = self._journal.steps[-1]
        self._losses.add(row.train_loss)
        self._journal.note_pace(max(state.max_steps // SPEED_ROWS, 1))
        speeds = self._speeds()
        if self._shows:
            self._view.show(
                train_loss=row.train_loss,
                smoothed_loss=self._losses.smoothed,
                losses=tuple(self._losses.points()),
                learning_rate=row.learning_rate,
                grad_norm=row.grad_norm,
                supervised_tokens=row.supervised_tokens,
                phase=row.phase,
                **speeds,
            )
        # the callbacks that draw come after this one and are given the same
        logs |= {"supervised_tokens": row.supervised_tokens, "computed_tokens": row.computed_tokens}
        logs |= speeds
        logs |= {f"{name.removesuffix('_bytes')}_gib": size / 2**30 for name, size in self._memory().items() if size}

    @override
    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._shows:
            self._show_validations()

    def _show_validations(self) -> None:
        rows: list[EpochRow | EvaluationRow] = [*self._journal.epochs, *self._journal.evaluations]
        measured = sorted((row for row in rows if row.valid_loss is not None), key=lambda row: row.step)
        if not measured:
            return
        best = min(measured, key=lambda row: row.valid_loss if row.valid_loss is not None else float("inf"))
        self._view.show(valid_loss=measured[-1].valid_loss, best_loss=best.valid_loss, best_place=place_of(best))

    def _moment(self) -> _Moment:
        journal = self._journal
        return _Moment(journal.train_seconds, journal.dataset_tokens, journal.computed_tokens)

    def _speeds(self) -> dict[str, float]:
        """Of the last steps."""
        now = self._moment()
        self._moments.append(now)
        while len(self._moments) > 2 and now.seconds - self._moments[1].seconds >= SPEED_SECONDS:
            self._moments.popleft()
        before = self._moments[0]
        seconds = now.seconds - before.seconds
        if seconds <= 0:
            return {}
        return {
            "tokens_per_second": (now.dataset_tokens - before.dataset_tokens) / seconds,
            "unique_tokens_per_second": (now.computed_tokens - before.computed_tokens) / seconds,
        }

    def _memory(self) -> dict[str, int]:
        self._looked = time.monotonic()
        found = {
            "memory_bytes": int(self._process.memory_info().rss),
            "peak_memory_bytes": self._journal.peak_memory_bytes,
        }
        if self._on_gpu:
            found["gpu_bytes"] = torch.cuda.memory_allocated(self._device)
            found["peak_gpu_bytes"] = torch.cuda.max_memory_allocated(self._device)
        return found


def place_of(row: EpochRow | EvaluationRow) -> str:
    """
    >>> place_of(EpochRow(0, 0, None, 5.1, False, 1.0)), place_of(EvaluationRow(30, 1.25, 4.0, True))
    ('before training', 'in epoch 1.25')
    """
    if row.step == 0:
        return "before training"
    return f"in epoch {row.epoch:.4g}"
