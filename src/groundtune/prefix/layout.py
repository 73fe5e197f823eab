"""What attends to what in a row, as few dense blocks: the form in which attention without a mask can be computed.

A row is a tree of tokens in depth-first order. A *chain* is a stretch of tokens each of which continues the one before;
inside a chain attention is plainly causal. Where branches leave a chain at some token, everything in those branches
lies behind one another in the row and attends to the whole chain up to that token: a *rectangle* without a mask.
Every pair of tokens that may see each other is in exactly one chain or one rectangle. What this module does not do:
compute anything with tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundtune.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Chain:
    """Tokens ``start .. end - 1``, each the child of the one before."""

    start: int
    end: int
    depth: int
    """Of the first token."""

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Queries ``query_start .. query_end - 1`` attend to all keys ``key_start .. key_end - 1``."""

    query_start: int
    query_end: int
    key_start: int
    key_end: int
    key_depth: int
    """Depth of the first key; the keys are a chain, so the others follow."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The blocks of one row."""

    tokens: int
    depth: npt.NDArray[np.int64]
    """[T]: a token's position in its own sequence."""
    chains: tuple[Chain, ...]
    rectangles: tuple[Rectangle, ...]


def lay_out(subtree_end: npt.NDArray[np.int64], depth: npt.NDArray[np.int64]) -> Layout:
    """The blocks of a row described by where each token's subtree ends. Both arguments are [T].

    Two questions (tokens 2-3 and 4-5) on one context (0-1):

    >>> layout = lay_out(np.array([6, 6, 4, 4, 6, 6]), np.array([0, 1, 2, 3, 2, 3]))
    >>> [(chain.start, chain.end) for chain in layout.chains]
    [(0, 4), (4, 6)]
    >>> layout.rectangles
    (Rectangle(query_start=4, query_end=6, key_start=0, key_end=2, key_depth=0),)

    Raises:
        TrainingError: the arrays describe no tree.
    """
    tokens = len(subtree_end)
    place = np.arange(tokens)
    if np.any(subtree_end <= place) or np.any(subtree_end > tokens):
        raise TrainingError("subtree_end is wrong: a token's subtree ends behind the token and within the row")
    follows = np.zeros(tokens, dtype=bool)
    follows[1:] = (subtree_end[:-1] > place[1:]) & (depth[1:] == depth[:-1] + 1)
    starts = np.flatnonzero(~follows)
    ends = np.append(starts[1:], tokens)
    chains: list[Chain] = []
    rectangles: list[Rectangle] = []
    path: list[int] = []  # indices of the chains that lie above, outermost first
    branched: set[int] = set()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        # chains whose beginning has no room for this one are no ancestors
        while path and subtree_end[chains[path[-1]].start] <= start:
            path.pop()
        first = int(depth[start])
        if first == 0:
            path.clear()
        else:
            parent = _parent(start, first, path, chains, subtree_end)
            above = chains[path[-1]]
            if parent not in branched:
                branched.add(parent)
                rectangles.append(Rectangle(start, int(subtree_end[parent]), above.start, parent + 1, above.depth))
        path.append(len(chains))
        chains.append(Chain(start, end, first))
    return Layout(tokens, depth, tuple(chains), tuple(rectangles))


def _parent(start: int, depth: int, path: list[int], chains: list[Chain], subtree_end: npt.NDArray[np.int64]) -> int:
    """The token that the one at `start` follows; drops from `path` the chains that end above it."""
    while path:
        chain = chains[path[-1]]
        if chain.depth < depth:
            parent = chain.start + depth - 1 - chain.depth
            if parent >= chain.end or subtree_end[parent] <= start:
                break
            return parent
        path.pop()
    raise TrainingError(f"token {start} of a row has depth {depth} but follows no token of the depth before")
