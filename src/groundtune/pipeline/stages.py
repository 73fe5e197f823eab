"""The stages, in order. Nothing else knows the order.

The tokenizer comes before the dataset, because the dataset keeps an exact length limit and so must count real tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from groundtune.config import HARMLESS, REACHING, ComputingConfig, Section, WriterConfig
from groundtune.errors import ConfigError
from groundtune.pipeline import (
    checking,
    data,
    evaluating,
    forgetting,
    held_out,
    instruction,
    judging,
    learning,
    pretraining,
    reporting,
    tracing,
    writing,
)
from groundtune.pipeline.chain import stage_name, with_following
from groundtune.pipeline.engine import Outcome, Stage, run_stages
from groundtune.pipeline.foresight import check_ahead
from groundtune.pipeline.tokenizers import template_input
from groundtune.pipeline.workspace import Workspace
from groundtune.types import SPLITS


def _plain(*sections: Section, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON form of sections, by section class name."""
    return {type(section).__name__: section.model_dump(mode="json", exclude=set(leave_out)) for section in sections}


def _computing(section: ComputingConfig) -> dict[str, Any]:
    return section.model_dump(mode="json", include=set(ComputingConfig.model_fields) - set(HARMLESS))


def _prompts(workspace: Workspace) -> dict[str, Any]:
    return {language: prompt.model_dump() for language, prompt in sorted(workspace.config.prompts.items())}


def _writer(workspace: Workspace) -> str:
    from groundtune.llm import writer_name

    return writer_name(workspace.config.generation)


def _writing(section: WriterConfig) -> dict[str, Any]:
    """What decides the answers of a writer: not how it is reached, paid or paced."""
    return section.model_dump(mode="json", exclude=set(REACHING) | {"judge"})


def _generating(workspace: Workspace) -> dict[str, Any]:
    config = workspace.config.generation
    return {
        "GenerationConfig": _writing(config),
        "judge": None if config.judge is None else _writing(config.judge),
        "prompts": _prompts(workspace),
        "seed": workspace.config.seed,
        "writer": _writer(workspace),
    }


def _hub_id(workspace: Workspace) -> dict[str, Any]:
    """A model that is no folder has no hash; its id stands for it."""
    if workspace.from_scratch or Path(workspace.named_source).exists():
        return {}
    return {"model": workspace.config.model.path}


def _tokenizer_input(workspace: Workspace) -> dict[str, Path]:
    return learning.model_files("tokenizer", workspace.tokenizer_source) | template_input(workspace)


def _template(workspace: Workspace) -> dict[str, Any]:
    """Only where one is asked for: it replaces the tokenizer's own."""
    template = workspace.config.model.chat_template
    return {} if template is None else {"chat_template": template}


def _evaluating(workspace: Workspace) -> dict[str, Any]:
    config = workspace.config
    later = ("judge", "forgetting", "checklist")
    own = held_out.question_file(workspace)
    return (
        # where the file lies is nothing to what is asked; what it holds is an input
        _plain(config.evaluation, leave_out=(*later, "questions"))
        | ({} if own is None else {"questions": own.name})
        | _plain(config.retrieval)
        | {"max_tokens": config.dataset.max_tokens, "prompts": _prompts(workspace), "seed": config.seed}
        | _hub_id(workspace)
    )


def _with_documents(workspace: Workspace) -> bool:
    return workspace.has_documents


def _ingesting(workspace: Workspace) -> dict[str, Any]:
    section = workspace.config.documents
    unsaid = ("licence",) if section.licence is None else ()
    return _plain(section, leave_out=("path", *unsaid)) | {"folder": workspace.source.name}


def _reading(workspace: Workspace) -> dict[str, Any]:
    """What decides which rows are kept, as against how they become tokens."""
    tokens = {"train_on", "no_think_share", "max_tokens", "overlong", "processes", "curriculum", "augment"}
    told = workspace.config.data.model_dump(mode="json", exclude=tokens)
    for source in told["sources"]:
        if source["licence"] is None:
            del source["licence"]
    return told | {"seed": workspace.config.seed}


