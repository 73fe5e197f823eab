"""The stages of instruction data: rows of any format to mixed and divided conversations, conversations to token ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

from groundtune.config import REACHING, DataConfig, SourceConfig
from groundtune.errors import ConfigError, DataError
from groundtune.files import TEMPORARY_PREFIX, atomic_file, read_json, read_records, sha256_file, to_json, write_records
from groundtune.pipeline.tokenizers import load_workspace_tokenizer
from groundtune.pipeline.workspace import Workspace
from groundtune.progress import ProgressBar
from groundtune.types import SPLITS, Conversation, Example, LeftOut, Split, StageResult

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.dataset.formats import Registry
    from groundtune.dataset.prepared import Prepared
    from groundtune.dataset.rows import Rows

HELD_OUT = "asks what an earlier training of the chain is validated or tested on"
NO_PAIR = "row has no rejected answer, and train.preference needs pairs"
MOST_PLACES = 20
"""Rows named in the manifest for each reason; left_out.jsonl has all of them."""


@dataclass(slots=True)
class Ledger:
    """What became of the rows: how many were read, how many left out for which reason, and the first places of each."""

    stream: TextIO
    read: int = 0
    skips: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, row: LeftOut) -> None:
        self.skips[row.reason] += 1
        places = self.places.setdefault(row.reason, [])
        if len(places) < MOST_PLACES:
            places.append(f"{row.origin.file}:{row.origin.row} {row.field}".rstrip())
        self.stream.write(to_json(row) + "\n")

    def kept(self, rows: Iterable[Conversation | LeftOut]) -> Iterator[Conversation]:
        """The conversations among `rows`; the others are noted."""
        for row in rows:
            if isinstance(row, LeftOut):
                self.leave_out(row)
            else:
                yield row

    def counted(self, rows: Iterable[Conversation | LeftOut]) -> Iterator[Conversation | LeftOut]:
        """`rows`, each counted as read."""
        with ProgressBar("reading", total=0, unit="rows") as bar:
            for row in rows:
                self.read += 1
                bar.advance()
                yield row


def read_inputs(workspace: Workspace) -> dict[str, Path]:
    """The files of all sources, those they are judged by, and the registry they are named in."""
    from groundtune.dataset.formats import source_files

    config = workspace.config
    registry = _registry(workspace)
    files = {
        f"{number}/{path.name}": path
        for number, source in enumerate(config.data.sources, start=1)
        for path in source_files(source, config.folder, registry)
    }
    files |= {f"benchmark/{name}": config.resolve(name) for name in config.data.filters.benchmarks}
    if config.data.registry is not None:
        files["registry"] = config.resolve(config.data.registry) / "dataset_info.json"
    if config.data.share is not None:
        files["grounded"] = workspace.split("train")
    for each in workspace.earlier:
        files |= {f"{each.config.train.name}/{path.parent.name}/{path.name}": path for path in _held_out_files(each)}
    return files


def _held_out_files(workspace: Workspace) -> list[Path]:
    """What a training validates on and is tested on."""
    grounded = [workspace.split(split) for split in ("valid", "test")] if workspace.has_documents else []
    rows = [workspace.read_conversations(split) for split in ("valid", "test")] if workspace.has_data else []
    return [*grounded, *rows]


def _questions_held_out(workspace: Workspace) -> set[str]:
    """What earlier trainings of the chain are asked when they are measured, in the form that copies have in common."""
    from groundtune.dataset.quality.texts import caseless

    asked: list[str] = []
    for each in workspace.earlier:
        if each.has_documents:
            asked += [row.question for name in ("valid", "test") for row in read_records(each.split(name), Example)]
        if each.has_data:
            rows = (
                row for name in ("valid", "test") for row in read_records(each.read_conversations(name), Conversation)
            )
            asked += [said[-1] for row in rows if (said := _said_to_assistant(row))]
    return {caseless(question) for question in asked}


def _said_to_assistant(row: Conversation) -> list[str]:
    return [message.content for message in row.messages if message.role == "user"]


def _without(rows: Iterable[Conversation | LeftOut], questions: set[str]) -> Iterator[Conversation | LeftOut]:
    """`rows`; those that ask one of `questions` as left out."""
    from groundtune.dataset.quality.texts import caseless

    for row in rows:
        found = None
        if questions and isinstance(row, Conversation):
            found = next((each for each in _said_to_assistant(row) if caseless(each) in questions), None)
        yield row if found is None or isinstance(row, LeftOut) else LeftOut(row.origin, HELD_OUT, found=found[:80])


def read(workspace: Workspace) -> StageResult:
    """Rows of all sources, filtered, mixed and divided."""
    from groundtune.dataset.mixing import mix

    config = _with_registry_counts(workspace)
    tables: list[dict[str, Any]] = []
    with ExitStack() as stack:
        ledger = Ledger(_open(stack, workspace.data / "left_out.jsonl"))
        removed = _open(stack, workspace.data / "removed.jsonl") if config.filters.keep_removed else None
        sources = _sources_on_disk(stack, workspace.data, config)
        _read_sources(workspace, config, ledger, tables, removed, sources)
        grounded = 0 if config.share is None else len(read_records(workspace.split("train"), Example))
        mixed = mix(sources, config, seed=workspace.config.seed, num_grounded=grounded)
        for row in mixed.left_out:
            ledger.leave_out(row)
        splits = mixed.splits
        if not splits["train"]:
            raise DataError(
                f"no row of {', '.join(sources)} is left to train on: {ledger.read} read, {_told(ledger.skips)}; change "
                "data.sources, data.filters or the shares of validation and test"
            )
        for split in SPLITS:
            write_records(workspace.read_conversations(split), splits[split])
    counts = {"rows read": ledger.read, **{str(split): len(splits[split]) for split in SPLITS}}
    not_drawn = sum(line["not_drawn"] for line in mixed.table)
    return StageResult(
        counts | ({"rows not drawn": not_drawn} if not_drawn else {}),
        dict(ledger.skips.most_common()),
        {"sources": mixed.table, "balance": tables, "left_out": ledger.places},
    )


def _open(stack: ExitStack, path: Path) -> TextIO:
    temporary = stack.enter_context(atomic_file(path))
    return stack.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))


def _sources_on_disk(stack: ExitStack, folder: Path, config: DataConfig) -> dict[str, Rows]:
    """An empty file for the rows of each source; they go when `stack` is left. Raises `ConfigError` for a source named twice."""
    from groundtune.dataset.rows import Rows

    names = [source_name(source) for source in config.sources]
    for name, count in Counter(names).items():
        if count > 1:
            raise ConfigError(
                f"data.sources: {name!r} is named {count} times; name it once, with count or weight for more of it"
            )
    scratch = Path(stack.enter_context(TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=folder)))
    return {name: stack.enter_context(Rows(scratch / f"{number}.jsonl")) for number, name in enumerate(names)}


def _read_sources(
    workspace: Workspace,
    config: DataConfig,
    ledger: Ledger,
    tables: list[dict[str, Any]],
    removed: TextIO | None,
    kept: Mapping[str, Rows],
) -> None:
    """Append what is kept to `kept`. All sources go through one filter, so that copies are found across them."""
    from groundtune.dataset.formats import read_source
    from groundtune.dataset.quality import apply_filters

    folder = workspace.config.folder
    registry = _registry(workspace)
    rows = (
        row
        for source in config.sources
        for row in read_source(source, folder=folder, registry=registry, strict=config.strict)
    )

    def keep(conversation: Conversation, reason: LeftOut) -> None:
        if removed is not None:
            removed.write(to_json({"reason": reason.reason, "found": reason.found, "row": conversation}) + "\n")

    filtered = apply_filters(
        ledger.kept(ledger.counted(rows)),
        config.filters,
        folder=folder,
        seed=workspace.config.seed,
        removed=keep,
        tables=tables,
    )
    for row in ledger.kept(_without(filtered, _questions_held_out(workspace))):
        kept[row.origin.source].append(row)


def source_name(source: SourceConfig) -> str:
    return source.name or source.path or source.hub or ""


def _registry(workspace: Workspace) -> Registry | None:
    from groundtune.dataset.formats import load_registry

    folder = workspace.config.data.registry
    return None if folder is None else load_registry(workspace.config.resolve(folder))


def _with_registry_counts(workspace: Workspace) -> DataConfig:
    """The section with the registry's ``num_samples`` where a source says neither count nor weight."""
    from groundtune.dataset.formats import source_with_count

    config = workspace.config.data
    registry = _registry(workspace)
    return config.model_copy(
        update={"sources": tuple(source_with_count(source, registry) for source in config.sources)}
    )


