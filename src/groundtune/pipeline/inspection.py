"""What `groundtune dataset` shows of examples: a look at them, their figures, and the proof that they are right.

Everything here first brings the stages up to date that it looks at. Grounded pairs and instruction data are two parts, under
the names ``documents`` and ``data``; a configuration has one or both. Of preference pairs, previews and figures are those of the
whole conversations with the better answer; the audit looks at both answers besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from groundtune.files import read_json, read_records
from groundtune.pipeline.instruction import data_splits
from groundtune.pipeline.stages import GOALS, run_up_to
from groundtune.pipeline.tokenizers import load_workspace_tokenizer
from groundtune.pipeline.workspace import Workspace
from groundtune.types import SPLITS, Conversation, Example, LeftOut, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.dataset.audit import AuditReport
    from groundtune.dataset.prepared import Prepared
    from groundtune.dataset.stats import DataStats

GROUNDED, INSTRUCTION = "documents", "data"


def preview_examples(workspace: Workspace, split: Split, count: int) -> list[dict[str, Any]]:
    """The first examples of a split, grounded ones before instruction data, `count` of each, token by token."""
    from groundtune.dataset.preview import preview_tokens

    run_up_to(workspace, GOALS["examples"](workspace))
    tokenizer = load_workspace_tokenizer(workspace)
    previews = []
    if workspace.has_documents:
        for example in read_records(workspace.split(split), Example)[:count]:
            previews += preview_tokens(example, tokenizer)
    if workspace.has_data:
        conversations, prepared = data_splits(workspace)[split]
        kept = set(prepared.owners[:count].tolist())
        shown = [row for number, row in enumerate(islice(conversations, max(kept, default=-1) + 1)) if number in kept]
        for row in shown:
            previews += preview_tokens(row, tokenizer, workspace.config.data)
    return [each.as_json(ids=True) for each in previews]


def audit_data(workspace: Workspace) -> dict[str, AuditReport]:
    """The audit of each part."""
    from groundtune.dataset.audit import audit_examples, audit_prepared

    run_up_to(workspace, GOALS["examples"](workspace))
    tokenizer = load_workspace_tokenizer(workspace)
    config = workspace.config
    reports: dict[str, AuditReport] = {}
    if workspace.has_documents:
        manifest = read_json(workspace.dataset / "manifest.json")
        reports[GROUNDED] = audit_examples(
            _grounded(workspace),
            tokenizer,
            max_tokens=config.dataset.max_tokens,
            pairs_read=manifest["counts"]["pairs read"],
            left_out=manifest["details"]["left_out"],
            processes=config.data.processes,
        )
    if workspace.has_data:
        counts = read_json(workspace.data / "manifest.json")["counts"]
        reports[INSTRUCTION] = audit_prepared(
            data_splits(workspace),
            tokenizer,
            config.data,
            rows_read=counts["rows read"] + _new_tasks(workspace),
            left_out=read_records(workspace.data / "left_out.jsonl", LeftOut),
            counted={"not drawn by max_rows, count, weight or share": counts.get("rows not drawn", 0)},
            processes=config.data.processes,
        )
    if config.train.preference is not None:
        reports |= _audit_sides(workspace, tokenizer)
    return reports


def _new_tasks(workspace: Workspace) -> int:
    """Rows that augmentation made of none: other wordings and brief answers are copies of the rows they were made from."""
    if not workspace.has_augmentation:
        return 0
    from groundtune.dataset.augment.self_instruct import SOURCE

    count: int = read_json(workspace.augmented_stage / "manifest.json")["counts"].get(f"{SOURCE} rows", 0)
    return count


def _audit_sides(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> dict[str, AuditReport]:
    """The audits of the two answers of preference pairs, as they are trained and validated on."""
    from groundtune.dataset.audit import audit_prepared
    from groundtune.dataset.prepared import SIDES, ConversationFile, open_prepared, side_of

    splits: tuple[Split, ...] = ("train", "valid")
    config = workspace.config.data
    reports = {}
    for side in SIDES:
        found: dict[Split, tuple[Iterable[Conversation], Prepared]] = {
            split: (
                side_of(ConversationFile(workspace.conversations(split)), side),
                open_prepared(workspace.prepared_side(split, side)),
            )
            for split in splits
        }
        rows = sum(prepared.conversations for _, prepared in found.values())
        reports[f"{side} answers"] = audit_prepared(
            found, tokenizer, config, rows_read=rows, processes=config.processes
        )
    return reports


def data_stats(workspace: Workspace) -> dict[str, DataStats]:
    """The figures of each part."""
    from groundtune.dataset.stats import example_stats, prepared_stats

    run_up_to(workspace, GOALS["examples"](workspace))
    languages = workspace.config.documents.languages
    found: dict[str, DataStats] = {}
    if workspace.has_documents:
        tokenizer = load_workspace_tokenizer(workspace)
        found[GROUNDED] = example_stats(_grounded(workspace), tokenizer, languages=languages)
    if workspace.has_data:
        found[INSTRUCTION] = prepared_stats(data_splits(workspace), languages=languages)
    return found


def _grounded(workspace: Workspace) -> dict[Split, list[Example]]:
    return {split: read_records(workspace.split(split), Example) for split in SPLITS}
