"""What `groundtune dataset` shows of examples: a look at them, their figures, and the proof that they are right.

Everything here first brings the stages up to date that it looks at. Grounded pairs and instruction data are two parts, under
the names ``documents`` and ``data``; a configuration has one or both.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from groundtune.files import read_json, read_records
from groundtune.pipeline.instruction import data_splits
from groundtune.pipeline.stages import GOALS, run_up_to
from groundtune.pipeline.tokenizers import load_workspace_tokenizer
from groundtune.pipeline.workspace import Workspace
from groundtune.types import SPLITS, Example, LeftOut, Split

if TYPE_CHECKING:
    from groundtune.dataset.audit import AuditReport
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
            rows_read=counts["rows read"],
            left_out=read_records(workspace.data / "left_out.jsonl", LeftOut),
            counted={"not drawn by max_rows, count, weight or share": counts.get("rows not drawn", 0)},
            processes=config.data.processes,
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
