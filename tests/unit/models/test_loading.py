import json
import shutil
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from groundtune.config import ModelConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, load_model, load_tokenizer, quiet_transformers, train_tokenizer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=64, copying_start=False)


@pytest.fixture
def folder(tmp_path):
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def edit_json(path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_saved_model_loads_with_the_same_weights(folder, capfd) -> None:
    model = load_model(folder, tokenizer=load_tokenizer(folder))
    expected = build_llama(SMALL, TOKENIZER, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), expected.parameters(), strict=True))
    assert not model.training
    assert capfd.readouterr() == ("", "")


def test_dropout_is_set_where_the_architecture_has_it(folder) -> None:
    model = load_model(folder, dropout=0.3)
    assert model.model.layers[1].self_attn.attention_dropout == 0.3


@pytest.mark.parametrize("source", ["./nowhere", "/nowhere/at/all", "a/b/c"])
def test_a_missing_folder_is_named(source) -> None:
    with pytest.raises(TrainingError, match="no such folder"):
        load_model(source)
    with pytest.raises(TrainingError, match="no such folder"):
        load_tokenizer(source)


def test_a_hub_id_without_network_says_what_to_check(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TrainingError, match=r"nobody/nothing: .*check the name, the network"):
        load_model("nobody/nothing")
    with pytest.raises(TrainingError, match=r"nobody/nothing: .*check the name, the network"):
        load_tokenizer("nobody/nothing")


def test_a_folder_without_weights_or_with_pickled_ones_is_refused(folder) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"no weights; expected model\.safetensors"):
        load_model(folder)
    (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(TrainingError, match="pickled weights can run code"):
        load_model(folder)


def test_a_damaged_weights_file_is_named(folder) -> None:
    (folder / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(TrainingError, match="weights file is damaged"):
        load_model(folder)


def test_weights_of_other_names_are_listed_and_never_replaced_by_random_ones(folder) -> None:
    weights = load_file(folder / "model.safetensors")
    renamed = {f"_orig_mod.{name}": tensor for name, tensor in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError) as caught:
        load_model(folder)
    for prefix in ("model.layers.{0-1}", "_orig_mod.model.layers.{0-1}"):
        for name in ("input_layernorm", "self_attn.q_proj", "mlp.down_proj"):
            assert f" {prefix}.{name}.weight" in str(caught.value)


def test_one_missing_weight_is_enough_to_refuse(folder) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"files lack: model\.norm\.weight"):
        load_model(folder)


def test_weights_of_another_shape_are_refused(folder) -> None:
    edit_json(folder / "config.json", intermediate_size=64)
    with pytest.raises(TrainingError, match="another shape") as caught:
        load_model(folder)
    assert "model.layers.{0-1}.mlp.up_proj.weight (48x32, not 64x32)" in str(caught.value)


def test_a_tokenizer_larger_than_the_embedding_is_refused(folder) -> None:
    large = train_tokenizer(["".join(map(chr, range(1000, 1400))) * 2], vocab_size=600, chat_template="x")
    assert len(large) > 320
    with pytest.raises(TrainingError, match="embedding 320 rows"):
        load_model(folder, tokenizer=large)


def test_a_tokenizer_far_smaller_than_the_embedding_is_another_models(tmp_path) -> None:
    """Up to 1,024 spare rows, or a tenth of them, are what models are padded with."""
    for rows, told in ((1000, False), (1400, True)):
        # 281 entries
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=rows,
                hidden_size=8,
                intermediate_size=8,
                num_hidden_layers=1,
                num_attention_heads=1,
                pad_token_id=2,
            )
        )
        with quiet_transformers():
            model.save_pretrained(tmp_path)
        if told:
            with pytest.raises(TrainingError, match="embedding 1400 rows, far more than padding explains"):
                load_model(tmp_path, tokenizer=TOKENIZER)
        else:
            load_model(tmp_path, tokenizer=TOKENIZER)


@pytest.mark.parametrize("name", ["eos_token", "bos_token", "pad_token"])
def test_a_special_token_that_is_named_and_not_there_is_refused(folder, name) -> None:
    edit_json(folder / "tokenizer_config.json", **{name: "<|nowhere|>"})
    with pytest.raises(TrainingError, match=rf"{name} is '<\|nowhere\|>', which is no entry of tokenizer\.json"):
        load_tokenizer(folder)


