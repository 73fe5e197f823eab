import pytest
import torch

from groundtune.config import ModelConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, describe_model, train_tokenizer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=64, copying_start=False)


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


def copied_share(model, symbols: int) -> float:
    """Share of tokens guessed right in a stretch of random tokens that has stood before."""
    first = torch.randint(20, 20 + symbols, (8, 300), generator=torch.Generator().manual_seed(1))
    ids = torch.cat([first, first[:, 100:140]], dim=1)
    with torch.no_grad():
        guesses = model.eval()(input_ids=ids).logits.argmax(-1)
    return float((guesses[:, 303:339] == ids[:, 304:340]).float().mean())


@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (2, 1), (4, 2)])
def test_a_model_can_start_out_copying_what_it_has_never_seen(heads, kv_heads) -> None:
    config = ModelConfig(
        layers=2, width=64 * heads, heads=heads, kv_heads=kv_heads, feed_forward=64, context_tokens=512
    )
    assert copied_share(build_llama(config, TOKENIZER, seed=1, copying_start=True), symbols=200) > 0.6
    assert copied_share(build_llama(config, TOKENIZER, seed=1), symbols=200) < 0.1


def test_copying_looks_at_two_tokens_not_one() -> None:
    """With 30 symbols every one has stood ten times before; one token alone would guess right once in ten."""
    config = ModelConfig(layers=2, width=192, heads=3, kv_heads=3, feed_forward=64, context_tokens=512)
    assert copied_share(build_llama(config, TOKENIZER, seed=1, copying_start=True), symbols=30) > 0.3


def test_a_model_too_small_to_start_out_copying_is_refused() -> None:
    with pytest.raises(TrainingError, match="found 2 layers, 4 heads of 8"):
        build_llama(SMALL, TOKENIZER, seed=1, copying_start=True)
