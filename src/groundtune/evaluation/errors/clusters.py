"""Failures of one kind put together by what they are about, so that a reader sees "12 of 40: table values of module Stok".

First by task and module; what stays single is joined by section, then by shared stems of the questions, then by module or task
alone. No chance is in it: the same failures give the same clusters. What this module does not do: claim that a cluster fails
more than others; it says how many questions of its sort were asked, with the interval of the share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from groundtune.evaluation.figures.intervals import Figure, clustered_share
from groundtune.evaluation.figures.records import AnswerRecord
from groundtune.types import Chunk, Language

LEAST = 2
"""Failures that make a cluster."""

ALIKE = 0.4
"""Share of stems that two questions have in common, of those in either, from which they are near (Jaccard index)."""

MOST_TOLD = 5
"""Sections, rules and stems told of a cluster."""

_TASKS = {
    "procedural": "steps",
    "list": "lists",
    "comparative": "comparisons",
    "inferential": "inferences",
    "factual": "facts",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """What a question is about."""

    question_id: str
    task: str
    module: str
    section: str
    type: str
    rule: str
    language: Language
    stems: frozenset[str]
    evidence: str
    """What it shares with other questions, which fail with it (`AnswerRecord.cluster`)."""


def failed_share(failed: Sequence[Slot], asked: Sequence[Slot]) -> Figure:
    """The share of `asked` that is in `failed`, questions over the same evidence not being taken for independent."""
    ids = {slot.question_id for slot in failed}
    return clustered_share([slot.question_id in ids for slot in asked], [slot.evidence for slot in asked])


@dataclass(frozen=True, slots=True)
class Cluster:
    """Failures that belong together."""

    name: str
    """``table values of module Stok``."""
    failed: Figure | None
    """Share of the questions asked of this sort; n is their number, without those that an earlier cluster counts ("other").
    None where questions alike were put together, which are no sort that others could be counted to."""
    question_ids: tuple[str, ...]
    sections: tuple[str, ...]
    """Most frequent first, at most five."""
    rules: tuple[str, ...]
    stems: tuple[str, ...]
    """Shared by at least half of the questions, at most five."""


def task_of(record: AnswerRecord, evidence: Chunk | None) -> str:
    """What a question asks for, in the words of a cluster's name.

    A fact or list out of a chunk with a table is a table value; else the type of the question decides.
    """
    if not record.answerable:
        return "unanswerable questions"
    if evidence is not None and evidence.has_table and record.type in ("factual", "list"):
        return "table values"
    return _TASKS.get(record.type, record.type or "questions")


def find_clusters(failed: Sequence[Slot], asked: Sequence[Slot]) -> tuple[Cluster, ...]:
    """Disjoint clusters of `failed`, largest first, then by name; what is near to nothing is in none.

    Args:
        asked: every question that was asked, for the share that failed.
    """
    left, pool = list(failed), list(asked)
    clusters: list[Cluster] = []

    def by_sort(by: Callable[[Slot], Hashable | None], name: Callable[[Slot], str]) -> None:
        """`pool` keeps the questions of no sort yet, so that each is counted for one cluster at most."""
        groups = _groups(left, by)
        for key, group in groups.items():
            of_sort = [slot for slot in pool if by(slot) == key]
            other = "other " if len(of_sort) < sum(by(slot) == key for slot in asked) else ""
            clusters.append(_cluster(f"{other}{name(group[0])}", group, failed_share(group, of_sort)))
        left[:] = [slot for slot in left if by(slot) not in groups]
        pool[:] = [slot for slot in pool if by(slot) not in groups]

    by_sort(_by_task_and_module, lambda slot: f"{slot.task} of module {slot.module}")
    by_sort(lambda slot: slot.section or None, lambda slot: f"questions of section {slot.section}")
    near = _near_each_other(left)
    clusters += [_cluster(_alike_name(group), group, None) for group in near]
    alike = {slot.question_id for group in near for slot in group}
    left[:] = [slot for slot in left if slot.question_id not in alike]
    pool[:] = [slot for slot in pool if slot.question_id not in alike]
    by_sort(lambda slot: slot.module or None, lambda slot: f"questions of module {slot.module}")
    by_sort(lambda slot: slot.task, lambda slot: slot.task)
    return tuple(sorted(clusters, key=lambda cluster: (-len(cluster.question_ids), cluster.name)))


def _by_task_and_module(slot: Slot) -> tuple[str, str] | None:
    return (slot.task, slot.module) if slot.module else None


def _groups(slots: Sequence[Slot], by: Callable[[Slot], Hashable | None]) -> dict[Hashable, list[Slot]]:
    """Those of at least `LEAST`, in order of first appearance."""
    groups: dict[Hashable, list[Slot]] = {}
    for slot in slots:
        if (key := by(slot)) is not None:
            groups.setdefault(key, []).append(slot)
    return {key: group for key, group in groups.items() if len(group) >= LEAST}


def _near_each_other(slots: Sequence[Slot]) -> list[list[Slot]]:
    """Questions joined by a chain of near ones, in order of the first."""
    groups: list[list[Slot]] = []
    for slot in slots:
        near = [group for group in groups if any(_are_near(slot, other) for other in group)]
        joined = [*(other for group in near for other in group), slot]
        groups = [group for group in groups if group not in near] + [joined]
    return [group for group in groups if len(group) >= LEAST]


def _are_near(one: Slot, other: Slot) -> bool:
    if one.language != other.language:
        return False
    either = one.stems | other.stems
    return bool(either) and len(one.stems & other.stems) / len(either) >= ALIKE


def _alike_name(group: Sequence[Slot]) -> str:
    return f"questions alike: {', '.join(_shared_stems(group)) or group[0].question_id}"


def _cluster(name: str, group: Sequence[Slot], failed: Figure | None) -> Cluster:
    return Cluster(
        name,
        failed,
        tuple(slot.question_id for slot in group),
        _most_frequent(slot.section for slot in group),
        _most_frequent(slot.rule for slot in group),
        _shared_stems(group),
    )


def _most_frequent(values: Iterable[str]) -> tuple[str, ...]:
    counted = Counter(value for value in values if value)
    return tuple(sorted(counted, key=lambda value: (-counted[value], value))[:MOST_TOLD])


def _shared_stems(group: Sequence[Slot]) -> tuple[str, ...]:
    counted = Counter(stem for slot in group for stem in slot.stems)
    shared = [stem for stem, count in counted.items() if 2 * count >= len(group) and count >= LEAST]
    return tuple(sorted(shared, key=lambda stem: (-counted[stem], stem))[:MOST_TOLD])
