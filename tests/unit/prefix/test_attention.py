import gc
import weakref
from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from groundtune.errors import TrainingError
from groundtune.prefix import PreparedModel, row_tensors
from groundtune.prefix.attention import RowShape, attend_densely, tree_attention
from groundtune.prefix.batch import is_tree_mask, tree_mask
from groundtune.prefix.segments import Bias

from .plainly import apart, build, drawn_tree, rows_of
from .test_segments import SLOPES, densely

TOKENS = 45


class Layer(nn.Module):
    """What an attention function asks of the module that calls it."""

    is_causal = True
    layer_idx = 0

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = tf.PretrainedConfig(**config)


def tensors(heads: int = 4, key_heads: int = 2, width: int = 8, value_width: int = 8) -> list[torch.Tensor]:
    torch.manual_seed(0)
    shapes = [(heads, width), (key_heads, width), (key_heads, value_width)]
    return [torch.randn(1, h, TOKENS, e, dtype=torch.float64) for h, e in shapes]


def row() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    subtree_end_T, depth_T, seen_TT = drawn_tree(4, TOKENS, 0.2)
    return tree_mask(subtree_end_T, depth_T, TOKENS), depth_T, seen_TT


@pytest.mark.parametrize("window", [None, 6, 1000])
@pytest.mark.parametrize("slopes", [None, SLOPES], ids=["", "slopes"])
def test_what_a_layer_asks_for_is_what_it_gets(window: int | None, slopes: torch.Tensor | None) -> None:
    mask, depth_T, seen_TT = row()
    inputs = tensors()
    attended, weights = tree_attention(Layer(), *inputs, mask, scaling=0.3, sliding_window=window, alibi_slopes=slopes)
    wanted = densely(*inputs, seen_TT, depth_T, Bias(window, slopes), 0.3).transpose(1, 2)
    assert weights is None
    assert attended.shape == (1, TOKENS, 4, 8)
    assert attended.is_contiguous()
    assert apart(attended, wanted) < 1e-13


def test_the_scale_is_that_of_the_head_width_where_none_is_given() -> None:
    mask, depth_T, seen_TT = row()
    attended, _ = tree_attention(Layer(), *tensors(), mask)
    assert apart(attended, densely(*tensors(), seen_TT, depth_T, Bias(None, None), 8**-0.5).transpose(1, 2)) < 1e-13


def test_capped_scores_sinks_and_narrow_values_are_those_of_the_definition() -> None:
    mask, _, seen_TT = row()
    query, key, value = tensors(key_heads=4, value_width=5)
    scores = query @ key.transpose(-1, -2) * 0.3
    for options in ({"softcap": 1.5}, {"s_aux": torch.randn(4, dtype=torch.float64)}, {}):
        changed = 1.5 * torch.tanh(scores / 1.5) if "softcap" in options else scores
        changed = changed.masked_fill(~seen_TT, -torch.inf)
        if "s_aux" in options:
            sinks = options["s_aux"][None, :, None, None].expand(1, 4, TOKENS, 1)  # type: ignore[index]
            changed = torch.cat([changed, sinks], dim=-1)
        wanted = (changed.softmax(-1)[..., :TOKENS] @ value).transpose(1, 2)
        attended, _ = tree_attention(Layer(), query, key, value, mask, scaling=0.3, **options)
        assert apart(attended, wanted) < 1e-13


def test_dropout_keeps_the_mean_and_spares_evaluation() -> None:
    mask, _, _ = row()
    inputs = tensors()
    calm, _ = tree_attention(Layer(), *inputs, mask, scaling=0.3)
    torch.manual_seed(0)
    drawn = torch.stack([tree_attention(Layer(), *inputs, mask, scaling=0.3, dropout=0.25)[0] for _ in range(400)])
    assert apart(drawn[0], calm) > 0.1
    # 400 draws: the mean is off by a twentieth of one draw
    assert apart(drawn.mean(0), calm) < 0.06


