import json

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from groundtune.config import PRESETS, ModelConfig
from groundtune.errors import TrainingError
from groundtune.models import (
    AlibiForCausalLM,
    build_llama,
    describe_model,
    fresh_model,
    load_model,
    preset_architecture,
    quiet_transformers,
    train_tokenizer,
)

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")


def small(preset: str):
    """The preset with few rows in its embedding, its weights large enough for attention to matter."""
    shape = preset_architecture(preset, vocabulary=320)
    shape.initializer_range = 0.06
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return fresh_model(shape).eval()


def some_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(20, 300, (rows, length), generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize(
    ("preset", "parameters", "kind"),
    [
        # embedding 64,000 x 256, tied; 12 layers of q and o 256x256, k and v 256x64, three of 256x688, two norms; last norm
        (
            "tiny-v1",
            64_000 * 256 + 12 * (2 * 256 * 256 + 2 * 256 * 64 + 3 * 256 * 688 + 2 * 256) + 256,
            AlibiForCausalLM,
        ),
        # embedding 64,000 x 512, tied; 12 layers of q and o 512x512, k and v 512x256, three of 512x1376, two norms; last norm
        (
            "tiny-v2",
            64_000 * 512 + 12 * (2 * 512 * 512 + 2 * 512 * 256 + 3 * 512 * 1376 + 2 * 512) + 512,
            AlibiForCausalLM,
        ),
        ("tiny-v1-llama", 24_697_088, LlamaForCausalLM),
        ("tiny-v2-llama", 67_580_416, LlamaForCausalLM),
    ],
)
def test_a_preset_has_exactly_the_parameters_it_is_known_for(preset, parameters, kind) -> None:
    with torch.device("meta"):
        model = fresh_model(preset_architecture(preset))
    summary = describe_model(model)
    assert type(model) is kind
    assert summary.parameters == parameters
    assert summary.parameters == (24_697_088 if "v1" in preset else 67_580_416)
    assert (summary.vocabulary, summary.context_tokens) == (64_000, 2048)
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (0, [1, 6], 2)


@pytest.mark.parametrize(
    "preset", [pytest.param(name, marks=pytest.mark.slow if name == "tiny-v2-llama" else ()) for name in PRESETS]
)
def test_a_preset_generates_with_its_cache_what_it_gives_without_one_also_padded(preset) -> None:
    model = small(preset)
    prompts = [some_ids(1, 17), some_ids(1, 9)]
    options = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None}
    expected = []
    for ids in prompts:
        for _ in range(8):
            with torch.no_grad():
                ids = torch.cat([ids, model(ids, use_cache=False).logits[:, -1:].argmax(-1)], dim=1)
        expected.append(ids[0, -8:].tolist())
    assert len(set(expected[0])) > 4
    left = torch.cat([prompts[0], torch.cat([torch.full((1, 8), 2), prompts[1]], dim=1)])
    mask = torch.ones_like(left)
    mask[1, :8] = 0
    assert model.generate(left, attention_mask=mask, **options)[:, 17:].tolist() == expected
    assert (
        model.generate(prompts[1], attention_mask=torch.ones_like(prompts[1]), **options)[0, 9:].tolist() == expected[1]
    )


def test_a_twin_is_saved_as_a_plain_llama_that_needs_nothing_of_groundtune(tmp_path) -> None:
    with quiet_transformers():
        small("tiny-v1-llama").save_pretrained(tmp_path)
        loaded = LlamaForCausalLM.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architectures"], config["model_type"]) == (["LlamaForCausalLM"], "llama")
    assert "auto_map" not in config
    # what a program assumes that looks for rope_theta at its old place
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 10_000.0}
    assert config["tie_word_embeddings"] is True
    assert describe_model(loaded).parameters == describe_model(small("tiny-v1-llama")).parameters


def test_a_model_from_scratch_by_preset_has_a_row_for_each_entry_of_the_tokenizer(tmp_path) -> None:
    model = build_llama(ModelConfig(preset="tiny-v1"), TOKENIZER, seed=1, dropout=0.2)
    assert type(model) is AlibiForCausalLM
    assert describe_model(model).parameters == 24_697_088 - (64_000 - 320) * 256
    assert model.model.layers[0].self_attn.attention_dropout == 0.2
    with quiet_transformers():
        model.save_pretrained(tmp_path)
        again = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = some_ids(1, 12)
    with torch.no_grad():
        assert torch.equal(again.eval()(ids).logits, model.eval()(ids).logits)
    assert load_model(tmp_path, tokenizer=TOKENIZER).generation_config.eos_token_id == [1, 6]


def test_any_sizes_can_have_alibi_and_a_preset_another_context() -> None:
    free = ModelConfig(positions="alibi", layers=2, width=32, heads=4, kv_heads=2, feed_forward=48)
    assert type(build_llama(free, TOKENIZER, seed=1)) is AlibiForCausalLM
    shorter = ModelConfig(preset="tiny-v2", context_tokens=512)
    assert (shorter.context_tokens, shorter.width, shorter.copying_start) == (512, 512, False)


def test_a_resolved_configuration_says_the_same_when_it_is_read_again() -> None:
    for preset in PRESETS:
        resolved = ModelConfig(preset=preset)
        assert ModelConfig(**resolved.model_dump()) == resolved


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "tiny-v1", "width": 512}, "model.width is 512, and model.preset tiny-v1 has 256"),
        (
            {"preset": "tiny-v1", "positions": "rotary"},
            "model.positions is 'rotary', and model.preset tiny-v1 has 'alibi'",
        ),
        ({"preset": "tiny-v3"}, "Input should be 'tiny-v1', 'tiny-v2'"),
        ({"preset": ["tiny-v1"]}, "Input should be 'tiny-v1', 'tiny-v2'"),
        ({"preset": "tiny-v1", "path": "owner/name"}, "take one of the two out"),
        ({"preset": "tiny-v1", "copying_start": True}, "written into rotary positions, and model.positions is alibi"),
    ],
)
def test_settings_that_contradict_a_preset_are_refused(settings, message) -> None:
    with pytest.raises(ValidationError, match=message.replace(".", r"\.")):
        ModelConfig(**settings)


def test_a_start_that_copies_needs_rotary_positions() -> None:
    with pytest.raises(TrainingError, match="this one has ALiBi"):
        build_llama(ModelConfig(preset="tiny-v1"), TOKENIZER, seed=1, copying_start=True)


def test_an_unknown_preset_is_told_with_the_known_ones() -> None:
    with pytest.raises(TrainingError, match=r"no preset 'tiny'; known ones: tiny-v1, tiny-v2"):
        preset_architecture("tiny")
