"""Lays examples of a prefix tree out in rows of bounded length, each shared prefix once a row.

A row is a forest in depth-first order. A tree that does not fit is cut between branches, which repeats the path above
the cut; bottom up, the branches of a node are put into as few boxes as best-fit-decreasing finds, and a box goes up as
one piece. The tensors and the attention made of a row are other modules' work.

Legend: T tokens of a row, S its edges, k examples laid out, C `max_pack_tokens`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundtune.errors import TrainingError
from groundtune.prefix.examples import BLOCK_TOKENS, Ints, TokenisedExamples, Weights
from groundtune.prefix.tree import PrefixTree


@dataclass(frozen=True, eq=False)
class Row:
    """One packed sequence. Token i attends to token j exactly when `j <= i < subtree_end[j]`."""

    input_ids: Ints
    """[T]"""
    position_ids: Ints
    """[T], the depth of each token in its tree: its position in the plain example."""
    subtree_end: Ints
    """[T], the place behind the last token below this one."""
    edge_sources: Ints
    """[S], places in the row whose hidden state predicts; rising."""
    edge_targets: Ints
    """[S], the token id to predict."""
    edge_weights: Weights
    """[S]; edges of the same source and target are one, their weights added."""
    num_examples: int
    dataset_tokens: int
    """Lengths of the row's examples as in the dataset, final targets included."""


def pack_rows(
    tree: PrefixTree, indices: npt.ArrayLike, *, max_pack_tokens: int, separate_targets: bool = False
) -> list[Row]:
    """The examples `indices` as rows of at most `max_pack_tokens`; each is whole in one row.

    Examples without supervised tokens are in no row. `separate_targets` is for loops that know one target a token:
    further targets of a source get leaf tokens of their own, copies of the source. Raises `TrainingError` for an
    example that is too long, and for fractional weights when targets are to be separate.
    """
    ranks = np.sort(tree.ranks[np.asarray(indices, np.int64)])
    ranks = ranks[tree.needed[tree.order[ranks]] > 0]
    if not len(ranks):
        return []
    members, shared = tree.order[ranks], tree.shared_among(ranks)
    needed = tree.needed[members]
    _check_lengths(members, needed, max_pack_tokens)
    extra = np.zeros(len(ranks), np.int64)
    if separate_targets:
        _check_whole_weights(tree.examples, members)
        _check_lengths(members, needed + _own_leaves(tree.examples, members), max_pack_tokens)
        extra = _leaves_charged(tree.examples, _Visits.of(members, shared, needed))
    boxes = _fill_boxes(needed.tolist(), shared.tolist(), extra.tolist(), max_pack_tokens)
    visited, shared, first = _in_boxes(boxes)
    visits = _Visits.of(members[visited], shared, needed[visited])
    rows: list[Row] = []
    for begin, until in _blocks(np.cumsum(visits.needed)[first[1:] - 1]):
        block = visits.part(int(first[begin]), int(first[until]))
        rows += _lay_out(tree.examples, block, first[begin : until + 1] - first[begin], separate_targets)
    return rows


def _in_boxes(boxes: list[_Piece]) -> tuple[Ints, Ints, Ints]:
    """The examples box after box, what each shares with the one before, and [boxes + 1] where each box begins."""
    visited: list[int] = []
    shared: list[int] = []
    first = [0]
    for box in boxes:
        for place, share in _walk(box):
            visited.append(place)
            shared.append(share)
        first.append(len(visited))
    return np.array(visited, np.int64), np.array(shared, np.int64), np.array(first, np.int64)


