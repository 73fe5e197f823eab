"""General tasks answered by likelihood: the choice whose text the model finds likeliest, for its length.

A choice scores its log-likelihood after the task's stem, divided by its characters: without that the shortest choice
would win. Characters rather than tokens, as in lm-evaluation-harness's ``acc_norm``, so that no tokenizer decides. What
this module does not do: compute likelihoods, which the caller does, each stem once for its four choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.errors import EvaluationError
from groundtune.evaluation.figures.intervals import share, share_difference
from groundtune.evaluation.forgetting.summary import CHANCE, SliceField, TaskSlice, TasksSummary
from groundtune.evaluation.forgetting.tasks import KINDS, LANGUAGES, NUM_CHOICES, GeneralTask, TaskKind
from groundtune.types import Language


@dataclass(frozen=True, slots=True)
class Scored:
    """Token ids, and from which place on their loss is measured."""

    input_ids: tuple[int, ...]
    start: int


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A line of ``tasks.jsonl``: what was chosen before and after."""

    task_id: str
    language: Language
    kind: TaskKind
    question: str
    choices: tuple[str, ...]
    answer: int
    before: int
    """Place of the choice that the model before tuning finds likeliest."""
    after: int
    before_scores: tuple[float, ...]
    """Log-likelihood of each choice in nats for each of its characters."""
    after_scores: tuple[float, ...]


def sequences_of(task: GeneralTask, encode: Callable[[str], Sequence[int]], before: Sequence[int]) -> list[Scored]:
    """Stem and choice of each choice, cut where lm-evaluation-harness cuts them: behind as many tokens as the stem has alone.

    Args:
        encode: ids of a text, without what a tokenizer puts around it.
        before: ids that stand in front of every text.

    Raises:
        EvaluationError: the tokenizer makes no token of a choice.
    """
    stem = task.stem
    start = len(before) + len(encode(stem))
    sequences = []
    for choice in task.choices:
        ids = (*before, *encode(f"{stem} {choice}"))
        if len(ids) <= start:
            raise EvaluationError(
                f"general task {task.task_id!r}: the tokenizer has no token for the choice {choice!r}; set "
                "evaluation.forgetting.tasks: false"
            )
        sequences.append(Scored(ids, start))
    return sequences


def choice_scores(task: GeneralTask, nats: Sequence[float]) -> tuple[float, ...]:
    """Log-likelihood for each character, from the summed loss of each choice."""
    return tuple(-loss / len(choice) for loss, choice in zip(nats, task.choices, strict=True))


def compare_tasks(
    tasks: Sequence[GeneralTask], before: Sequence[float], after: Sequence[float]
) -> tuple[TasksSummary, list[TaskRecord]]:
    """Both models' choices, summed up and one by one.

    Args:
        before: summed loss in nats of every choice of every task, in order, of the model before tuning.
        after: likewise, after it.

    Raises:
        EvaluationError: there are not four losses a task, or one is not a finite number.
    """
    check_losses(before, after, "general tasks")
    scores = [_by_task(tasks, losses) for losses in (before, after)]
    records = [_record(task, *both) for task, *both in zip(tasks, *scores, strict=True)]
    slices = [_slice(records, "language", name, [each.language == name for each in records]) for name in LANGUAGES]
    slices += [_slice(records, "kind", name, [each.kind == name for each in records]) for name in KINDS]
    right = [(record.before == record.answer, record.after == record.answer) for record in records]
    return (
        TasksSummary(
            whole=_slice(records, "all", "", [True] * len(records)),
            slices=tuple(each for each in slices if each.before.n),
            chance=CHANCE,
            gained=right.count((False, True)),
            lost=right.count((True, False)),
        ),
        records,
    )


def check_losses(before: Sequence[float], after: Sequence[float], what: str) -> None:
    """Raises `EvaluationError` for one that is not a finite number."""
    for losses, which in ((before, "before"), (after, "after")):
        if not all(map(math.isfinite, losses)):
            raise EvaluationError(
                f"the loss on {what} {which} tuning is not a finite number; the weights hold numbers that cannot be used: train "
                "again with a lower learning_rate"
            )


def _by_task(tasks: Sequence[GeneralTask], losses: Sequence[float]) -> list[tuple[float, ...]]:
    if len(losses) != NUM_CHOICES * len(tasks):
        raise EvaluationError(f"{len(losses)} losses for {len(tasks)} tasks of {NUM_CHOICES} choices each")
    return [
        choice_scores(task, losses[place * NUM_CHOICES : (place + 1) * NUM_CHOICES]) for place, task in enumerate(tasks)
    ]


def _record(task: GeneralTask, before: tuple[float, ...], after: tuple[float, ...]) -> TaskRecord:
    return TaskRecord(
        task_id=task.task_id,
        language=task.language,
        kind=task.kind,
        question=task.question,
        choices=task.choices,
        answer=task.answer,
        before=before.index(max(before)),
        after=after.index(max(after)),
        before_scores=before,
        after_scores=after,
    )


def _slice(records: Sequence[TaskRecord], field: SliceField, name: str, within: Sequence[bool]) -> TaskSlice:
    some = [record for record, inside in zip(records, within, strict=True) if inside]
    before = [record.before == record.answer for record in some]
    after = [record.after == record.answer for record in some]
    return TaskSlice(
        field,
        name,
        share(sum(before), len(some)),
        share(sum(after), len(some)),
        share_difference(before, after),
    )