def _preparing(workspace: Workspace) -> dict[str, Any]:
    tokens = {"train_on", "no_think_share", "max_tokens", "overlong", "strict"}
    sides = {} if workspace.config.train.preference is None else {"sides": True}
    return (
        workspace.config.data.model_dump(mode="json", include=tokens)
        | _template(workspace)
        | _hub_id(workspace)
        | sides
    )


def _material(workspace: Workspace) -> dict[str, Path]:
    """The files that training examples come from."""
    splits = ("train", "valid")
    files = {split: workspace.split(split) for split in splits} if workspace.has_documents else {}
    if workspace.has_data:
        files |= {f"data {split}": workspace.conversations(split) for split in splits}
        files |= {f"prepared {split}": workspace.prepared(split) / "index.json" for split in splits}
    if workspace.config.train.preference is not None:
        sides = (f"{split}-{side}" for split in splits for side in ("chosen", "rejected"))
        files |= {f"prepared {name}": workspace.prepared_stage / name / "index.json" for name in sides}
    if workspace.config.train.drills and workspace.has_documents:
        files |= {"chunks": workspace.chunks, "test": workspace.split("test")}
    return files


STAGES: tuple[Stage, ...] = (
    Stage(
        "ingest",
        "reading documents",
        folder=lambda w: w.documents,
        inputs=data.ingest_inputs,
        settings=_ingesting,
        outputs=("chunks.jsonl",),
        work=data.ingest,
        wanted=_with_documents,
    ),
    Stage(
        "group",
        "grouping chunks",
        folder=lambda w: w.grouping,
        inputs=lambda w: {"chunks": w.chunks},
        settings=lambda w: _plain(w.config.grouping),
        outputs=("groups.jsonl",),
        work=data.group,
        wanted=_with_documents,
    ),
    Stage(
        "generate",
        "writing question-answer pairs",
        folder=lambda w: w.generation,
        inputs=lambda w: {"chunks": w.chunks, "groups": w.groups} | writing.prompt_files(w),
        settings=_generating,
        outputs=("pairs.jsonl", "rejected.jsonl", "retired.jsonl", "coverage.json"),
        work=writing.generate,
        wanted=_with_documents,
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
        settings=lambda w: (
            _plain(w.config.dataset) | {"prompts": _prompts(w), "seed": w.config.seed} | _hub_id(w) | _template(w)
        ),
        outputs=("train.jsonl", "valid.jsonl", "test.jsonl"),
        work=data.dataset,
        wanted=_with_documents,
    ),
    Stage(
        "data",
        "reading instruction data",
        folder=lambda w: w.data,
        inputs=instruction.read_inputs,
        settings=_reading,
        outputs=("train.jsonl", "valid.jsonl", "test.jsonl", "left_out.jsonl"),
        work=instruction.read,
        wanted=lambda w: w.has_data,
    ),
    Stage(
        "augment",
        "having more rows written",
        folder=lambda w: w.augmented_stage,
        inputs=instruction.augment_inputs,
        settings=instruction.augment_settings,
        outputs=("train.jsonl", "left_out.jsonl"),
        work=instruction.augment,
        wanted=lambda w: w.has_augmentation,
    ),
    Stage(
        "prepare",
        "rendering instruction data",
        folder=lambda w: w.prepared_stage,
        inputs=lambda w: {f"{split}.jsonl": w.conversations(split) for split in SPLITS} | _tokenizer_input(w),
        settings=_preparing,
        outputs=(*(f"{split}/index.json" for split in SPLITS), "left_out.jsonl"),
        work=instruction.prepare,
        wanted=lambda w: w.has_data,
    ),
    Stage(
        "texts",
        "tokenising text",
        folder=lambda w: w.texts_stage,
        inputs=lambda w: pretraining.text_inputs(w) | _tokenizer_input(w),
        settings=lambda w: {"valid_share": w.config.pretrain.valid_share} | _hub_id(w),
        outputs=("index.json",),
        work=pretraining.store_text,
        wanted=lambda w: w.has_texts,
    ),
    Stage(
        "pretrain",
        "making the base model",
        folder=lambda w: w.base_stage,
        inputs=lambda w: pretraining.inputs(w) | _tokenizer_input(w),
        settings=lambda w: (
            _plain(w.config.model, w.config.pretrain)
            | {"seed": w.config.seed, "computing": _computing(w.config.train)}
            | _hub_id(w)
        ),
        outputs=("model", "metrics.jsonl", "samples.json"),
        work=pretraining.pretrain,
        together=True,
        wanted=lambda w: w.makes_base,
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
            | ({} if w.has_documents else {"documents": None, "data_tokens": w.config.data.max_tokens})
            | ({"then": [each.train.name for each in w.config.then]} if w.config.then else {})
        ),
        outputs=("run.json",),
        work=learning.write_card,
    ),
    Stage(
        "train",
        "fine-tuning",
        folder=lambda w: w.run,
        inputs=lambda w: _material(w) | learning.model_files("base", w.base_source) | template_input(w),
        settings=lambda w: (
            _plain(w.config.train, leave_out=HARMLESS)
            | {"seed": w.config.seed}
            | _hub_id(w)
            | _template(w)
            | (_plain(w.config.data.curriculum) if w.config.data.curriculum else {})
            | ({"prompts": _prompts(w), "context": w.config.model.context_tokens} if w.config.train.drills else {})
        ),
        outputs=("best", "metrics.jsonl", "samples.json"),
        work=learning.train,
        together=True,
    ),
    Stage(
        "evaluate",
        "asking the held-out questions",
        folder=lambda w: w.evaluation,
        inputs=held_out.inputs,
        settings=_evaluating,
        outputs=("answers.jsonl", "summary.json"),
        work=evaluating.evaluate,
        layout=2,
    ),
    Stage(
        "forgetting",
        "measuring what was there before",
        folder=lambda w: w.general,
        inputs=forgetting.inputs,
        settings=lambda w: forgetting.settings(w) | _hub_id(w),
        outputs=("general.json", "tasks.jsonl", "benchmarks.json"),
        work=forgetting.forget,
        wanted=forgetting.wanted,
    ),
    Stage(
        "judge",
        "having answers judged",
        folder=lambda w: w.judge_stage,
        inputs=judging.inputs,
        settings=lambda w: judging.settings(w) | _hub_id(w),
        outputs=("judgements.jsonl", "summary.json", "conversations.jsonl"),
        work=judging.judge,
        layout=2,
        wanted=lambda w: w.config.evaluation.judge is not None,
    ),
    Stage(
        "errors",
        "looking into failed answers",
        folder=lambda w: w.errors_stage,
        inputs=tracing.error_inputs,
        settings=lambda _: {},
        outputs=("errors.json",),
        work=tracing.errors,
    ),
    Stage(
        "checklist",
        "holding figures against the checklist",
        folder=lambda w: w.checklist_stage,
        inputs=checking.checklist_inputs,
        settings=checking.checklist_settings,
        outputs=("checklist.json",),
        work=checking.checklist,
    ),
    Stage(
        "report",
        "writing the report",
        folder=lambda w: w.root,
        inputs=reporting.report_inputs,
        settings=reporting.shown_config,
        outputs=("report.html", "report.json", "MODEL_CARD.md"),
        work=reporting.report,
    ),
)


