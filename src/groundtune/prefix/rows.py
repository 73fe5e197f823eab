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
from groundtune.prefix.examples import Ints, TokenisedExamples, Weights
from groundtune.prefix.tree import PrefixTree
from groundtune.prefix.visits import (
    Leaves,
    Visits,
    check_whole_weights,
    leaves_charged,
    merged,
    own_leaves,
    places_of,
    subtree_ends,
    unmerged_edges,
)

BLOCK_TOKENS = 1 << 20
"""Tokens laid out together: the arrays of a block stay in the processor's cache, and their memory is used again."""


@dataclass(frozen=True, eq=False)
class Owners:
    """Which edge is a target of which example; an edge that examples share is there once for each."""

    edges: Ints
    """[targets], places among the row's edges."""
    examples: Ints
    """[targets], numbers of examples; those of one example stand together."""


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
    members: Ints
    """[k], numbers of the examples laid out, in depth-first order."""
    dataset_tokens: int
    """Lengths of the row's examples as in the dataset, final targets included."""
    owners: Owners | None = None
    """Where `pack_rows` was told to keep them."""


def pack_rows(
    tree: PrefixTree,
    indices: npt.ArrayLike,
    *,
    max_pack_tokens: int,
    separate_targets: bool = False,
    keep_owners: bool = False,
) -> list[Row]:
    """The examples `indices` as rows of at most `max_pack_tokens`; each is whole in one row.

    Examples without supervised tokens are in no row. `separate_targets` is for loops that know one target a token:
    further targets of a source get leaf tokens of their own, copies of the source; `keep_owners` (not with separate targets)
    is for losses that need each example's own sum. Raises `TrainingError` for an
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
        check_whole_weights(tree.examples, members)
        _check_lengths(members, needed + own_leaves(tree.examples, members), max_pack_tokens)
        extra = leaves_charged(tree.examples, Visits.of(members, shared, needed))
    boxes = _fill_boxes(needed.tolist(), shared.tolist(), extra.tolist(), max_pack_tokens)
    visited, shared, first = _in_boxes(boxes)
    visits = Visits.of(members[visited], shared, needed[visited])
    rows: list[Row] = []
    for begin, until in _blocks(np.cumsum(visits.needed)[first[1:] - 1]):
        block = visits.part(int(first[begin]), int(first[until]))
        rows += _lay_out(tree.examples, block, first[begin : until + 1] - first[begin], separate_targets, keep_owners)
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


def _lay_out(
    examples: TokenisedExamples, visits: Visits, first: Ints, separate_targets: bool, keep_owners: bool
) -> list[Row]:
    """`first` [rows + 1]: the visit each row begins with."""
    subtree_end, parents = subtree_ends(visits)
    fresh = visits.needed - visits.shared
    ahead = np.repeat(visits.shared - visits.starts[:-1], fresh)
    position = ahead + np.arange(len(ahead))
    input_ids = examples.token_ids[np.repeat(examples.offsets[visits.members], fresh) + position].astype(np.int64)
    unmerged = unmerged_edges(examples, visits, parents)
    sources, targets, weights = merged(unmerged)
    places = places_of(unmerged, sources, targets) if keep_owners else None
    row_starts = visits.starts[first]
    if separate_targets:
        leaves = Leaves.of(sources, targets, weights, position, subtree_end)
        input_ids, position, subtree_end = input_ids[leaves.origin], position[leaves.origin], leaves.subtree_end
        row_starts = row_starts + np.searchsorted(leaves.inserted_at, row_starts, side="right")
        sources, targets, weights = leaves.sources, leaves.targets, np.ones(len(leaves.sources), np.float32)
    whole = np.concatenate([np.zeros(1, np.int64), np.cumsum(examples.lengths[visits.members])])
    edge_cuts = np.searchsorted(sources, row_starts)
    owner_cuts = np.searchsorted(unmerged.visits, first)
    rows = []
    for row in range(len(first) - 1):
        tokens, edges = slice(row_starts[row], row_starts[row + 1]), slice(edge_cuts[row], edge_cuts[row + 1])
        targeted = slice(owner_cuts[row], owner_cuts[row + 1])
        rows.append(
            Row(
                input_ids=input_ids[tokens],
                position_ids=position[tokens],
                subtree_end=subtree_end[tokens] - row_starts[row],
                edge_sources=sources[edges] - row_starts[row],
                edge_targets=targets[edges],
                edge_weights=weights[edges],
                members=visits.members[first[row] : first[row + 1]],
                dataset_tokens=int(whole[first[row + 1]] - whole[first[row]]),
                owners=None
                if places is None
                else Owners(places[targeted] - edge_cuts[row], visits.members[unmerged.visits[targeted]]),
            )
        )
    return rows
