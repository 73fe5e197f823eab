"""The order in which prompts are computed: a walk through the tree of their shared prefixes, and who shares a cache row.

Each prompt is compared with the one before it only: in a depth-first walk what two neighbours share is all that a prompt
shares with any earlier one, so every token of the tree is computed once. What this module does not do: compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Prompt = tuple[int, ...]

ROW_QUESTIONS = 4
"""Most questions of one cache row: each step's queries look at all columns of their row, most of them others' answers."""

ROW_GROWTH = 1.5
"""A row's columns may be so many times its longest prompt: beyond that questions read more that is not theirs than they save."""


def shared_length(one: Prompt, other: Prompt) -> int:
    """Tokens at the beginning of both.

    >>> shared_length((1, 2, 3), (1, 2, 4, 5))
    2
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        # what stands before `low` is known to be the same
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(slots=True)
class _Node:
    depth: int
    prompt: Prompt | None = None
    """The prompt that ends here."""
    children: list[_Node] = field(default_factory=list)
    longest: int = 0


def walk(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Different prompts in the order of a depth-first walk: a prompt before its continuations, longest branches first.

    >>> walk([(1, 5), (2,), (1,), (1, 6, 7)])
    [(1,), (1, 6, 7), (1, 5), (2,)]
    """
    root = _grow(sorted(prompts))
    nodes, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting += node.children
    for node in reversed(nodes):
        node.longest = max([node.depth, *(child.longest for child in node.children)])
    order, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node.prompt is not None:
            order.append(node.prompt)
        # the last one is walked first
        waiting += sorted(node.children, key=lambda child: child.longest)
    return order


def _grow(prompts: Sequence[Prompt]) -> _Node:
    """The tree of sorted prompts."""
    root = _Node(0)
    path = [root]
    before: Prompt = ()
    for prompt in prompts:
        shared = shared_length(before, prompt)
        branch = None
        while path[-1].depth > shared:
            branch = path.pop()
        if path[-1].depth < shared and branch is not None:
            fork = _Node(shared, children=[branch])
            path[-1].children[-1] = fork
            path.append(fork)
        leaf = _Node(len(prompt), prompt)
        path[-1].children.append(leaf)
        path.append(leaf)
        before = prompt
    return root


@dataclass(frozen=True, slots=True)
class Group:
    """Prompts that share one row of the cache, in the order of the walk."""

    prompts: tuple[Prompt, ...]
    shared: tuple[int, ...]
    """For each prompt how many tokens it has in common with the prompt before it, the first with the last of the group before."""
    columns: int
    """Different tokens of these prompts: the columns they take in their row."""


def group_prompts(prompts: Sequence[Prompt], most: int = ROW_QUESTIONS) -> list[Group]:
    """Neighbours of a walk put together where what they share outweighs what they do not.

    >>> [group.columns for group in group_prompts([(1, 2, 3, 4), (1, 2, 3, 5), (2, 7, 7)])]
    [5, 3]
    """
    groups: list[Group] = []
    members: list[Prompt] = []
    shared: list[int] = []
    columns = 0
    before: Prompt = ()

    def close() -> None:
        if members:
            groups.append(Group(tuple(members), tuple(shared), columns))

    for prompt in prompts:
        common = shared_length(before, prompt)
        grown = columns + len(prompt) - common
        longest = max(map(len, [*members, prompt]))
        if not members or len(members) == most or grown > ROW_GROWTH * longest:
            close()
            members, shared, grown = [], [], len(prompt)
        members.append(prompt)
        shared.append(common)
        columns, before = grown, prompt
    close()
    return groups
