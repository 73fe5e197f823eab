"""Choosing among rows by seed: so many of them, in an order of their own, or interleaved by weights.

Works on ids alone; an id's rank is a hash of it with the seed, so that a row more or less moves none of the others. What this
module does not do: hold rows (:mod:`groundtune.dataset.mixing`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate, cycle
from typing import Literal


def by_rank(names: Sequence[str], seed: str) -> list[int]:
    """Places of `names` in an order that only ids and seed decide."""
    ranks = [sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest() for name in names]
    return sorted(range(len(names)), key=lambda place: (ranks[place], names[place]))


def so_many(names: Sequence[str], count: int, seed: str) -> list[int]:
    """`count` places: whole rounds of `names`, and in a last round as many as are missing, by seed, in order.

    >>> so_many(["a:1", "a:2", "a:3"], 7, "seed")[:6]
    [0, 1, 2, 0, 1, 2]
    """
    rounds, rest = divmod(count, len(names)) if names else (0, 0)
    chosen = sorted(by_rank(names, seed)[:rest]) if rest else []
    return [*range(len(names))] * rounds + chosen


def interleave(
    sources: Sequence[Sequence[str]], weights: Sequence[float], *, until: Literal["first", "last"], seed: int
) -> list[tuple[int, int]]:
    """Draws from `sources` by `weights` as (source, place), each source in an order of its own by seed.

    With ``until="first"`` it ends when a source has given its last row; with ``"last"`` when all have, and those that are
    through begin again. Sources without rows are passed over.
    """
    choice = random.Random(f"{seed}:interleave")
    filled = [number for number, names in enumerate(sources) if names]
    streams = [cycle(by_rank(sources[number], f"{seed}:order")) for number in filled]
    chances = list(accumulate(weights[number] for number in filled))
    left = [len(sources[number]) for number in filled]
    num_waiting = len(left)
    drawn: list[tuple[int, int]] = []
    while num_waiting and (until == "last" or num_waiting == len(left)):
        [one] = choice.choices(range(len(left)), cum_weights=chances)
        drawn.append((filled[one], next(streams[one])))
        left[one] -= 1
        num_waiting -= left[one] == 0
    return drawn
