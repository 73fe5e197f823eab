"""Cutting a group that is too large: between chunks, into as few parts as fit, of sizes as even as can be."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.types import Chunk


def cut_chunks(chunks: Sequence[Chunk], *, max_tokens: int, max_chunks: int) -> list[tuple[Chunk, ...]]:
    """Consecutive parts within both limits. A single chunk over `max_tokens` is a part of its own.

    Among all ways to cut into the fewest parts, the one whose largest part is smallest (first fit, with the limit
    lowered by bisection as far as the number of parts stays the same).
    """
    sizes = [chunk.token_count for chunk in chunks]
    fewest = len(_first_fit(sizes, max_tokens, max_chunks))
    low, high = max(sizes, default=0), max_tokens
    while low < high:
        middle = (low + high) // 2
        if len(_first_fit(sizes, middle, max_chunks)) > fewest:
            low = middle + 1
        else:
            high = middle
    return [tuple(chunks[start:stop]) for start, stop in _first_fit(sizes, high, max_chunks)]


def _first_fit(sizes: Sequence[int], max_tokens: int, max_chunks: int) -> list[tuple[int, int]]:
    """Half-open ranges, each filled as far as the limits allow."""
    ranges: list[tuple[int, int]] = []
    start, tokens = 0, 0
    for position, size in enumerate(sizes):
        full = tokens + size > max_tokens or position - start >= max_chunks
        if position > start and full:
            ranges.append((start, position))
            start, tokens = position, 0
        tokens += size
    if sizes:
        ranges.append((start, len(sizes)))
    return ranges
