"""One run looked at by every rule, row by row or as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby

from groundtune.training.diagnosis.findings import Finding, Sample, Severity, StepTiming, Watched
from groundtune.training.diagnosis.gradients import Norms, not_a_number
from groundtune.training.diagnosis.losses import Runaway, Spikes, Swings
from groundtune.training.diagnosis.samples import repetitive_samples
from groundtune.training.diagnosis.speed import Waits
from groundtune.training.diagnosis.stalling import Stalls
from groundtune.training.diagnosis.validation import Validations
from groundtune.training.records import EpochRow, EvaluationRow, StepRow


class Diagnosis:
    """A run that goes on. Give it what happens as it happens; each call returns what it has found by that, and `findings` all.

    A call costs some tens of microseconds, also late in a long run. One that is continued is brought up to date by `catch_up`.

    Args:
        run: what is known of its plan.

    >>> rows = [StepRow(step, step / 10, 2.0 if step < 15 else 9.0, 1e-3, 1.0) for step in range(1, 18)]
    >>> [(finding.kind, finding.step) for finding in Diagnosis().catch_up(rows)]
    [('loss_spike', 17)]
    """

    def __init__(self, run: Watched | None = None) -> None:
        self.run = run or Watched()
        self.findings: list[Finding] = []
        self._losses = (Spikes(self.run), Runaway(self.run), Swings(self.run), Stalls(self.run))
        self._norms = Norms(self.run)
        self._validations = Validations(self.run)
        self._waits = Waits(self.run)
        self._phase: str | None = None
        self._repetitive: set[Severity] = set()
        """Of what the last round of answers was found guilty."""
        self._epoch = 0.0

    def add_step(self, row: StepRow) -> tuple[Finding, ...]:
        """A row of the journal: one optimizer step, or several noted together."""
        self._epoch = row.epoch
        broken = not_a_number(row, self.run)
        if broken is not None:
            return self._found([broken])
        if self._phase != row.phase:
            self._begin_phase(row.phase)
        self._validations.add_loss(row.train_loss)
        found = [each for rule in self._losses for each in rule.add(row)]
        return self._found([*found, *self._norms.add(row)])

    def _begin_phase(self, phase: str) -> None:
        """Losses of one phase say nothing about those of the next: its examples are harder, or other ones."""
        self._phase = phase
        for rule in (*self._losses, self._norms):
            rule.reset()

    def add_evaluation(self, row: EvaluationRow) -> tuple[Finding, ...]:
        """A validation inside an epoch."""
        return self._found(self._validations.add(row.step, row.epoch, row.valid_loss, whole_epoch=False))

    def add_epoch(self, row: EpochRow) -> tuple[Finding, ...]:
        """The row of an epoch; number 0 is that of before training."""
        if row.valid_loss is None:
            return ()
        return self._found(self._validations.add(row.step, float(row.epoch), row.valid_loss, whole_epoch=True))

    def add_samples(self, samples: Sequence[Sample], *, epoch: float | None = None) -> tuple[Finding, ...]:
        """The answers of one step, in `epoch` if that is not the one of the last row. Those of before training are not judged:
        an untrained model may do as it likes. What is still so in the next round is not told again."""
        if not samples or samples[0].step == 0:
            return ()
        found = tuple(repetitive_samples(samples, self._epoch if epoch is None else epoch, self.run))
        before, self._repetitive = self._repetitive, {finding.severity for finding in found}
        return self._found(finding for finding in found if finding.severity not in before)

    def add_timing(self, timing: StepTiming) -> tuple[Finding, ...]:
        """Where the time of a step went."""
        return self._found(self._waits.add(timing, self._epoch))

    def catch_up(
        self,
        rows: Iterable[StepRow],
        epochs: Iterable[EpochRow] = (),
        evaluations: Iterable[EvaluationRow] = (),
        samples: Iterable[Sample] = (),
        timings: Iterable[StepTiming] = (),
    ) -> tuple[Finding, ...]:
        """Everything that has happened, in the order in which it happened; each in its own order. Without `timings` nothing is
        said about slow data, and the findings are the same for every run of the same training."""
        answers = groupby(sorted(samples, key=lambda sample: sample.step), key=lambda sample: sample.step)
        events: list[tuple[int, int, Callable[[], object]]] = [
            *((each.step, 0, partial(self.add_step, each)) for each in rows),
            *((each.step, 1, partial(self.add_timing, each)) for each in timings),
            *((each.step, 2, partial(self.add_evaluation, each)) for each in evaluations),
            *((each.step, 3, partial(self.add_epoch, each)) for each in epochs),
            *((step, 4, partial(self.add_samples, list(group))) for step, group in answers),
        ]
        # stable: what happens behind the same step stands in the order it was given
        for _, _, happen in sorted(events, key=lambda each: each[:2]):
            happen()
        return tuple(self.findings)

    def _found(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        new = tuple(findings)
        self.findings.extend(new)
        return new
