"""The report stage: figures from every manifest and result file, into one page."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import __version__
from groundtune.files import parse_record, read_json, read_record, read_records, read_text, write_json, write_text
from groundtune.manifest import MANIFEST_NAME, Manifest, read_manifest
from groundtune.pipeline import forgetting
from groundtune.pipeline.carding import card_facts, licence_inputs
from groundtune.pipeline.chain import stage_name
from groundtune.pipeline.engine import read_timings
from groundtune.pipeline.workspace import Workspace
from groundtune.types import SPLITS, Chunk, Pair, StageResult

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord, EvaluationSummary
    from groundtune.evaluation.verdict import (
        ChunkPlace,
        EpochRow,
        Flow,
        ModuleRow,
        PairTables,
        ReportData,
        RuleRow,
        SplitRow,
        TrainingPhase,
    )


def _stage_folders(workspace: Workspace) -> dict[str, Path]:
    """Folders whose manifests the report tells of, in order; those of stages that are not wanted have none."""
    folders = {
        "ingest": workspace.documents,
        "group": workspace.grouping,
        "generate": workspace.generation,
        "tokenizer": workspace.tokenizer_stage,
        "dataset": workspace.dataset,
        "data": workspace.data,
        "augment": workspace.augmented_stage,
        "prepare": workspace.prepared_stage,
        "texts": workspace.texts_stage,
        "pretrain": workspace.base_stage,
        "train": workspace.run,
        **{stage_name(each.config.train.name, "train"): each.run for each in workspace.following},
        "evaluate": workspace.evaluation,
        "forgetting": workspace.general,
        "judge": workspace.judge_stage,
        "errors": workspace.errors_stage,
        "checklist": workspace.checklist_stage,
    }
    wanted = {
        **dict.fromkeys(("ingest", "group", "generate", "dataset"), workspace.has_documents),
        **dict.fromkeys(("data", "prepare"), workspace.has_data),
        "augment": workspace.has_augmentation,
        "tokenizer": workspace.from_scratch,
        "texts": workspace.has_texts,
        "pretrain": workspace.makes_base,
        "judge": workspace.config.evaluation.judge is not None,
        "forgetting": forgetting.wanted(workspace),
    }
    return {name: folder for name, folder in folders.items() if wanted.get(name, True)}


def report_inputs(workspace: Workspace) -> dict[str, Path]:
    """Manifests name everything they vouch for by hash; files of results are named too, in case somebody edits them.

    What people said, or the clock, or a judge, is there or not, and the report is written again when it has changed.
    """
    inputs = {name: folder / MANIFEST_NAME for name, folder in _stage_folders(workspace).items()}
    inputs |= {"answers": workspace.answers, "summary": workspace.evaluation / "summary.json"}
    inputs |= licence_inputs(workspace)
    may_be = {
        "errors of answers": workspace.errors,
        "figures of the checklist": workspace.checklist,
        "judge's summary": workspace.judge_summary,
        "ratings": workspace.ratings,
        "what was forgotten": workspace.general_summary,
        "speed": workspace.speed,
    }
    named = inputs | may_be
    return {name: path for name, path in named.items() if path.exists() or name in ("answers", "summary", "evaluate")}


def report(workspace: Workspace) -> StageResult:
    """The stage: report.html, the same as JSON, and the model card."""
    from groundtune.evaluation.card import render_card
    from groundtune.evaluation.report import render_report
    from groundtune.evaluation.verdict import report_record

    data = collect_report(workspace)
    write_text(workspace.report, render_report(data))
    write_json(workspace.report_record, report_record(data))
    write_text(workspace.model_card, render_card(data, card_facts(workspace, data)))
    return StageResult({"questions compared": len(data.records)})


def collect_report(workspace: Workspace) -> ReportData:
    """All that the report shows, from the files of the work folder. Raises `DataError` where the evaluation's are missing."""
    from groundtune.evaluation import AnswerRecord, EvaluationSummary
    from groundtune.evaluation.verdict import ReportData, StageRow

    config = workspace.config
    manifests = {
        name: manifest for name, folder in _stage_folders(workspace).items() if (manifest := read_manifest(folder))
    }
    timings = read_timings(workspace)
    summary_path = workspace.evaluation / "summary.json"
    summary = read_record(summary_path, EvaluationSummary)
    records = tuple(read_records(workspace.answers, AnswerRecord))
    chunks = read_records(workspace.chunks, Chunk) if workspace.has_documents else []
    pairs = read_records(workspace.pairs, Pair) if workspace.has_documents else []
    return ReportData(
        project=config.project,
        seed=config.seed,
        language=config.documents.languages[0],
        versions=_versions(),
        machine=_machine(),
        run=config.train.name,
        flow=_flow(workspace, manifests, len(chunks), len(pairs), summary),
        stages=tuple(
            StageRow(name, manifest.counts, manifest.skips, timings.get(name, {}).get("seconds"))
            for name, manifest in manifests.items()
        ),
        modules=_modules(chunks),
        rules=_rules(manifests.get("group")),
        pairs=_pairs(pairs, manifests["generate"].skips if "generate" in manifests else {}),
        splits=_splits(manifests.get("dataset")),
        training=_training(workspace, manifests),
        evaluation=summary,
        records=records,
        chunks=_places(records, chunks),
        config=shown_config(workspace),
        **_further(workspace),
    )


