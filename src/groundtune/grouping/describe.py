"""The groups in numbers: by rule, how many groups, how many tokens, and how much of the documentation they cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groundtune.grouping.build import GroupList
from groundtune.types import Chunk, Group, Rule, StageResult


def describe_groups(groups: Sequence[Group], chunks: Sequence[Chunk]) -> StageResult:
    """Counts, the table by rule (``details["rules"]``), and the skips of `build_groups` where `groups` still has them.

    A row is ``{"rule", "groups", "tokens", "chunks", "coverage_percent"}``: distinct chunks covered, and their share of
    all chunks in percent.
    """
    rows = [_row(rule, [group for group in groups if group.rule is rule], len(chunks)) for rule in Rule]
    structural = [group for group in groups if group.rule is not Rule.INDIVIDUAL]
    return StageResult(
        counts={
            "groups": len(groups),
            "tokens": sum(group.token_count for group in groups),
            "chunks covered": len(_covered(groups)),
            "chunks covered by a group of several": len(_covered(structural)),
        },
        skips=groups.skips if isinstance(groups, GroupList) else {},
        details={"rules": rows},
    )


def _row(rule: Rule, groups: Sequence[Group], total: int) -> dict[str, str | int | float]:
    covered = len(_covered(groups))
    return {
        "rule": rule.value,
        "groups": len(groups),
        "tokens": sum(group.token_count for group in groups),
        "chunks": covered,
        "coverage_percent": round(100 * covered / total, 1) if total else 0.0,
    }


def _covered(groups: Iterable[Group]) -> set[str]:
    return {chunk_id for group in groups for chunk_id in group.chunk_ids}