GOALS: Mapping[str, Callable[[Workspace], str]] = {
    "whole way": lambda w: "report" if w.has_documents or _has_questions(w) else "train",
    "verdict": lambda _: "report",
    "examples": lambda w: "prepare" if w.has_data else "dataset",
}
"""What a verb means by the last stage, by what a configuration has."""


def up_to(workspace: Workspace, stage: str) -> tuple[Stage, ...]:
    """All stages to and including `stage`; `train` is every training there is."""
    names = [each.name for each in STAGES]
    return with_following(STAGES[: names.index(stage) + 1], workspace)


def run_up_to(
    workspace: Workspace,
    stage: str,
    *,
    on_start: Callable[[Stage], None] = lambda _: None,
    on_end: Callable[[Outcome], None] = lambda _: None,
    again: Collection[str] = (),
    through: Collection[str] = (),
) -> list[Outcome]:
    """Bring every stage up to and including `stage` up to date.

    Args:
        again: stages that are done although nothing has changed.
        through: stages before it that are asked for by name, so that a configuration without them is wrong.

    Raises:
        GroundtuneError: of whichever stage could not be done; what was made before stays.
    """
    wanted = up_to(workspace, stage)
    _check_early(workspace, {each.name for each in wanted})
    for each in wanted:
        if each.name in (stage, *through) and not each.wanted(workspace):
            raise ConfigError(_not_wanted(workspace, each.name))
    names = [each.name for each in wanted]
    started = False

    def start(each: Stage) -> None:
        nonlocal started
        if not started:
            # not where everything is up to date: looking at a model takes seconds
            check_ahead(workspace, names[names.index(each.name) :])
        started = True
        on_start(each)

    return run_stages(wanted, workspace, on_start=start, on_end=on_end, again=again)


