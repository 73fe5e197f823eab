import pytest
import torch
from torch import nn

from groundtune.prefix import libraries
from groundtune.prefix.libraries import has_torch, library_for, loss_by_library
from groundtune.prefix.loss import Edges, LogitChange

from .plainly import apart

PLAIN = Edges.of(torch.tensor([4, 0, 9]), torch.tensor([3, 1, 22]), torch.ones(3))
UNEVEN = {
    "two targets of one source": Edges.of(torch.tensor([4, 4]), torch.tensor([3, 1]), torch.ones(2)),
    "a weight": Edges.of(torch.tensor([4, 5]), torch.tensor([3, 1]), torch.tensor([1.0, 2.0])),
}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(libraries, "has_liger", lambda: True)
    monkeypatch.setattr(libraries, "has_torch", lambda: True)
    return monkeypatch


def test_on_a_gpu_liger_comes_first_then_torch_then_our_own(installed: pytest.MonkeyPatch) -> None:
    assert library_for("cuda", PLAIN, LogitChange()) == "liger"
    installed.setattr(libraries, "has_liger", lambda: False)
    assert library_for("cuda", PLAIN, LogitChange()) == "torch"
    assert library_for("cuda", PLAIN, LogitChange(cap=30.0)) == "own"
    installed.setattr(libraries, "has_torch", lambda: False)
    assert library_for("cuda", PLAIN, LogitChange()) == "own"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("edges", UNEVEN.values(), ids=UNEVEN)
def test_what_the_libraries_cannot_say_stays_with_our_own(edges: Edges) -> None:
    assert library_for("cuda", edges, LogitChange()) == "own"
    assert library_for("cuda", PLAIN, LogitChange(scale=0.5)) == "own"
    assert library_for("cuda", PLAIN, LogitChange(), smoothing=0.1) == "own"
    assert library_for("cpu", PLAIN, LogitChange()) == "own"


@pytest.mark.skipif(not has_torch(), reason="this torch has no linear_cross_entropy with chunks")
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-13), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_torch_gives_our_loss_and_gradients(dtype: torch.dtype, bound: float, biased: bool) -> None:
    torch.manual_seed(0)
    count, width, vocabulary = 50, 16, 301
    made = [torch.randn(count, width), torch.randn(vocabulary, width), torch.randn(vocabulary)]
    edges = Edges.of(torch.arange(count), torch.randint(vocabulary, (count,)), torch.ones(count))
    found = []
    for library in ("torch", "own"):
        hidden, weight, bias = (each.to(dtype).requires_grad_() for each in made)
        loss = loss_by_library(
            hidden,
            weight,
            bias if biased else None,
            edges,
            LogitChange(),
            library=library,  # type: ignore[arg-type]
        )
        loss.backward()
        assert loss.dtype == torch.promote_types(dtype, torch.float32)
        found.append([loss.detach(), *(each.grad for each in (hidden, weight, bias) if each.grad is not None)])
    assert len(found[0]) == len(found[1]) == 3 + biased
    for one, other in zip(*found, strict=True):
        assert apart(one, other) < bound


@pytest.mark.skipif(
    not (torch.cuda.is_available() and libraries.has_liger()), reason="Liger's kernels need CUDA and liger-kernel"
)
def test_liger_gives_our_loss_and_gradients() -> None:
    torch.manual_seed(0)
    edges = Edges.of(torch.arange(64), torch.randint(1000, (64,)), torch.ones(64))
    made = [torch.randn(64, 128), torch.randn(1000, 128)]
    found = []
    for library in ("liger", "own"):
        hidden, weight = (each.cuda().requires_grad_() for each in made)
        on_gpu = Edges(*(getattr(edges, name).cuda() for name in ("sources_S", "rows_E", "targets_E", "weights_E")))
        loss_by_library(hidden, weight, None, on_gpu, LogitChange(), library=library).backward()  # type: ignore[arg-type]
        found.append([hidden.grad, weight.grad])
    for one, other in zip(*found, strict=True):
        assert one is not None
        assert other is not None
        assert apart(one, other) < 1e-3


def test_autocast_takes_the_products_in_half_precision_and_gives_the_gradient_in_full() -> None:
    if not has_torch():
        pytest.skip("this torch has no linear_cross_entropy with chunks")
    head = nn.Linear(16, 40, bias=False)
    hidden = torch.randn(3, 16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_by_library(hidden, head.weight, None, PLAIN_THREE, LogitChange(), library="torch")
    loss.backward()
    assert loss.dtype == torch.float32
    assert head.weight.grad is not None
    assert head.weight.grad.dtype == torch.float32
    assert bool(head.weight.grad.any())


PLAIN_THREE = Edges.of(torch.arange(3), torch.tensor([3, 1, 22]), torch.ones(3))
