import torch

from groundtune.config import ModelConfig
from groundtune.models import build_llama, describe_model, train_tokenizer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=64)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (build_llama(SMALL, TOKENIZER, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.model.embed_tokens.weight, other.model.embed_tokens.weight)


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    build_llama(SMALL, TOKENIZER, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_parameters_are_counted_once_where_they_are_shared() -> None:
    summary = describe_model(build_llama(SMALL, TOKENIZER, seed=1))
    vocabulary = 320  # the tokenizer's entries rounded up to a multiple of 64
    # per layer: q and o 32x32, k and v 32x16, three feed-forward 32x48, two norms of 32
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32
    assert summary.vocabulary == vocabulary
    assert summary.parameters == vocabulary * 32 + 2 * layer + 32
    assert (summary.layers, summary.width, summary.heads, summary.kv_heads) == (2, 32, 4, 2)


def test_input_and_output_embedding_are_one_and_ends_are_known() -> None:
    model = build_llama(SMALL, TOKENIZER, seed=1, dropout=0.25)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.generation_config.eos_token_id == [1, 6]
    assert (model.config.bos_token_id, model.config.pad_token_id) == (0, 2)
    assert model.model.layers[0].self_attn.attention_dropout == 0.25
