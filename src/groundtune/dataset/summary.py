"""What a dataset consists of, as tables for the report. What this module does not do: change examples, or print."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from groundtune.types import SPLITS, Example, Split


def summarise(
    examples: Mapping[Split, Sequence[Example]], num_tokens: Mapping[str, int], *, asked: Mapping[Split, float]
) -> dict[str, Any]:
    """Tables by split, JSON-able.

    ``num_tokens`` is the rendered length by example id, ``asked`` the shares of the configuration. Under ``"splits"``,
    each split has ``examples``, ``share`` (of all examples) beside ``share_asked``, ``answerable``, ``unanswerable``,
    counts by ``language``, ``type``, ``difficulty`` and ``rule``, ``tokens`` (min, median, max; None without examples),
    ``evidence_chunks`` (distinct), and ``evidence_shown_in_training``: how many of these evidence chunks stand in some
    training context as a passage nobody asks about.
    """
    total = sum(len(items) for items in examples.values())
    shown = {chunk_id for example in examples["train"] for chunk_id in example.context_chunk_ids}
    return {
        "splits": {
            split: _of_split(examples[split], num_tokens, shown)
            | {"share": round(len(examples[split]) / max(total, 1), 4), "share_asked": round(asked[split], 4)}
            for split in SPLITS
        }
    }


def _of_split(examples: Sequence[Example], num_tokens: Mapping[str, int], shown: set[str]) -> dict[str, Any]:
    evidence = {chunk_id for example in examples for chunk_id in example.evidence_chunk_ids}
    return {
        "examples": len(examples),
        "answerable": sum(example.answerable for example in examples),
        "unanswerable": sum(not example.answerable for example in examples),
        "language": _counted(example.language for example in examples),
        "type": _counted(example.type.value for example in examples),
        "difficulty": _counted(example.difficulty.value for example in examples),
        "rule": _counted(example.rule.value for example in examples),
        "tokens": _lengths([num_tokens[example.example_id] for example in examples]),
        "evidence_chunks": len(evidence),
        "evidence_shown_in_training": len(evidence & shown),
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    """Most frequent first, then by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _lengths(lengths: Sequence[int]) -> dict[str, float] | None:
    if not lengths:
        return None
    return {"min": min(lengths), "median": statistics.median(lengths), "max": max(lengths)}
