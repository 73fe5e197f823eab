"""Trainings one after the other: the stages of a training of `then`, as stages of the whole.

Each is a stage like any other, under the name of its training and on that training's own workspace; the engine, which runs
them, knows nothing of chains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from groundtune.errors import GroundtuneError
from groundtune.pipeline.engine import Stage
from groundtune.pipeline.workspace import Workspace
from groundtune.types import StageResult

OF_EACH = ("data", "augment", "prepare", "card", "train")
"""Stages that a further training has of its own."""

Made = TypeVar("Made")


def with_following(stages: Sequence[Stage], workspace: Workspace) -> tuple[Stage, ...]:
    """`stages`, and after `train` those of each training of `then`."""
    last = next((place for place, stage in enumerate(stages) if stage.name == "train"), None)
    if last is None:
        return tuple(stages)
    own = [stage for stage in stages if stage.name in OF_EACH]
    added = [_of(number, stage, workspace) for number in range(len(workspace.following)) for stage in own]
    return (*stages[: last + 1], *added, *stages[last + 1 :])


def stage_name(training: str, stage: str) -> str:
    """
    >>> stage_name("dpo", "train")
    'dpo: train'
    """
    return f"{training}: {stage}"


@contextmanager
def keys_as_written(training: Workspace) -> Iterator[None]:
    """What goes wrong with a training of `then` is told with its keys as the file has them, and as that training's."""
    try:
        yield
    except GroundtuneError as error:
        config = training.config
        if config.link is not None:
            told = config.as_written(str(error))
            # it may come through here a second time, from inside
            if f"then.{config.link}." not in told and not told.startswith(f"then.{config.link} ("):
                told = f"then.{config.link} ({config.train.name}): {told}"
            error.args = (told, *error.args[1:])
        raise


def _of(number: int, stage: Stage, whole: Workspace) -> Stage:
    training = whole.following[number].config.train

    def there(of_own: Callable[[Workspace], Made]) -> Callable[[Workspace], Made]:
        def on_own(workspace: Workspace) -> Made:
            own = workspace.following[number]
            with keys_as_written(own):
                return of_own(own)

        return on_own

    def work(own: Workspace) -> StageResult:
        result = stage.work(own)
        notes = [own.config.as_written(note) for note in result.details.get("notes", ())]
        return replace(result, details={**result.details, "notes": notes}) if notes else result

    # what chat opens is the run that has the documents, where there are some; it names the last model
    left_out = stage.name == "card" and whole.has_documents
    doing = stage.doing
    if stage.name == "train":
        doing = "preference tuning" if training.preference is not None else "fine-tuning further"
    return replace(
        stage,
        name=stage_name(training.name, stage.name),
        doing=doing,
        folder=there(stage.folder),
        inputs=there(stage.inputs),
        settings=there(stage.settings),
        work=there(work),
        wanted=(lambda _: False) if left_out else there(stage.wanted),
    )
