"""Examples in depth-first order as flat arrays: where subtrees end, what predicts what, and leaves for targets of their own.

Which examples are visited, in what order and in which row, is :mod:`groundtune.prefix.rows`' work.

Legend: T tokens of all rows laid out together, k examples visited.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groundtune.errors import TrainingError
from groundtune.prefix.examples import Ints, TokenisedExamples, Weights


@dataclass(frozen=True, eq=False)
class Visits:
    """Examples in depth-first order; where one shares nothing with the one before, a tree begins."""

    members: Ints
    shared: Ints
    needed: Ints
    starts: Ints
    """Place of the first token that is not shared."""

    @classmethod
    def of(cls, members: Ints, shared: Ints, needed: Ints) -> Visits:
        """All three [k]: the example, the tokens it shares with the one before, and those it needs."""
        return cls(members, shared, needed, np.concatenate([np.zeros(1, np.int64), np.cumsum(needed - shared)]))

    def part(self, begin: int, until: int) -> Visits:
        """Some of the visits, beginning with one that shares nothing."""
        return Visits.of(self.members[begin:until], self.shared[begin:until], self.needed[begin:until])


@dataclass(frozen=True, eq=False)
class Edges:
    """Not yet merged: one for each target of each visit."""

    sources: Ints
    """Places in the layout."""
    targets: Ints
    """Token ids."""
    weights: Weights
    visits: Ints
    """Which visit each belongs to."""


def subtree_ends(visits: Visits) -> tuple[Ints, Ints]:
    """[T] the place behind each token's subtree, and [k] the visit that owns the last shared token (-1: none is shared)."""
    shared, needed, starts = visits.shared.tolist(), visits.needed.tolist(), visits.starts.tolist()
    parents = [-1] * len(shared)
    spans: list[tuple[int, int, int]] = []  # first place, tokens, end of their subtrees
    path: list[int] = []  # visits that own tokens above the current one
    reach: list[int] = []  # the depth up to which each still has tokens on the path
    for visit, share in enumerate([*shared, 0]):
        start = starts[visit]
        while path:
            owner = path[-1]
            begin = shared[owner]
            leave = begin if begin > share else share
            if reach[-1] > leave:
                spans.append((starts[owner] + leave - begin, reach[-1] - leave, start))
            if begin < share:
                reach[-1] = share
                break
            path.pop()
            reach.pop()
        if visit < len(shared):
            parents[visit] = path[-1] if path else -1
            if needed[visit] > share:
                path.append(visit)
                reach.append(needed[visit])
    spans.sort()
    table = np.array(spans, np.int64).reshape(-1, 3)
    return np.repeat(table[:, 2], table[:, 1]), np.array(parents, np.int64)


def unmerged_edges(examples: TokenisedExamples, visits: Visits, parents: Ints) -> Edges:
    """Every target of every visit, from the place of the token before it; `parents` are those of `subtree_ends`."""
    ends = np.cumsum(visits.needed)
    # the target behind each needed token
    places = np.repeat(examples.offsets[visits.members] + 1 - (ends - visits.needed), visits.needed)
    places += np.arange(len(places))
    weights = examples.weights[places]
    supervised = np.flatnonzero(weights > 0)
    places, weights = places[supervised], weights[supervised]
    visit = np.searchsorted(ends, supervised, side="right")
    depth = places - examples.offsets[visits.members[visit]] - 1
    owner = visit.copy()
    while (above := np.flatnonzero(depth < visits.shared[owner])).size:
        owner[above] = parents[owner[above]]
    sources = visits.starts[owner] + depth - visits.shared[owner]
    return Edges(sources, examples.token_ids[places].astype(np.int64), weights, visit)


