"""Loss and gradients of the tree are those of the model's own forward on one example at a time."""

import random
import warnings
from typing import Any

import peft
import pytest
import torch
import transformers as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundtune.models import AlibiForCausalLM
from groundtune.prefix import PreparedModel

from .plainly import (
    EXACT,
    VOCABULARY,
    Doubles,
    Drawn,
    assert_exact,
    build,
    checkpoint_activations,
    compare,
    gradients,
    largest_gap,
    rows_of,
    tree_loss,
)

LETTERS = random.Random(7)


def text(length: int) -> list[int]:
    return [LETTERS.randrange(3, VOCABULARY) for _ in range(length)]


def answered(prefix: list[int], question: int, answer: int, weight: float = 1.0) -> tuple[list[int], list[float]]:
    """An example of a prefix, a question, and a supervised answer of so many tokens."""
    untrained = prefix + text(question)
    return untrained + text(answer), [0.0] * len(untrained) + [weight] * answer


def conversation(turns: int, system: list[int]) -> tuple[list[int], list[float]]:
    """Every assistant turn is trained."""
    ids, weights = list(system), [0.0] * len(system)
    for _ in range(turns):
        turn, marks = answered([], 3, 3)
        ids, weights = ids + turn, weights + marks
    return ids, weights


def _conversation_whose_thoughts_are_dropped() -> Drawn:
    """Each turn is an example of its own over what remains of those before it."""
    past, drawn = text(3), []
    for _ in range(3):
        past = past + text(2)
        thought, answer = text(3), text(2)
        drawn.append((past + thought + answer, [0.0] * len(past) + [1.0] * 5))
        past = past + answer
    return drawn


SYSTEM, OTHER_SYSTEM = text(4), text(3)
CONTEXT, LONG_CONTEXT = SYSTEM + text(7), SYSTEM + text(24)
SECTION = CONTEXT + text(4)
WHOLE = answered(CONTEXT, 2, 4)

SHAPES: dict[str, Drawn] = {
    "flat": [answered([], 3, 4), answered([], 1, 2), answered([], 5, 3)],
    "shared system prompts": [answered(each, 3, 3) for each in (SYSTEM, SYSTEM, OTHER_SYSTEM, OTHER_SYSTEM)],
    "shared contexts": [answered(each, 2, 3) for each in (CONTEXT, CONTEXT, CONTEXT, LONG_CONTEXT, LONG_CONTEXT)],
    "three levels": [answered(each, 2, 2) for each in (SYSTEM, SYSTEM, CONTEXT, CONTEXT, SECTION, SECTION)],
    "every assistant turn": [conversation(3, SYSTEM), conversation(2, SYSTEM), conversation(1, OTHER_SYSTEM)],
    "dropped thoughts": _conversation_whose_thoughts_are_dropped(),
    "duplicates": [WHOLE, WHOLE, answered(CONTEXT, 2, 2), WHOLE],
    "one a prefix of another": [
        WHOLE,
        (WHOLE[0][:-2], WHOLE[1][:-2]),
        (WHOLE[0] + text(3), [*WHOLE[1], 1.0, 0.0, 1.0]),
    ],
    "answers that begin where the context ends": [answered(CONTEXT, 0, 3) for _ in range(4)],
    "everything supervised": [(ids := CONTEXT + text(3), [1.0] * len(ids)) for _ in range(3)],
    "weights": [answered(CONTEXT, 2, 3, 0.1), answered(CONTEXT, 2, 3, 2.5), answered(CONTEXT, 0, 2, 1e-3), WHOLE],
    "two tokens": [([5, 6], [0.0, 1.0]), ([5, 7], [1.0, 1.0]), ([5, 6, 7], [0.0, 0.0, 1.0])],
}

PACKS = (44, 70, 512)
"""From hardly the longest example to all in one row."""