def test_an_added_token_outside_the_embedding_is_named(folder) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens({"eos_token": "<|late|>"})
    tokenizer.add_tokens([f"<{number}>" for number in range(320 - len(tokenizer))])
    load_model(folder, tokenizer=tokenizer)
    tokenizer.add_tokens(["<over>"])
    with pytest.raises(TrainingError, match="321 entries, <over> has id 320, the model's embedding 320 rows"):
        load_model(folder, tokenizer=tokenizer)


def test_a_tokenizer_with_code_of_its_own_is_refused(folder) -> None:
    edit_json(folder / "tokenizer_config.json", tokenizer_class="Made", auto_map={"AutoTokenizer": ["code.Made", None]})
    (folder / "code.py").write_text("raise SystemExit('this code must not run')")
    with pytest.raises(TrainingError, match="needs code of its own"):
        load_tokenizer(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_is_told(folder, name) -> None:
    (folder / name).write_text("{")
    with pytest.raises(TrainingError, match=r"one of its \.json files is damaged"):
        load_tokenizer(folder)


def test_a_model_in_several_files_that_are_not_all_there_is_refused(folder) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(TrainingError, match=r"cannot be loaded.*no file named model\.safetensors"):
        load_model(folder)
    files = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    with pytest.raises(TrainingError, match=r"1 of its 2 weights files are not there \(model-00002-of-00002"):
        load_model(folder)


def test_a_model_that_does_not_write_text_is_refused(folder) -> None:
    edit_json(folder / "config.json", model_type="t5", architectures=["T5ForConditionalGeneration"])
    with pytest.raises(TrainingError, match="is a t5 model, which does not write text"):
        load_model(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json:1: not valid JSON"),
        ("[]", r"config\.json: holds \[\]; expected settings"),
        ("{}", "model_type"),
        ('{"model_type": "llama", "hidden_size": "wide"}', r"config\.json cannot be used .*hidden_size"),
    ],
)
def test_a_configuration_that_says_nothing_is_refused(folder, text, message) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_model(folder)


def test_a_model_with_code_of_its_own_is_refused(folder) -> None:
    edit_json(
        folder / "config.json",
        model_type="made_up",
        auto_map={"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"},
    )
    (folder / "code.py").write_text("raise SystemExit('this code must not run')")
    with pytest.raises(TrainingError, match="needs code of its own"):
        load_model(folder)


def test_an_unknown_architecture_is_a_clear_error(folder) -> None:
    edit_json(folder / "config.json", model_type="made_up")
    with pytest.raises(TrainingError, match="made_up"):
        load_model(folder)


def test_a_folder_without_a_tokenizer_is_refused(folder) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(TrainingError, match="holds no tokenizer"):
        load_tokenizer(folder)


