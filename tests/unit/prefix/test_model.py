import copy
import inspect
from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch
import transformers as tf
from torch import nn

from groundtune.errors import TrainingError
from groundtune.models import AlibiForCausalLM
from groundtune.prefix import ATTENTION, IGNORED, PreparedModel, build_tree, pack_rows, prepare_model, row_tensors
from groundtune.prefix.batch import tree_mask
from groundtune.prefix.loss import LogitChange

from .plainly import Drawn, Largest, assert_exact, build, examples_of, gradients, largest_gap, rows_of, tree_loss

CONTEXT = [5, 6, 7, 8, 9, 10]

DRAWN: Drawn = [
    ([*CONTEXT, 11, 12, 13], [0.0] * 6 + [0.0, 1.0, 1.0]),
    ([*CONTEXT, 14, 15, 16, 17], [0.0] * 6 + [0.0, 1.0, 1.0, 1.0]),
    ([5, 20, 21], [0.0, 1.0, 1.0]),
]

GEMMA: dict[str, Any] = {
    "query_pre_attn_scalar": 6,
    "sliding_window": 5,
    "layer_types": ["sliding_attention", "full_attention"],
    "attn_logit_softcapping": 2.0,
    "final_logit_softcapping": 3.0,
}

SINKS: dict[str, Any] = {
    "num_local_experts": 4,
    "experts_implementation": "eager",
    "sliding_window": 5,
    "layer_types": ["sliding_attention", "full_attention"],
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
}

MODELS: dict[str, Callable[[], Any]] = {
    "Llama": lambda: build(tf.LlamaForCausalLM),
    "Mistral, sliding": lambda: build(tf.MistralForCausalLM, sliding_window=5),
    "ALiBi": lambda: build(AlibiForCausalLM),
    "Gemma2, capped": lambda: build(tf.Gemma2ForCausalLM, **GEMMA),
    "GptOss, sinks": lambda: build(tf.GptOssForCausalLM, **SINKS),
    "Llama, eager": lambda: build(tf.LlamaForCausalLM, attn_implementation="eager"),
}


def state(model: Any) -> dict[str, Any]:
    """Everything of a model that preparing touches."""
    return {
        "config": model.config.to_dict(),
        "attention": [each.config._attn_implementation for each in model.modules() if hasattr(each, "config")],
        "attributes": [sorted(each.__dict__) for each in model.modules()],
        "training": [each.training for each in model.modules()],
        "hooks": [len(each._forward_pre_hooks) + len(each._forward_hooks) for each in model.modules()],
        "weights": {name: each.clone() for name, each in model.state_dict().items()},
        "gradients": [each.requires_grad for each in model.parameters()],
    }


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    for name in one.keys() - {"weights"}:
        assert one[name] == other[name], name
    for name, weight in one["weights"].items():
        assert torch.equal(weight, other["weights"][name]), name


# --- left as it was ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_leaving_puts_everything_back(name: str) -> None:
    model = MODELS[name]()
    before = state(model)
    with PreparedModel(model) as prepared:
        assert model.config._attn_implementation == ATTENTION
        tree_loss(prepared, DRAWN, 64).backward()
    model.zero_grad()
    assert_same(state(model), before)


def test_an_exception_inside_puts_everything_back() -> None:
    model = build(tf.LlamaForCausalLM)
    before = state(model)

    def interrupted() -> None:
        with PreparedModel(model) as prepared:
            tree_loss(prepared, DRAWN, 64)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert_same(state(model), before)


def test_an_exception_in_the_forward_pass_leaves_nothing_behind_for_the_next_row() -> None:
    model = build(tf.LlamaForCausalLM)
    with PreparedModel(model) as prepared:
        wanted = float(tree_loss(prepared, DRAWN, 64).detach())
        batch = row_tensors(rows_of(DRAWN, 64)[0])
        with pytest.raises(IndexError):
            prepared.row_loss({**batch, "input_ids": batch["input_ids"] + 1000})
        assert float(tree_loss(prepared, DRAWN, 64).detach()) == wanted
        ids = torch.tensor([CONTEXT])
        assert model(input_ids=ids).logits.shape == (1, 6, 32)


def test_a_refused_model_is_left_as_it_was() -> None:
    model = build(tf.GPTJForCausalLM, n_embd=32, n_layer=1, n_head=4, rotary_dim=4, n_positions=64)
    before = state(model)
    with pytest.raises(TrainingError, match="attention of its own"):
        PreparedModel(model)
    assert_same(state(model), before)


