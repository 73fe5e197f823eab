from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries
from torch import nn
from transformers.trainer_pt_utils import LabelSmoother

from groundtune.prefix.loss import Edges, LogitChange, chunk_rows, edge_loss, loss_by_module, loss_by_weight

from .plainly import Largest, apart

WIDTH, VOCABULARY = 8, 23

# three targets of one source, two of another, out of order, one with a weight of nothing
SOURCES = torch.tensor([4, 0, 4, 9, 4, 0, 7])
TARGETS = torch.tensor([3, 1, 5, 22, 3, 0, 8])
WEIGHTS = torch.tensor([1.0, 0.5, 2.0, 1.0, 0.25, 3.0, 0.0])

CHANGES = [LogitChange(), LogitChange(0.3), LogitChange(1.0, 2.0), LogitChange(0.5, 3.0)]


def wanted_loss(
    hidden_TD: torch.Tensor,
    weight_VD: torch.Tensor,
    bias_V: torch.Tensor | None,
    change: LogitChange,
    smoothing: float = 0.0,
) -> torch.Tensor:
    logits = nn.functional.linear(hidden_TD, weight_VD, bias_V) * change.scale
    if change.cap is not None:
        logits = change.cap * torch.tanh(logits / change.cap)
    losses = nn.functional.cross_entropy(logits[SOURCES], TARGETS, reduction="none", label_smoothing=smoothing)
    return (losses * WEIGHTS.to(losses.dtype)).sum()


def inputs_of(dtype: torch.dtype = torch.float64, biased: bool = True) -> list[torch.Tensor | None]:
    torch.manual_seed(0)
    made = [torch.randn(10, WIDTH), torch.randn(VOCABULARY, WIDTH), torch.randn(VOCABULARY) if biased else None]
    return [None if each is None else each.to(dtype).requires_grad_() for each in made]


def gradients_of(loss: torch.Tensor, leaves: list[torch.Tensor | None]) -> list[torch.Tensor]:
    present = [each for each in leaves if each is not None]
    return list(torch.autograd.grad(loss * 1.5, present))


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("rows_a_chunk", [1, 2, 3, 100])
@pytest.mark.parametrize("biased", [False, True])
def test_chunks_add_up_to_the_cross_entropy_of_all(change: LogitChange, rows_a_chunk: int, biased: bool) -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    hidden, weight, bias = leaves = inputs_of(biased=biased)
    assert hidden is not None
    assert weight is not None
    wanted = wanted_loss(hidden, weight, bias, change)
    found = loss_by_weight(
        hidden[edges.sources_S], weight, bias, edges, change, logits_bytes=rows_a_chunk * VOCABULARY * 8
    )
    assert apart(found.detach(), wanted.detach()) < 1e-13
    for one, other in zip(gradients_of(found, leaves), gradients_of(wanted, leaves), strict=True):
        assert apart(one, other) < 1e-13


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_a_head_of_any_kind_gives_the_same_loss(rows: int) -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    hidden, weight, bias = leaves = inputs_of()
    assert hidden is not None
    assert weight is not None
    change = LogitChange(0.5, 3.0)
    found = loss_by_module(
        lambda part: change(nn.functional.linear(part, weight, bias)), hidden[edges.sources_S], edges, rows
    )
    wanted = wanted_loss(hidden, weight, bias, change)
    assert apart(found.detach(), wanted.detach()) < 1e-13
    for one, other in zip(gradients_of(found, leaves), gradients_of(wanted, leaves), strict=True):
        assert apart(one, other) < 1e-13


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("biased", [False, True])
def test_smoothed_labels_are_torchs_in_chunks_of_any_size(
    smoothing: float, change: LogitChange, rows: int, biased: bool
) -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    hidden, weight, bias = leaves = inputs_of(biased=biased)
    assert hidden is not None
    assert weight is not None
    wanted = wanted_loss(hidden, weight, bias, change, smoothing)
    slopes = gradients_of(wanted, leaves)
    chosen = hidden[edges.sources_S]

    def project(part: torch.Tensor) -> torch.Tensor:
        return change(nn.functional.linear(part, weight, bias))

    for found in (
        loss_by_weight(chosen, weight, bias, edges, change, logits_bytes=rows * VOCABULARY * 8, smoothing=smoothing),
        loss_by_module(project, chosen, edges, rows, smoothing=smoothing),
        edge_loss(project(chosen), edges, smoothing=smoothing),
    ):
        assert apart(found.detach(), wanted.detach()) < 1e-13
        for one, other in zip(
            torch.autograd.grad(found * 1.5, [each for each in leaves if each is not None], retain_graph=True),
            slopes,
            strict=True,
        ):
            assert apart(one, other) < 1e-13


