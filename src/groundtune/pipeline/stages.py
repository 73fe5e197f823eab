"""The stages, in order. Nothing else knows the order.

The tokenizer comes before the dataset, because the dataset keeps an exact length limit and so must count real tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundtune.config import ComputingConfig, Section
from groundtune.errors import ConfigError, DataError
from groundtune.pipeline import data, learning, reporting
from groundtune.pipeline.engine import Outcome, Stage, run_stages
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Split


def _plain(*sections: Section, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON form of sections, by section class name."""
    return {type(section).__name__: section.model_dump(mode="json", exclude=set(leave_out)) for section in sections}


def _computing(section: ComputingConfig) -> dict[str, Any]:
    return section.model_dump(mode="json", include=set(ComputingConfig.model_fields))


def _prompts(workspace: Workspace) -> dict[str, Any]:
    return {language: prompt.model_dump() for language, prompt in sorted(workspace.config.prompts.items())}


def _writer(workspace: Workspace) -> str:
    from groundtune.generation import make_client

    return make_client(workspace.config.generation).writer


def _hub_id(workspace: Workspace) -> dict[str, Any]:
    """A model that is no folder has no hash; its id stands for it."""
    if workspace.from_scratch or Path(workspace.base_source).exists():
        return {}
    return {"model": workspace.config.model.path}


def _tokenizer_input(workspace: Workspace) -> dict[str, Path]:
    return learning.model_files("tokenizer", workspace.tokenizer_source)


STAGES: tuple[Stage, ...] = (
    Stage(
        "ingest",
        "reading documents",
        folder=lambda w: w.documents,
        inputs=data.ingest_inputs,
        settings=lambda w: _plain(w.config.documents, leave_out=("path",)) | {"folder": w.source.name},
        outputs=("chunks.jsonl",),
        work=data.ingest,
    ),
    Stage(
        "group",
        "grouping chunks",
        folder=lambda w: w.grouping,
        inputs=lambda w: {"chunks": w.chunks},
        settings=lambda w: _plain(w.config.grouping),
        outputs=("groups.jsonl",),
        work=data.group,
    ),
    Stage(
        "generate",
        "writing question-answer pairs",
        folder=lambda w: w.generation,
        inputs=lambda w: {"chunks": w.chunks, "groups": w.groups},
        settings=lambda w: (
            _plain(w.config.generation) | {"prompts": _prompts(w), "seed": w.config.seed, "writer": _writer(w)}
        ),
        outputs=("pairs.jsonl",),
        work=data.generate,
    ),
    Stage(
        "tokenizer",
        "training the tokenizer",
        folder=lambda w: w.tokenizer_stage,
        inputs=lambda w: {"chunks": w.chunks},
        settings=lambda w: _plain(w.config.tokenizer),
        outputs=("files",),
        work=data.tokenizer,
        wanted=lambda w: w.from_scratch,
    ),
    Stage(
        "dataset",
        "splitting and rendering",
        folder=lambda w: w.dataset,
        inputs=lambda w: {"chunks": w.chunks, "pairs": w.pairs} | _tokenizer_input(w),
        settings=lambda w: _plain(w.config.dataset) | {"prompts": _prompts(w), "seed": w.config.seed} | _hub_id(w),
        outputs=("train.jsonl", "valid.jsonl", "test.jsonl"),
        work=data.dataset,
    ),
    Stage(
        "pretrain",
        "making the base model",
        folder=lambda w: w.base_stage,
        inputs=lambda w: {"chunks": w.chunks} | _tokenizer_input(w),
        settings=lambda w: (
            _plain(w.config.model, w.config.pretrain) | {"seed": w.config.seed, "computing": _computing(w.config.train)}
        ),
        outputs=("model", "metrics.jsonl"),
        work=learning.pretrain,
        wanted=lambda w: w.from_scratch,
    ),
    Stage(
        "card",
        "noting what chat needs",
        folder=lambda w: w.card.parent,
        inputs=lambda _: {},
        settings=lambda w: (
            _plain(w.config.retrieval)
            | {
                "prompts": _prompts(w),
                "languages": w.config.documents.languages,
                "base": w.config.model.path,
                "project": w.config.project,
            }
            | {"max_tokens": w.config.dataset.max_tokens, "max_new_tokens": w.config.evaluation.max_new_tokens}
        ),
        outputs=("run.json",),
        work=learning.write_card,
    ),
    Stage(
        "train",
        "fine-tuning",
        folder=lambda w: w.run,
        inputs=lambda w: (
            {"train": w.split("train"), "valid": w.split("valid")}
            | learning.model_files("base", w.base_source)
            | ({"chunks": w.chunks, "test": w.split("test")} if w.config.train.drills else {})
        ),
        settings=lambda w: (
            _plain(w.config.train)
            | {"seed": w.config.seed}
            | _hub_id(w)
            | ({"prompts": _prompts(w), "context": w.config.model.context_tokens} if w.config.train.drills else {})
        ),
        outputs=("best", "metrics.jsonl", "samples.json"),
        work=learning.train,
    ),
    Stage(
        "evaluate",
        "asking the held-out questions",
        folder=lambda w: w.evaluation,
        inputs=lambda w: (
            {"valid": w.split("valid"), "test": w.split("test"), "tuned": w.best}
            | learning.model_files("base", w.base_source)
        ),
        settings=lambda w: _plain(w.config.evaluation) | {"prompts": _prompts(w), "seed": w.config.seed} | _hub_id(w),
        outputs=("answers.jsonl", "summary.json"),
        work=learning.evaluate,
    ),
    Stage(
        "report",
        "writing the report",
        folder=lambda w: w.root,
        inputs=reporting.report_inputs,
        settings=reporting.shown_config,
        outputs=("report.html",),
        work=reporting.report,
    ),
)


def run_up_to(
    workspace: Workspace,
    stage: str,
    *,
    on_start: Callable[[Stage], None] = lambda _: None,
    on_end: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Bring every stage up to and including `stage` up to date.

    Raises:
        GroundtuneError: of whichever stage could not be done; what was made before stays.
    """
    names = [each.name for each in STAGES]
    wanted = STAGES[: names.index(stage) + 1]
    _check_early(workspace, {each.name for each in wanted})
    if not wanted[-1].wanted(workspace):
        raise DataError(
            f"`{stage}` makes a model from scratch, and model.path is {workspace.config.model.path!r}; set it to null, or leave this stage out"
        )
    return run_stages(wanted, workspace, on_start=on_start, on_end=on_end)


def _check_early(workspace: Workspace, wanted: set[str]) -> None:
    """What would be found out only after long work. Raises `ConfigError`."""
    config = workspace.config
    if "dataset" in wanted and config.model.path is not None:
        source = Path(workspace.base_source)
        if (source.is_absolute() or config.model.path.startswith(".")) and not source.is_dir():
            raise ConfigError(
                f"model.path: {source} is no folder; give the folder of a Hugging Face model, its id, or null"
            )
    if "evaluate" in wanted and config.dataset.test_share == 0:
        raise ConfigError(
            "dataset.test_share is 0, so there would be nothing to evaluate on; raise it, or stop at `groundtune train`"
        )


def preview_examples(workspace: Workspace, split: Split, count: int) -> list[dict[str, Any]]:
    """Examples of a split as segments of text, trained or not; brings the dataset up to date first."""
    run_up_to(workspace, "dataset")
    return data.preview(workspace, split, count)