def test_dense_weights_are_zero_where_nothing_is_seen() -> None:
    mask, depth_T, seen_TT = row()
    shape = RowShape(mask)
    assert torch.equal(shape.allowed(None), seen_TT)
    value = torch.eye(TOKENS, dtype=torch.float64)[None, None]
    query = torch.randn(1, 1, TOKENS, 4, dtype=torch.float64)
    weights_TT = attend_densely(query, query, value, shape=shape, bias=Bias(3, None), scale=1.0)[0, 0]
    assert torch.equal(weights_TT > 0, seen_TT & (depth_T[:, None] - depth_T[None, :] < 3))


def test_layers_of_mixed_precision_under_autocast_are_computed_in_the_lower_one() -> None:
    # rotation leaves queries and keys in float32, values come in bfloat16
    mask, _, _ = row()
    query, key, value = (each.float() for each in tensors())
    wanted, _ = tree_attention(Layer(), query, key, value, mask)
    for options in ({}, {"softcap": 50.0}, {"dropout": 1e-9}):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            attended, _ = tree_attention(Layer(), query, key, value.bfloat16(), mask, **options)
        assert attended.dtype == torch.bfloat16
        assert apart(attended.float(), wanted) < 0.03


# --- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "options", "says"),
    [
        (Layer(), {"is_causal": False}, "looks ahead"),
        (Layer(), {"position_bias": torch.zeros(1)}, "bias of its own"),
        (Layer(attention_chunk_size=3), {}, "chunks of 3 tokens"),
        (Layer(sliding_window=3), {}, "slides over 3 tokens"),
        (Layer(sliding_window=3, layer_types=["sliding_attention"]), {}, "slides over 3 tokens"),
    ],
)
def test_attention_that_a_tree_would_change_is_refused(layer: Layer, options: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        tree_attention(layer, *tensors(), row()[0], **options)


def test_a_module_that_looks_ahead_is_refused() -> None:
    layer = Layer()
    layer.is_causal = False
    with pytest.raises(TrainingError, match="looks ahead"):
        tree_attention(layer, *tensors(), row()[0])


@pytest.mark.parametrize(
    "config",
    [
        {"sliding_window": 3, "layer_types": ["full_attention"]},
        {"sliding_window": 3, "use_sliding_window": False},
        {"sliding_window": 4000},
        {"attention_chunk_size": 4000},
    ],
)
def test_a_window_that_this_layer_or_row_does_not_feel_is_no_reason_to_refuse(config: dict[str, Any]) -> None:
    mask, depth_T, seen_TT = row()
    attended, _ = tree_attention(Layer(**config), *tensors(), mask, scaling=1.0)
    assert apart(attended, densely(*tensors(), seen_TT, depth_T, Bias(None, None), 1.0).transpose(1, 2)) < 1e-13


def test_two_rows_at_once_are_refused() -> None:
    with pytest.raises(TrainingError, match="batch of one"):
        tree_attention(Layer(), *(each.expand(2, -1, -1, -1) for each in tensors()), row()[0])


# --- the mask ----------------------------------------------------------------------------------------------------------


def test_only_a_row_is_taken_for_a_tree() -> None:
    assert is_tree_mask(row()[0])
    for other in (None, torch.ones(1, 9), torch.ones(1, 1, 9, 9), torch.ones(1, 1, 3, 3, dtype=torch.bool)):
        assert not is_tree_mask(other)


def test_a_row_sums_to_its_dataset_tokens() -> None:
    [packed] = rows_of([([5, 6, 7], [0, 1, 1]), ([5, 6, 8, 9], [0, 0, 1, 1])], 100)
    assert row_tensors(packed)["attention_mask"].sum() == packed.dataset_tokens == 7


def test_what_layers_share_goes_with_the_row_without_waiting_for_the_collector() -> None:
    model = build(tf.MistralForCausalLM, sliding_window=3)
    drawn = [([5, 6, 7, 8, 9], [0.0, 0, 1, 1, 1]), ([5, 6, 8, 9], [0.0, 0, 1, 1])]
    gc.collect()
    gc.disable()
    try:
        with PreparedModel(model) as prepared:
            batch = row_tensors(rows_of(drawn, 100)[0])
            prepared.row_loss(batch).backward()
            kept = weakref.ref(batch["attention_mask"].__dict__["_groundtune_shape"])
            del batch
            assert kept() is None
    finally:
        gc.enable()
