import argparse
import os
import pickle

import pytest
import torch

from groundtune.errors import TrainingError
from groundtune.models import (
    AlibiForCausalLM,
    convert_checkpoint,
    fresh_model,
    load_model,
    load_tokenizer,
    preset_architecture,
    read_checkpoint,
    train_tokenizer,
)
from groundtune.models.weight_names import list_names

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")


def build(preset: str = "tiny-v1") -> AlibiForCausalLM:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return fresh_model(preset_architecture(preset, vocabulary=320)).eval()


MODEL = build()
WEIGHTS = dict(MODEL.state_dict())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "old.pt"


def same(model) -> bool:
    return all(torch.equal(weight, WEIGHTS[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize(
    "saved",
    [
        WEIGHTS,
        {f"_orig_mod.{name}": weight for name, weight in WEIGHTS.items()},
        {f"module.{name}": weight for name, weight in WEIGHTS.items()},
        {
            "model": {f"module._orig_mod.{name}": weight for name, weight in WEIGHTS.items()},
            "step": 3,
            "rng": torch.ones(2),
        },
        {"model": {"state_dict": {f"_orig_mod.module.{name}": weight for name, weight in WEIGHTS.items()}}},
        {name.replace(".layers.3.", ".layers.3._orig_mod."): weight for name, weight in WEIGHTS.items()},
        {name: weight for name, weight in WEIGHTS.items() if name != "lm_head.weight"},
        {**WEIGHTS, "model.alibi_slopes": MODEL.model.alibi_slopes},
    ],
    ids=[
        "plain",
        "compiled",
        "parallel",
        "all at once",
        "wrapped twice",
        "one layer compiled",
        "tied once",
        "with a buffer",
    ],
)
def test_wrappings_come_off_and_every_weight_is_the_files(path, saved) -> None:
    torch.save(saved, path)
    before = torch.get_rng_state()
    model = load_model(path, tokenizer=TOKENIZER, preset="tiny-v1")
    assert same(model)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.generation_config.eos_token_id == [1, 6]
    assert not model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_a_file_of_the_time_before_zip_archives_and_in_half_precision_loads_too(path) -> None:
    torch.save({name: weight.half() for name, weight in WEIGHTS.items()}, path, _use_new_zipfile_serialization=False)
    model = load_model(path, preset="tiny-v1", dropout=0.25)
    assert torch.equal(model.model.norm.weight, WEIGHTS["model.norm.weight"])
    assert model.dtype == torch.float32
    assert model.model.layers[0].self_attn.attention_dropout == 0.25


def test_the_configuration_beside_the_file_says_what_it_is(path) -> None:
    twin = build("tiny-v1-llama")
    torch.save(twin.state_dict(), path)
    with pytest.raises(TrainingError, match=r"old\.pt: nothing says what architecture.*tiny-v1, tiny-v2"):
        load_model(path)
    twin.config.save_pretrained(path.parent)
    ids = torch.arange(20, 40)[None]
    with torch.no_grad():
        assert torch.equal(load_model(path)(ids).logits, twin(ids).logits)


def test_a_converted_checkpoint_is_an_ordinary_model_folder(path, tmp_path) -> None:
    torch.save({"model": WEIGHTS}, path)
    TOKENIZER.save_pretrained(tmp_path / "tokenizer")
    summary = convert_checkpoint(path, tmp_path / "made", tokenizer=tmp_path / "tokenizer", preset="tiny-v1")
    assert summary.parameters == MODEL.num_parameters()
    assert (tmp_path / "made" / "model.safetensors").is_file()
    assert same(load_model(tmp_path / "made", tokenizer=load_tokenizer(tmp_path / "made")))
    with pytest.raises(TrainingError, match=r"preset tiny-v1 says what a checkpoint file"):
        load_model(tmp_path / "made", preset="tiny-v1")


def test_other_names_are_all_listed_and_nothing_is_left_at_random(path) -> None:
    torch.save({name.replace("self_attn", "attention"): weight for name, weight in WEIGHTS.items()}, path)
    with pytest.raises(TrainingError) as caught:
        load_model(path, preset="tiny-v1")
    told = str(caught.value)
    for projection in "qkvo":
        assert f"model.layers.{{0-11}}.self_attn.{projection}_proj.weight" in told
        assert f"model.layers.{{0-11}}.attention.{projection}_proj.weight" in told
    assert "mlp" not in told


def test_one_missing_one_unknown_and_one_of_another_shape_are_each_told(path) -> None:
    wrong = {**WEIGHTS, "model.extra.weight": torch.ones(2), "model.norm.weight": torch.ones(7)}
    del wrong["model.layers.4.mlp.up_proj.weight"]
    torch.save(wrong, path)
    with pytest.raises(TrainingError) as caught:
        load_model(path, preset="tiny-v1")
    told = str(caught.value)
    assert "files lack: model.layers.4.mlp.up_proj.weight;" in told
    assert "does not know: model.extra.weight;" in told
    assert "another shape: model.norm.weight (7, not 256)" in told


def test_a_checkpoint_of_another_preset_is_refused_by_its_shapes(path) -> None:
    torch.save(WEIGHTS, path)
    with pytest.raises(TrainingError, match=r"checkpoint of another one; .*q_proj\.weight \(256x256, not 512x512\)"):
        load_model(path, preset="tiny-v2")
    with pytest.raises(TrainingError, match="no preset 'tiny-v9'"):
        load_model(path, preset="tiny-v9")


def test_weights_that_only_look_right_are_refused(path) -> None:
    torch.save({**WEIGHTS, "lm_head.weight": WEIGHTS["lm_head.weight"] + 1}, path)
    with pytest.raises(TrainingError, match="are one weight in this architecture and differ"):
        load_model(path, preset="tiny-v1")
    torch.save({**WEIGHTS, "model.norm.weight": torch.ones(256, dtype=torch.int8)}, path)
    with pytest.raises(TrainingError, match=r"torch\.int8, not floating-point numbers: model\.norm\.weight"):
        load_model(path, preset="tiny-v1")
    torch.save({**WEIGHTS, "model.alibi_slopes": torch.ones(8)}, path)
    with pytest.raises(TrainingError, match=r"model\.alibi_slopes is not what this architecture computes"):
        load_model(path, preset="tiny-v1")
    torch.save({**WEIGHTS, "module.model.norm.weight": torch.ones(256)}, path)
    with pytest.raises(TrainingError, match=r"holds model\.norm\.weight twice"):
        load_model(path, preset="tiny-v1")


class Harmful:
    def __init__(self, mark) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_with_code_is_refused_in_one_sentence_and_not_run(path, tmp_path, writer) -> None:
    held = {"model": WEIGHTS["model.norm.weight"], "harm": Harmful(tmp_path / "mark")}
    if writer == "torch":
        torch.save(held, path)
    else:
        path.write_bytes(pickle.dumps(held))
    with pytest.raises(TrainingError, match="could run code and is not loaded") as caught:
        load_model(path, preset="tiny-v1")
    assert not (tmp_path / "mark").exists()
    assert "\n" not in str(caught.value)
    assert ". " not in str(caught.value)


def test_settings_saved_beside_the_weights_are_named_as_what_stands_in_the_way(path) -> None:
    torch.save({"model": WEIGHTS, "args": argparse.Namespace(width=256)}, path)
    with pytest.raises(TrainingError, match=r"the Python object argparse\.Namespace"):
        load_model(path, preset="tiny-v1")


@pytest.mark.parametrize("content", [b"", b"hello world" * 20, b"PK\x03\x04 no archive", b"\x80\x02}q\x00."])
def test_a_file_that_is_no_checkpoint_is_refused(path, content) -> None:
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"old\.pt: (damaged, or no checkpoint|holds no weights)"):
        load_model(path, preset="tiny-v1")


def test_a_file_that_is_not_there_is_no_name_to_fetch() -> None:
    for source in ("nowhere.pt", "some/where.PT", "./a/b/c.bin"):
        with pytest.raises(TrainingError, match="no such file"):
            load_model(source, preset="tiny-v1")


def test_half_a_file_is_told_to_be_damaged(path) -> None:
    torch.save(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(TrainingError, match="damaged"):
        read_checkpoint(path)


def test_a_folder_with_pickled_weights_says_to_name_the_file_which_then_loads(tmp_path) -> None:
    MODEL.config.save_pretrained(tmp_path)
    torch.save(WEIGHTS, tmp_path / "pytorch_model.bin")
    with pytest.raises(TrainingError, match=r"Name the file itself, .*pytorch_model\.bin"):
        load_model(tmp_path)
    assert same(load_model(tmp_path / "pytorch_model.bin"))


def test_names_of_layers_are_told_together_and_a_long_list_is_counted() -> None:
    assert list_names(["a.1.b", "a.2.b", "a.4.b", "c"]) == "a.{1-2,4}.b, c"
    assert list_names([f"n{number}" for number in range(30)]).endswith("n23 and 6 more")


def test_what_is_left_of_a_conversion_that_fails_is_nothing(path, tmp_path) -> None:
    torch.save(WEIGHTS, path)
    TOKENIZER.save_pretrained(tmp_path / "tokenizer")
    with pytest.raises(TrainingError):
        convert_checkpoint(path, tmp_path / "made", tokenizer=tmp_path / "tokenizer", preset="tiny-v2")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old.pt", "tokenizer"]
