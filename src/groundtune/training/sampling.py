"""The fixed questions, asked of the model before, during and after a training.

Answers are greedy and draw nothing, so asking changes nothing of what is learnt. The rounds of a training that was
interrupted are in its journal. What this module does not do: choose the questions, or judge the answers
(:mod:`groundtune.training.diagnosis`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from typing_extensions import override

from groundtune.architecture import evaluating
from groundtune.files import write_json
from groundtune.models import generate_answers
from groundtune.prefix import PreparedModel
from groundtune.training.answers import RoundAnswer, SampleAnswer, SampleRound
from groundtune.training.diagnosis import Sample
from groundtune.training.examples import SamplePrompt
from groundtune.training.processes import Processes
from groundtune.training.records import Journal

SAMPLES_NAME = "samples.json"


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, and how often."""

    prompts: Sequence[SamplePrompt]
    tokenizer: PreTrainedTokenizerBase
    max_new_tokens: int
    stop_ids: Collection[int]
    every_steps: int = 0
    """Besides before the first step and behind each epoch; 0: not."""
    judged: bool = True
    """Whether the diagnosis looks at the answers. Text that a base model goes on with repeats itself, and that is no defect."""

    def ask(self, model: PreTrainedModel) -> tuple[str, ...]:
        """The answers; the model is in the mode it was in."""
        with evaluating(model):
            answers = generate_answers(
                model,
                self.tokenizer,
                [prompt.input_ids for prompt in self.prompts],
                max_new_tokens=self.max_new_tokens,
                batch_questions=max(len(self.prompts), 1),
                stop_ids=self.stop_ids,
            )
        return tuple(answer.text for answer in answers)

    def fitting(self, rounds: Sequence[SampleRound]) -> list[SampleRound]:
        """Those that asked as many questions: a training may be continued with more or fewer, and earlier answers are not
        theirs."""
        return [each for each in rounds if len(each.answers) == len(self.prompts)]

    def samples(self, asked: SampleRound) -> list[Sample]:
        """A round, question by question."""
        pairs = zip(self.prompts, asked.answers, strict=True)
        return [Sample(asked.step, prompt.question, answer) for prompt, answer in pairs]

    def answers(self, rounds: Sequence[SampleRound], best_step: int) -> tuple[SampleAnswer, ...]:
        """By question; `after` is what was kept behind `best_step`, or the last answer where nothing was asked there."""
        if not rounds:
            return ()
        kept = next((each for each in rounds if each.step == best_step > 0), rounds[-1])
        return tuple(
            SampleAnswer(
                prompt.question,
                prompt.reference,
                before=rounds[0].answers[place] if rounds[0].step == 0 else "",
                after=kept.answers[place],
                rounds=tuple(
                    RoundAnswer(each.step, each.epoch, each.answers[place], kept=each.step == best_step > 0)
                    for each in rounds
                ),
            )
            for place, prompt in enumerate(self.prompts)
        )


def with_kept(samples: Sequence[SampleAnswer], kept: SampleRound) -> tuple[SampleAnswer, ...]:
    """The same with the answers of the weights that were kept, read from the disk; a round of their own where none was
    asked behind their step."""

    def rounds(sample: SampleAnswer, answer: str) -> tuple[RoundAnswer, ...]:
        if any(each.kept for each in sample.rounds):
            return sample.rounds
        added = RoundAnswer(kept.step, kept.epoch, answer, kept=True)
        return tuple(sorted((*sample.rounds, added), key=lambda each: each.step))

    return tuple(
        replace(sample, after=answer, rounds=rounds(sample, answer))
        for sample, answer in zip(samples, kept.answers, strict=True)
    )


class Sampling(TrainerCallback):
    """Asks behind the steps that `Asking` names, notes the answers in the journal and in samples.json, and tells of them.

    The first process asks and the others wait; where a model's weights are spread over the processes (`spread`), all ask the
    same together. Comes after the callback that keeps the journal.
    """

    def __init__(
        self,
        asking: Asking,
        prepared: PreparedModel,
        *,
        journal: Journal,
        processes: Processes,
        folder: Path,
        steps_per_epoch: int,
        spread: bool,
        tell: Callable[[SampleRound], object],
    ) -> None:
        self._asking = asking
        self._prepared = prepared
        self._journal = journal
        self._processes = processes
        self._folder = folder
        self._steps_per_epoch = steps_per_epoch
        self._spread = spread
        self._tell = tell

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._journal.samples[:] = self._asking.fitting(self._journal.samples)
        if not self._journal.samples:
            self._ask(state.global_step, state.global_step / self._steps_per_epoch)

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        every = self._asking.every_steps
        # what ends an epoch asks anyway
        ends = state.global_step % self._steps_per_epoch == 0 or state.global_step >= state.max_steps
        if every and state.global_step % every == 0 and not ends:
            self._ask(state.global_step, state.global_step / self._steps_per_epoch)

    @override
    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._journal.samples[-1].step < state.global_step:
            self._ask(state.global_step, state.global_step / self._steps_per_epoch)

    def _ask(self, step: int, epoch: float) -> None:
        answers: tuple[str, ...] = ()
        if self._processes.first or self._spread:
            with self._prepared.plainly():
                answers = self._asking.ask(self._prepared.causal)
        asked = SampleRound(step, round(epoch, 6), self._processes.of_first(answers))
        self._journal.samples.append(asked)
        if self._processes.first:
            so_far = self._asking.answers(self._journal.samples, self._journal.best_step)
            write_json(self._folder / SAMPLES_NAME, so_far)
        self._tell(asked)
