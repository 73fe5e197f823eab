import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, StaticCache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from groundtune.errors import TrainingError
from groundtune.models import (
    AlibiConfig,
    AlibiForCausalLM,
    alibi_slopes,
    generate_answers,
    load_model,
    load_tokenizer,
    quiet_transformers,
    train_tokenizer,
)

HEADS, KV_HEADS = 6, 2


def settings(**changes):
    sizes = {
        "vocab_size": 320,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
        # larger than usual, so that attention is sharp and a wrong bias shows
        "initializer_range": 0.3,
    }
    return AlibiConfig(**(sizes | changes))


def build(**changes) -> AlibiForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return AlibiForCausalLM(settings(**changes)).double().eval()


def some_ids(rows: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(20, 300, (rows, length), generator=torch.Generator().manual_seed(seed))


def by_hand(model: AlibiForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Logits [T, V] of one sequence, head by head and pair by pair, straight from the paper."""
    inner, size = model.model, model.config.head_dim
    hidden_TD = inner.embed_tokens(ids)
    slopes = [0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]
    place_T = torch.arange(len(ids))
    distance_TT = place_T[:, None] - place_T[None, :]
    for layer in inner.layers:
        normed_TD = layer.input_layernorm(hidden_TD)
        heads = []
        for head, slope in enumerate(slopes):
            shared = head // (HEADS // KV_HEADS)
            query, key, value = (
                normed_TD @ projection.weight[at * size : (at + 1) * size].T
                for projection, at in (
                    (layer.self_attn.q_proj, head),
                    (layer.self_attn.k_proj, shared),
                    (layer.self_attn.v_proj, shared),
                )
            )
            score_TT = query @ key.T / size**0.5 - slope * distance_TT
            heads.append(score_TT.masked_fill(distance_TT < 0, -torch.inf).softmax(-1) @ value)
        hidden_TD = hidden_TD + layer.self_attn.o_proj(torch.cat(heads, -1))
        hidden_TD = hidden_TD + layer.mlp(layer.post_attention_layernorm(hidden_TD))
    return model.lm_head(inner.norm(hidden_TD))


def close(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-5) -> bool:
    """Llama's norm and its eager softmax compute in float32 whatever the model's type: that bounds what can be asked."""
    return bool((found - expected).abs().max() <= tolerance * expected.abs().max())


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_logits_are_those_of_the_paper_worked_out_by_hand(attention) -> None:
    model = build()
    model.set_attn_implementation(attention)
    ids = some_ids(1, 30)
    with torch.no_grad():
        assert close(model(ids).logits[0], by_hand(model, ids[0]))


@pytest.mark.parametrize("padded", ["left", "right", "nowhere"])
def test_eager_and_sdpa_give_the_same_logits_and_gradients(padded) -> None:
    ids = some_ids(2, 20)
    mask = torch.ones_like(ids)
    mask[0, {"left": slice(0, 7), "right": slice(13, 20), "nowhere": slice(0, 0)}[padded]] = 0
    outcomes = []
    for attention in ("sdpa", "eager"):
        model = build()
        model.set_attn_implementation(attention)
        logits = model(ids, attention_mask=mask).logits * mask[..., None]
        logits.pow(2).sum().backward()
        outcomes.append([logits, *(each.grad for each in model.parameters())])
    assert all(close(a, b) for a, b in zip(*outcomes, strict=True))


@pytest.mark.parametrize(
    ("heads", "slopes"),
    [
        (1, [2**-8]),
        (2, [2**-4, 2**-8]),
        (3, [2**-4, 2**-8, 2**-2]),
        (8, [2**-1, 2**-2, 2**-3, 2**-4, 2**-5, 2**-6, 2**-7, 2**-8]),
        (12, [*(2.0**-place for place in range(1, 9)), 2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]),
    ],
)
def test_slopes_are_those_of_the_paper_for_any_number_of_heads(heads, slopes) -> None:
    assert alibi_slopes(heads).tolist() == pytest.approx(slopes)
    assert alibi_slopes(heads).dtype == torch.float32


def test_no_heads_have_no_slopes() -> None:
    with pytest.raises(ValueError, match="at least one head, found 0"):
        alibi_slopes(0)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_moving_a_text_changes_nothing_because_only_distances_count(attention) -> None:
    """The same tokens at the start, behind padding, and with positions that begin at 1000."""
    model = build()
    model.set_attn_implementation(attention)
    ids = some_ids(1, 12)
    behind = torch.cat([torch.full((1, 9), 2), ids], dim=1)
    mask = torch.cat([torch.zeros(1, 9, dtype=torch.int64), torch.ones_like(ids)], dim=1)
    with torch.no_grad():
        plain = model(ids).logits
        assert close(model(behind, attention_mask=mask).logits[:, 9:], plain)
        assert close(model(ids, position_ids=torch.arange(1000, 1012)[None]).logits, plain)


def test_how_far_apart_tokens_are_changes_the_result() -> None:
    model = build()
    ids = some_ids(1, 12)
    with torch.no_grad():
        near = model(ids, position_ids=torch.arange(12)[None], attention_mask=torch.ones_like(ids)).logits
        far = model(ids, position_ids=torch.arange(12)[None] * 3, attention_mask=torch.ones_like(ids)).logits
        swapped = model(ids[:, [1, 0, *range(2, 12)]]).logits
    assert not close(far, near, 0.01)
    assert not close(swapped[:, 5:], near[:, 5:], 0.01)


def test_packed_texts_told_apart_by_their_positions_are_as_if_alone() -> None:
    model = build()
    first, second = some_ids(1, 8, seed=1), some_ids(1, 5, seed=2)
    positions = torch.cat([torch.arange(8), torch.arange(5)])[None]
    with torch.no_grad():
        packed = model(torch.cat([first, second], dim=1), position_ids=positions, use_cache=False).logits
        assert close(packed[:, :8], model(first).logits)
        assert close(packed[:, 8:], model(second).logits)


def test_a_mask_of_ones_own_takes_distances_from_the_positions() -> None:
    """Two branches behind one beginning, laid out one after the other, as floats to add and as booleans."""
    model = build()
    trunk, left, right = (some_ids(1, length, seed) for seed, length in ((1, 6), (2, 3), (3, 4)))
    allowed = torch.ones(13, 13, dtype=torch.bool).tril()
    allowed[9:, 6:9] = False
    positions = torch.cat([torch.arange(9), torch.arange(6, 10)])[None]
    ids = torch.cat([trunk, left, right], dim=1)
    with torch.no_grad():
        alone = model(torch.cat([trunk, right], dim=1)).logits[:, 6:]
        as_floats = torch.zeros(1, 1, 13, 13, dtype=torch.float64).masked_fill(~allowed, -torch.inf)
        for mask in (allowed[None, None], as_floats):
            assert close(model(ids, attention_mask=mask, position_ids=positions).logits[:, 9:], alone)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_generating_with_a_cache_and_padding_gives_what_a_whole_forward_gives(attention) -> None:
    model = build()
    model.set_attn_implementation(attention)
    short, long = some_ids(1, 5, seed=1), some_ids(1, 11, seed=2)
    ids = torch.cat([torch.cat([torch.full((1, 6), 2), short], dim=1), long])
    mask = (ids != 2).long()
    options = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 2}
    with torch.no_grad():
        batch = model.generate(ids, attention_mask=mask, **options)
        assert torch.equal(batch, model.generate(ids, attention_mask=mask, use_cache=False, **options))
        alone = model.generate(short, attention_mask=torch.ones_like(short), **options)
        assert torch.equal(batch[0, 6:], alone[0])
        guessed = model(alone).logits.argmax(-1)
    assert torch.equal(guessed[0, 4:-1], alone[0, 5:])


def test_logits_with_a_cache_of_either_kind_are_those_without() -> None:
    model = build()
    ids = some_ids(2, 16)
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    with torch.no_grad():
        whole = model(ids, attention_mask=mask).logits
        for cache in (None, StaticCache(config=model.config, max_cache_len=24)):
            start = model(ids[:, :9], attention_mask=mask[:, :9], past_key_values=cache, use_cache=True)
            several = model(ids[:, 9:15], attention_mask=mask[:, :15], past_key_values=start.past_key_values)
            one = model(ids[:, 15:], attention_mask=mask, past_key_values=several.past_key_values)
            found = torch.cat([start.logits, several.logits, one.logits], dim=1)
            assert close(found * mask[..., None], whole * mask[..., None])


def test_a_cache_without_any_mask_counts_every_token() -> None:
    model = build()
    ids = some_ids(1, 10)
    with torch.no_grad():
        start = model(ids[:, :6], use_cache=True)
        rest = model(ids[:, 6:], past_key_values=start.past_key_values)
        assert close(torch.cat([start.logits, rest.logits], dim=1), model(ids).logits)


def test_gradient_checkpointing_gives_the_same_gradients() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = build().train()
        if checkpointing:
            model.activation_checkpointing_enable()
        ids = some_ids(2, 10)
        model(ids, labels=ids).loss.backward()
        gradients.append([each.grad for each in model.parameters()])
        assert all(each.gradient_checkpointing == checkpointing for each in model.model.layers)
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_dropout_of_attention_works_in_training_only() -> None:
    model = build(attention_dropout=0.5)
    ids = some_ids(1, 10)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, model(ids).logits)
        model.train()
        assert not torch.equal(model(ids).logits, model(ids).logits)


def test_half_precision_stays_near_full_precision_and_padding_rows_stay_finite() -> None:
    model = build(initializer_range=0.05)
    ids = some_ids(1, 300)
    mask = torch.ones_like(ids)
    mask[:, :5] = 0
    with torch.no_grad():
        expected = model(ids, attention_mask=mask).logits[:, 5:].float()
        for attention in ("sdpa", "eager"):
            model.set_attn_implementation(attention)
            for dtype in (torch.bfloat16, torch.float16):
                found = model.to(dtype)(ids, attention_mask=mask).logits
                assert torch.isfinite(found).all()
                assert close(found[:, 5:].float(), expected, 0.05)
                model = build(initializer_range=0.05)


# what the prefix tree's attention receives


@pytest.fixture
def tree_attention():
    """An attention under the tree's name that keeps what it is given."""
    given = []

    def attend(module, query, key, value, attention_mask, **kwargs):
        given.append((attention_mask, kwargs))
        return query.transpose(1, 2), None

    before = ALL_ATTENTION_FUNCTIONS._global_mapping.get("groundtune_tree")
    ALL_ATTENTION_FUNCTIONS.register("groundtune_tree", attend)
    yield given
    del ALL_ATTENTION_FUNCTIONS._global_mapping["groundtune_tree"]
    if before is not None:
        ALL_ATTENTION_FUNCTIONS.register("groundtune_tree", before)


def test_the_tree_gets_the_row_untouched_with_slopes_and_depths(tree_attention) -> None:
    model = build()
    model.set_attn_implementation("groundtune_tree")
    ids = some_ids(1, 7)
    row = torch.arange(21).view(1, 1, 7, 3)
    depth = torch.tensor([[0, 1, 2, 2, 3, 1, 2]])
    model(ids, attention_mask=row, position_ids=depth)
    assert len(tree_attention) == 2
    for mask, kwargs in tree_attention:
        assert mask is row
        assert torch.equal(kwargs["position_ids"], depth)
        assert torch.equal(kwargs["alibi_slopes"].float(), alibi_slopes(HEADS))


@pytest.mark.parametrize("padded", [False, True])
def test_under_the_trees_attention_plain_batches_give_what_sdpa_gives(padded) -> None:
    pytest.importorskip("groundtune.prefix.attention")
    model, ids = build(), some_ids(2, 12)
    mask = torch.ones_like(ids)
    mask[0, : 4 * padded] = 0
    with torch.no_grad():
        expected = model(ids, attention_mask=mask).logits
        model.set_attn_implementation("groundtune_tree")
        assert torch.equal(model(ids, attention_mask=mask).logits, expected)


def test_a_row_of_the_tree_gives_what_its_texts_give_alone() -> None:
    """A beginning of 6 tokens, a branch of 3 and one of 4 behind it; depth is the position."""
    pytest.importorskip("groundtune.prefix.attention")
    model = build()
    trunk, left, right = (some_ids(1, length, seed) for seed, length in ((1, 6), (2, 3), (3, 4)))
    subtree_end = torch.tensor([13] * 6 + [9] * 3 + [13] * 4)
    depth = torch.tensor([*range(9), *range(6, 10)])
    row = torch.stack([subtree_end, depth, torch.zeros_like(depth)], dim=-1)[None, None]
    ids = torch.cat([trunk, left, right], dim=1)

    def alone() -> torch.Tensor:
        whole = [model(torch.cat([trunk, branch], dim=1)).logits for branch in (left, right)]
        return torch.cat([whole[0], whole[1][:, 6:]], dim=1)

    def together() -> torch.Tensor:
        model.set_attn_implementation("groundtune_tree")
        return model(ids, attention_mask=row, position_ids=depth[None], use_cache=False).logits

    outcomes = []
    for logits in (alone(), together()):
        logits.pow(2).sum().backward()
        outcomes.append([logits, *(each.grad for each in model.parameters())])
        model.zero_grad()
    assert all(close(a, b) for a, b in zip(*outcomes, strict=True))


# saving and loading


def test_a_saved_model_loads_by_the_auto_classes_with_the_same_results(tmp_path) -> None:
    model = build()
    ids = some_ids(1, 9)
    with quiet_transformers():
        model.save_pretrained(tmp_path)
        assert isinstance(AutoConfig.from_pretrained(tmp_path), AlibiConfig)
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64)
        inner = AutoModel.from_pretrained(tmp_path, dtype=torch.float64)
    assert type(loaded) is AlibiForCausalLM
    assert torch.equal(loaded.model.alibi_slopes.float(), alibi_slopes(HEADS))
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    with torch.no_grad():
        assert torch.equal(loaded.eval()(ids).logits, model(ids).logits)
        assert torch.equal(inner.eval()(ids).last_hidden_state, model.model(ids).last_hidden_state)
    assert "alibi_slopes" not in " ".join(model.state_dict())


def test_safe_loading_holds_for_this_architecture_too(tmp_path) -> None:
    with quiet_transformers():
        build().save_pretrained(tmp_path)
    assert isinstance(load_model(tmp_path), AlibiForCausalLM)
    weights = tmp_path / "config.json"
    weights.write_text(weights.read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(TrainingError, match=r"files lack: model\.layers\.2\."):
        load_model(tmp_path)
    weights.write_text(weights.read_text().replace('"rope_parameters": null', '"rope_theta": 10000.0'))
    with pytest.raises(TrainingError, match="rope_theta: groundtune_alibi has no rotary positions"):
        load_model(tmp_path)


def test_untied_heads_are_saved_and_loaded_apart(tmp_path) -> None:
    model = build(tie_word_embeddings=False)
    with quiet_transformers():
        model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, dtype=torch.float64)
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, loaded.model.embed_tokens.weight)