def _told(skips: Counter[str]) -> str:
    return ", ".join(f"{count} left out: {reason}" for reason, count in skips.most_common(3)) or "none left out"


def augment_inputs(workspace: Workspace) -> dict[str, Path]:
    files = {f"{split}.jsonl": workspace.read_conversations(split) for split in SPLITS}
    config = workspace.config.data.augment
    if config is not None and config.seed_tasks is not None:
        files["seed tasks"] = workspace.config.resolve(config.seed_tasks)
    return files


def augment_settings(workspace: Workspace) -> dict[str, Any]:
    """What decides the rows: not how the writer is reached, paid or paced."""
    config = workspace.config.data.augment
    similarity = workspace.config.data.filters.near_similarity
    told = {} if config is None else config.model_dump(mode="json", exclude=set(REACHING))
    return told | {"seed": workspace.config.seed, "near_similarity": similarity}


def augment(workspace: Workspace) -> StageResult:
    """The training rows with those that a language model made of them behind."""
    from groundtune.dataset.augment import augment as write_rows
    from groundtune.dataset.prepared import ConversationFile

    config = workspace.config.data.augment
    assert config is not None, "the stage is wanted only where it is set"
    train = list(ConversationFile(workspace.read_conversations("train")))
    held_out = chain(*(ConversationFile(workspace.read_conversations(split)) for split in ("valid", "test")))
    made = write_rows(
        train,
        config,
        ledger=workspace.augmentation_ledger,
        seed=workspace.config.seed,
        resolve=workspace.config.resolve,
        held_out=held_out,
        near_similarity=workspace.config.data.filters.near_similarity,
    )
    write_records(workspace.augmented, chain(train, made.conversations))
    write_records(workspace.augmented_stage / "left_out.jsonl", made.left_out)
    return StageResult({"rows": len(train) + len(made.conversations), **made.counts}, made.skips)