def test_smoothed_labels_are_those_of_transformers() -> None:
    torch.manual_seed(1)
    hidden, weight = torch.randn(12, WIDTH, dtype=torch.float64), torch.randn(VOCABULARY, WIDTH, dtype=torch.float64)
    labels = torch.randint(VOCABULARY, (1, 12))
    labels[0, ::3] = -100
    # the sum in float32 that it makes of each token's logarithms is its own
    wanted = LabelSmoother(0.2)({"logits": (hidden @ weight.t())[None]}, labels, num_items_in_batch=1)
    sources = (labels[0] != -100).nonzero().squeeze(1)
    edges = Edges.of(sources, labels[0, sources], torch.ones(len(sources)))
    found = loss_by_weight(hidden[edges.sources_S], weight, None, edges, LogitChange(), smoothing=0.2)
    assert float(found) == pytest.approx(float(wanted), rel=1e-6)


@settings(max_examples=tries(160), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, VOCABULARY - 1), st.sampled_from([0.0, 0.5, 1.0])), max_size=20
    ),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.25]),
)
def test_edges_in_any_number_and_order_are_the_cross_entropy(
    edges: list[tuple[int, int, float]], rows: int, smoothing: float
) -> None:
    columns = [list(column) for column in zip(*edges, strict=True)] or [[], [], []]
    sources, targets = (torch.tensor(column, dtype=torch.int64) for column in columns[:2])
    weights = torch.tensor(columns[2], dtype=torch.float32)
    hidden, weight, bias = inputs_of()
    assert hidden is not None
    assert weight is not None
    logits = nn.functional.linear(hidden, weight, bias)[sources]
    wanted = (nn.functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing) * weights).sum()
    merged = Edges.of(sources, targets, weights)
    chosen = hidden[merged.sources_S]
    for found in (
        loss_by_weight(
            chosen, weight, bias, merged, LogitChange(), logits_bytes=rows * VOCABULARY * 8, smoothing=smoothing
        ),
        loss_by_module(
            lambda part: nn.functional.linear(part, weight, bias), chosen, merged, rows, smoothing=smoothing
        ),
        edge_loss(nn.functional.linear(chosen, weight, bias), merged, smoothing=smoothing),
    ):
        assert found.shape == ()
        assert float(found.detach()) == pytest.approx(float(wanted.detach()), rel=1e-12, abs=1e-12)


def test_each_source_is_projected_once_however_many_targets_it_has() -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    assert edges.sources_S.tolist() == [0, 4, 7, 9]
    assert edges.rows_E.tolist() == [0, 0, 1, 1, 1, 2, 3]
    assert edges.within(1, 3).targets_E.tolist() == [3, 5, 3, 8]
    assert edges.within(1, 3).rows_E.tolist() == [0, 0, 0, 1]


def measured(sources: int, vocabulary: int, logits_bytes: int, training: bool = True) -> Largest:
    hidden = torch.randn(sources, 16, requires_grad=True)
    weight = torch.randn(vocabulary, 16, requires_grad=True)
    edges = Edges.of(torch.arange(sources), torch.zeros(sources, dtype=torch.int64), torch.ones(sources))
    with Largest() as made, torch.set_grad_enabled(training):
        loss = loss_by_weight(hidden, weight, None, edges, LogitChange(), logits_bytes=logits_bytes)
        if training:
            loss.backward()
    return made