def test_our_own_answering_gives_the_same_answers_alone_and_in_a_batch(tmp_path) -> None:
    train_tokenizer(["Stok ekranı."] * 3, vocab_size=300, chat_template="x").save_pretrained(tmp_path)
    tokenizer, model = load_tokenizer(tmp_path), build()
    prompts = [some_ids(1, length, seed=length)[0].tolist() for length in (4, 9, 13)]
    options = {"max_new_tokens": 8, "stop_ids": [1]}
    together = generate_answers(model, tokenizer, prompts, batch_questions=3, **options)
    assert together == generate_answers(model, tokenizer, prompts, batch_questions=1, **options)


@pytest.mark.parametrize("attention", ["flex_attention", "flash_attention_2"])
def test_attentions_that_would_lose_the_bias_are_refused(attention) -> None:
    with pytest.raises((ValueError, ImportError)):
        build().set_attn_implementation(attention)


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        # per layer: q and o 48x48, k and v 48x16, three of 48x64, two norms
        ({}, 320 * 48 + 2 * (2 * 48 * 48 + 2 * 48 * 16 + 3 * 48 * 64 + 2 * 48) + 48),
        ({"tie_word_embeddings": False}, 2 * 320 * 48 + 2 * (2 * 48 * 48 + 2 * 48 * 16 + 3 * 48 * 64 + 2 * 48) + 48),
        # tiny-v1 of the original system: 24.7 million
        (
            {
                "vocab_size": 64_000,
                "hidden_size": 256,
                "intermediate_size": 688,
                "num_hidden_layers": 12,
                "num_attention_heads": 8,
                "num_key_value_heads": 2,
            },
            24_697_088,
        ),
    ],
)
def test_parameters_are_as_many_as_the_sizes_say(sizes, parameters) -> None:
    with torch.device("meta"):
        model = AlibiForCausalLM(settings(**sizes))
    assert sum(each.numel() for each in model.parameters()) == parameters