def test_preparing_does_not_touch_which_parts_are_in_training_mode() -> None:
    model = build(tf.LlamaForCausalLM)
    model.train()
    model.model.layers[0].eval()
    before = state(model)
    with PreparedModel(model):
        assert [each.training for each in model.modules()] == before["training"]


def test_preparing_twice_and_leaving_in_turn_is_harmless() -> None:
    model = build(tf.LlamaForCausalLM)
    before = state(model)
    with PreparedModel(model) as outer:
        wanted = float(tree_loss(outer, DRAWN, 64).detach())
        with PreparedModel(model) as inner:
            assert float(tree_loss(inner, DRAWN, 64).detach()) == pytest.approx(wanted, rel=1e-9)
        assert float(tree_loss(outer, DRAWN, 64).detach()) == pytest.approx(wanted, rel=1e-9)
    outer.restore()
    assert_same(state(model), before)


def test_the_signature_that_trainers_read_stays() -> None:
    # transformers.Trainer drops the columns of a dataset that forward does not name
    model = build(tf.LlamaForCausalLM)
    before = list(inspect.signature(model.forward).parameters)
    with PreparedModel(model):
        assert list(inspect.signature(model.forward).parameters) == before


def test_a_copy_of_a_prepared_model_computes_with_its_own_weights() -> None:
    model = build(tf.LlamaForCausalLM)
    ids = torch.tensor([CONTEXT])
    with PreparedModel(model), torch.no_grad():
        other = copy.deepcopy(model)
        for parameter in other.parameters():
            parameter.zero_()
        assert not other(input_ids=ids).logits.any()