def _blocks(token_ends: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of rows that together look at `BLOCK_TOKENS` at most, so that temporaries stay bounded."""
    begin, done = 0, 0
    while begin < len(token_ends):
        until = max(int(np.searchsorted(token_ends, done + BLOCK_TOKENS, side="right")), begin + 1)
        yield begin, until
        begin, done = until, int(token_ends[until - 1])


def row_fill(rows: Sequence[Row], max_pack_tokens: int) -> float:
    """The share of the rows' room that holds tokens; 1 for no rows.

    The figure is about packing: a token repeated in two rows counts as filled in both.
    """
    return sum(len(row.input_ids) for row in rows) / (len(rows) * max_pack_tokens) if rows else 1.0


def _check_lengths(members: Ints, lengths: Ints, max_pack_tokens: int) -> None:
    if (long := np.flatnonzero(lengths > max_pack_tokens)).size:
        at = long[np.argmax(lengths[long])]
        raise TrainingError(
            f"example {members[at]} needs {lengths[at]} tokens in a row, more than max_pack_tokens={max_pack_tokens}; "
            "raise max_pack_tokens or leave examples as long as this out of the dataset"
        )


# --- which examples share a row ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Piece:
    """What goes into one row undivided: an example, or a node of the tree with some of the branches below it."""

    size: int
    """Tokens below the depth of the node this piece hangs on."""
    example: int
    """The place of the example among those packed, or -1 for a node."""
    depth: int
    parts: list[_Piece]
    """Most tokens first, so that a depth-first walk stays on the trunk."""


def _fill_boxes(needed: list[int], shared: list[int], extra: list[int], capacity: int) -> list[_Piece]:
    """Walk sorted examples as a tree, closing each node when its last branch is done; the rows as pieces."""
    open_depths, open_parts = [0], [list[_Piece]()]
    last = len(needed) - 1
    for place in range(last + 1):
        below = shared[place + 1] if place < last else 0
        if below > open_depths[-1]:
            open_depths.append(below)
            open_parts.append([])
        depth = open_depths[-1]
        open_parts[-1].append(_Piece(needed[place] - depth + extra[place], place, depth, []))
        while open_depths[-1] > below:
            depth, parts = open_depths.pop(), open_parts.pop()
            if open_depths[-1] < below:
                open_depths.append(below)
                open_parts.append([])
            edge = depth - open_depths[-1]
            open_parts[-1] += [
                _Piece(size + edge, -1, depth, content) for size, content in _best_fit(parts, capacity - depth)
            ]
    return [_Piece(size, -1, 0, content) for size, content in _best_fit(open_parts[0], capacity)]


def _best_fit(parts: list[_Piece], capacity: int) -> list[tuple[int, list[_Piece]]]:
    """Best-fit-decreasing: each piece, largest first, into the fullest box that has room. Boxes with their sizes.

    A piece larger than `capacity` gets a box to itself, which has less than no room left.
    """
    parts.sort(key=lambda piece: -piece.size)
    if (total := sum(piece.size for piece in parts)) <= capacity:
        return [(total, parts)]
    boxes: list[list[_Piece]] = []
    rooms: list[int] = []  # the different sizes of room there are, rising
    with_room: dict[int, list[int]] = {}
    for piece in parts:
        at = bisect_left(rooms, piece.size)
        if at == len(rooms):
            boxes.append([piece])
            box, room = len(boxes) - 1, capacity
        else:
            room = rooms[at]
            box = with_room[room].pop()
            boxes[box].append(piece)
            if not with_room[room]:
                del with_room[room], rooms[at]
        left = room - piece.size
        if left not in with_room:
            with_room[left] = []
            insort(rooms, left)
        with_room[left].append(box)
    return [(sum(piece.size for piece in box), box) for box in boxes]


def _walk(box: _Piece) -> Iterator[tuple[int, int]]:
    """The examples of a box in depth-first order, each with the tokens it shares with the one before."""
    share = 0
    pending = [(box, 0)]
    while pending:
        piece, share_or_less = pending.pop()
        if share_or_less >= 0:
            share = share_or_less
        if piece.example >= 0:
            yield piece.example, share
        else:
            # the first part goes on from where the walk stands, the others branch off here
            pending += [(part, piece.depth) for part in piece.parts[:0:-1]]
            pending.append((piece.parts[0], -1))


# --- laying rows out --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Visits:
    """Examples in depth-first order; where one shares nothing with the one before, a tree begins."""

    members: Ints
    shared: Ints
    needed: Ints
    starts: Ints
    """Place of the first token that is not shared."""

    @classmethod
    def of(cls, members: Ints, shared: Ints, needed: Ints) -> _Visits:
        return cls(members, shared, needed, np.concatenate([np.zeros(1, np.int64), np.cumsum(needed - shared)]))

    def part(self, begin: int, until: int) -> _Visits:
        return _Visits.of(self.members[begin:until], self.shared[begin:until], self.needed[begin:until])


@dataclass(frozen=True, eq=False)
class _Edges:
    """Not yet merged: one for each target of each visit."""

    sources: Ints
    targets: Ints
    weights: Weights
    visits: Ints


def _subtree_ends(visits: _Visits) -> tuple[Ints, Ints]:
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


def _edges(examples: TokenisedExamples, visits: _Visits, parents: Ints) -> _Edges:
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
    return _Edges(sources, examples.token_ids[places].astype(np.int64), weights, visit)


def _merged(edges: _Edges) -> tuple[Ints, Ints, Weights]:
    """Edges of the same source and target as one, sorted by source, then target."""
    base = int(edges.targets.max()) + 1
    keys, which = np.unique(edges.sources * base + edges.targets, return_inverse=True)
    return keys // base, keys % base, np.bincount(which, weights=edges.weights).astype(np.float32)


def _lay_out(examples: TokenisedExamples, visits: _Visits, first: Ints, separate_targets: bool) -> list[Row]:
    """`first` [rows + 1]: the visit each row begins with."""
    subtree_end, parents = _subtree_ends(visits)
    fresh = visits.needed - visits.shared
    ahead = np.repeat(visits.shared - visits.starts[:-1], fresh)
    position = ahead + np.arange(len(ahead))
    input_ids = examples.token_ids[np.repeat(examples.offsets[visits.members], fresh) + position].astype(np.int64)
    sources, targets, weights = _merged(_edges(examples, visits, parents))
    row_starts = visits.starts[first]
    if separate_targets:
        leaves = _Leaves.of(sources, targets, weights, position, subtree_end)
        input_ids, position, subtree_end = input_ids[leaves.origin], position[leaves.origin], leaves.subtree_end
        row_starts = row_starts + np.searchsorted(leaves.inserted_at, row_starts, side="right")
        sources, targets, weights = leaves.sources, leaves.targets, np.ones(len(leaves.sources), np.float32)
    whole = np.concatenate([np.zeros(1, np.int64), np.cumsum(examples.lengths[visits.members])])
    edge_cuts = np.searchsorted(sources, row_starts)
    rows = []
    for row in range(len(first) - 1):
        tokens, edges = slice(row_starts[row], row_starts[row + 1]), slice(edge_cuts[row], edge_cuts[row + 1])
        rows.append(
            Row(
                input_ids=input_ids[tokens],
                position_ids=position[tokens],
                subtree_end=subtree_end[tokens] - row_starts[row],
                edge_sources=sources[edges] - row_starts[row],
                edge_targets=targets[edges],
                edge_weights=weights[edges],
                num_examples=int(first[row + 1] - first[row]),
                dataset_tokens=int(whole[first[row + 1]] - whole[first[row]]),
            )
        )
    return rows


# --- one target a token -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Leaves:
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
    def of(cls, sources: Ints, targets: Ints, weights: Weights, depth: Ints, subtree_end: Ints) -> _Leaves:
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


def _check_whole_weights(examples: TokenisedExamples, members: Ints) -> None:
    for member in members.tolist():
        weights = examples.weights[examples.offsets[member] : examples.offsets[member + 1]][1:]
        if (wrong := weights[weights != np.floor(weights)]).size:
            raise TrainingError(
                f"example {member} has a target of weight {wrong[0]}; a loop that knows one target a token can only "
                "repeat targets, so weights have to be whole numbers"
            )


def _own_leaves(examples: TokenisedExamples, members: Ints) -> Ints:
    """[k] leaf tokens each example needs when it is in a row alone: its weights beyond 1."""
    needed = examples.needed[members]
    edges = _edges(examples, _Visits.of(members, np.zeros_like(needed), needed), np.zeros_like(members))
    return np.bincount(edges.visits, weights=edges.weights - 1, minlength=len(members)).astype(np.int64)


def _leaves_charged(examples: TokenisedExamples, visits: _Visits) -> Ints:
    """[k] leaf tokens each example adds at most to a row: all its targets of sources that an earlier example has already.

    The first example of a source may be in another row than the rest, so this can be more than is needed, and more than
    a row holds; such an example gets a row alone, where it fits.
    """
    edges = _edges(examples, visits, _subtree_ends(visits)[1])
    by_source = np.lexsort((edges.visits, edges.sources))
    sources = edges.sources[by_source]
    first_of_source = np.concatenate([[True], sources[1:] != sources[:-1]])
    charged = edges.weights[by_source] - first_of_source
    return np.bincount(edges.visits[by_source], weights=charged, minlength=len(visits.members)).astype(np.int64)
