"""What to ask again: the groups whose chunks hold something no pair rests on, with the words of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.generation.coverage.map import ChunkCoverage, Coverage
from groundtune.generation.coverage.units import KINDS, Unit
from groundtune.types import Chunk, Group, Rule

MOST_QUOTES = 12
"""In one request; what is left over is uncovered still, and asked for by the next top-up."""
MOST_CHARACTERS = 400
"""Of a quote: a long code block is shown by its beginning."""

NO_GROUP = "chunk with something uncovered is in no group"
TOO_LITTLE = "chunk with less uncovered than a top-up is worth"
OVER_LIMIT = "group beyond the limit of a top-up"
QUOTES_LEFT = "uncovered passage left for the next top-up"


@dataclass(frozen=True, slots=True)
class TopUp:
    """One group to be asked again."""

    group_id: str
    focus: tuple[int, ...]
    """Numbers of the passages to look at, as in the group's prompt: from 1, in the order of ``group.chunk_ids``."""
    quotes: tuple[str, ...]
    """What no pair rests on yet, verbatim, in the order of the passages."""


def uncovered_focus(
    coverage: Coverage,
    groups: Sequence[Group],
    chunks: Sequence[Chunk],
    *,
    min_uncovered: int = 1,
    min_share: float = 0.0,
    limit: int | None = None,
    skips: Counter[str] | None = None,
) -> list[TopUp]:
    """Groups to ask again, in their order; of each chunk its individual group, or where it has none the smallest it is in.

    Args:
        min_uncovered: units (sentences, rows, code blocks) of a chunk that make it worth asking.
        min_share: of its units that are uncovered, likewise.
        limit: groups at most; those with most uncovered go first.
        skips: what is left out is counted here, by reason.
    """
    counted: Counter[str] = Counter() if skips is None else skips
    texts = {chunk.chunk_id: chunk.text for chunk in chunks}
    homes = _homes(groups)
    wanted: dict[str, dict[str, tuple[Unit, ...]]] = {}
    for each in coverage.chunks:
        if not each.uncovered or each.chunk_id not in texts:
            continue
        if not _worth_asking(each, min_uncovered, min_share):
            counted[TOO_LITTLE] += 1
        elif each.chunk_id not in homes:
            counted[NO_GROUP] += 1
        else:
            wanted.setdefault(homes[each.chunk_id].group_id, {})[each.chunk_id] = each.uncovered
    most_first = sorted(wanted, key=lambda group_id: -sum(map(len, wanted[group_id].values())))
    chosen = set(most_first[:limit])
    counted[OVER_LIMIT] += len(wanted) - len(chosen)
    found = [_top_up(group, wanted[group.group_id], texts, counted) for group in groups if group.group_id in chosen]
    for reason in [reason for reason, count in counted.items() if not count]:
        del counted[reason]
    return found


def _worth_asking(chunk: ChunkCoverage, min_uncovered: int, min_share: float) -> bool:
    return len(chunk.uncovered) >= min_uncovered and len(chunk.uncovered) >= min_share * len(chunk.units)


def _homes(groups: Sequence[Group]) -> dict[str, Group]:
    """The group each chunk is asked about alone, or among the fewest tokens."""
    homes: dict[str, Group] = {}
    for group in sorted(groups, key=lambda each: (each.rule is not Rule.INDIVIDUAL, each.token_count)):
        for chunk_id in group.chunk_ids:
            homes.setdefault(chunk_id, group)
    return homes


def _top_up(
    group: Group, uncovered: Mapping[str, tuple[Unit, ...]], texts: Mapping[str, str], counted: Counter[str]
) -> TopUp:
    """Rows and sentences go before code, which is asked about least; then by the order of the text."""
    passages = [
        (number, unit, texts[chunk_id][unit.start : unit.end])
        for number, chunk_id in enumerate(group.chunk_ids, start=1)
        for unit in uncovered.get(chunk_id, ())
    ]
    ranked = sorted(range(len(passages)), key=lambda place: KINDS.index(passages[place][1].kind) == 2)
    kept = [passages[place] for place in sorted(ranked[:MOST_QUOTES])]
    counted[QUOTES_LEFT] += len(passages) - len(kept)
    return TopUp(
        group.group_id,
        tuple(dict.fromkeys(number for number, _, _ in kept)),
        tuple(text[:MOST_CHARACTERS] for _, _, text in kept),
    )