def merged(edges: Edges) -> tuple[Ints, Ints, Weights]:
    """Edges of the same source and target as one, sorted by source, then target."""
    by_source = np.argsort(edges.sources, kind="stable")
    sources, targets, weights = edges.sources[by_source], edges.targets[by_source], edges.weights[by_source]
    again = sources[1:] == sources[:-1]
    several = np.concatenate([[False], again]) | np.concatenate([again, [False]])
    if not several.any():
        return sources, targets, weights
    # few sources have several edges: sorting those alone takes half the time of sorting all
    base = int(targets.max()) + 1
    keys, which = np.unique(sources[several] * base + targets[several], return_inverse=True)
    sources = np.concatenate([sources[~several], keys // base])
    targets = np.concatenate([targets[~several], keys % base])
    merged_weights = np.bincount(which, weights=weights[several]).astype(np.float32)
    weights = np.concatenate([weights[~several], merged_weights])
    by_source = np.argsort(sources, kind="stable")
    return sources[by_source], targets[by_source], weights[by_source]


def places_of(edges: Edges, sources: Ints, targets: Ints) -> Ints:
    """Of each unmerged edge, the place among the merged ones, whose sources and targets these are."""
    base = int(targets.max(initial=0)) + 1
    return np.searchsorted(sources * base + targets, edges.sources * base + edges.targets)


# --- one target a token -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Leaves:
    """A layout in which further targets of a source have copies of it to themselves.

    They go behind the subtree of the token they copy, those of deeper tokens first, so that every subtree stays one
    stretch and the trunk is not interrupted.
    """

    origin: Ints
    """[new T] the place in the old layout each token is taken from."""
    subtree_end: Ints
    """[new T]"""
    inserted_at: Ints
    """[leaves], rising: the old place in front of which each leaf went."""
    sources: Ints
    targets: Ints

    @classmethod
    def of(cls, sources: Ints, targets: Ints, weights: Weights, depth: Ints, subtree_end: Ints) -> Leaves:
        """Edges as `merged` gives them [S]; depth and subtree ends of all tokens [T]."""
        times = weights.astype(np.int64)
        sources, targets = np.repeat(sources, times), np.repeat(targets, times)
        repeated = np.concatenate([[False], sources[1:] == sources[:-1]])
        copied = sources[repeated]
        # a key by which leaves stand in their new order: where they go, and there the deepest first
        span = int(depth.max()) + 1
        key_T = subtree_end * span + (span - 1 - depth)
        by_place = np.argsort(key_T[copied], kind="stable")
        copied, leaf_key = copied[by_place], np.sort(key_T[copied], kind="stable")
        inserted_at = subtree_end[copied]
        leaf_place = inserted_at + np.arange(len(copied))
        old = np.arange(len(depth))
        moved = old + np.searchsorted(inserted_at, old, side="right")
        origin = np.empty(len(depth) + len(copied), np.int64)
        origin[moved], origin[leaf_place] = old, copied
        ends = np.empty_like(origin)
        ends[moved] = subtree_end + np.searchsorted(leaf_key, key_T, side="left")
        ends[leaf_place] = leaf_place + 1
        new_sources = moved[sources]
        new_sources[np.flatnonzero(repeated)[by_place]] = leaf_place
        by_source = np.argsort(new_sources)
        return cls(origin, ends, inserted_at, new_sources[by_source], targets[by_source])


def check_whole_weights(examples: TokenisedExamples, members: Ints) -> None:
    """Raises `TrainingError` for a fractional weight."""
    for member in members.tolist():
        weights = examples.weights[examples.offsets[member] : examples.offsets[member + 1]][1:]
        if (wrong := weights[weights != np.floor(weights)]).size:
            raise TrainingError(
                f"example {member} has a target of weight {wrong[0]}; a loop that knows one target a token can only "
                "repeat targets, so weights have to be whole numbers"
            )


def own_leaves(examples: TokenisedExamples, members: Ints) -> Ints:
    """[k] leaf tokens each example needs when it is in a row alone: its weights beyond 1."""
    needed = examples.needed[members]
    edges = unmerged_edges(examples, Visits.of(members, np.zeros_like(needed), needed), np.zeros_like(members))
    return np.bincount(edges.visits, weights=edges.weights - 1, minlength=len(members)).astype(np.int64)


def leaves_charged(examples: TokenisedExamples, visits: Visits) -> Ints:
    """[k] leaf tokens each example adds at most to a row: all its targets of sources that an earlier example has already.

    The first example of a source may be in another row than the rest, so this can be more than is needed, and more than
    a row holds; such an example gets a row alone, where it fits.
    """
    edges = unmerged_edges(examples, visits, subtree_ends(visits)[1])
    by_source = np.lexsort((edges.visits, edges.sources))
    sources = edges.sources[by_source]
    first_of_source = np.concatenate([[True], sources[1:] != sources[:-1]])
    charged = edges.weights[by_source] - first_of_source
    return np.bincount(edges.visits[by_source], weights=charged, minlength=len(visits.members)).astype(np.int64)