def _further(workspace: Workspace) -> dict[str, Any]:
    """What is there or not: checklist, errors, judge, people, what was forgotten, the clock.

    Of a stage that is not asked for any more the files may tell of other answers, so they are left alone.
    """
    from groundtune.evaluation import Speed
    from groundtune.evaluation.checklist import Checklist
    from groundtune.evaluation.errors import ErrorAnalysis
    from groundtune.evaluation.forgetting import GeneralSummary
    from groundtune.evaluation.judge import JudgeSummary
    from groundtune.pipeline.rating import people_summary

    kinds: dict[str, tuple[Path, type[Any], bool]] = {
        "checklist": (workspace.checklist, Checklist, True),
        "errors": (workspace.errors, ErrorAnalysis, True),
        "judge": (workspace.judge_summary, JudgeSummary, workspace.config.evaluation.judge is not None),
        "general": (workspace.general_summary, GeneralSummary, forgetting.wanted(workspace)),
    }
    found = {name: read_record(path, kind) for name, (path, kind, wanted) in kinds.items() if wanted and path.exists()}
    speed = read_json(workspace.speed) if workspace.speed.exists() else {}
    return found | {
        "people": people_summary(workspace),
        "speed": {
            model: parse_record(value, Speed, where=f"{workspace.speed}: {model}") for model, value in speed.items()
        },
    }


def _versions() -> dict[str, str]:
    return {"groundtune": __version__, "python": platform.python_version()} | {
        name: version(name) for name in ("torch", "transformers", "tokenizers")
    }


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": str(len(os.sched_getaffinity(0))), "memory": f"{memory:.0f} GiB"}


