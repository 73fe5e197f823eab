import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.prefix.products import linear, multiply_transposed, onednn_is_faster, suits

from .plainly import apart

ROUNDING = 3e-6


@pytest.fixture(autouse=True, params=[False, True], ids=["torch's own", "oneDNN"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways on any processor."""
    if request.param and not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr("groundtune.prefix.products.onednn_is_faster", lambda: request.param)


def with_gradients(
    function: object, inputs: list[torch.Tensor], like: torch.Tensor | None = None
) -> list[torch.Tensor]:
    leaves = [each.detach().clone().requires_grad_() for each in inputs]
    output = function(*leaves)  # type: ignore[operator]
    torch.manual_seed(9)
    (output * torch.randn_like(output)).sum().backward()
    return [output.detach(), *(each.grad for each in leaves if each.grad is not None)]


@settings(max_examples=tries(120), deadline=None)
@given(
    st.lists(st.integers(1, 5), max_size=3),
    st.sampled_from([1, 2, 17, 64]),
    st.sampled_from([1, 3, 48]),
    st.booleans(),
)
def test_values_and_gradients_are_those_of_torch(shape: list[int], inputs: int, outputs: int, biased: bool) -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(*shape, inputs), torch.randn(outputs, inputs)]
    tensors += [torch.randn(outputs)] if biased else []
    found, wanted = with_gradients(linear, tensors), with_gradients(torch.nn.functional.linear, tensors)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        # all are sums of products of the order of 1: one that nearly cancels is as exact as its terms, not as itself
        assert float((one - other).abs().max()) < ROUNDING * max(1.0, float(other.abs().max()))


def test_views_are_as_good_as_contiguous_tensors() -> None:
    torch.manual_seed(0)
    whole = torch.randn(6, 40, 32)
    weight = torch.randn(32, 48).t()
    for view in (whole[:, ::2], whole.transpose(0, 1), whole[:, :, :32][2:4], whole[:1].expand(3, -1, -1)):
        assert apart(linear(view, weight), torch.nn.functional.linear(view, weight)) < ROUNDING
    flat = torch.randn(32, 20).t()
    assert apart(multiply_transposed(flat, weight), flat @ weight.t()) < ROUNDING


def test_gradients_that_are_views_are_multiplied_rightly() -> None:
    torch.manual_seed(0)
    inputs, weight = torch.randn(4, 5, 8), torch.randn(6, 8)
    results = []
    for function in (linear, torch.nn.functional.linear):
        leaves = [each.clone().requires_grad_() for each in (inputs, weight)]
        # the sum's gradient is one number, expanded
        function(*leaves).transpose(0, 1)[1:].sum().backward()
        results.append([each.grad for each in leaves])
    for one, other in zip(*results, strict=True):
        assert apart(one, other) < ROUNDING


@pytest.mark.parametrize("shape", [(0, 8), (2, 0, 8), (0, 3, 8)])
def test_empty_inputs_have_empty_products_and_no_gradient(shape: tuple[int, ...]) -> None:
    inputs, weight = torch.zeros(shape, requires_grad=True), torch.randn(6, 8, requires_grad=True)
    output = linear(inputs, weight)
    assert output.shape == (*shape[:-1], 6)
    output.sum().backward()
    assert weight.grad is not None
    assert not weight.grad.any()
    assert multiply_transposed(torch.zeros(0, 8), weight.detach()).shape == (0, 6)


def test_gradients_are_made_for_what_wants_them_only() -> None:
    inputs, weight = torch.randn(4, 8), torch.randn(6, 8, requires_grad=True)
    linear(inputs, weight).sum().backward()
    assert weight.grad is not None
    frozen = torch.randn(6, 8)
    inputs.requires_grad_()
    linear(inputs, frozen, torch.randn(6)).sum().backward()
    assert inputs.grad is not None
    with torch.no_grad():
        assert not linear(inputs, weight).requires_grad


def test_other_precisions_stay_with_torch() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        inputs, weight = torch.randn(4, 8).to(dtype), torch.randn(6, 8).to(dtype)
        assert not suits(inputs)
        assert torch.equal(linear(inputs, weight), torch.nn.functional.linear(inputs, weight))


def test_autocast_is_left_to_torch() -> None:
    inputs, weight = torch.randn(4, 8), torch.randn(6, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(inputs, weight).dtype == torch.bfloat16


def test_the_processor_alone_decides() -> None:
    assert onednn_is_faster() is onednn_is_faster()
