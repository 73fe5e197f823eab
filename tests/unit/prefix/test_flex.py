from typing import Any

import pytest
import torch

from groundtune.prefix.attention import attend_densely
from groundtune.prefix.batch import tree_mask
from groundtune.prefix.flex import attend_flexibly, scores, sees
from groundtune.prefix.row_shape import RowShape
from groundtune.prefix.segments import Bias

from .plainly import apart, drawn_tree

SLOPES = torch.tensor([0.5, 0.25, 0.125, 0.0625])

# compiling is for CUDA; what is tested here is who sees whom and with which score
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")


def row(seed: int, tokens: int, branching: float = 0.1) -> tuple[RowShape, torch.Tensor]:
    subtree_end_T, depth_T, seen_TT = drawn_tree(seed, tokens, branching)
    return RowShape(tree_mask(subtree_end_T, depth_T, tokens)), seen_TT


@pytest.mark.parametrize("window", [None, 1, 4, 50])
def test_the_mask_function_says_who_sees_whom(window: int | None) -> None:
    shape, seen_TT = row(0, 60)
    query_T1, key_1T = torch.arange(60)[:, None], torch.arange(60)[None, :]
    distance_TT = shape.depth_T[:, None] - shape.depth_T[None, :]
    wanted = seen_TT if window is None else seen_TT & (distance_TT < window)
    assert torch.equal(sees(shape, window)(None, None, query_T1, key_1T), wanted)
    assert torch.equal(shape.allowed(window), wanted)


def test_scores_without_cap_and_slopes_are_left_alone() -> None:
    assert scores(row(0, 5)[0], None, None) is None


@pytest.mark.parametrize(
    ("window", "slopes", "cap", "key_heads"),
    [
        (None, None, None, 4),
        (7, SLOPES, 2.0, 2),
        pytest.param(7, None, None, 2, marks=pytest.mark.slow),
        pytest.param(None, SLOPES, None, 2, marks=pytest.mark.slow),
        pytest.param(None, None, 2.0, 4, marks=pytest.mark.slow),
    ],
)
def test_flex_attention_agrees_with_the_dense_way(
    window: int | None, slopes: Any, cap: float | None, key_heads: int
) -> None:
    for seed, tokens in ((1, 40), (2, 150)):  # within one block of 128, and beyond
        shape, _ = row(seed, tokens)
        torch.manual_seed(seed)
        query, key, value = (torch.randn(1, heads, tokens, 16) for heads in (4, key_heads, key_heads))
        arguments: dict[str, Any] = {"shape": shape, "bias": Bias(window, slopes), "scale": 0.3, "cap": cap}
        found = attend_flexibly(query, key, value, **arguments, compiled=False)
        assert apart(found, attend_densely(query, key, value, **arguments)) < 1e-5


def test_the_block_mask_is_made_once_for_all_layers_of_a_window() -> None:
    shape, _ = row(0, 20)
    inputs = [torch.randn(1, 2, 20, 16) for _ in range(3)]
    for window in (None, 4, None, 4):
        attend_flexibly(*inputs, shape=shape, bias=Bias(window, None), scale=1.0, compiled=False)
    assert len(shape.prepared) == 2