# --- plain calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_plain_calls_give_what_the_unprepared_model_gives(name: str) -> None:
    # not doubles: eager attention takes its softmax in float32, where the lowest double is minus infinity
    model = MODELS[name]().float().eval()
    torch.manual_seed(0)
    ids = torch.randint(3, 32, (3, 12))
    left, right = torch.ones(3, 12, dtype=torch.int64), torch.ones(3, 12, dtype=torch.int64)
    left[1, :4], right[1, 9:], right[2, 5:] = 0, 0, 0
    calls: list[dict[str, Any]] = [
        {"input_ids": ids},
        {"input_ids": ids, "attention_mask": left},
        {"input_ids": ids, "attention_mask": right},
        {"input_ids": ids, "attention_mask": right, "labels": ids.masked_fill(right == 0, IGNORED)},
    ]
    with torch.no_grad():
        wanted = [model(**call) for call in calls]
        with PreparedModel(model):
            found = [model(**call) for call in calls]
    for one, other, call in zip(found, wanted, calls, strict=True):
        real = call.get("attention_mask", torch.ones(3, 12)).bool()
        torch.testing.assert_close(one.logits[real], other.logits[real], rtol=1e-4, atol=1e-4)
        assert type(one) is type(other)
    torch.testing.assert_close(found[3].loss, wanted[3].loss, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_prepared_model_generates_the_same(name: str) -> None:
    model = MODELS[name]().float().eval()
    ids = torch.tensor([[*CONTEXT, 20], [0, 0, *CONTEXT[:4], 21]])
    mask = (ids != 0).long()
    settings = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    wanted = model.generate(ids, attention_mask=mask, **settings)
    with PreparedModel(model):
        found = model.generate(ids, attention_mask=mask, **settings)
    assert torch.equal(found, wanted)


def test_a_training_step_of_a_prepared_model_on_a_plain_batch_is_the_models_own() -> None:
    model = build(tf.LlamaForCausalLM).float()
    ids = torch.tensor([CONTEXT, CONTEXT[::-1]])
    wanted = gradients(model, model(input_ids=ids, labels=ids).loss)
    with PreparedModel(model):
        found = gradients(model, model(input_ids=ids, labels=ids).loss)
    assert largest_gap(found, wanted)[0] < 1e-5


# --- rows --------------------------------------------------------------------------------------------------------------


def separate_batch(drawn: Drawn) -> dict[str, torch.Tensor]:
    [row] = pack_rows(build_tree(examples_of(drawn)), range(len(drawn)), max_pack_tokens=64, separate_targets=True)
    labels = torch.full((1, len(row.input_ids)), IGNORED)
    labels[0, torch.from_numpy(row.edge_sources)] = torch.from_numpy(row.edge_targets)
    batch = {name: each for name, each in row_tensors(row).items() if not name.startswith("edge")}
    return {**batch, "shift_labels": labels}


def test_one_label_a_token_has_the_loss_of_the_edges() -> None:
    model = build(tf.LlamaForCausalLM)
    with PreparedModel(model) as prepared:
        wanted = tree_loss(prepared, DRAWN, 64)
        batch = separate_batch(DRAWN)
        found = prepared.row_loss(batch)
        assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
        divided = model(**batch, num_items_in_batch=torch.tensor(7.0), use_cache=False).loss
        assert divided.item() == pytest.approx(wanted.item() / 7, rel=1e-6)
        assert model(**batch, labels=batch["shift_labels"], use_cache=False)["loss"].item() == found.item()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("adapters", [{}, {"target_modules": ["q_proj", "lm_head"]}])
def test_a_row_without_labels_has_no_loss(adapters: dict[str, Any]) -> None:
    model = build(tf.LlamaForCausalLM)
    if adapters:
        model = peft.get_peft_model(model, peft.LoraConfig(r=2, **adapters)).double()
    with PreparedModel(model) as prepared:
        batch = separate_batch(DRAWN)
        loss = prepared.row_loss({**batch, "shift_labels": torch.full_like(batch["shift_labels"], IGNORED)})
    assert loss.item() == 0
    loss.backward()


def test_evaluation_does_no_work_for_gradients_and_gives_the_same_loss() -> None:
    model = build(tf.LlamaForCausalLM)
    with PreparedModel(model) as prepared:
        wanted = tree_loss(prepared, DRAWN, 64)
        with torch.no_grad():
            found = tree_loss(prepared, DRAWN, 64)
    assert not found.requires_grad
    assert found.item() == wanted.item()
    assert all(each.grad is None for each in model.parameters())


def test_no_logits_of_all_tokens_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = 5000
    model = build(tf.LlamaForCausalLM, vocab_size=vocabulary, hidden_size=8, head_dim=4, num_attention_heads=2)
    drawn: Drawn = [(list(range(3, 203)), [0.0] * 150 + [1.0] * 50)]
    [row] = rows_of(drawn, 200)
    with PreparedModel(model) as prepared:
        with Largest() as made:
            prepared.row_loss(row_tensors(row)).backward()
        assert made.elements <= 50 * vocabulary
        monkeypatch.setattr("groundtune.prefix.loss.LOGITS_BYTES", 1)
        monkeypatch.setattr(
            "groundtune.prefix.loss.loss_by_weight.__kwdefaults__", {"logits_bytes": 8 * 10 * vocabulary}
        )
        with Largest() as made:
            prepared.row_loss(row_tensors(row)).backward()
        assert made.elements <= 10 * vocabulary


# --- what happens to logits --------------------------------------------------------------------------------------------

HEADS: dict[str, tuple[Any, dict[str, Any], LogitChange]] = {
    "plain": (tf.LlamaForCausalLM, {}, LogitChange()),
    "bias": (tf.PhiForCausalLM, {}, LogitChange()),
    "scaled": (tf.CohereForCausalLM, {"logit_scale": 0.3}, LogitChange(0.3)),
    "capped": (tf.Gemma2ForCausalLM, {**GEMMA, "final_logit_softcapping": 30.0}, LogitChange(1.0, 30.0)),
    "divided": (tf.GraniteForCausalLM, {"logits_scaling": 3.0}, LogitChange(1 / 3.0)),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", HEADS)
def test_what_a_model_does_to_its_logits_is_found_out_in_every_precision(name: str, dtype: torch.dtype) -> None:
    model_class, changes, wanted = HEADS[name]
    for seed in range(3):
        with PreparedModel(build(model_class, seed=seed, **changes).to(dtype)) as prepared:
            assert prepared.chunked
            assert prepared._change == wanted


class Tripled(tf.LlamaForCausalLM):
    """Changes its logits as no configuration says."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super().forward(*args, **kwargs)
        outputs.logits = outputs.logits * 3 + 1
        return outputs


def test_a_model_that_changes_its_logits_in_an_unknown_way_is_exact_all_the_same() -> None:
    model = build(Tripled)
    with PreparedModel(model) as prepared:
        assert not prepared.chunked
    assert_exact(model, DRAWN)


class Twice(tf.models.llama.modeling_llama.LlamaModel):
    """Runs its layers two times, as looped transformers do."""

    def forward(self, input_ids: torch.Tensor | None = None, **kwargs: Any) -> Any:
        once = super().forward(input_ids=input_ids, **kwargs).last_hidden_state
        return super().forward(**{**kwargs, "inputs_embeds": once})


class Looped(tf.LlamaForCausalLM):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Twice(config)
        self.post_init()


def test_a_model_that_runs_its_layers_several_times_is_exact() -> None:
    assert_exact(build(Looped), DRAWN)


class Mixing(tf.models.llama.modeling_llama.LlamaModel):
    """Reads other tokens behind its last layer: what those get there must not be left out."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        outputs = super().forward(*args, **kwargs)
        hidden = outputs.last_hidden_state
        first = torch.zeros_like(hidden) + hidden[:, :1]
        outputs.last_hidden_state = hidden + 0.5 * first
        return outputs


class MixingModel(tf.LlamaForCausalLM):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Mixing(config)
        self.post_init()


def test_a_model_that_reads_other_tokens_behind_its_last_layer_is_exact() -> None:
    # the first token of all is the same in each of these, and no source
    assert_exact(build(MixingModel), DRAWN[:2])


class OtherRMSNorm(nn.Module):
    """Adds its epsilon outside of the root: the same for rows of ordinary size."""

    def __init__(self, other: Any) -> None:
        super().__init__()
        self.weight, self.eps = other.weight, 1e-6

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden / (hidden.pow(2).mean(-1, keepdim=True).sqrt() + self.eps) * self.weight


def test_a_norm_that_differs_for_small_rows_alone_is_not_replaced() -> None:
    model = build(tf.LlamaForCausalLM)
    for layer in model.model.layers:
        layer.input_layernorm = OtherRMSNorm(layer.input_layernorm)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(1e-4)
    assert_exact(model, DRAWN)


# --- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [nn.Linear(2, 2), build(tf.LlamaForCausalLM).model], ids=["no model", "no head"])
def test_what_is_no_causal_language_model_is_refused(model: nn.Module) -> None:
    with pytest.raises(TrainingError, match="no causal language model"):
        PreparedModel(model)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_adapters_that_put_tokens_before_the_prompt_are_refused() -> None:
    model = build(tf.LlamaForCausalLM).float()
    wrapped = peft.get_peft_model(model, peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    with pytest.raises(TrainingError, match="virtual tokens"):
        PreparedModel(wrapped)


def test_a_loss_of_routers_is_refused_and_not_left_out() -> None:
    model = build(tf.MixtralForCausalLM, num_local_experts=4, output_router_logits=True)
    with pytest.raises(TrainingError, match="output_router_logits"):
        PreparedModel(model)


ROTATIONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dynamic": (tf.LlamaForCausalLM, {"max_position_embeddings": 7, "rope_parameters": {"factor": 4.0}}),
    "longrope": (
        tf.Phi3ForCausalLM,
        {
            "original_max_position_embeddings": 7,
            "rope_parameters": {
                "short_factor": [1.0] * 4,
                "long_factor": [2.0] * 4,
                "original_max_position_embeddings": 7,
            },
        },
    ),
}


@pytest.mark.parametrize("name", ROTATIONS)
def test_rotation_by_the_longest_sequence_of_a_row_is_exact_up_to_its_limit_and_refused_beyond(name: str) -> None:
    model_class, changes = ROTATIONS[name]
    changes = {**changes, "rope_parameters": {"rope_type": name, "rope_theta": 1e4, **changes["rope_parameters"]}}
    short: Drawn = [(ids[:7], [*weights[:6], 1.0]) for ids, weights in DRAWN[:2]]
    assert_exact(build(model_class, **changes), short)
    with PreparedModel(build(model_class, **changes)) as prepared, pytest.raises(TrainingError, match="rotates"):
        tree_loss(prepared, DRAWN, 64)


def test_a_row_given_to_a_model_that_was_put_back_is_no_silent_matter() -> None:
    model = build(tf.LlamaForCausalLM)
    with PreparedModel(model):
        pass
    mask = tree_mask(torch.tensor([3, 3, 3]), torch.arange(3), 3)
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        model(input_ids=torch.tensor([[4, 5, 6]]), attention_mask=mask.expand(1, 1, 3, 3))


def test_prepare_model_returns_what_puts_the_model_back() -> None:
    model = build(tf.LlamaForCausalLM)
    before = state(model)
    prepare_model(model).restore()
    assert_same(state(model), before)
