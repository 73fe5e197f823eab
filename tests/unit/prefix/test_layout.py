import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.errors import TrainingError
from groundtune.prefix.layout import lay_out

from .plainly import drawn_tree


def times_computed(subtree_end: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """How often the blocks compute each pair of query and key."""
    layout = lay_out(subtree_end, depth)
    counted = np.zeros((layout.tokens, layout.tokens), dtype=int)
    for chain in layout.chains:
        counted[chain.start : chain.end, chain.start : chain.end] += np.tri(len(chain), dtype=int)
    for block in layout.rectangles:
        counted[block.query_start : block.query_end, block.key_start : block.key_end] += 1
    return counted


@settings(max_examples=tries(240), deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.0, 0.1, 0.4, 0.8]))
def test_every_pair_that_sees_each_other_is_in_exactly_one_block(seed: int, tokens: int, branching: float) -> None:
    subtree_end, depth, seen = (each.numpy() for each in drawn_tree(seed, tokens, branching))
    np.testing.assert_array_equal(times_computed(subtree_end, depth), seen.astype(int))


@settings(max_examples=tries(120), deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_blocks_say_the_depths_of_their_tokens(seed: int, tokens: int) -> None:
    subtree_end, depth, _ = (each.numpy() for each in drawn_tree(seed, tokens, 0.4))
    layout = lay_out(subtree_end, depth)
    for chain in layout.chains:
        assert depth[chain.start : chain.end].tolist() == list(range(chain.depth, chain.depth + len(chain)))
    for block in layout.rectangles:
        keys = depth[block.key_start : block.key_end]
        assert keys.tolist() == list(range(block.key_depth, block.key_depth + len(keys)))


def test_plain_packing_is_chains_alone() -> None:
    layout = lay_out(np.array([3, 3, 3, 5, 5]), np.array([0, 1, 2, 0, 1]))
    assert [(chain.start, chain.end) for chain in layout.chains] == [(0, 3), (3, 5)]
    assert layout.rectangles == ()


def test_many_branches_of_one_context_are_one_rectangle() -> None:
    branches = [[10 + 2 * branch] * 2 for branch in range(1, 41)]
    subtree_end = np.array([90] * 10 + [end for pair in branches for end in pair])
    depth = np.array([*range(10), *([10, 11] * 40)])
    layout = lay_out(subtree_end, depth)
    # the first branch goes on in the chain of the context itself
    assert len(layout.chains) == 40
    assert [(block.query_start, block.query_end, block.key_end) for block in layout.rectangles] == [(12, 90, 10)]


@pytest.mark.parametrize(
    ("subtree_end", "depth"),
    [
        ([1, 1], [0, 1]),
        ([3, 2], [0, 1]),
        ([0, 2], [0, 1]),
        ([2, 2], [0, 2]),
        ([2, 2], [1, 2]),
        ([1, 2], [0, 1]),
    ],
)
def test_arrays_that_describe_no_tree_are_refused(subtree_end: list[int], depth: list[int]) -> None:
    with pytest.raises(TrainingError):
        lay_out(np.array(subtree_end), np.array(depth))
