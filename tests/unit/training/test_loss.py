import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, GraniteConfig, GraniteForCausalLM, LlamaConfig, LlamaForCausalLM

from groundtune.training.batches import collate
from groundtune.training.examples import Tokenised
from groundtune.training.loss import SupervisedLoss

torch.manual_seed(1)
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 61}
LLAMA = LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True, pad_token_id=2)).double()

examples = st.lists(
    st.lists(st.tuples(st.integers(3, 60), st.booleans()), min_size=2, max_size=20), min_size=1, max_size=5
).map(
    lambda rows: [Tokenised(tuple(token for token, _ in row), (*(mark for _, mark in row[:-1]), True)) for row in rows]
)


def loss_and_gradients(compute, model):
    model.zero_grad()
    loss = compute()
    loss.backward()
    return loss.item(), [parameter.grad.clone() for parameter in model.parameters()]


@settings(max_examples=30, deadline=None)
@given(examples)
def test_gathered_loss_and_gradients_are_those_of_each_example_alone(rows) -> None:
    """In float64, against transformers' own loss on unpadded examples, one at a time."""
    batch = collate(rows, filler=2)
    loss = SupervisedLoss(LLAMA)
    assert loss.choose(LLAMA, batch)

    def plain() -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for row in rows:
            single = collate([row], filler=2)
            total = total + LLAMA(**single).loss.double() * row.supervised_tokens
        return total

    ours, our_gradients = loss_and_gradients(lambda: loss(LLAMA, batch), LLAMA)
    theirs, their_gradients = loss_and_gradients(plain, LLAMA)
    # transformers computes its loss in float32
    assert ours == pytest.approx(theirs, rel=1e-6)
    for mine, other in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(examples)
def test_gathered_and_plain_way_agree(rows) -> None:
    batch = collate(rows, filler=2)
    loss = SupervisedLoss(LLAMA)
    ours, our_gradients = loss_and_gradients(lambda: loss._gathered(LLAMA, batch), LLAMA)
    plain, plain_gradients = loss_and_gradients(lambda: loss._plain(LLAMA, batch), LLAMA)
    assert ours == pytest.approx(plain, rel=1e-6)
    for mine, other in zip(our_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=61, n_positions=32)),
        # scales its logits after the projection: the hook stands before it, so this is kept exactly too
        GraniteForCausalLM(GraniteConfig(**SIZES, num_key_value_heads=2, logits_scaling=8.0)),
    ],
    ids=["gpt2", "granite"],
)
def test_other_architectures_take_the_gathered_way_and_agree(model) -> None:
    rows = [Tokenised((5, 6, 7, 8), (False, False, True, True)), Tokenised((9, 10), (False, True))]
    batch = collate(rows, filler=0)
    loss = SupervisedLoss(model)
    assert loss.choose(model, batch)
    model.eval()
    torch.testing.assert_close(loss(model, batch), loss._plain(model, batch), rtol=1e-6, atol=1e-6)


class MixingHead(LlamaForCausalLM):
    """Does to its logits what needs all positions at once, as no known model does: the gathered way must not be taken."""

    def forward(self, **arguments):
        output = super().forward(**arguments)
        output.logits = output.logits - output.logits.mean(dim=1, keepdim=True) * 5
        return output


def test_a_model_where_both_ways_differ_is_trained_the_plain_way() -> None:
    model = MixingHead(LLAMA.config)
    batch = collate([Tokenised((5, 6, 7, 8), (False, False, True, True))], filler=2)
    loss = SupervisedLoss(model)
    assert not loss.choose(model, batch)
    torch.testing.assert_close(loss(model, batch), loss._plain(model, batch))


def test_no_hook_stays_behind() -> None:
    loss = SupervisedLoss(LLAMA)
    batch = collate([Tokenised((5, 6, 7), (False, False, True))], filler=2)
    loss(LLAMA, batch)
    assert not LLAMA.lm_head._forward_pre_hooks
    assert LLAMA(input_ids=batch["input_ids"]).logits.shape == (1, 3, 61)
