from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from groundtune.grouping.cutting import cut_chunks
from groundtune.types import Chunk

BLANK = Chunk("", "", "", "", (), "tr", "", 0, False, False, (), (), 1, "a.md", 1, 1, "")


def chunks_of(sizes: list[int]) -> list[Chunk]:
    return [replace(BLANK, chunk_id=str(place), token_count=size) for place, size in enumerate(sizes)]


def test_parts_are_even_rather_than_full() -> None:
    # first fit alone would give 900 + 300
    parts = cut_chunks(chunks_of([300, 300, 300, 300]), max_tokens=1000, max_chunks=16)
    assert [len(part) for part in parts] == [2, 2]


def test_a_chunk_over_the_limit_is_a_part_of_its_own() -> None:
    parts = cut_chunks(chunks_of([50, 500, 50, 40]), max_tokens=100, max_chunks=16)
    assert [[chunk.token_count for chunk in part] for part in parts] == [[50], [500], [50, 40]]


def test_nothing_is_cut_into_nothing() -> None:
    assert cut_chunks([], max_tokens=100, max_chunks=16) == []


@given(st.lists(st.integers(1, 150), max_size=40), st.integers(1, 6))
def test_parts_keep_every_chunk_in_order_and_stay_within_both_limits(sizes: list[int], max_chunks: int) -> None:
    chunks = chunks_of(sizes)
    parts = cut_chunks(chunks, max_tokens=100, max_chunks=max_chunks)
    assert [chunk for part in parts for chunk in part] == chunks
    for part in parts:
        assert len(part) <= max_chunks
        assert len(part) == 1 or sum(chunk.token_count for chunk in part) <= 100


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_the_largest_part_is_as_small_as_the_fewest_parts_allow(sizes: list[int]) -> None:
    parts = cut_chunks(chunks_of(sizes), max_tokens=100, max_chunks=16)
    largest = max(sum(chunk.token_count for chunk in part) for part in parts)
    ways = [
        [sum(sizes[start:stop]) for start, stop in zip((0, *cuts), (*cuts, len(sizes)), strict=True)]
        for count in range(len(parts))
        for cuts in combinations(range(1, len(sizes)), count)
    ]
    possible = [max(way) for way in ways if max(way) <= 100]
    assert min(possible) == largest
    assert min(len(way) for way in ways if max(way) <= 100) == len(parts)
