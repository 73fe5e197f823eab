"""The stage that has pairs written, what it would take, and several models tried on a few groups first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.config import GenerationConfig
from groundtune.errors import ConfigError, DataError
from groundtune.files import read_records, write_json, write_records
from groundtune.manifest import read_manifest
from groundtune.pipeline.data import told_reasons
from groundtune.pipeline.workspace import Workspace
from groundtune.progress import stderr_console
from groundtune.types import Chunk, Group, StageResult

if TYPE_CHECKING:
    from groundtune.generation import Asking
    from groundtune.generation.pilot import PilotReport


def generate(workspace: Workspace) -> StageResult:
    from groundtune.generation import as_row
    from groundtune.generation import generate as write_pairs
    from groundtune.retrieval import Bm25Retriever

    chunks = read_records(workspace.chunks, Chunk)
    # made when it is first asked, at the very end: a run over ten thousand groups must not wait for it
    retriever = cache(lambda: Bm25Retriever(chunks))
    generated = write_pairs(
        read_records(workspace.groups, Group),
        chunks,
        config=workspace.config.generation,
        prompts=workspace.config.prompts,
        ledger=workspace.ledger,
        nearest=lambda chunk, count: [hit.chunk for hit in retriever().nearest(chunk, count)],
        seed=workspace.config.seed,
        prompts_folder=prompts_folder(workspace),
        options=workspace.asking,
        tell=_tell,
    )
    write_records(workspace.rejected_pairs, (as_row(each) for each in generated.rejections))
    if not generated.pairs:
        raise DataError(_no_pair(workspace, len(chunks), generated.result))
    write_records(workspace.pairs, generated.pairs)
    write_records(workspace.retired_pairs, generated.retired)
    write_json(workspace.coverage, generated.coverage.as_json(chunks))
    if generated.asked or generated.record.requests or not workspace.generation_record.exists():
        write_json(workspace.generation_record, generated.record.as_json())
    return generated.result


def _no_pair(workspace: Workspace, chunks: int, result: StageResult) -> str:
    if workspace.config.generation.provider == "offline":
        hint = (
            "the rule-based writer asks about definitions, steps, tables and lists: check that the documents hold some"
        )
    elif result.details["rejected"]:
        hint = f"{workspace.rejected_pairs} holds what was handed in, with the reasons"
    else:
        hint = "the answers of the model hold none: check generation.model, and prompt files of your own"
    return f"no question-answer pair could be written from {chunks} chunks ({told_reasons(result.skips)}); {hint}"


def left_undone(workspace: Workspace) -> bool:
    """Whether the last run went on without answers (`allow_incomplete`): what it made is up to date, and more can be asked."""
    manifest = read_manifest(workspace.generation)
    if manifest is None or not manifest.skips:
        return False
    from groundtune.generation.running.unfinished import is_undone

    return is_undone(manifest.skips)


def _tell(sentence: str) -> None:
    stderr_console().print(f"  {sentence}", markup=False)


def prompts_folder(workspace: Workspace) -> Path | None:
    """Where the user's own prompt files are, if there are any."""
    folder = workspace.config.generation.prompts_folder
    return None if folder is None else workspace.config.resolve(folder)


def prompt_files(workspace: Workspace) -> dict[str, Path]:
    folder = prompts_folder(workspace)
    return {f"prompts/{path.name}": path for path in sorted(folder.glob("*.yaml"))} if folder else {}


def _asking(workspace: Workspace, config: GenerationConfig, groups: Sequence[Group]) -> Asking:
    from groundtune.generation import Asking

    return Asking.of(
        groups,
        read_records(workspace.chunks, Chunk),
        config=config,
        prompts=workspace.config.prompts,
        prompts_folder=prompts_folder(workspace),
        seed=workspace.config.seed,
    )


def estimate_generation(workspace: Workspace) -> dict[str, Any]:
    """What `generate` would ask and keep, and what that takes. The stages before it must be up to date; nothing is sent."""
    from groundtune.generation import look_ahead

    groups = read_records(workspace.groups, Group)
    seen, estimate = look_ahead(_asking(workspace, workspace.config.generation, groups), workspace.ledger)
    return {"documents": asdict(seen), **estimate}


def pilot(workspace: Workspace, models: Sequence[str], count: int) -> PilotReport:
    """The same `count` groups through several models, into the ledger of the project: a later run does not ask them again.

    Raises:
        ConfigError: a model's name cannot be read, or there are fewer than two.
        GenerationError: a model could not be asked.
    """
    from groundtune.generation.pilot import choose_groups, compare_models
    from groundtune.generation.running.piloting import ask_model

    configs = {name: _of_model(workspace.config.generation, name) for name in models}
    if len(configs) < 2:
        raise ConfigError(f"--models names {', '.join(models) or 'nothing'}; expected two or more, with commas between")
    wanted = [
        group for group in read_records(workspace.groups, Group) if group.rule in workspace.config.generation.rules
    ]
    chosen = choose_groups(wanted, count, seed=workspace.config.seed)
    outcomes = {
        name: ask_model(_asking(workspace, config, chosen), workspace.ledger, list(workspace.config.prompts), _tell)
        for name, config in configs.items()
    }
    return compare_models(outcomes, seed=workspace.config.seed)


def _of_model(config: GenerationConfig, name: str) -> GenerationConfig:
    """`config` with another model: ``anthropic/NAME``, ``openai/NAME``, ``offline``, or a name for the configured provider."""
    provider, _, rest = name.partition("/")
    if name == "offline":
        provider, rest = "offline", ""
    elif provider not in ("anthropic", "openai") or not rest:
        provider, rest = config.provider, name
        if provider == "offline":
            raise ConfigError(
                f"--models: {name!r} names no provider; write anthropic/{name} or openai/{name}, or offline"
            )
    same = provider == config.provider
    changes = {
        "provider": provider,
        "model": rest or None,
        "base_url": config.base_url if same else None,
        "api_key_env": config.api_key_env if same else None,
        "judge": None,
        "batch": False,
    }
    return GenerationConfig.model_validate(config.model_dump() | changes)
