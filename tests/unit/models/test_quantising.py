"""Linear layers in 4 bits: what is packed, how near it is, and that computing with it is repeatable and differentiable."""

import sys

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from groundtune.errors import TrainingError
from groundtune.models.inspecting.memory import memory_needs
from groundtune.models.inspecting.structure import sizes_of
from groundtune.models.quantising import held_numbers, quantise_linears, weight_bytes

pytest.importorskip("bitsandbytes")

SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 80}
IDS = torch.arange(3, 27)[None]


def llama(**changes):
    torch.manual_seed(3)
    return LlamaForCausalLM(LlamaConfig(**SIZES | changes, pad_token_id=None)).eval()


def qwen3():
    torch.manual_seed(3)
    return Qwen3ForCausalLM(Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=16, pad_token_id=None)).eval()


def gpt2():
    torch.manual_seed(3)
    return GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=80, n_positions=64)).eval()


def quantised(model, kind="nf4", *, double=True, whole=()):
    return quantise_linears(model, kind, double=double, whole=whole, wanted_by="here")


def linears(model):
    return {name: each for name, each in model.named_modules() if hasattr(getattr(each, "weight", None), "quant_state")}


@pytest.mark.parametrize("make", [llama, qwen3, gpt2])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_every_linear_layer_but_the_head_is_packed_and_computes_nearly_the_same(make, kind) -> None:
    model, before = make(), make()
    packed = quantised(model, kind)
    names = set(linears(model))
    assert len(names) == packed.layers == 2 * {llama: 7, qwen3: 7, gpt2: 4}[make]
    assert "lm_head" not in names
    for name, weight in model.named_parameters():
        if name.removesuffix(".weight") not in names:
            assert weight.dtype == torch.float32
            assert torch.equal(weight, before.get_parameter(name)), name
    with torch.no_grad():
        apart = (model(IDS).logits - before(IDS).logits).abs().mean()
        size = before(IDS).logits.abs().mean()
    assert 0 < apart < (0.2 if kind == "nf4" else 0.3) * size


def test_a_packed_product_is_that_of_the_unpacked_weight_and_its_gradient_too() -> None:
    import bitsandbytes

    model = llama()
    quantised(model)
    layer = model.model.layers[0].mlp.down_proj
    weight = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    one, other = (torch.randn(5, 96, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
    found, wanted = layer(one), nn.functional.linear(other, weight)
    assert torch.equal(found, wanted)
    found.square().sum().backward()
    wanted.square().sum().backward()
    assert torch.equal(one.grad, other.grad)
    # no half packed weight is ever read as a number
    assert weight.shape == (64, 96)
    assert layer.weight.shape == (64 * 96 // 2, 1)


def test_evaluating_changes_nothing_so_that_a_gradient_still_comes_through() -> None:
    """bitsandbytes' own layer is laid out anew by its first evaluation on processors with bfloat16 products, for good."""
    model = llama()
    quantised(model)
    state = {name: each.clone() for name, each in model.state_dict().items()}
    with torch.no_grad():
        first = model(IDS).logits
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(IDS)
        assert torch.equal(model(IDS).logits, first)
    embedded = model.get_input_embeddings()(IDS).detach().requires_grad_()
    model.train()(inputs_embeds=embedded).logits.sum().backward()
    assert float(embedded.grad.abs().max()) > 0
    assert all(torch.equal(each, state[name]) for name, each in model.state_dict().items())


@pytest.mark.parametrize(
    ("inside", "given", "found"),
    [
        (None, torch.float32, torch.float32),
        (None, torch.bfloat16, torch.bfloat16),
        (None, torch.float64, torch.float64),
        (torch.bfloat16, torch.float32, torch.bfloat16),
    ],
)
def test_products_are_in_the_format_that_the_precision_asks_for(inside, given, found) -> None:
    model = llama()
    quantised(model)
    layer = model.model.layers[0].self_attn.q_proj
    inputs = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), torch.autocast("cpu", dtype=inside, enabled=inside is not None):
        output = layer(inputs.to(given))
    assert output.dtype == found
    with torch.no_grad():
        assert torch.allclose(output.float(), layer(inputs), atol=2e-2)


def test_the_constants_cost_half_a_bit_or_an_eighth_of_one() -> None:
    for double, bits in ((False, 4.5), (True, 4.127)):
        model = llama(hidden_size=256, intermediate_size=512)
        packed = quantised(model, double=double)
        numbers = sum(held_numbers(each.weight) for each in linears(model).values())
        assert numbers == sum(
            each.weight.numel()
            for name, each in llama(hidden_size=256, intermediate_size=512).named_modules()
            if isinstance(each, nn.Linear) and name != "lm_head"
        )
        rest = packed.bytes_before - 4 * numbers
        assert 8 * (packed.bytes_after - rest) / numbers == pytest.approx(bits, abs=0.003)


def test_models_inspect_tells_the_bytes_that_are_measured() -> None:
    model = llama(hidden_size=256, intermediate_size=512)
    sizes = sizes_of(model, rank=8)
    _, _, told = memory_needs(
        None,
        parameters=sizes.parameters,
        linear_parameters=sizes.linear,
        lora_parameters=0,
        tokens=1,
        precision="float32",
    )
    quantised(model)
    assert told.weights == pytest.approx(weight_bytes(model), rel=0.005)


def test_what_is_trained_whole_is_not_packed() -> None:
    model = llama()
    quantised(model, whole=["model.layers.0.mlp", "model.layers.1.self_attn.q_proj"])
    names = set(linears(model))
    assert not any(name.startswith("model.layers.0.mlp") for name in names)
    assert "model.layers.1.self_attn.q_proj" not in names
    assert len(names) == 14 - 4
    with pytest.raises(TrainingError, match=r"here: LlamaForCausalLM has no linear layer besides its head"):
        quantised(llama(), whole=["model"])


def test_without_bitsandbytes_one_sentence_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(
        TrainingError, match=r"^here needs the package bitsandbytes, .*; run `pip install groundtune\[qlora\]`$"
    ):
        quantised(llama())
