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
from groundtune.files import parse_record, read_json, read_records, read_text, write_text
from groundtune.manifest import MANIFEST_NAME, Manifest, read_manifest
from groundtune.pipeline.chain import stage_name
from groundtune.pipeline.engine import read_timings
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Pair, StageResult

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord, EvaluationSummary
    from groundtune.evaluation.report import EpochRow, ModuleRow, PairTables, SplitRow, TrainingPhase


def _stage_folders(workspace: Workspace) -> dict[str, Path]:
    """Folders whose manifests the report tells of, in order."""
    made = {"tokenizer": workspace.tokenizer_stage} if workspace.from_scratch else {}
    made |= {"texts": workspace.texts_stage} if workspace.has_texts else {}
    made |= {"pretrain": workspace.base_stage} if workspace.makes_base else {}
    folders = {
        "ingest": workspace.documents,
        "group": workspace.grouping,
        "generate": workspace.generation,
        "tokenizer": made.get("tokenizer"),
        "dataset": workspace.dataset,
        "texts": made.get("texts"),
        "pretrain": made.get("pretrain"),
        "train": workspace.run,
        **{stage_name(each.config.train.name, "train"): each.run for each in workspace.following},
        "evaluate": workspace.evaluation,
    }
    return {name: folder for name, folder in folders.items() if folder is not None}


def report_inputs(workspace: Workspace) -> dict[str, Path]:
    """Manifests name everything they vouch for by hash; files of results are named too, in case somebody edits them."""
    inputs = {name: folder / MANIFEST_NAME for name, folder in _stage_folders(workspace).items()}
    return inputs | {
        "answers": workspace.evaluation / "answers.jsonl",
        "summary": workspace.evaluation / "summary.json",
    }


def report(workspace: Workspace) -> StageResult:
    from groundtune.evaluation import AnswerRecord, EvaluationSummary
    from groundtune.evaluation.report import ChunkPlace, ReportData, RuleRow, StageRow, render_report

    config = workspace.config
    manifests = {
        name: manifest for name, folder in _stage_folders(workspace).items() if (manifest := read_manifest(folder))
    }
    timings = read_timings(workspace)
    summary = parse_record(
        read_json(workspace.evaluation / "summary.json"),
        EvaluationSummary,
        where=str(workspace.evaluation / "summary.json"),
    )
    records = tuple(read_records(workspace.evaluation / "answers.jsonl", AnswerRecord))
    chunks = read_records(workspace.chunks, Chunk)
    pairs = read_records(workspace.pairs, Pair)
    data = ReportData(
        project=config.project,
        seed=config.seed,
        language=config.documents.languages[0],
        versions=_versions(),
        machine=_machine(),
        run=config.train.name,
        flow=_flow(manifests, len(chunks), len(pairs), summary),
        stages=tuple(
            StageRow(name, manifest.counts, manifest.skips, timings.get(name, {}).get("seconds"))
            for name, manifest in manifests.items()
        ),
        modules=_modules(chunks),
        rules=tuple(
            RuleRow(row["rule"], row["groups"], row["tokens"], row["coverage_percent"] / 100)
            for row in manifests["group"].details["rules"]
        ),
        pairs=_pairs(pairs, manifests["generate"].skips),
        splits=_splits(manifests["dataset"]),
        training=_training(workspace, manifests),
        evaluation=summary,
        records=records,
        chunks=_places(records, chunks, ChunkPlace),
        config=shown_config(workspace),
    )
    write_text(workspace.report, render_report(data))
    return StageResult({"questions compared": len(records)})


def _versions() -> dict[str, str]:
    return {"groundtune": __version__, "python": platform.python_version()} | {
        name: version(name) for name in ("torch", "transformers", "tokenizers")
    }


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": str(len(os.sched_getaffinity(0))), "memory": f"{memory:.0f} GiB"}


def shown_config(workspace: Workspace) -> dict[str, Any]:
    """The resolved configuration; a documents folder given on the command line is shown without its place on this machine."""
    shown = workspace.config.model_dump(mode="json")
    if Path(shown["documents"]["path"]).is_absolute():
        shown["documents"]["path"] = Path(shown["documents"]["path"]).name
    if Path(shown["workdir"]).is_absolute():
        shown["workdir"] = Path(shown["workdir"]).name
    return shown


def _flow(manifests: dict[str, Manifest], num_chunks: int, num_pairs: int, summary: EvaluationSummary) -> Any:
    from groundtune.evaluation.report import Flow

    dataset = manifests["dataset"].counts
    return Flow(
        documents=manifests["ingest"].counts.get("files"),
        chunks=num_chunks,
        groups=manifests["group"].counts.get("groups"),
        pairs=num_pairs,
        examples=sum(dataset.get(split, 0) for split in ("train", "valid", "test")),
        parameters=manifests["pretrain"].counts.get("parameters") if "pretrain" in manifests else None,
        questions=summary.questions.asked,
    )


def _modules(chunks: Iterable[Chunk]) -> tuple[ModuleRow, ...]:
    from groundtune.evaluation.report import ModuleRow

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
    from groundtune.evaluation.report import PairTables

    return PairTables(
        by_rule=dict(Counter(pair.rule.value for pair in pairs)),
        by_type=dict(Counter(pair.type.value for pair in pairs)),
        by_difficulty=dict(Counter(pair.difficulty.value for pair in pairs)),
        by_language=dict(Counter(pair.language for pair in pairs)),
        by_writer=dict(Counter(pair.writer for pair in pairs)),
        unanswerable=sum(not pair.answerable for pair in pairs),
        rejected=rejected,
    )


def _splits(manifest: Manifest) -> tuple[SplitRow, ...]:
    from groundtune.evaluation.report import SplitRow

    return tuple(
        SplitRow(split, table["examples"], table["unanswerable"]) for split, table in manifest.details["splits"].items()
    )


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
    phases[f"Fine-tuning on the pairs{drills}"] = (workspace.run, config.train.max_grad_norm)
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
    from groundtune.evaluation.report import StepPoint, TrainingPhase

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
    from groundtune.evaluation.report import EpochRow

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


def _places(records: Iterable[AnswerRecord], chunks: Iterable[Chunk], place: type[Any]) -> dict[str, Any]:
    """Where the passages of the shown questions come from."""
    named = {
        chunk_id
        for record in records
        for chunk_id in (*record.answers["tuned_context"].chunk_ids, *record.evidence_chunk_ids)
    }
    return {
        chunk.chunk_id: place(chunk.source, chunk.line_start, chunk.line_end)
        for chunk in chunks
        if chunk.chunk_id in named
    }