def test_the_largest_tensor_does_not_grow_with_vocabulary_times_tokens() -> None:
    room = 40 * 1000 * 4
    for sources, vocabulary in ((200, 1000), (1000, 4000)):
        # the gradient of the weight itself is as large as the weight
        allowed = max(room // 4, vocabulary * 16, sources * 16)
        assert measured(sources, vocabulary, room).elements <= allowed
        assert measured(sources, vocabulary, room, training=False).elements <= allowed


def test_without_gradients_no_work_is_done_for_them() -> None:
    training, evaluating = measured(50, 100, 2000), measured(50, 100, 2000, training=False)
    products = [sum("mm" in name or "linear" in name for name in made.operations) for made in (training, evaluating)]
    assert products[0] == 3 * products[1]
    with torch.no_grad():
        hidden, weight, bias = inputs_of()
        edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
        assert hidden is not None
        assert weight is not None
        assert not loss_by_weight(hidden[edges.sources_S], weight, bias, edges, LogitChange()).requires_grad


@pytest.mark.parametrize("trained", range(3))
def test_gradients_of_a_frozen_input_are_not_made_and_the_others_stay(trained: int) -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    leaves = inputs_of()
    wanted = gradients_of(wanted_loss(*leaves, LogitChange()), leaves)[trained]  # type: ignore[arg-type]
    for at, each in enumerate(leaves):
        assert each is not None
        each.requires_grad_(at == trained)
    hidden, weight, bias = leaves
    assert hidden is not None
    assert weight is not None
    loss_by_weight(hidden[edges.sources_S], weight, bias, edges, LogitChange(), logits_bytes=400).backward()
    found = [None if each is None else each.grad for each in leaves]
    assert [each is not None for each in found] == [at == trained for at in range(3)]
    assert apart(found[trained] * 1.5, wanted) < 1e-13  # type: ignore[operator]


def test_walking_the_backward_pass_twice_is_refused_rather_than_wrong() -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    hidden, weight, bias = inputs_of()
    assert hidden is not None
    assert weight is not None
    loss = loss_by_weight(hidden[edges.sources_S], weight, bias, edges, LogitChange())
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="call backward once"):
        loss.backward()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("how", ["autocast", "a model of bfloat16", "only its head of bfloat16"])
def test_lower_precision_is_near_and_gradients_have_the_type_of_what_they_are_of(
    how: str, biased: bool, smoothing: float
) -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    full = inputs_of(biased=biased)
    wanted = gradients_of(wanted_loss(*full, LogitChange(), smoothing), full)  # type: ignore[arg-type]
    leaves: list[Any] = inputs_of(torch.float32 if how == "autocast" else torch.bfloat16, biased)
    if how == "only its head of bfloat16":
        leaves[0] = leaves[0].detach().float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=how == "autocast"):
        loss = loss_by_weight(
            leaves[0][edges.sources_S],
            leaves[1],
            leaves[2],
            edges,
            LogitChange(),
            logits_bytes=200,
            smoothing=smoothing,
        )
    assert loss.dtype == torch.float32
    found = gradients_of(loss, leaves)
    for one, other, leaf in zip(found, wanted, [each for each in leaves if each is not None], strict=True):
        assert one.dtype == leaf.dtype
        assert apart(one.double(), other) < 0.03


def test_infinitely_unlikely_targets_and_huge_logits_stay_finite() -> None:
    edges = Edges.of(SOURCES, TARGETS, WEIGHTS)
    hidden, weight, bias = inputs_of(torch.float32)
    assert hidden is not None
    assert weight is not None
    loss = loss_by_weight(hidden[edges.sources_S] * 1e4, weight, bias, edges, LogitChange())
    assert bool(loss.isfinite())
    assert all(bool(each.isfinite().all()) for each in gradients_of(loss, [hidden, weight, bias]))


def test_a_chunk_has_at_least_one_row() -> None:
    assert chunk_rows(10**9, torch.float32, 1) == 1
    assert chunk_rows(1000, torch.bfloat16, 8000) == 2  # logits are made float32
