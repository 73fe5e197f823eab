"""The stages that make a base model of text: text to token files, and the training on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.errors import ConfigError
from groundtune.files import read_json, read_records, write_json
from groundtune.pipeline.learning import model_files, training_result
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, StageResult

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from groundtune.training.corpus import Source


def check_early(workspace: Workspace) -> None:
    """Raises `ConfigError` for text that is not there, or that nothing would be trained on."""
    config = workspace.config.pretrain
    given = next((name for name in ("texts", "general") if getattr(config, name)), None)
    if given is not None and not workspace.makes_base:
        raise ConfigError(
            f"pretrain.{given} is given, and no model is pretrained: model.path is {workspace.config.model.path!r}; set "
            "pretrain.continued: true to train that model on it, or take it out"
        )
    if workspace.makes_base and not (workspace.has_documents or config.texts):
        raise ConfigError(
            "there is no text to pretrain on: documents.path is null and pretrain.texts is empty; give one, or set "
            "pretrain.continued: false"
        )
    if workspace.has_texts:
        _sources(workspace)


def text_inputs(workspace: Workspace) -> dict[str, Path]:
    """Every file of text."""
    files = {"chunks": workspace.chunks} if workspace.has_documents else {}
    for kind, sources in _sources(workspace).items():
        files |= {f"{kind} {source.name}": source.path for source in sources}
    return files


def _sources(workspace: Workspace) -> dict[str, list[Source]]:
    from groundtune.training.corpus import find_sources

    config = workspace.config
    return {
        kind: find_sources(patterns, config.folder, setting=f"pretrain.{kind}")
        for kind, patterns in (("texts", config.pretrain.texts), ("general", config.pretrain.general))
    }


def store_text(workspace: Workspace) -> StageResult:
    """All text as token files."""
    from groundtune.models import load_tokenizer
    from groundtune.training.corpus import store_corpus

    corpus = store_corpus(
        workspace.texts_stage,
        load_tokenizer(workspace.tokenizer_source),
        documents=_documents_text(workspace),
        **_sources(workspace),
        valid_share=workspace.config.pretrain.valid_share,
    )
    counts: dict[str, int] = {}
    index = {}
    places: dict[str, list[str]] = {}
    for kind, store in corpus.stores.items():
        found = store.counts
        named = {"documents": "the documents"}.get(kind, f"pretrain.{kind}")
        index[kind] = {"key": store.key, "texts": found.texts, "tokens": found.tokens}
        counts |= {f"texts of {named}": found.texts["train"], f"tokens of {named}": found.tokens["train"]}
        # none is worth telling too where some were asked for
        if found.texts["valid"] or (kind != "general" and workspace.config.pretrain.valid_share):
            counts[f"texts held out of {named}"] = found.texts["valid"]
        for reason, some in found.places.items():
            places.setdefault(reason, []).extend(some)
    write_json(workspace.texts_index, index)
    return StageResult(counts, corpus.skips, {"left_out": places} if places else {})


def _documents_text(workspace: Workspace) -> list[str]:
    """One text a source file, its chunks in reading order."""
    chunks: Sequence[Chunk] = read_records(workspace.chunks, Chunk) if workspace.has_documents else ()
    texts: dict[str, list[str]] = {}
    for chunk in chunks:
        texts.setdefault(chunk.source, []).append(chunk.text)
    return ["\n\n".join(parts) for parts in texts.values()]


def inputs(workspace: Workspace) -> dict[str, Path]:
    """Of the training: the text, and the model that it starts from."""
    text = {"texts": workspace.texts_index} if workspace.has_texts else {"chunks": workspace.chunks}
    return text | ({} if workspace.from_scratch else model_files("model", workspace.named_source))


def pretrain(workspace: Workspace) -> StageResult:
    from groundtune.models import describe_model, load_tokenizer
    from groundtune.training import pretrain as train_on_text
    from groundtune.training.corpus import open_corpus
    from groundtune.training.rounds import ROUNDS_NAME

    config = workspace.config
    tokenizer = load_tokenizer(workspace.tokenizer_source)
    model = _first_model(workspace, tokenizer)
    record = train_on_text(
        open_corpus(workspace.texts_stage) if workspace.has_texts else _documents_text(workspace),
        tokenizer,
        model,
        config=config.pretrain,
        seed=config.seed,
        out=workspace.base_stage,
        recall_share=config.pretrain.recall_share,
        computing=config.train,
        curves=True,
    )
    result = training_result(record, {"parameters": describe_model(model).parameters})
    if len(config.pretrain.rounds) < 2:
        return result
    return replace(result, details={**result.details, "rounds": read_json(workspace.base_stage / ROUNDS_NAME)})


def _first_model(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """As the first round begins with it."""
    from groundtune.models import build_llama, load_model
    from groundtune.training.rounds import rounds_of

    config = workspace.config
    dropout = rounds_of(config.pretrain)[0].dropout
    if not workspace.from_scratch:
        return load_model(workspace.named_source, tokenizer=tokenizer, dropout=dropout)
    return build_llama(
        config.model, tokenizer, seed=config.seed, dropout=dropout, copying_start=config.model.copying_start
    )
