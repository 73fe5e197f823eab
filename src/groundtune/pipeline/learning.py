"""The stages that make, tune and ask models: load, call the package, write."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.files import write_json
from groundtune.pipeline.material import gather
from groundtune.pipeline.tokenizers import load_workspace_tokenizer
from groundtune.pipeline.workspace import Workspace
from groundtune.types import StageResult

if TYPE_CHECKING:
    from groundtune.training import TrainingRecord


def model_files(name: str, source: str) -> dict[str, Path]:
    """A model or tokenizer as stage inputs: its folder, or nothing for a hub id, which goes with the settings."""
    path = Path(source)
    return {name: path} if path.exists() else {}


def train(workspace: Workspace) -> StageResult:
    from groundtune.chat import stop_token_ids
    from groundtune.training import fine_tune

    config = workspace.config
    tokenizer = load_workspace_tokenizer(workspace)
    material = gather(workspace, tokenizer)
    curriculum = config.data.curriculum
    record = fine_tune(
        material.train,
        material.valid,
        base=workspace.base_source,
        tokenizer=tokenizer,
        config=config.train,
        seed=config.seed,
        run_folder=workspace.run,
        phases=material.phases,
        phase_names=[phase.name for phase in curriculum.phases] if curriculum else (),
        sample_prompts=material.samples,
        sample_tokens=config.train.sample_tokens,
        stop_ids=stop_token_ids(tokenizer),
        curves=True,
    )
    result = training_result(record, material.counts | {"valid examples": record.valid_examples}, material.skips)
    if config.train.preference is None:
        return result
    # no perplexity can be made of it
    return replace(result, details={**result.details, "loss_per": "pair"})


def training_result(record: TrainingRecord, counts: dict[str, int], skips: dict[str, int] | None = None) -> StageResult:
    """Counts and the table of epochs; seconds stay in timings.json, since a manifest holds no clock."""
    epochs = [
        {
            "epoch": row.epoch,
            "step": row.step,
            "train_loss": row.train_loss,
            "valid_loss": row.valid_loss,
            "best": row.step == record.best_step,
        }
        for row in record.epochs
    ]
    inside = [
        {"epoch": row.epoch, "step": row.step, "valid_loss": row.valid_loss, "best": row.step == record.best_step}
        for row in record.evaluations
    ]
    return StageResult(
        counts
        | {
            "steps": record.steps,
            "tokens per epoch": record.tokens_per_epoch,
            "unique tokens per epoch": record.unique_tokens_per_epoch,
        },
        {reason: number for reason, number in (skips or {}).items() if number},
        details={
            "epochs": epochs,
            **({"evaluations": inside} if inside else {}),
            "best_epoch": record.best_epoch,
            "supervised_tokens_per_epoch": record.supervised_tokens_per_epoch,
            "notes": list(record.notes),
        },
    )


def write_card(workspace: Workspace) -> StageResult:
    """What chat needs to know; apart from training, so that a changed setting of chat does not train again."""
    from groundtune.serving import RunCard

    config = workspace.config
    base = workspace.base_source
    card = RunCard(
        project=config.project,
        chunks=os.path.relpath(workspace.chunks, workspace.run) if workspace.has_documents else "",
        model=Path(os.path.relpath(workspace.tuned, workspace.run)).as_posix(),
        base=os.path.relpath(base, workspace.run) if Path(base).exists() else base,
        languages=config.documents.languages,
        prompts={language: prompt.model_dump() for language, prompt in sorted(config.prompts.items())},
        top_k=config.retrieval.top_k,
        max_tokens=config.dataset.max_tokens if workspace.has_documents else config.data.max_tokens,
        max_new_tokens=config.evaluation.max_new_tokens,
    )
    write_json(workspace.card, asdict(card))
    return StageResult({"languages": len(card.languages)})
