"""The audit of prepared instruction data: every conversation beside its examples, a block at a time, on all cores.

Validation and test are looked at first; then every training process knows what must not stand there. What this module
does not do: prepare or print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundtune.config import DataConfig
from groundtune.dataset.audit.oracle import Asked, Oracle
from groundtune.dataset.audit.report import AuditReport, Failure, Ledger, Tally, check_ledger, reasons
from groundtune.dataset.audit.turns import CONVERSATION_CHECKS, TRAINED, Auditor, Held
from groundtune.dataset.prepared import (
    Block,
    Prepared,
    Shard,
    Taken,
    count_processes,
    place_of,
    read_shard,
    rows_of,
    shard_path,
    tell,
    work_in_blocks,
)
from groundtune.dataset.quality.texts import prompt_key
from groundtune.progress import ProgressBar
from groundtune.types import Conversation, LeftOut, Origin, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEAKAGE = "no prompt stands in two splits"
MATCHED = "every example belongs to a conversation that is there"

HELD_OUT_FIRST: tuple[Split, ...] = ("test", "valid", "train")

Digests = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Task:
    split: Split
    block: Block
    taken: Taken


@dataclass(slots=True)
class _Found:
    """Of one block."""

    task: tuple[Split, int]
    conversations: int
    tally: Tally
    prompts: dict[bytes, str] = field(default_factory=dict)
    """Of a held-out split: where each prompt stands."""
    kept: Digests = field(default_factory=lambda: np.zeros(0, np.uint64))
    """The rows that became examples, by a hash of their origin; copies once each."""


def audit_prepared(
    splits: Mapping[Split, tuple[Iterable[Conversation], Prepared]],
    tokenizer: PreTrainedTokenizerBase,
    config: DataConfig,
    *,
    rows_read: int,
    left_out: Iterable[LeftOut] = (),
    counted: Mapping[str, int] | None = None,
    processes: int = 0,
) -> AuditReport:
    """Every check of :mod:`groundtune.dataset.audit.turns` for every row, no leakage, and the ledger.

    `splits` has the conversations in the order they were prepared in. `rows_read` rows were read from all sources;
    `left_out` are those that preparation never saw (it knows its own), `counted` those known by their number only.

    Raises:
        DataError: a prepared file is damaged.
    """
    seen: dict[bytes, str] = {}
    tally = Tally()
    kept: list[Digests] = []
    oracle = Oracle(tokenizer)
    total = sum(prepared.conversations for _, prepared in splits.values())
    with ProgressBar("auditing", total=total, unit="rows") as bar:
        for split in HELD_OUT_FIRST:
            if split not in splits:
                continue
            conversations, prepared = splits[split]
            if prepared.conversations and not prepared.kept:
                what = f"{split}: none of {prepared.conversations:,} conversations was kept"
                tally.fail(TRAINED, Failure("", "", what))
            look = _looker(oracle, config, prepared, seen)
            tasks = _tasks(split, conversations, prepared, tally)
            found = []
            for one in work_in_blocks(look, tasks, count_processes(processes)):
                found.append(one)
                bar.advance(one.conversations)
            for one in sorted(found, key=lambda each: each.task[1]):
                tally.add(one.tally)
                kept.append(one.kept)
                # of a prompt in valid and test the first place is enough
                seen = {**one.prompts, **seen} if one.prompts else seen
    ledger = _ledger(rows_read, kept, _all_left_out(splits, left_out), counted or {})
    checks = (*tally.checks((*CONVERSATION_CHECKS, MATCHED, LEAKAGE)), check_ledger(ledger))
    return AuditReport(checks, ledger)


def _all_left_out(
    splits: Mapping[Split, tuple[Iterable[Conversation], Prepared]], before: Iterable[LeftOut]
) -> Iterator[LeftOut]:
    yield from before
    for _, prepared in splits.values():
        yield from prepared.left_out()


def _tasks(split: Split, conversations: Iterable[Conversation], prepared: Prepared, tally: Tally) -> Iterator[_Task]:
    """The conversations cut where they were cut when they were prepared."""
    rest = rows_of(conversations)
    for block in prepared.blocks:
        taken = rest.take(block.conversations)
        if taken.rows < block.conversations:
            what = f"{split}: {block.conversations - taken.rows} conversations fewer than were prepared"
            tally.fail(MATCHED, Failure("", "", what))
        if taken.rows:
            yield _Task(split, block, taken)
    more = 0
    while rows := rest.take(1024).rows:
        more += rows
    if more:
        tally.fail(MATCHED, Failure("", "", f"{split}: {more} conversations that were never prepared"))


def _looker(
    oracle: Oracle, config: DataConfig, prepared: Prepared, seen: Mapping[bytes, str]
) -> Callable[[_Task], _Found]:
    """What looks at one block; made anew for each split, so that copies of this process know what was `seen` before."""

    def look(task: _Task) -> _Found:
        tally = Tally()
        conversations = task.taken.read()
        found = _Found((task.split, task.block.number), len(conversations), tally)
        auditor = Auditor(oracle, config, tally)
        kept: list[int] = []
        shard = read_shard(shard_path(prepared.folder, task.block.number))
        for conversation, rows, shortened in _beside(task, conversations, shard, tally):
            told = tell(conversation, config)
            asked = Asked(told.messages, told.tools, told.thinking)
            place = place_of(conversation)
            auditor.look_at(Held(conversation.conversation_id, place, asked, conversation.text, rows, shortened))
            tally.ask(LEAKAGE)
            key = prompt_key(conversation)
            if key in seen:
                what = f"{task.split}: the prompt also stands in {seen[key]}"
                tally.fail(LEAKAGE, Failure(conversation.conversation_id, place, what))
            if task.split != "train":
                found.prompts.setdefault(key, f"{task.split}, {place} ({conversation.conversation_id})")
            kept.append(row_digest(conversation.origin))
        found.kept = np.array(kept, np.uint64)
        return found

    return look


def _beside(
    task: _Task, conversations: Sequence[Conversation], shard: Shard, tally: Tally
) -> Iterator[tuple[Conversation, list[tuple[NDArray[np.int32], NDArray[np.float32]]], bool]]:
    """Each conversation that has examples, with them, and whether it was shortened."""
    numbered = zip(shard.conversations.tolist(), shard.shortened.tolist(), shard, strict=True)
    for (number, shortened), group in groupby(numbered, key=lambda each: each[:2]):
        rows = [row for _, _, row in group]
        tally.ask(MATCHED, len(rows))
        place = number - task.block.first
        conversation = conversations[place] if 0 <= place < len(conversations) else None
        if conversation is None or conversation.conversation_id != rows[0].conversation_id:
            what = f"{task.split}: no such conversation at place {number + 1}"
            tally.fail(MATCHED, Failure(rows[0].conversation_id, "", what))
            continue
        yield conversation, [(row.token_ids, row.weights) for row in rows], shortened


def _ledger(rows_read: int, kept: list[Digests], left_out: Iterable[LeftOut], counted: Mapping[str, int]) -> Ledger:
    """Rows, not copies of them: each is counted once, as kept where any copy of it is."""
    everything = np.concatenate([np.zeros(0, np.uint64), *kept])
    rows = np.unique(everything)
    known = set(rows.tolist())
    counts = dict(counted)
    places: dict[str, list[str]] = {}
    for each in left_out:
        digest = row_digest(each.origin)
        if digest in known:
            continue
        known.add(digest)
        counts[each.reason] = counts.get(each.reason, 0) + 1
        told = places.setdefault(each.reason, [])
        if len(told) < 5:
            told.append(_told(each))
    return Ledger(rows_read, len(rows), reasons(counts, places), len(everything) - len(rows))


def _told(row: LeftOut) -> str:
    found = f": {row.found}" if row.found else ""
    return f"{row.origin.file}:{row.origin.row} {row.field}".rstrip() + found


def row_digest(origin: Origin) -> int:
    """64 bits of where a row stands; among a million rows two agree by chance once in 40 million audits."""
    text = f"{origin.source}\x1f{origin.file}\x1f{origin.row}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
