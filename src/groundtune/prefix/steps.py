"""Which examples make up each optimizer step of an epoch.

Plain data is shuffled example by example. Examples that share so much that dealing them to different steps would cost
noticeably are *kept together* in one step, unless they are more than a step holds. Nothing here depends on how rows are
packed, or on how many processes train.

Legend: n examples of a node, N of the tree, E `examples_per_step`, S steps of an epoch.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundtune.errors import TrainingError
from groundtune.prefix.examples import Ints
from groundtune.prefix.tree import PrefixTree

NOTICEABLE = 0.05
"""Share of a node's tokens that dealing its examples at random has to cost before they are kept together."""

UNEVEN = 0.25
"""How far from equal the parts of a run may be, as a share of a part, to be cut where less is repeated."""

MORE_STEPS = 8
"""One step more for so many is worth having if it saves cutting what is kept together."""


def plan_steps(tree: PrefixTree, *, examples_per_step: int, seed: int, epoch: int) -> list[Ints]:
    """Example indices of each optimizer step: every example exactly once, at most `examples_per_step` a step.

    As few steps as hold all examples, or up to an eighth more where contexts would have to be cut to fill steps to the
    brim; as many in every epoch. Depends on the tree and the arguments only. Raises `TrainingError` for less than one
    example a step.
    """
    if examples_per_step < 1:
        raise TrainingError(f"examples_per_step is {examples_per_step}; expected 1 or more")
    count = len(tree.order)
    if not count:
        return []
    fewest = -(-count // examples_per_step)
    chance = _Chance(seed, epoch)
    pieces = _cut(tree, _kept_together(tree, fewest, examples_per_step), examples_per_step)
    steps = _enough_steps([end - start for start, end in pieces], fewest, examples_per_step)
    step_of = np.full(count, -1, np.int64)  # by place in the order
    filled = _deal(tree, pieces, step_of, steps, examples_per_step, chance)
    single = np.flatnonzero(step_of < 0)
    step_of[chance.shuffled(single)] = _free_places(filled, examples_per_step, len(single))
    step_of = chance.shuffled(np.arange(steps))[step_of]
    by_step = np.argsort(step_of, kind="stable")
    return np.split(tree.order[by_step], np.cumsum(np.bincount(step_of, minlength=steps))[:-1])


class _Chance:
    """Random numbers that are the same everywhere: numpy promises its bit streams, not what it makes of them."""

    def __init__(self, seed: int, epoch: int) -> None:
        digest = hashlib.sha256(f"steps-{seed}-{epoch}".encode()).digest()
        self._bits = np.random.PCG64(int.from_bytes(digest[:16], "big"))

    def shuffled(self, values: Ints) -> Ints:
        return values[np.argsort(self._bits.random_raw(len(values)), kind="stable")]


@dataclass(frozen=True, eq=False)
class _Runs:
    """Neighbours in the order: `starts[k]` up to `ends[k]`."""

    starts: Ints
    ends: Ints


def _kept_together(tree: PrefixTree, steps: int, examples_per_step: int) -> _Runs:
    """Walk the tree from its roots, all nodes of a level at once; where a node is kept, nothing below it is looked at.

    A node's prefix is computed once in every step that holds one of its examples. What its parents share counts as far
    as no other example of the parent is in the same step anyway: a prompt common to all is free.
    """
    needed = tree.needed[tree.order]
    unique_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(needed - tree.shared)])
    miss = 1 - 1 / steps  # the chance that an example is not in a given step
    starts, ends = np.zeros(1, np.int64), np.full(1, len(tree.order))
    if len(tree.order) < 2:
        return _Runs(starts[:0], ends[:0])
    above, above_depth, above_count = np.zeros(1), np.zeros(1, np.int64), ends.copy()
    kept: list[tuple[Ints, Ints]] = []
    while len(starts):
        count = ends - starts
        depth = _least_shared(tree.shared, starts, ends)
        own = (depth - above_depth) + above * miss ** (above_count - count)
        cost = own * (steps * (1 - miss**count) - -(-count // examples_per_step))
        unique = needed[starts] - above_depth + unique_before[ends] - unique_before[starts + 1]
        keep = cost >= NOTICEABLE * np.maximum(unique, 1)
        kept.append((starts[keep], ends[keep]))
        starts, ends, depth, own = starts[~keep], ends[~keep], depth[~keep], own[~keep]
        starts, ends, parent = _children(tree.shared, starts, ends, depth)
        above, above_depth, above_count = own[parent], depth[parent], count[~keep][parent]
    all_starts, all_ends = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    by_place = np.argsort(all_starts)
    return _Runs(all_starts[by_place], all_ends[by_place])


def _least_shared(shared: Ints, starts: Ints, ends: Ints) -> Ints:
    """[nodes] the prefix all examples of a run of two or more share."""
    bounds = np.stack([starts + 1, ends], axis=1).reshape(-1)
    # a bound behind the last example is no place of its own: reduceat goes to the end by itself
    bounds = bounds[:-1] if bounds[-1] == len(shared) else bounds
    least: Ints = np.minimum.reduceat(shared, bounds)[::2]
    return least


def _children(shared: Ints, starts: Ints, ends: Ints, depth: Ints) -> tuple[Ints, Ints, Ints]:
    """Runs of two or more below each run, where it branches at `depth`; with the place of their parent."""
    sizes = ends - starts
    offsets = np.cumsum(sizes) - sizes
    parent = np.repeat(np.arange(len(starts)), sizes)
    places = np.repeat(starts - offsets, sizes) + np.arange(len(parent))
    begins = shared[places] == depth[parent]
    begins[offsets] = True
    at = np.flatnonzero(begins)
    counts = np.diff(at, append=len(places))
    several = counts > 1
    return places[at[several]], places[at[several]] + counts[several], parent[at[several]]


def _cut(tree: PrefixTree, runs: _Runs, most: int) -> list[tuple[int, int]]:
    """Runs with those of more than `most` examples cut into as few, about equal parts, where little is shared."""
    pieces = []
    for start, end in zip(runs.starts.tolist(), runs.ends.tolist(), strict=True):
        parts = -(-(end - start) // most)
        while parts > 1:
            share = (end - start) / parts
            low = max(end - start - (parts - 1) * most, round(share * (1 - UNEVEN)), 1)
            high = max(min(most, round(share * (1 + UNEVEN)), end - start - (parts - 1)), low)
            cut = _cheapest_cut(tree, start + low, start + high, start + share)
            pieces.append((start, cut))
            start, parts = cut, parts - 1
        pieces.append((start, end))
    return pieces


def _cheapest_cut(tree: PrefixTree, low: int, high: int, wished: float) -> int:
    """The place from `low` to `high` where the fewest tokens are repeated; of equal ones the nearest to `wished`."""
    places = np.arange(low, high + 1)
    return int(places[np.lexsort((np.abs(places - wished), tree.shared[low : high + 1]))[0]])


def _enough_steps(sizes: list[int], fewest: int, most: int) -> int:
    """So many steps that few pieces have to be cut to be dealt. Depends on the sizes alone, not on seed and epoch."""
    steps, limit = fewest, fewest + fewest // MORE_STEPS
    sizes = sorted(sizes, reverse=True)
    while steps < limit:
        filled = [0] * steps
        homeless = 0
        for size in sizes:
            if filled[0] + size <= most:
                heapq.heapreplace(filled, filled[0] + size)
            else:
                homeless += size
        if not homeless:
            break
        steps = min(limit, steps + -(-homeless // most))
    return steps


def _deal(
    tree: PrefixTree, pieces: list[tuple[int, int]], step_of: Ints, steps: int, most: int, chance: _Chance
) -> npt.NDArray[np.int64]:
    """Largest piece first to the emptiest step; one that has no room there is cut. [steps] examples dealt to each."""
    mixed = [pieces[at] for at in chance.shuffled(np.arange(len(pieces))).tolist()]
    waiting = [(start - end, turn, start, end) for turn, (start, end) in enumerate(mixed)]
    heapq.heapify(waiting)
    filled = [(0, step) for step in range(steps)]
    while waiting:
        size, turn, start, end = heapq.heappop(waiting)
        held, step = heapq.heappop(filled)
        if held - size > most:
            room = most - held
            cut = _cheapest_cut(tree, start + (room + 1) // 2, start + room, start + room)
            heapq.heappush(waiting, (cut - end, turn, cut, end))
            end = cut
        step_of[start:end] = step
        heapq.heappush(filled, (held + end - start, step))
    held_by_step = np.zeros(steps, np.int64)
    for held, step in filled:
        held_by_step[step] = held
    return held_by_step


def _free_places(filled: Ints, most: int, count: int) -> Ints:
    """Steps of `count` free places, those of the emptiest steps first, so that steps end up as equal as can be.

    >>> _free_places(np.array([2, 0, 1]), 3, 4).tolist()
    [1, 1, 2, 0]
    """
    free = most - filled
    steps = np.repeat(np.arange(len(filled)), free)
    ends = np.cumsum(free)
    level = np.arange(len(steps)) - np.repeat(ends - free, free) + np.repeat(filled, free)
    return steps[np.argsort(level, kind="stable")[:count]]