def prepare(workspace: Workspace) -> StageResult:
    """Conversations of every split to token ids and weights."""
    from groundtune.dataset.prepared import CHOSEN_ONLY, ConversationFile, prepared_key
    from groundtune.dataset.prepared import prepare as render_and_write

    config = workspace.config.data
    both = workspace.config.train.preference is not None
    tokenizer = load_workspace_tokenizer(workspace)
    totals = dict(read_json(workspace.data / "manifest.json")["counts"])
    if workspace.has_augmentation:
        totals["train"] = read_json(workspace.augmented_stage / "manifest.json")["counts"]["rows"]
    found: dict[Split, Prepared] = {}
    for split in SPLITS:
        path = workspace.conversations(split)
        found[split] = render_and_write(
            ConversationFile(path),
            tokenizer,
            config,
            folder=workspace.prepared(split),
            key=prepared_key(sha256_file(path), tokenizer, config),
            processes=config.processes,
            total=totals[split],
        )
    skips: Counter[str] = Counter()
    if both:
        skips[NO_PAIR] = _prepare_sides(workspace, tokenizer, totals)
    for prepared in found.values():
        skips.update(prepared.skips)
    if not len(found["train"]):
        raise DataError(f"none of {totals['train']} conversations became an example: {_told(skips)}")
    write_records(workspace.prepared_left_out, (row for prepared in found.values() for row in prepared.left_out()))
    counts = {
        f"{split} {name}": count
        for split, each in found.items()
        for name, count in each.counts.items()
        if count and not (both and name == CHOSEN_ONLY)
    }
    return StageResult(counts, {reason: count for reason, count in skips.most_common() if count})


def _prepare_sides(workspace: Workspace, tokenizer: PreTrainedTokenizerBase, totals: Mapping[str, int]) -> int:
    """Each side of the preference rows that are trained and validated on; how many other rows there are."""
    from groundtune.dataset.prepared import SIDES, ConversationFile, prepared_key, side_of
    from groundtune.dataset.prepared import prepare as render_and_write

    config = workspace.config.data
    others = 0
    for split in ("train", "valid"):
        path = workspace.conversations(split)
        others += sum(row.kind != "preference" for row in ConversationFile(path))
        for side in SIDES:
            render_and_write(
                side_of(ConversationFile(path), side),
                tokenizer,
                config,
                folder=workspace.prepared_side(split, side),
                key=prepared_key(f"{sha256_file(path)} {side}", tokenizer, config),
                processes=config.processes,
                total=totals[split],
            )
    return others


def data_splits(workspace: Workspace) -> dict[Split, tuple[Iterable[Conversation], Prepared]]:
    """Conversations, to be read again and again, and what was prepared of them. Raises `DataError` before `prepare` has run."""
    from groundtune.dataset.prepared import ConversationFile, open_prepared

    return {
        split: (ConversationFile(workspace.conversations(split)), open_prepared(workspace.prepared(split)))
        for split in SPLITS
    }