def test_a_tokenizer_without_padding_pads_with_its_end_and_one_without_end_is_refused(folder) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert load_tokenizer(folder).pad_token_id == 1
    del settings["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(TrainingError, match="names no end token"):
        load_tokenizer(folder)


def test_a_folder_that_is_no_model_is_named(folder) -> None:
    shutil.move(folder / "config.json", folder / "other.json")
    with pytest.raises(TrainingError, match=r"holds no config\.json"):
        load_model(folder)


# adapters


@pytest.fixture
def adapter(folder, tmp_path):
    """A folder beside the model with an adapter in peft's form, its weights drawn at random."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(3)
    settings = peft.LoraConfig(r=2, lora_alpha=8, target_modules=["q_proj"], init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peft.get_peft_model(load_model(folder), settings).save_pretrained(tmp_path / "adapter")
    edit_json(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path="../model")
    TOKENIZER.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_is_its_base_with_the_product_added(folder, adapter, capfd) -> None:
    model = load_model(adapter, tokenizer=load_tokenizer(adapter), dropout=0.3)
    assert not model.training
    assert model.model.layers[0].self_attn.attention_dropout == 0.3
    held = load_file(adapter / "adapter_model.safetensors")
    changed = 0
    for name, weight in load_model(folder).state_dict().items():
        place = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{place}.lora_A.weight" in held:
            # alpha over rank is 4
            weight = weight + 4 * held[f"{place}.lora_B.weight"] @ held[f"{place}.lora_A.weight"]
            changed += 1
        assert torch.allclose(model.state_dict()[name], weight, atol=1e-6), name
    assert changed == 2
    assert capfd.readouterr() == ("", "")


def test_an_adapter_with_its_base_is_a_model_that_can_be_trained_whole(adapter) -> None:
    assert [name for name, weight in load_model(adapter).named_parameters() if not weight.requires_grad] == []


def test_an_adapters_base_is_found_from_its_folder_by_its_path_or_by_its_id(folder, adapter, monkeypatch) -> None:
    monkeypatch.chdir(adapter.parent / "model")
    load_model(adapter)
    edit_json(adapter / "adapter_config.json", base_model_name_or_path=str(folder))
    load_model(adapter)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    edit_json(adapter / "adapter_config.json", base_model_name_or_path="nobody/nothing")
    with pytest.raises(TrainingError, match=r"nobody/nothing: .*check the name, the network"):
        load_model(adapter)


@pytest.mark.parametrize("name", ["../gone", ".", None, 7])
def test_an_adapter_without_its_base_says_what_it_looked_for(adapter, name) -> None:
    edit_json(adapter / "adapter_config.json", base_model_name_or_path=name)
    with pytest.raises(TrainingError, match=r"adapter_config\.json: .*base"):
        load_model(adapter)


def test_an_adapter_whose_weights_are_not_all_there_or_of_another_model_is_refused(folder, adapter) -> None:
    path = adapter / "adapter_model.safetensors"
    held = load_file(path)
    first, *others = sorted(held)
    save_file({name: held[name] for name in others}, path, metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=f"files lack: {first}"):
        load_model(adapter)
    save_file({**held, "base_model.model.more.lora_A.weight": held[first].clone()}, path, metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"does not know: base_model\.model\.more"):
        load_model(adapter)
    save_file({**held, first: held[first][:1].clone()}, path, metadata={"format": "pt"})
    with pytest.raises(TrainingError, match="other shapes"):
        load_model(adapter)
    path.write_bytes(b"\x00" * 64)
    with pytest.raises(TrainingError, match="damaged"):
        load_model(adapter)
    path.unlink()
    with pytest.raises(TrainingError, match=r"holds no adapter_model\.safetensors"):
        load_model(adapter)


def test_an_adapter_of_another_architecture_or_size_says_what_it_changes_and_what_is_there(adapter, tmp_path) -> None:
    sizes = {"vocab_size": 320, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": None}
    with quiet_transformers():
        GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, **sizes)).save_pretrained(tmp_path / "gpt2")
        wide = {"hidden_size": 48, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
        LlamaForCausalLM(LlamaConfig(**sizes, **wide)).save_pretrained(tmp_path / "wide")
    edit_json(adapter / "adapter_config.json", base_model_name_or_path="../gpt2")
    with pytest.raises(
        TrainingError,
        match=r"adapter: is an adapter of another architecture: it changes model\.layers\.\{0-1\}\.self_attn\.q_proj, and "
        r"GPT2LMHeadModel, its base, has none of them; name the model it was trained on",
    ):
        load_model(adapter)
    edit_json(adapter / "adapter_config.json", base_model_name_or_path="../wide")
    with pytest.raises(
        TrainingError,
        match=r"layers\.0\.self_attn\.q_proj have other shapes than the base needs \(32 numbers wide, not 48\)",
    ):
        load_model(adapter)


def test_an_adapter_on_a_base_that_needs_code_of_its_own_or_has_no_weights_names_the_base(folder, adapter) -> None:
    (folder / "model.safetensors").rename(folder / "away")
    with pytest.raises(TrainingError, match=r"model: holds a config\.json but no weights"):
        load_model(adapter)
    (folder / "away").rename(folder / "model.safetensors")
    edit_json(
        folder / "config.json",
        model_type="made_up",
        auto_map={"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"},
    )
    (folder / "code.py").write_text("raise SystemExit('this code must not run')")
    with pytest.raises(TrainingError, match=r"model: needs code of its own"):
        load_model(adapter)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_come_in_the_format_asked_for_whatever_the_files_hold(folder, adapter, tmp_path, dtype) -> None:
    with quiet_transformers():
        load_model(folder, dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    for source in (folder, tmp_path / "half", adapter):
        assert {each.dtype for each in load_model(source, dtype=dtype).parameters()} == {dtype}


def test_a_file_of_settings_that_is_no_json_is_named(adapter) -> None:
    (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(TrainingError, match=r"adapter_config\.json:1: not valid JSON"):
        load_model(adapter)
