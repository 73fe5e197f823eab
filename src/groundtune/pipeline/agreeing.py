"""How far the judge agrees with the people who rated the same answers, whichever of the two came last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.files import read_records
from groundtune.manifest import read_manifest
from groundtune.pipeline.engine import hash_input
from groundtune.pipeline.rating import answers_there, rating_file
from groundtune.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from groundtune.evaluation.figures.agreement import Agreement
    from groundtune.evaluation.figures.marks import Source
    from groundtune.evaluation.judge import Judgement


def judge_agreement(
    workspace: Workspace, judgements: Sequence[Judgement] | None = None
) -> dict[Source, tuple[Agreement, ...]]:
    """With each rater, by where the questions are from; empty where nobody has rated, or nothing is judged.

    Args:
        judgements: of the answers there are; None: those of the last judging, if it read these answers.
    """
    from groundtune.evaluation.judge import agreement_with_people
    from groundtune.evaluation.people import current

    judgements = _last(workspace) if judgements is None else judgements
    if not judgements or not workspace.ratings.exists():
        return {}
    there = answers_there(workspace)
    ratings = current(rating_file(workspace).read().ratings, there)
    sources: tuple[Source, ...] = ("documents", "sets")
    return {
        source: agreement_with_people(
            judgements,
            ratings,
            source,
            seed=workspace.config.seed,
            clusters={each.question_id: each.cluster for each in there if each.source == source},
        )
        for source in sources
    }


def _last(workspace: Workspace) -> list[Judgement]:
    from groundtune.evaluation.judge import Judgement

    manifest = read_manifest(workspace.judge_stage)
    if manifest is None or manifest.inputs["answers"] != hash_input(workspace.answers):
        return []
    return read_records(workspace.judge_stage / "judgements.jsonl", Judgement)