def shown_config(workspace: Workspace) -> dict[str, Any]:
    """The resolved configuration; files and folders given by their place on this machine are shown by their names."""
    shown = workspace.config.model_dump(mode="json")
    return {name: part if name == "prompts" else _without_places(part) for name, part in shown.items()}


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_places(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_places(part) for part in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _flow(
    workspace: Workspace,
    manifests: dict[str, Manifest],
    num_chunks: int,
    num_pairs: int,
    summary: EvaluationSummary,
) -> Flow:
    from groundtune.evaluation.verdict import Flow

    def count(stage: str, *names: str) -> int | None:
        return sum(manifests[stage].counts.get(name, 0) for name in names) if stage in manifests else None

    documents = workspace.has_documents
    return Flow(
        documents=count("ingest", "files"),
        chunks=num_chunks if documents else None,
        groups=count("group", "groups"),
        pairs=num_pairs if documents else None,
        examples=count("dataset", *SPLITS),
        parameters=count("pretrain", "parameters"),
        questions=summary.questions.asked,
    )


def _rules(manifest: Manifest | None) -> tuple[RuleRow, ...]:
    from groundtune.evaluation.verdict import RuleRow

    rows = manifest.details["rules"] if manifest is not None else ()
    return tuple(RuleRow(row["rule"], row["groups"], row["tokens"], row["coverage_percent"] / 100) for row in rows)


def _modules(chunks: Iterable[Chunk]) -> tuple[ModuleRow, ...]:
    from groundtune.evaluation.verdict import ModuleRow

    grouped: dict[tuple[str, str], list[Chunk]] = {}
    for chunk in chunks:
        grouped.setdefault((chunk.module, chunk.language), []).append(chunk)
    return tuple(
        ModuleRow(
            module,
            language,
            len({chunk.source for chunk in group}),
            len(group),
            sum(chunk.token_count for chunk in group),
        )
        for (module, language), group in grouped.items()
    )


def _pairs(pairs: list[Pair], rejected: dict[str, int]) -> PairTables:
    from groundtune.evaluation.verdict import PairTables

    return PairTables(
        by_rule=dict(Counter(pair.rule.value for pair in pairs)),
        by_type=dict(Counter(pair.type.value for pair in pairs)),
        by_difficulty=dict(Counter(pair.difficulty.value for pair in pairs)),
        by_language=dict(Counter(pair.language for pair in pairs)),
        by_writer=dict(Counter(pair.writer for pair in pairs)),
        unanswerable=sum(not pair.answerable for pair in pairs),
        rejected=rejected,
    )


def _splits(manifest: Manifest | None) -> tuple[SplitRow, ...]:
    from groundtune.evaluation.verdict import SplitRow

    splits = manifest.details["splits"] if manifest is not None else {}
    return tuple(SplitRow(split, table["examples"], table["unanswerable"]) for split, table in splits.items())


def _training(workspace: Workspace, manifests: Mapping[str, Manifest]) -> tuple[TrainingPhase, ...]:
    """Each training, named by what it was on: a reader must see what the model was helped with."""
    config = workspace.config
    phases: dict[str, tuple[Path, float]] = {}
    if workspace.makes_base:
        start = ", from first weights that can copy" if workspace.from_scratch and config.model.copying_start else ""
        further = "" if workspace.from_scratch else " further"
        phases[f"Pretraining{further} on {_pretraining_text(workspace)}{start}"] = (
            workspace.base_stage,
            config.pretrain.max_grad_norm,
        )
    num_drills = manifests["train"].counts.get("drills", 0)
    drills = f" and on {num_drills} drills from the documents" if num_drills else ""
    given = {"the pairs": workspace.has_documents, "the instruction data": workspace.has_data}
    material = " and ".join(name for name, there in given.items() if there)
    phases[f"Fine-tuning on {material}{drills}"] = (workspace.run, config.train.max_grad_norm)
    for each in workspace.following:
        kind = "Fine-tuning further" if each.config.train.preference is None else "Preference tuning"
        phases[f"{kind} ({each.config.train.name})"] = (each.run, each.config.train.max_grad_norm)
    return tuple(_phase(name, folder, clipped) for name, (folder, clipped) in phases.items())


def _pretraining_text(workspace: Workspace) -> str:
    config = workspace.config.pretrain
    given = {"the documents": workspace.has_documents, "further texts": config.texts, "general texts": config.general}
    return " and ".join(name for name, there in given.items() if there)


def _phase(name: str, folder: Path, max_grad_norm: float) -> TrainingPhase:
    """Table and curves of one training, from its metrics.jsonl (figures) and timings.json (clock)."""
    from groundtune.evaluation.verdict import StepPoint, TrainingPhase

    lines = [json.loads(line) for line in read_text(folder / "metrics.jsonl").splitlines() if line]
    clock = {row["epoch"]: row["seconds"] for row in read_json(folder / "timings.json")["epochs"]}
    return TrainingPhase(
        name,
        epochs=_epochs([line for line in lines if line["kind"] != "step"], clock),
        steps=tuple(
            StepPoint(
                line["step"],
                train_loss=line["train_loss"],
                learning_rate=line["learning_rate"],
                grad_norm=line["grad_norm"],
            )
            if line["kind"] == "step"
            else StepPoint(line["step"], valid_loss=line["valid_loss"])
            for line in lines
        ),
        max_grad_norm=max_grad_norm,
    )


def _epochs(measured: list[dict[str, Any]], clock: Mapping[float, float]) -> tuple[EpochRow, ...]:
    """A row for each epoch and for each validation inside one; the last that was the best so far is the best."""
    from groundtune.evaluation.verdict import EpochRow

    best = max((line["step"] for line in measured if line["best"]), default=None)
    return tuple(
        EpochRow(
            line["epoch"],
            line.get("train_loss"),
            line["valid_loss"],
            line["step"] == best,
            clock.get(line["epoch"]) if line["kind"] == "epoch" else None,
        )
        for line in measured
    )


def _places(records: Iterable[AnswerRecord], chunks: Iterable[Chunk]) -> dict[str, ChunkPlace]:
    """Where the passages in the prompts and the evidence come from, and what they say."""
    from groundtune.evaluation.verdict import ChunkPlace

    named = {
        chunk_id
        for record in records
        for chunk_id in (
            *record.evidence_chunk_ids,
            *(found for answer in record.answers.values() for found in answer.chunk_ids),
        )
    }
    return {
        chunk.chunk_id: ChunkPlace(chunk.source, chunk.line_start, chunk.line_end, chunk.text)
        for chunk in chunks
        if chunk.chunk_id in named
    }
