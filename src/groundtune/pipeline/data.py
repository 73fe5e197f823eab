"""The stages from documents to examples: load, call the package, write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from groundtune.config import DocumentsConfig
from groundtune.errors import DataError
from groundtune.files import atomic_folder, read_records, write_records
from groundtune.pipeline.tokenizers import load_workspace_tokenizer
from groundtune.pipeline.workspace import Workspace
from groundtune.types import SPLITS, Chunk, Message, Pair, StageResult


def ingest_inputs(workspace: Workspace) -> dict[str, Path]:
    from groundtune.documents import source_files

    source = workspace.source
    root = source if source.is_dir() else source.parent
    # what lies outside the documents folder (a tokenizer) goes by its name: the manifest holds no paths of this machine
    return {
        file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name: file
        for file in source_files(_documents_config(workspace), source)
    }


def _documents_config(workspace: Workspace) -> DocumentsConfig:
    """The section with its tokenizer's path resolved: documents/ does not know where the configuration lies."""
    section = workspace.config.documents
    if section.tokenizer is None:
        return section
    return section.model_copy(update={"tokenizer": str(workspace.config.resolve(section.tokenizer))})


def ingest(workspace: Workspace) -> StageResult:
    from groundtune.documents import ingest as read_and_cut

    ingested = read_and_cut(_documents_config(workspace), workspace.source)
    write_records(workspace.chunks, ingested.chunks)
    return ingested.result


def group(workspace: Workspace) -> StageResult:
    from groundtune.grouping import build_groups, describe_groups

    chunks = read_records(workspace.chunks, Chunk)
    groups = build_groups(chunks, workspace.config.grouping)
    write_records(workspace.groups, groups)
    return describe_groups(groups, chunks)


def tokenizer(workspace: Workspace) -> StageResult:
    from groundtune.chat import LLAMA3_TEMPLATE
    from groundtune.models import describe_tokenizer, train_tokenizer

    texts = [chunk.text for chunk in read_records(workspace.chunks, Chunk)]
    made = train_tokenizer(texts, vocab_size=workspace.config.tokenizer.vocab_size, chat_template=LLAMA3_TEMPLATE)
    with atomic_folder(workspace.made_tokenizer) as folder:
        made.save_pretrained(str(folder))
    summary = asdict(describe_tokenizer(made, texts))
    return StageResult({"entries": len(made)}, details=json.loads(json.dumps(summary)))


def dataset(workspace: Workspace) -> StageResult:
    from groundtune.chat import render
    from groundtune.dataset import build_dataset

    loaded = load_workspace_tokenizer(workspace)

    def count_tokens(messages: Sequence[Message]) -> int:
        return len(render(loaded, messages).token_ids)

    pairs = read_records(workspace.pairs, Pair)
    built = build_dataset(
        pairs,
        read_records(workspace.chunks, Chunk),
        prompts=workspace.config.prompts,
        config=workspace.config.dataset,
        count_tokens=count_tokens,
        seed=workspace.config.seed,
    )
    asked = {"train": 1.0, "valid": 0.0, "test": workspace.config.dataset.test_share}
    for name in SPLITS:
        if asked[name] and not built.examples[name]:
            hint = "; dataset.test_share 0 goes without it, with questions of your own in evaluation.questions"
            raise DataError(
                f"the {name} split is empty: {len(pairs)} pairs, {told_reasons(built.result.skips)}; give more documents, or change "
                f"dataset.valid_share, dataset.test_share or dataset.max_tokens{hint if name == 'test' else ''}"
            )
    for name in SPLITS:
        write_records(workspace.split(name), built.examples[name])
    return built.result


def told_reasons(skips: Mapping[str, int]) -> str:
    return ", ".join(f"{count} left out: {reason}" for reason, count in skips.items()) or "none left out"
