"""The callbacks of a training, in the order in which they have to come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import shorten

from transformers import TrainerCallback

from groundtune.prefix import PreparedModel
from groundtune.training.answers import SampleRound
from groundtune.training.diagnosis import Diagnosis
from groundtune.training.live import Onlooker, RunView
from groundtune.training.plan import Plan
from groundtune.training.processes import Processes
from groundtune.training.records import Journal
from groundtune.training.reporting import BoardWriter, reporters
from groundtune.training.sampling import Asking, Sampling
from groundtune.training.steps import OptimizerSteps
from groundtune.training.watching import RunWatcher

QUESTION_SHOWN = 32
"""Characters of a question in front of its answer: the answer is what changes."""


def view_of(plan: Plan, steps_per_epoch: int) -> RunView:
    """Where the training is shown."""
    return RunView(
        plan.label,
        total_steps=plan.total_steps(steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        max_grad_norm=plan.config.max_grad_norm,
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """What watches a training, and what it is given."""

    plan: Plan
    view: RunView
    journal: Journal
    steps: OptimizerSteps
    processes: Processes
    diagnosis: Diagnosis
    asking: Asking | None

    def callbacks(
        self, prepared: PreparedModel, *, validates: bool, keep_weights: Callable[[], None]
    ) -> list[TrainerCallback]:
        """The journal's first, since the others read it; those that draw behind the one that adds to what is drawn; samples
        last, since they are drawn too."""
        plan, first = self.plan, self.processes.first
        watcher = RunWatcher(
            self.view,
            plan.folder,
            journal=self.journal,
            steps=self.steps,
            processes=self.processes,
            occasions=plan.occasions,
            validates=validates,
            keep_weights=keep_weights,
            checkpoint_seconds=plan.checkpoint_seconds,
            diagnosis=self.diagnosis,
            stop_when_lost=plan.occasions.stop_when_lost,
        )
        onlooker = Onlooker(self.view, self.journal, self.processes.device, shows=first)
        drawn = reporters(plan.occasions.report_to, plan.folder)
        return [watcher, onlooker, *drawn, *self._sampling(prepared, watcher, drawn)]

    def _sampling(
        self, prepared: PreparedModel, watcher: RunWatcher, drawn: list[TrainerCallback]
    ) -> list[TrainerCallback]:
        asking, plan = self.asking, self.plan
        if asking is None or not asking.prompts:
            return []

        def tell(asked: SampleRound) -> None:
            for board in drawn:
                if isinstance(board, BoardWriter):
                    board.add_samples(asking.samples(asked))
            if asked.step and self.processes.first:
                question = shorten(asking.prompts[0].question, QUESTION_SHOWN, placeholder="…")
                self.view.remark(f"epoch {asked.epoch:.4g}: {question} → {asked.answers[0] or '(nothing)'}")
            watcher.add_samples(asking.samples(asked) if asking.judged else (), asked.epoch)

        return [
            Sampling(
                asking,
                prepared,
                journal=self.journal,
                processes=self.processes,
                folder=plan.folder,
                steps_per_epoch=len(self.steps),
                spread=self.processes.spread,
                tell=tell,
            )
        ]
