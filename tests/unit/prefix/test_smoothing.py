"""Smoothed labels of rows are those of torch's cross entropy on the model's own logits, one example at a time."""

from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch
import transformers as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proving import tries
from torch import nn

from groundtune.prefix import PreparedModel, row_tensors

from .plainly import EXACT, VOCABULARY, Doubles, Drawn, apart, build, gradients, largest_gap, rows_of

CONTEXT = [5, 6, 7, 8, 9, 10]

DRAWN: Drawn = [
    ([*CONTEXT, 11, 12, 13], [0.0] * 6 + [1.0, 1.0, 0.5]),
    ([*CONTEXT, 14, 15, 16, 17], [0.0] * 6 + [1.0, 1.0, 2.0, 1.0]),
    ([*CONTEXT, 14, 15, 18], [0.0] * 6 + [1.0, 1.0, 1.0]),
    ([5, 20, 21], [0.0, 1.0, 1.0]),
]


class Doubled(tf.LlamaForCausalLM):
    """Does something between hidden states and logits that no configuration names."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super().forward(*args, **kwargs)
        outputs.logits = outputs.logits * 2.5
        return outputs


def with_an_adapted_head() -> Any:
    lora = peft.LoraConfig(r=3, target_modules=["q_proj", "lm_head"], task_type="CAUSAL_LM", init_lora_weights=False)
    return peft.get_peft_model(build(tf.LlamaForCausalLM, tie_word_embeddings=False), lora).double()


MODELS: dict[str, Callable[[], Any]] = {
    "Llama, by weight": lambda: build(tf.LlamaForCausalLM),
    "Gemma2, capped": lambda: build(tf.Gemma2ForCausalLM, final_logit_softcapping=3.0),
    "Cohere, scaled": lambda: build(tf.CohereForCausalLM, logit_scale=0.3),
    "an adapter on the head, by module": with_an_adapted_head,
    "logits changed in an unknown way, all at once": lambda: build(Doubled),
}


def smoothed(model: nn.Module, drawn: Drawn, smoothing: float) -> torch.Tensor:
    """One example at a time through the model's own forward; torch does the smoothing."""
    total = torch.zeros((), dtype=torch.float64)
    for ids, weights in drawn:
        logits_TV = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
        losses = nn.functional.cross_entropy(
            logits_TV, torch.tensor(ids[1:]), reduction="none", label_smoothing=smoothing
        )
        total = total + (losses * torch.tensor(weights[1:], dtype=torch.float64)).sum()
    return total


# of peft, which asks a model of newer transformers by an older name
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("name", MODELS)
def test_rows_have_torchs_smoothed_loss_and_gradient(name: str) -> None:
    model = MODELS[name]()
    with Doubles():
        wanted_loss = smoothed(model, DRAWN, 0.2)
        wanted = gradients(model, wanted_loss)
        for max_pack_tokens in (10, 64):
            with PreparedModel(model) as prepared:
                assert prepared.chunked == ("unknown" not in name)
                batches = [row_tensors(row) for row in rows_of(DRAWN, max_pack_tokens)]
                loss = torch.stack([prepared.row_loss(batch, label_smoothing=0.2) for batch in batches]).sum()
                assert apart(loss.detach(), wanted_loss.detach()) < EXACT
                assert largest_gap(gradients(model, loss), wanted)[0] < EXACT


def test_what_is_measured_after_a_smoothed_row_is_not_smoothed() -> None:
    with PreparedModel(build(tf.LlamaForCausalLM)) as prepared:
        [row] = rows_of(DRAWN, 64)
        batch = row_tensors(row)
        plain, each = prepared.row_loss(batch), prepared.edge_losses(batch)
        assert apart(prepared.row_loss(batch, label_smoothing=0.3).detach(), plain.detach()) > 1e-2
        assert torch.equal(prepared.row_loss(batch), plain)
        assert torch.equal(prepared.edge_losses(batch), each)


TOKENS = st.integers(0, VOCABULARY - 1)


@settings(max_examples=tries(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drawn=st.lists(
        st.tuples(st.sampled_from([1, 3, 6]), st.lists(TOKENS, min_size=1, max_size=5)), min_size=1, max_size=6
    ),
    smoothing=st.floats(0.0, 0.95),
    max_pack_tokens=st.integers(12, 60),
)
def test_any_examples_in_rows_of_any_length_have_it(
    drawn: list[tuple[int, list[int]]], smoothing: float, max_pack_tokens: int
) -> None:
    examples: Drawn = [(CONTEXT[:shared] + own, [0.0] * shared + [1.0] * len(own)) for shared, own in drawn]
    model = MODEL
    with Doubles(), PreparedModel(model) as prepared, torch.no_grad():
        batches = [row_tensors(row) for row in rows_of(examples, max_pack_tokens)]
        found = sum(float(prepared.row_loss(batch, label_smoothing=smoothing)) for batch in batches)
        with prepared.plainly():
            wanted = float(smoothed(model, examples, smoothing))
    assert found == pytest.approx(wanted, rel=EXACT)


MODEL = build(tf.LlamaForCausalLM)
