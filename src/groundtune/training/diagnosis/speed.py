"""Steps that wait for their data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from groundtune.training.diagnosis.findings import Finding, StepTiming, Watched

RECENT_STEPS = 32
SLOW_SHARE = 0.2
"""Of the time: a fifth is what a better place for the data would win."""
LEAST_SECONDS = 5.0
"""Waited in those steps: less is nobody's concern, and the first steps of a run always wait."""


class Waits:
    """Finds a training that computes less than it could because data comes slowly."""

    def __init__(self, run: Watched) -> None:
        self._run = run
        self._recent: deque[StepTiming] = deque(maxlen=RECENT_STEPS)
        self._told = False

    def add(self, timing: StepTiming, epoch: float) -> Iterator[Finding]:
        self._recent.append(timing)
        if self._told or len(self._recent) < RECENT_STEPS:
            return
        waited = sum(each.waiting_seconds for each in self._recent)
        whole = waited + sum(each.computing_seconds for each in self._recent)
        if waited >= max(LEAST_SECONDS, SLOW_SHARE * whole):
            self._told = True
            yield Finding(
                "slow_data", "note", timing.step, epoch, waited / whole,
                f"{waited / whole:.0%} of the time of the last {RECENT_STEPS} steps went by waiting for data ({waited:.0f} s)",
                "put the work folder (workdir) on a local disk and look at the load of this machine (groundtune doctor)",
            )  # fmt: skip
