"""Measuring a loss without training."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from groundtune.errors import TrainingError
from groundtune.training import Tokenised, measure_each_loss, measure_loss

CONFIG = LlamaConfig(
    vocab_size=40,
    hidden_size=16,
    intermediate_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=2,
    pad_token_id=2,
    bos_token_id=0,
    eos_token_id=6,
)


def test_the_loss_is_that_of_one_example_at_a_time_by_hand_however_it_is_cut():
    torch.manual_seed(1)
    model = LlamaForCausalLM(CONFIG).eval()
    examples = [
        Tokenised(
            tuple(7 + (place + step) % 30 for step in range(4 + place)), tuple(step > 1 for step in range(4 + place))
        )
        for place in range(5)
    ]
    total, tokens = 0.0, 0
    with torch.no_grad():
        for example in examples:
            log_probabilities = model(torch.tensor([example.input_ids])).logits[0].log_softmax(-1)
            for place in range(1, len(example.input_ids)):
                if example.trained[place]:
                    total -= float(log_probabilities[place - 1, example.input_ids[place]])
                    tokens += 1
    for sharing in ("tree", "plain"):
        for max_pack_tokens in (8, 20, 100):
            loss = measure_loss(model, examples, max_pack_tokens=max_pack_tokens, sharing=sharing, threads=1)
            assert loss == pytest.approx(total / tokens, rel=1e-5)
    assert model.config._attn_implementation == "sdpa"
    assert "forward" not in vars(model)


def test_the_loss_of_each_example_is_its_own_also_where_examples_share_tokens_or_are_the_same():
    torch.manual_seed(2)
    model = LlamaForCausalLM(CONFIG).eval()
    shared = (0, 9, 10, 11)
    ends = [(12, 13), (12, 14, 6), (12, 13), (20,), (12, 13, 6)]
    # two are equal, and one is the beginning of another: their edges are computed once and belong to all of them
    examples = [Tokenised(shared + end, (False,) * 4 + (True,) * len(end)) for end in ends]
    by_hand = []
    with torch.no_grad():
        for example in examples:
            log_probabilities = model(torch.tensor([example.input_ids])).logits[0].log_softmax(-1)
            places = range(4, len(example.input_ids))
            by_hand.append(-sum(float(log_probabilities[place - 1, example.input_ids[place]]) for place in places))
    for sharing in ("tree", "plain"):
        for max_pack_tokens in (8, 40):
            sums, tokens = measure_each_loss(
                model, examples, max_pack_tokens=max_pack_tokens, sharing=sharing, threads=1
            )
            assert sums == pytest.approx(by_hand, rel=1e-5)
            assert tokens == [len(end) for end in ends]


def test_nothing_to_measure_is_an_error():
    with pytest.raises(TrainingError, match="no evaluation examples"):
        measure_loss(LlamaForCausalLM(CONFIG), [], max_pack_tokens=64)