def _not_wanted(workspace: Workspace, stage: str) -> str:
    """Why this configuration has no such stage, and what to do."""
    if stage == "pretrain":
        return (
            f"`pretrain` makes a model from scratch, and model.path is {workspace.config.model.path!r}; set it to null, or "
            "pretrain.continued to true to train that model on text"
        )
    if stage == "tokenizer":
        return (
            f"`{stage}` makes a model from scratch, and model.path is {workspace.config.model.path!r}; set it to null, or leave "
            "this stage out"
        )
    if stage == "judge":
        return (
            "`judge` has a language model read the answers, and evaluation.judge names none; set its provider (anthropic or "
            "openai) and model"
        )
    if stage == "augment":
        return "`augment` has a language model write more rows, and data.augment asks for none; set it, or leave this stage out"
    if stage in ("data", "prepare"):
        return f"`{stage}` reads instruction data, and data.sources names none; add a source, or leave this stage out"
    return (
        f"`{stage}` works on documents, and documents.path is null; set it, or use `groundtune train` and `groundtune dataset` on "
        "the instruction data"
    )


def _check_early(workspace: Workspace, wanted: set[str]) -> None:
    """What would be found out only after long work. Raises `ConfigError`, `DataError`."""
    config = workspace.config
    if wanted & {"dataset", "prepare"} and config.model.path is not None:
        source = Path(workspace.named_source)
        if (source.is_absolute() or config.model.path.startswith(".")) and not source.is_dir():
            what = "a file, which `groundtune models convert` may make a folder of" if source.is_file() else "no folder"
            raise ConfigError(
                f"model.path: {source} is {what}; give the folder of a Hugging Face model, its id, or null"
            )
    for each, stage in (
        (workspace, "data"),
        *((link, stage_name(link.config.train.name, "data")) for link in workspace.following),
    ):
        if stage in wanted and each.has_data:
            # that a file is not there
            instruction.read_inputs(each)
    if "pretrain" in wanted:
        pretraining.check_early(workspace)
    if "evaluate" in wanted:
        _check_questions(workspace)
    if "forgetting" in wanted:
        forgetting.check_early(workspace)
    if "judge" in wanted:
        judging.check_early(workspace)


def _has_questions(workspace: Workspace) -> bool:
    """Raises `DataError` where something is wrong with a file of them."""
    config = workspace.config
    if held_out.read_own(workspace) is not None:
        return True
    if workspace.has_documents:
        return config.dataset.test_share > 0
    return config.data.test_share > 0 or any(source.use == "test" for source in config.data.sources)


def _check_questions(workspace: Workspace) -> None:
    """Raises `ConfigError` where there would be none to ask, `DataError` where something is wrong with their file."""
    if not _has_questions(workspace):
        section = "dataset" if workspace.has_documents else "data"
        raise ConfigError(
            f"{section}.test_share is 0, so there would be nothing to evaluate on; raise it, name a file in "
            "evaluation.questions, or stop at `groundtune train`"
        )