SLIDING: dict[str, Any] = {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]}
GEMMA: dict[str, Any] = {**SLIDING, "query_pre_attn_scalar": 6}
GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
DRY: dict[str, Any] = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
EXPERTS: dict[str, Any] = {
    "num_local_experts": 4,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    # the fused kernels for experts take no doubles
    "experts_implementation": "eager",
}

ARCHITECTURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "Llama, grouped queries, untied": (tf.LlamaForCausalLM, {"tie_word_embeddings": False, "num_hidden_layers": 3}),
    "Llama, tied": (tf.LlamaForCausalLM, {"tie_word_embeddings": True}),
    "Llama, biases everywhere": (tf.LlamaForCausalLM, {"attention_bias": True, "mlp_bias": True}),
    "ALiBi": (AlibiForCausalLM, {}),
    "ALiBi, three heads": (AlibiForCausalLM, {"num_attention_heads": 3, "num_key_value_heads": 1, "hidden_size": 24}),
    "Mistral, sliding": (tf.MistralForCausalLM, {"sliding_window": 5}),
    "Mistral, a window of one": (tf.MistralForCausalLM, {"sliding_window": 1}),
    "Qwen2, sliding in some layers": (tf.Qwen2ForCausalLM, {**SLIDING, "use_sliding_window": True}),
    "Qwen3": (tf.Qwen3ForCausalLM, {}),
    "Gemma": (tf.GemmaForCausalLM, {}),
    "Gemma2, capped scores and logits": (
        tf.Gemma2ForCausalLM,
        {**GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "Gemma3": (tf.Gemma3ForCausalLM, GEMMA),
    "Phi, a head with bias": (tf.PhiForCausalLM, {}),
    "Phi3": (tf.Phi3ForCausalLM, {"sliding_window": 6}),
    "Cohere, scaled logits": (tf.CohereForCausalLM, {"logit_scale": 0.3}),
    "Cohere2": (tf.Cohere2ForCausalLM, {**SLIDING, "logit_scale": 0.3}),
    "Granite, multipliers and divided logits": (
        tf.GraniteForCausalLM,
        {"logits_scaling": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.5, "embedding_multiplier": 2.0},
    ),
    "SmolLM3, layers without rotation": (tf.SmolLM3ForCausalLM, {}),
    "Olmo2": (tf.Olmo2ForCausalLM, {}),
    "Mixtral": (tf.MixtralForCausalLM, EXPERTS),
    "Qwen3 with experts": (tf.Qwen3MoeForCausalLM, EXPERTS),
    "GptOss, sinks": (
        tf.GptOssForCausalLM,
        {**EXPERTS, **SLIDING, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
    ),
    "GPT-2, learnt positions": (tf.GPT2LMHeadModel, {**GPT, **DRY}),
    "OPT, learnt positions": (tf.OPTForCausalLM, {"ffn_dim": 48, "word_embed_proj_dim": 32, "dropout": 0.0}),
    "GPT-NeoX": (tf.GPTNeoXForCausalLM, {}),
    "StableLM": (tf.StableLmForCausalLM, {}),
    "Starcoder2": (tf.Starcoder2ForCausalLM, {"sliding_window": 5, "residual_dropout": 0.0, "embedding_dropout": 0.0}),
    "HRM, layers run several times": (tf.HrmTextForCausalLM, {}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradients_are_those_of_plain_computation(shape: str) -> None:
    assert_exact(build(tf.LlamaForCausalLM, num_hidden_layers=2), SHAPES[shape], PACKS)


@pytest.mark.parametrize("shape", SHAPES)
def test_windows_and_distances_are_those_of_plain_computation(shape: str) -> None:
    assert_exact(build(tf.MistralForCausalLM, sliding_window=4), SHAPES[shape], PACKS)
    assert_exact(build(AlibiForCausalLM), SHAPES[shape], PACKS)


MIXED: Drawn = [*SHAPES["three levels"][2:], *SHAPES["shared contexts"][3:], *SHAPES["weights"][:2], WHOLE]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_is_exact(name: str) -> None:
    model_class, changes = ARCHITECTURES[name]
    model = build(model_class, **changes)
    assert max(len(ids) for ids, _ in MIXED) > 30, "sequences are longer than every window"
    assert_exact(model, MIXED, PACKS[:1] + PACKS[2:])


def test_loss_does_not_depend_on_how_rows_are_packed() -> None:
    drawn = [example for shape in SHAPES.values() for example in shape]
    model = build(tf.LlamaForCausalLM)
    with Doubles(), PreparedModel(model) as prepared, torch.no_grad():
        losses = torch.stack([tree_loss(prepared, drawn, packs) for packs in (40, 64, 100, 300, 4096)])
    assert (losses / losses[0] - 1).abs().max() < 1e-12


def test_gradients_of_one_row_at_a_time_add_up() -> None:
    model = build(tf.LlamaForCausalLM)
    with Doubles(), PreparedModel(model) as prepared:
        together = gradients(model, tree_loss(prepared, MIXED, 44))
        for example in MIXED:
            tree_loss(prepared, [example], 44).backward()
        one_by_one = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
        gap, name = largest_gap(one_by_one, together)
    assert gap < EXACT, name


# --- adapters ----------------------------------------------------------------------------------------------------------

ADAPTERS = {
    "attention": {"target_modules": ["q_proj", "v_proj"]},
    "all linear": {"target_modules": "all-linear"},
    "feed-forward blocks": {"target_modules": ["gate_proj", "down_proj"]},
    "the head": {"target_modules": ["q_proj", "lm_head"]},
    "the head whole": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "a norm whole": {"target_modules": ["q_proj"], "modules_to_save": ["norm"]},
    "embeddings": {"target_modules": ["embed_tokens", "o_proj"]},
}


def adapted(model: Any, **changes: Any) -> Any:
    torch.manual_seed(1)
    with warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by a name that this has deprecated
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, lora_alpha=5, task_type="CAUSAL_LM", **changes))
    wrapped.double()
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return wrapped


@pytest.mark.parametrize("where", ADAPTERS)
def test_adapters_are_trained_exactly_and_nothing_else_is(where: str) -> None:
    model = adapted(build(tf.LlamaForCausalLM, tie_word_embeddings=False), **ADAPTERS[where])
    assert_exact(model, MIXED, PACKS[:1])
    with PreparedModel(model) as prepared:
        found = gradients(model, tree_loss(prepared, MIXED, 64))
    assert found.keys() == {name for name, each in model.named_parameters() if each.requires_grad}


def test_adapters_of_other_architectures_are_exact() -> None:
    assert_exact(adapted(build(tf.Gemma2ForCausalLM, **GEMMA), target_modules=["q_proj", "up_proj"]), MIXED)
    assert_exact(
        adapted(build(tf.GPT2LMHeadModel, **GPT, **DRY), target_modules=["c_attn"], fan_in_fan_out=True), MIXED
    )


@pytest.mark.parametrize("where", ["all linear", "the head", "a norm whole"])
def test_adapters_put_in_after_preparing_are_trained_as_if_put_in_before(where: str) -> None:
    # SFTTrainer(model=prepared.model, peft_config=...) does this
    wanted_model = adapted(build(tf.LlamaForCausalLM, tie_word_embeddings=False), **ADAPTERS[where])
    with Doubles(), PreparedModel(wanted_model) as prepared:
        wanted = gradients(wanted_model, tree_loss(prepared, MIXED, 64))
    model = build(tf.LlamaForCausalLM, tie_word_embeddings=False)
    with Doubles(), PreparedModel(model) as prepared:
        wrapped = adapted(model, **ADAPTERS[where])
        found = gradients(wrapped, tree_loss(prepared, MIXED, 64))
    gap, name = largest_gap(found, wanted)
    assert gap < EXACT, f"gradients of {name} differ by {gap:.1e}"


# --- how training runs it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("model_class", [tf.LlamaForCausalLM, tf.MistralForCausalLM, AlibiForCausalLM])
def test_gradient_checkpointing_changes_nothing(model_class: Any, reentrant: bool) -> None:
    model = build(model_class, **({"sliding_window": 5} if model_class is tf.MistralForCausalLM else {}))
    checkpoint_activations(model, reentrant)
    assert_exact(model, MIXED, PACKS[:1])


def test_several_rows_under_checkpointing_may_wait_for_one_backward_pass() -> None:
    model = build(tf.LlamaForCausalLM)
    checkpoint_activations(model, reentrant=False)
    assert len(rows_of(MIXED, 44)) > 1
    assert_exact(model, MIXED, [44])


def test_adapters_under_reentrant_checkpointing_are_exact() -> None:
    model = adapted(build(tf.LlamaForCausalLM), **ADAPTERS["all linear"])
    model.enable_input_require_grads()
    checkpoint_activations(model, reentrant=True)
    assert_exact(model, MIXED, PACKS[:1])


AUTOCAST = {
    "Llama": (tf.LlamaForCausalLM, {}),
    "Qwen3, normed queries": (tf.Qwen3ForCausalLM, {}),
    "Phi, a head with bias": (tf.PhiForCausalLM, {}),
    "Gemma2, capped": (tf.Gemma2ForCausalLM, {**GEMMA, "final_logit_softcapping": 30.0}),
    "GPT-2": (tf.GPT2LMHeadModel, {**GPT, **DRY}),
    "GptOss, sinks": (
        tf.GptOssForCausalLM,
        {**EXPERTS, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
    ),
    "ALiBi": (AlibiForCausalLM, {}),
}


@pytest.mark.parametrize("name", AUTOCAST)
def test_bfloat16_autocast_is_close_to_full_precision(name: str) -> None:
    model_class, changes = AUTOCAST[name]
    model = build(model_class, **changes).float()
    with PreparedModel(model) as prepared:
        wanted_loss = tree_loss(prepared, MIXED, 64)
        wanted = gradients(model, wanted_loss)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = tree_loss(prepared, MIXED, 64)
        found = gradients(model, loss)
    assert loss.item() == pytest.approx(wanted_loss.item(), rel=0.02)
    for parameter in wanted:
        assert found[parameter].dtype == torch.float32
    flat, flat_wanted = (torch.cat([side[each].flatten() for each in sorted(wanted)]) for side in (found, wanted))
    assert torch.cosine_similarity(flat, flat_wanted, dim=0) > 0.98


def test_a_model_of_bfloat16_is_close_to_full_precision() -> None:
    model = build(tf.LlamaForCausalLM).float()
    with PreparedModel(model) as prepared, torch.no_grad():
        wanted = tree_loss(prepared, MIXED, 64).item()
    model = model.bfloat16()
    with PreparedModel(model) as prepared:
        loss = tree_loss(prepared, MIXED, 64)
        found = gradients(model, loss)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(wanted, rel=0.02)
    assert {each.dtype for each in found.values()} == {torch.bfloat16}


def test_dropout_is_drawn_in_training_only_and_averages_out() -> None:
    model = build(tf.LlamaForCausalLM, num_hidden_layers=1, attention_dropout=0.2)
    calm = build(tf.LlamaForCausalLM, num_hidden_layers=1)
    drawn = SHAPES["shared contexts"][:3]
    model.eval()
    assert_exact(model, drawn)
    model.train()
    with Doubles(), PreparedModel(model) as prepared, PreparedModel(calm) as undisturbed, torch.no_grad():
        torch.manual_seed(0)
        losses = torch.stack([tree_loss(prepared, drawn, 64) for _ in range(100)])
        wanted = tree_loss(undisturbed, drawn, 64)
    assert losses.std() > 0
    # the loss is no linear function of what is dropped, so its mean is near and not the same
    assert losses.mean() == pytest.approx(wanted.item(), rel=0.05)
    with Doubles(), PreparedModel(model) as prepared:
        found = gradients(model, tree_loss(prepared, drawn, 64))
    assert all(bool(each.isfinite().all()) for each in found.values())


def test_dropout_under_checkpointing_is_drawn_once() -> None:
    model = build(tf.LlamaForCausalLM, attention_dropout=0.3)
    model.train()
    found = []
    with Doubles(), PreparedModel(model) as prepared:
        for checkpointing in (False, True):
            if checkpointing:
                checkpoint_activations(model, reentrant=False)
            torch.manual_seed(0)
            found.append(gradients(model, tree_loss(prepared, MIXED, 512)))
    assert largest_gap(*found)[0] < EXACT


def test_a_plain_batch_has_the_same_loss_and_gradients_as_the_tree() -> None:
    model = build(tf.LlamaForCausalLM)
    longest = max(len(ids) for ids, _ in MIXED)
    ids = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in MIXED])
    edges = [
        (line * longest + at - 1, token, weight)
        for line, (tokens, weights) in enumerate(MIXED)
        for at, (token, weight) in enumerate(zip(tokens, weights, strict=True))
        if at and weight
    ]
    sources, targets, weights = zip(*edges, strict=True)
    batch = {
        "input_ids": ids,
        "edge_sources": torch.tensor(sources),
        "edge_targets": torch.tensor(targets),
        "edge_weights": torch.tensor(weights),
    }
    for share in (True, False):
        with Doubles(), PreparedModel(model, share=share) as prepared:
            plain = prepared.row_loss(batch)
            found = gradients(model, plain)
        with Doubles(), PreparedModel(model) as prepared:
            wanted = tree_loss(prepared, MIXED, 512)
            assert plain.item() == pytest.approx(wanted.item(), rel=EXACT)
            assert largest_gap(found, gradients(model, wanted))[0] < EXACT


# --- drawn trees -------------------------------------------------------------------------------------------------------


@st.composite
def collisions(draw: st.DrawFn) -> Drawn:
    """Examples of so few different tokens that they share prefixes of all lengths, and are often equal."""
    letters = draw(st.integers(1, 3))
    # weights whose sums float32 holds: it is what merged weights are added in
    made: Drawn = []
    for _ in range(draw(st.integers(1, 7))):
        ids = draw(st.lists(st.integers(3, 2 + letters), min_size=2, max_size=12))
        if made and draw(st.booleans()):
            ids = (draw(st.sampled_from(made))[0] + ids)[:14]
        weights = [draw(st.sampled_from([0.0, 1.0, 1.0, 0.25, 2.0])) for _ in ids]
        made.append((ids, [*weights[:-1], weights[-1] or 1.0]))
    return made


DRAWN_MODELS: dict[str, Any] = {
    "Llama": build(tf.LlamaForCausalLM, num_hidden_layers=2),
    "Mistral": build(tf.MistralForCausalLM, sliding_window=3),
    "ALiBi": build(AlibiForCausalLM),
    "Gemma2": build(tf.Gemma2ForCausalLM, **{**GEMMA, "sliding_window": 4}, attn_logit_softcapping=2.0),
}


def _holds(name: str, drawn: Drawn, max_pack_tokens: int) -> None:
    loss_gap, gap, parameter = compare(DRAWN_MODELS[name], drawn, [max_pack_tokens])
    assert loss_gap < EXACT
    assert gap < EXACT, parameter


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(collisions(), st.sampled_from([14, 20, 64]), st.sampled_from(sorted(DRAWN_MODELS)))
def test_any_tree_is_exact(drawn: Drawn, max_pack_tokens: int, name: str) -> None:
    _holds(name, drawn, max_pack_tokens)


@pytest.mark.slow
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(collisions(), st.integers(14, 80), st.sampled_from(sorted(DRAWN_MODELS)))
def test_any_of_many_trees_is_exact(drawn: Drawn, max_pack_tokens: int, name: str) -> None:
    _holds(name, drawn, max_pack_tokens)
