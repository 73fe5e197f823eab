"""The stage `checklist`: figures of evaluation, judge, people and forgetting, held against the thresholds of the configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.files import parse_record, read_json, read_record, read_records, write_json
from groundtune.pipeline import forgetting
from groundtune.pipeline.carding import ADAPTER_CONFIG
from groundtune.pipeline.rating import people_summary
from groundtune.pipeline.workspace import Workspace
from groundtune.types import StageResult

if TYPE_CHECKING:
    from groundtune.evaluation import EvaluationSummary, Speed
    from groundtune.evaluation.checklist import Checklist, MarksOf, Measured
    from groundtune.evaluation.forgetting import GeneralSummary


def checklist(workspace: Workspace) -> StageResult:
    """The stage."""
    from groundtune.evaluation.checklist import check

    made = check(workspace.config.evaluation.checklist, _measured(workspace))
    write_json(workspace.checklist, made)
    states = Counter(item.state for item in made.items)
    rows: list[dict[str, Any]] = [
        {"check": each.name, "state": each.state, "because": each.sentence} for each in made.items
    ]
    return StageResult(
        {
            "checks": len(made.items),
            "passed": states["pass"],
            "failed": states["fail"],
            "not measured": states["not measured"],
        },
        details={"overall": made.overall, "sentence": made.sentence, "checks": rows},
    )


def read_checklist(workspace: Workspace) -> Checklist:
    """As the stage wrote it. Raises `DataError` where it did not."""
    from groundtune.evaluation.checklist import Checklist

    return read_record(workspace.checklist, Checklist)


def checklist_inputs(workspace: Workspace) -> dict[str, Path]:
    """Files that are there or not: what a judge, people or the harness say later makes the list again."""
    files = {"answers": workspace.answers, "summary": workspace.evaluation / "summary.json"}
    may_be = {"ratings": workspace.ratings}
    # a file of an earlier configuration tells of other answers
    if workspace.config.evaluation.judge is not None:
        may_be["judge"] = workspace.judge_summary
    if forgetting.wanted(workspace):
        may_be["general"] = workspace.general_summary
    if _asks_speed(workspace):
        may_be["speed"] = workspace.speed
    return files | {name: path for name, path in may_be.items() if path.exists()}


def checklist_settings(workspace: Workspace) -> dict[str, Any]:
    return workspace.config.evaluation.checklist.model_dump(mode="json")


def _asks_speed(workspace: Workspace) -> bool:
    asked = workspace.config.evaluation.checklist
    return asked.tokens_per_second is not None or asked.first_token_seconds is not None


def _measured(workspace: Workspace) -> Measured:
    from groundtune.evaluation import AnswerRecord, EvaluationSummary, Figure
    from groundtune.evaluation.checklist import Measured

    path = workspace.evaluation / "summary.json"
    summary = read_record(path, EvaluationSummary)
    records = read_records(workspace.answers, AnswerRecord)
    general = _general(workspace)
    speed = _speed(workspace) if _asks_speed(workspace) else None
    return Measured(
        summary,
        _shown(workspace, path),
        types=Counter(record.type for record in records),
        marks=tuple(_marks(workspace, summary)),
        general_source=_shown(workspace, workspace.general_summary),
        perplexity_rise=general.texts.rise if general is not None and general.texts is not None else Figure(None, 0),
        benchmarks={score.task: score.after for score in general.benchmarks} if general is not None else {},
        speed=speed,
        speed_source=_shown(workspace, workspace.speed),
        weights_bytes=_weights_bytes(workspace),
        weights_source=_shown(workspace, workspace.tuned),
    )


def _marks(workspace: Workspace, summary: EvaluationSummary) -> Iterator[MarksOf]:
    """Of the tuned model's answers, by people first."""
    from groundtune.evaluation.checklist import MarksOf
    from groundtune.evaluation.judge import JudgeSummary

    system = summary.comparisons[0].second
    people = people_summary(workspace)
    if people is not None and system in people.systems:
        marked = people.systems[system]
        yield MarksOf("people", marked.marks["overall"], marked.unsafe, _shown(workspace, workspace.ratings))
    path = workspace.judge_summary
    if "judge" in checklist_inputs(workspace):
        judged = read_record(path, JudgeSummary)
        if system in judged.systems:
            of_judge = judged.systems[system]
            yield MarksOf("judge", of_judge.marks["overall"], of_judge.unsafe, _shown(workspace, path))


def _general(workspace: Workspace) -> GeneralSummary | None:
    from groundtune.evaluation.forgetting import GeneralSummary

    path = workspace.general_summary
    if "general" not in checklist_inputs(workspace):
        return None
    return read_record(path, GeneralSummary)


def _speed(workspace: Workspace) -> Speed | None:
    from groundtune.evaluation import Speed

    if not workspace.speed.exists():
        return None
    models = read_json(workspace.speed)
    return parse_record(models["tuned"], Speed, where=f"{workspace.speed}: tuned")


def _weights_bytes(workspace: Workspace) -> int | None:
    """On disk; of an adapter with the model it is put on, which may be an adapter too; None where one is in no folder."""
    folders = [workspace.tuned]
    while (folders[-1] / ADAPTER_CONFIG).exists():
        from groundtune.models.loading import base_of

        folders.append(Path(base_of(folders[-1])))
    sizes = [sum(file.stat().st_size for file in folder.glob("*.safetensors")) for folder in folders]
    return sum(sizes) if all(sizes) else None


def _shown(workspace: Workspace, path: Path) -> str:
    """Relative to the work folder, the same on every machine."""
    return path.relative_to(workspace.root).as_posix()
