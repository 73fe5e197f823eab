"""What a generation did, in tables: by rule, type, difficulty and language, and how much of the documentation pairs rest on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from groundtune.types import Chunk, Difficulty, Group, Pair, QuestionType, Rule, StageResult


def summarise(
    groups: Sequence[Group],
    chunks: Sequence[Chunk],
    pairs: Sequence[Pair],
    *,
    skips: Counter[str],
    tokens: tuple[int, int],
    requested: int,
    writer: str,
) -> StageResult:
    """The stage result. `tokens` are those in and out of all answers used, asked now or before."""
    answerable = sum(pair.answerable for pair in pairs)
    cited = {chunk_id for pair in pairs if pair.answerable for chunk_id in pair.evidence_chunk_ids}
    return StageResult(
        counts={
            "groups": len(groups),
            "pairs requested": requested,
            "pairs": len(pairs),
            "answerable": answerable,
            "unanswerable": len(pairs) - answerable,
        },
        skips=dict(sorted(skips.items())),
        details={
            "writer": writer,
            "input_tokens": tokens[0],
            "output_tokens": tokens[1],
            "by_rule": _by_rule(groups, pairs),
            "by_type": _tally((pair.type.value for pair in pairs), [kind.value for kind in QuestionType]),
            "by_difficulty": _tally((pair.difficulty.value for pair in pairs), [level.value for level in Difficulty]),
            "by_language": _tally((pair.language for pair in pairs), sorted({group.language for group in groups})),
            "coverage": {
                "chunks": len(chunks),
                "cited": len(cited),
                "share": round(len(cited) / len(chunks), 4) if chunks else 0.0,
            },
        },
    )


def _by_rule(groups: Sequence[Group], pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    in_groups = Counter(group.rule for group in groups)
    in_pairs = Counter(pair.rule for pair in pairs if pair.answerable)
    return [
        {
            "rule": rule.value,
            "groups": in_groups[rule],
            "pairs": in_pairs[rule],
            "average": round(in_pairs[rule] / in_groups[rule], 2),
        }
        for rule in Rule
        if in_groups[rule]
    ]


def _tally(values: Iterable[str], names: Sequence[str]) -> dict[str, int]:
    counted = Counter(values)
    return {name: counted[name] for name in names}
