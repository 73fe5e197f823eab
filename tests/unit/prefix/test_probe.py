import functools
from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from groundtune.errors import TrainingError
from groundtune.models import AlibiForCausalLM
from groundtune.prefix import PreparedModel, probe_model
from groundtune.prefix.probe import BRANCH, TRUNK

from .plainly import build
from .test_model import GEMMA, SINKS, assert_same, state

DOUBLES_AND_FLOATS = [torch.float64, torch.float32, torch.bfloat16]

EXPERTS: dict[str, Any] = {
    "num_local_experts": 4,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "experts_implementation": "eager",
}

TAKEN: dict[str, tuple[Any, dict[str, Any]]] = {
    "Llama": (tf.LlamaForCausalLM, {}),
    "Mistral": (tf.MistralForCausalLM, {"sliding_window": 5}),
    "Gemma2": (tf.Gemma2ForCausalLM, GEMMA),
    "ALiBi": (AlibiForCausalLM, {}),
    "GptOss": (tf.GptOssForCausalLM, SINKS),
    "Mixtral": (tf.MixtralForCausalLM, EXPERTS),
    "GPT-2": (tf.GPT2LMHeadModel, {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}),
    "OPT": (tf.OPTForCausalLM, {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "Llama4, chunks longer than the examples": (
        tf.Llama4ForCausalLM,
        {**EXPERTS, "intermediate_size_mlp": 48, "attention_chunk_size": 64},
    ),
}


@pytest.mark.parametrize("dtype", DOUBLES_AND_FLOATS, ids=str)
@pytest.mark.parametrize("name", TAKEN)
def test_models_that_can_share_prefixes_pass(name: str, dtype: torch.dtype) -> None:
    model_class, changes = TAKEN[name]
    with PreparedModel(build(model_class, **changes).to(dtype)) as prepared:
        probe_model(prepared)


LINEAR: dict[str, Any] = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 4,
    "linear_value_head_dim": 4,
    **EXPERTS,
    "shared_expert_intermediate_size": 16,
}

MAMBA: dict[str, Any] = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1, "mamba_d_state": 4}

REFUSED: dict[str, tuple[Any, dict[str, Any]]] = {
    "Mamba": (tf.MambaForCausalLM, {"state_size": 4, "time_step_rank": 2}),
    "Mamba2": (tf.Mamba2ForCausalLM, {"num_heads": 8, "head_dim": 8, "n_groups": 1, "state_size": 4}),
    "Jamba": (
        tf.JambaForCausalLM,
        {**EXPERTS, "attn_layer_offset": 1, "attn_layer_period": 2, "use_mamba_kernels": False, "mamba_dt_rank": 4},
    ),
    "Bamba": (tf.BambaForCausalLM, {**MAMBA, "attn_layer_indices": [1]}),
    "FalconH1": (tf.FalconH1ForCausalLM, {**MAMBA, "mamba_d_ssm": 64}),
    "Qwen3Next": (tf.Qwen3NextForCausalLM, LINEAR),
    "RecurrentGemma": (tf.RecurrentGemmaForCausalLM, {"block_types": ["recurrent", "attention"], "lru_width": 32}),
    "LFM2": (tf.Lfm2ForCausalLM, {"layer_types": ["conv", "full_attention"]}),
    "RWKV": (tf.RwkvForCausalLM, {"attention_hidden_size": 32, "context_length": 64}),
    "GPT-J": (tf.GPTJForCausalLM, {"n_embd": 32, "n_layer": 1, "n_head": 4, "rotary_dim": 4, "n_positions": 64}),
    "Bloom": (tf.BloomForCausalLM, {"n_layer": 1, "n_head": 4}),
    "MPT": (tf.MptForCausalLM, {"d_model": 32, "n_layers": 1, "n_heads": 4}),
    "Bart, positions of its own": (
        tf.BartForCausalLM,
        {"d_model": 32, "decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 32, "pad_token_id": 0},
    ),
    "BERT that looks ahead": (tf.BertLMHeadModel, {"is_decoder": False, "pad_token_id": 0}),
    "Moshi, a window it keeps to itself": (tf.MoshiForCausalLM, {"sliding_window": 5, "ffn_dim": 48}),
    "Llama4, chunks shorter than the probe": (
        tf.Llama4ForCausalLM,
        {**EXPERTS, "intermediate_size_mlp": 48, "attention_chunk_size": 8},
    ),
}


@functools.cache
def refused_model(name: str) -> Any:
    model_class, changes = REFUSED[name]
    return build(model_class, **changes).float()


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_cannot_share_prefixes_are_refused_and_told_what_to_do(name: str) -> None:
    with pytest.raises(TrainingError, match="sharing: plain"), PreparedModel(refused_model(name)) as prepared:
        probe_model(prepared)


@pytest.mark.parametrize("dtype", DOUBLES_AND_FLOATS, ids=str)
def test_a_weak_flow_from_branch_to_branch_is_found_in_every_precision(dtype: torch.dtype) -> None:
    class Leaking(tf.models.llama.modeling_llama.LlamaModel):
        """Half a percent of the token before, by place in the row."""

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            outputs = super().forward(*args, **kwargs)
            hidden = outputs.last_hidden_state
            before = torch.cat([hidden[:, :1], hidden[:, :-1]], dim=1)
            outputs.last_hidden_state = hidden + 0.005 * before if dtype != torch.bfloat16 else hidden + 0.02 * before
            return outputs

    class LeakingModel(tf.LlamaForCausalLM):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.model = Leaking(config)
            self.post_init()

    with PreparedModel(build(LeakingModel).to(dtype)) as prepared, pytest.raises(TrainingError, match="sibling"):
        probe_model(prepared)


def test_probing_leaves_the_model_as_it_was() -> None:
    model = build(tf.LlamaForCausalLM)
    model.train()
    model.model.layers[0].eval()
    with PreparedModel(model) as prepared:
        before = state(model)
        probe_model(prepared)
        assert_same(state(model), before)
    assert all(each.grad is None for each in model.parameters())


def test_a_refusal_leaves_the_model_as_it_was() -> None:
    model = build(tf.Lfm2ForCausalLM, layer_types=["conv", "full_attention"])
    model.train()
    with PreparedModel(model) as prepared:
        before = state(model)
        with pytest.raises(TrainingError, match="Lfm2ForCausalLM lets one branch"):
            probe_model(prepared)
        assert_same(state(model), before)


def test_probing_computes_few_tokens_and_no_gradients() -> None:
    model = build(tf.LlamaForCausalLM)
    computed: list[int] = []
    model.model.embed_tokens.register_forward_hook(lambda _module, _inputs, output: computed.append(output.shape[1]))
    with PreparedModel(model) as prepared:
        computed.clear()
        random_state = torch.get_rng_state()
        probe_model(prepared)
        assert torch.equal(torch.get_rng_state(), random_state)
    assert sum(computed) <= 4 * (TRUNK + 2 * BRANCH)
    assert isinstance(model.model.embed_tokens, nn.Embedding)
