"""The audit of grounded examples: rendered as training renders them, then asked the same questions, and their evidence.

What this module does not do: check quotes against chunks (:mod:`groundtune.dataset.examples` does before it writes them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from groundtune.chat import render_many
from groundtune.config import DataConfig
from groundtune.dataset.audit.instruction import HELD_OUT_FIRST, LEAKAGE
from groundtune.dataset.audit.oracle import Asked, Oracle
from groundtune.dataset.audit.report import AuditReport, Failure, Ledger, Tally, check_ledger, reasons
from groundtune.dataset.audit.turns import CONVERSATION_CHECKS, TEXT, Auditor, Held
from groundtune.dataset.prepared import count_processes, work_in_blocks
from groundtune.language import lower_case
from groundtune.progress import ProgressBar
from groundtune.types import Example, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EVIDENCE = "no evidence chunk stands in two splits"
RENDERED = "the chat template renders it"

BLOCK_EXAMPLES = 1024


@dataclass(frozen=True, slots=True)
class _Task:
    split: Split
    first: int
    """Number of the first example, from 0."""
    examples: Sequence[Example]


@dataclass(slots=True)
class _Found:
    first: int
    examples: int
    tally: Tally
    questions: dict[str, str] = field(default_factory=dict)
    chunks: dict[str, str] = field(default_factory=dict)


def audit_examples(
    splits: Mapping[Split, Sequence[Example]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    pairs_read: int | None = None,
    left_out: Mapping[str, Sequence[str]] | None = None,
    folder: str = "dataset",
    processes: int = 0,
) -> AuditReport:
    """Every check of :mod:`groundtune.dataset.audit.turns`; no question and no evidence chunk in two splits; the ledger.

    `left_out` are ids of pairs by the reason that none became an example, of `pairs_read` in all. Places are lines of
    ``{folder}/{split}.jsonl``.
    """
    config = DataConfig(max_tokens=max_tokens)
    oracle = Oracle(tokenizer)
    tally = Tally()
    questions: dict[str, str] = {}
    chunks: dict[str, str] = {}
    with ProgressBar("auditing", total=sum(map(len, splits.values())), unit="examples") as bar:
        for split in HELD_OUT_FIRST:
            look = _looker(oracle, config, folder, questions, chunks)
            found = []
            for one in work_in_blocks(look, _tasks(split, splits.get(split, ())), count_processes(processes)):
                found.append(one)
                bar.advance(one.examples)
            for one in sorted(found, key=lambda each: each.first):
                tally.add(one.tally)
                questions = {**one.questions, **questions}
                chunks = {**one.chunks, **chunks}
    num_kept = sum(map(len, splits.values()))
    reasons_why = {reason: list(pair_ids) for reason, pair_ids in (left_out or {}).items()}
    counts = {reason: len(pair_ids) for reason, pair_ids in reasons_why.items()}
    read = num_kept + sum(counts.values()) if pairs_read is None else pairs_read
    ledger = Ledger(read, num_kept, reasons(counts, reasons_why))
    names = [RENDERED, *(name for name in CONVERSATION_CHECKS if name != TEXT), LEAKAGE, EVIDENCE]
    return AuditReport((*tally.checks(names), check_ledger(ledger)), ledger)


def _tasks(split: Split, examples: Sequence[Example]) -> Iterator[_Task]:
    for first in range(0, len(examples), BLOCK_EXAMPLES):
        yield _Task(split, first, examples[first : first + BLOCK_EXAMPLES])


def _looker(
    oracle: Oracle, config: DataConfig, folder: str, questions: Mapping[str, str], chunks: Mapping[str, str]
) -> Callable[[_Task], _Found]:
    """What looks at one block, knowing the questions and evidence of the splits before."""

    def look(task: _Task) -> _Found:
        tally = Tally()
        found = _Found(task.first, len(task.examples), tally)
        auditor = Auditor(oracle, config, tally)
        # the very call that training makes
        many = render_many(oracle.tokenizer, [each.messages for each in task.examples], refusals="collect")
        places: dict[int, list[int]] = {}
        for row, owner in enumerate(many.owners.tolist()):
            places.setdefault(owner, []).append(row)
        for index, example in enumerate(task.examples):
            place = f"{folder}/{task.split}.jsonl:{task.first + index + 1}"
            tally.ask(RENDERED)
            if index in many.refused:
                tally.fail(RENDERED, Failure(example.example_id, place, many.refused[index]))
            rows = [
                (
                    many.token_ids[many.offsets[row] : many.offsets[row + 1]],
                    many.weights[many.offsets[row] : many.offsets[row + 1]],
                )
                for row in places.get(index, ())
            ]
            if rows:
                auditor.look_at(Held(example.example_id, place, Asked(example.messages), "", rows))
            _look_for_leaks(example, task.split, place, questions, chunks, found)
        return found

    return look


def _look_for_leaks(
    example: Example,
    split: Split,
    place: str,
    questions: Mapping[str, str],
    chunks: Mapping[str, str],
    found: _Found,
) -> None:
    found.tally.ask(LEAKAGE)
    found.tally.ask(EVIDENCE)
    # of a later turn with the questions before it: "Who approves that?" is asked in many conversations
    asked = [*(message.content for message in example.messages[1:-2] if message.role == "user"), example.question]
    question = " ".join(lower_case(" ".join(asked), example.language).split()).rstrip(" ?.!…:")
    where = f"{place} ({example.example_id})"
    if question in questions:
        what = f"the question also stands in {questions[question]}"
        found.tally.fail(LEAKAGE, Failure(example.example_id, place, what))
    for chunk_id in example.evidence_chunk_ids:
        if chunk_id in chunks:
            what = f"evidence {chunk_id} also supports {chunks[chunk_id]}"
            found.tally.fail(EVIDENCE, Failure(example.example_id, place, what))
    if split != "train":
        found.questions.setdefault(question, where)
        for chunk_id in example.evidence_chunk_ids:
            found.chunks.setdefault(chunk_id, where)
