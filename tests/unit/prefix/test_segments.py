from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.prefix.layout import lay_out
from groundtune.prefix.segments import Bias, BlockPlan, attend_in_segments

from .plainly import Largest, apart, drawn_tree

HEADS, KEY_HEADS, WIDTH = 4, 2, 8

SLOPES = torch.tensor([0.5, 0.25, 0.125, 0.0625])


def densely(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    seen_TT: torch.Tensor,
    depth_T: torch.Tensor,
    bias: Bias,
    scale: float,
) -> torch.Tensor:
    """Attention by its definition."""
    groups = query.shape[1] // key.shape[1]
    key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    distance_TT = depth_T[:, None] - depth_T[None, :]
    scores = query @ key.transpose(-1, -2) * scale
    if bias.slopes_H is not None:
        scores = scores - bias.slopes_H[:, None, None].to(scores.dtype) * distance_TT
    if bias.window is not None:
        seen_TT = seen_TT & (distance_TT < bias.window)
    return scores.masked_fill(~seen_TT, -torch.inf).softmax(-1) @ value


def both_ways(
    seed: int, tokens: int, branching: float, bias: Bias, dtype: torch.dtype = torch.float64, loud: float = 1.0
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Output and gradients by segments and by definition."""
    subtree_end_T, depth_T, seen_TT = drawn_tree(seed, tokens, branching)
    torch.manual_seed(seed)
    shapes = [(1, heads, tokens, WIDTH) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
    # as projections hand them over: a transposed view
    inputs = [torch.randn(b, t, h, e, dtype=torch.float64).transpose(1, 2) * loud for b, h, t, e in shapes]
    weights = torch.randn(1, HEADS, tokens, WIDTH, dtype=torch.float64)
    plan = BlockPlan(lay_out(subtree_end_T.numpy(), depth_T.numpy()), bias, dtype)
    results = []
    for way, precision in (("segments", dtype), ("definition", torch.float64)):
        leaves = [each.to(precision).detach().requires_grad_() for each in inputs]
        if way == "segments":
            output = attend_in_segments(*leaves, plan=plan, scale=0.4)
        else:
            output = densely(*leaves, seen_TT, depth_T, bias, 0.4)
        (output * weights.to(precision)).sum().backward()
        results.append([output.detach(), *(each.grad for each in leaves if each.grad is not None)])
    return results[0], results[1]


def worst(one: list[torch.Tensor], other: list[torch.Tensor]) -> float:
    return max(apart(a.double(), b) for a, b in zip(one, other, strict=True))


@settings(max_examples=tries(240), deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([1, 2, 7, 40, 130]),
    st.sampled_from([0.0, 0.05, 0.3, 0.8]),
    st.sampled_from([None, 1, 2, 5, 30, 200]),
    st.booleans(),
)
def test_any_tree_window_and_slopes_agree_with_the_definition(
    seed: int, tokens: int, branching: float, window: int | None, sloped: bool
) -> None:
    found, wanted = both_ways(seed, tokens, branching, Bias(window, SLOPES if sloped else None))
    assert all(bool(each.isfinite().all()) for each in found)
    if window == 1:  # a softmax over one key: gradients of queries and keys are nothing
        assert found[1].abs().max() + found[2].abs().max() < 1e-12
        found, wanted = [found[0], found[3]], [wanted[0], wanted[3]]
    if tokens == 1:
        found, wanted = [found[0], found[-1]], [wanted[0], wanted[-1]]
    # what is left of queries that see themselves alone is rounding
    assert worst(found, wanted) < 1e-12


@pytest.mark.parametrize("window", [None, 20])
@pytest.mark.parametrize("slopes", [None, SLOPES], ids=["", "slopes"])
def test_long_chains_and_batches_of_short_ones_agree_with_the_definition(window: int | None, slopes: Any) -> None:
    for branching in (0.003, 0.02):
        found, wanted = both_ways(3, 400, branching, Bias(window, slopes))
        assert worst(found, wanted) < 1e-12


def test_scores_far_apart_between_blocks_do_not_overflow() -> None:
    found, wanted = both_ways(1, 60, 0.3, Bias(None, None), loud=40.0)
    assert all(bool(each.isfinite().all()) for each in found)
    assert worst(found, wanted) < 1e-9


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 2e-6), (torch.bfloat16, 3e-2)])
def test_lower_precision_is_near(dtype: torch.dtype, near: float) -> None:
    for bias in (Bias(None, None), Bias(9, None), Bias(None, SLOPES)):
        found, wanted = both_ways(5, 150, 0.1, bias, dtype)
        assert all(each.dtype == dtype for each in found)
        assert worst(found, wanted) < near


def test_nothing_of_the_size_of_all_pairs_is_made() -> None:
    tokens = 600
    subtree_end_T, depth_T, _ = drawn_tree(0, tokens, 0.02)
    leaves = [torch.randn(1, HEADS, tokens, WIDTH, requires_grad=True) for _ in range(3)]
    with Largest() as made:
        plan = BlockPlan(lay_out(subtree_end_T.numpy(), depth_T.numpy()), Bias(None, None), torch.float32)
        attend_in_segments(*leaves, plan=plan, scale=1.0).sum().backward()
    assert made.elements < tokens * tokens / 4


def test_gradients_are_made_only_where_they_are_wanted_and_are_repeatable() -> None:
    subtree_end_T, depth_T, _ = drawn_tree(2, 50, 0.3)
    plan = BlockPlan(lay_out(subtree_end_T.numpy(), depth_T.numpy()), Bias(None, None), torch.float32)
    query, key, value = (torch.randn(1, HEADS, 50, WIDTH) for _ in range(3))
    query.requires_grad_()
    output = attend_in_segments(query, key, value, plan=plan, scale=1.0)
    output.sum().backward(retain_graph=True)
    assert query.grad is not None
    first = query.grad.clone()
    query.grad = None
    output.sum().backward()
    assert torch.equal(query.grad, first)
    assert key.grad is None
