"""LLaMA-Factory's YAML as it is: each key becomes a setting, a note, or an error with its line."""

import os
from collections import Counter
from pathlib import Path

import pytest
import yaml

from groundtune.config import PreferenceConfig, load_config
from groundtune.config.llamafactory import ACCEPTED, KNOWN, MAPPED, REFUSED, keys
from groundtune.errors import ConfigError

SFT = {
    "model_name_or_path": "some-org/some-model-4b",
    "trust_remote_code": True,
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_rank": 8,
    "lora_target": "all",
    "dataset": "identity,alpaca_en_demo",
    "template": "qwen3_nothink",
    "cutoff_len": 2048,
    "max_samples": 1000,
    "overwrite_cache": True,
    "preprocessing_num_workers": 16,
    "dataloader_num_workers": 4,
    "output_dir": "saves/model/lora/sft",
    "logging_steps": 10,
    "save_steps": 500,
    "plot_loss": True,
    "overwrite_output_dir": True,
    "save_only_model": False,
    "report_to": "none",
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 8,
    "learning_rate": 1.0e-4,
    "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine",
    "warmup_ratio": 0.1,
    "bf16": True,
    "ddp_timeout": 180000000,
    "resume_from_checkpoint": None,
    "val_size": 0.1,
    "per_device_eval_batch_size": 1,
    "eval_strategy": "steps",
    "eval_steps": 500,
}
"""Every key of its example for supervised fine-tuning, those it has in comments included."""
LEAST = {"model_name_or_path": "some/model", "dataset": "identity"}


def load(folder: Path, values, overrides=()):
    path = folder / "theirs.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return load_config(path, overrides)


def refusal(folder: Path, values, overrides=()) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, values, overrides)
    told = str(caught.value)
    assert "\n" not in told
    return told.replace(str(folder / "theirs.yaml"), "FILE")


def setting(config, dotted: str):
    found = config
    for part in dotted.split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)
    return found


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """LLaMA-Factory's relative paths start from the current folder; one process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)


def test_its_example_of_supervised_fine_tuning_means_the_same_here(tmp_path):
    config = load(tmp_path, SFT)
    expected = {
        "documents.path": None,
        "data.registry": "data",
        "data.mix": "concatenate",
        "data.sources.0.name": "identity",
        "data.sources.1.name": "alpaca_en_demo",
        "data.sources.1.max_rows": 1000,
        "data.sources.1.use": "split",
        "data.valid_share": 0.1,
        "data.test_share": 0.0,
        "data.filters.duplicates": "off",
        "data.filters.decontaminate": False,
        "data.train_on": "all",
        "data.max_tokens": 2048,
        "model.path": "some-org/some-model-4b",
        "model.chat_template": None,
        "workdir": "saves/model/lora/sft",
        "seed": 42,
        "train.adapter.rank": 8,
        "train.adapter.alpha": 16,
        "train.adapter.targets": ("all",),
        "train.epochs": 3,
        "train.examples_per_step": 8,
        "train.learning_rate": 1e-4,
        "train.schedule": "cosine",
        "train.final_lr_share": 0.0,
        "train.warmup_share": 0.1,
        "train.precision": "bfloat16",
        "train.gradient_checkpointing": True,
        "train.eval_steps": 500,
        "train.log_steps": 10,
        "train.save_steps": 500,
        "train.keep": "last",
        "train.report_to": ("none",),
    }
    assert {key: setting(config, key) for key in expected} == expected
    noted = {note.key: note.place for note in config.notes}
    assert noted["plot_loss"] == f"{tmp_path / 'theirs.yaml'}:18"
    assert {
        "trust_remote_code",
        "overwrite_cache",
        "ddp_timeout",
        "preprocessing_num_workers",
        "template",
    } <= noted.keys()


def test_its_example_of_pretraining_reads_texts(tmp_path):
    values = {key: value for key, value in SFT.items() if key not in ("template", "val_size")}
    config = load(tmp_path, values | {"stage": "pt", "dataset": "c4_demo"})
    assert setting(config, "data.sources.0.format") == "text"
    [joined] = [note.text for note in config.notes if note.key == "cutoff_len"]
    assert "LLaMA-Factory joins texts end to end into blocks of 2048 tokens, 8 of them a step" in joined
    config = load(tmp_path, values | {"stage": "pt", "packing": False})
    assert "LLaMA-Factory cuts it off" in next(note.text for note in config.notes if note.key == "cutoff_len")


def test_its_example_of_preference_tuning_trains_on_pairs(tmp_path):
    dpo = SFT | {"stage": "dpo", "pref_beta": 0.2, "pref_loss": "simpo", "simpo_gamma": 0.7, "dataset": "dpo_en_demo"}
    found = load(tmp_path, dpo).train.preference
    assert found == PreferenceConfig(loss="simpo", beta=0.2, margin=0.7)
    told = refusal(tmp_path, dpo | {"pref_loss": "kto_pair"})
    assert told.endswith("pref_loss is 'kto_pair'; there are sigmoid, hinge, ipo, orpo, simpo")
    assert "the reference is the model as it is before training" in refusal(tmp_path, dpo | {"ref_model": "other"})
    config = load(tmp_path, SFT | {"pref_beta": 0.2})
    assert config.train.preference is None
    assert "pref_beta" in {note.key for note in config.notes}


def test_its_example_of_full_fine_tuning_loads_with_its_deepspeed_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    full = SFT | {"finetuning_type": "full", "deepspeed": "ds_z3_config.json"}
    config = load(tmp_path, full)
    # theirs begins where the command is typed
    assert config.train.deepspeed_file.resolve() == tmp_path / "ds_z3_config.json"
    assert config.train.adapter is None
    assert "lora_rank" in {note.key for note in config.notes}


def test_what_is_left_out_is_its_default_and_not_ours(tmp_path):
    config = load(tmp_path, LEAST)
    expected = {
        "train.learning_rate": 5e-5,
        "train.epochs": 3,
        "train.schedule": "linear",
        "train.final_lr_share": 0.0,
        "train.warmup_share": 0.0,
        "train.warmup_steps": None,
        "train.examples_per_step": 8,
        "train.weight_decay": 0.0,
        "train.max_grad_norm": 1.0,
        "train.precision": "float32",
        "train.adapter.rank": 8,
        "train.adapter.alpha": 16.0,
        "train.adapter.dropout": 0.0,
        "train.keep": "last",
        "train.report_to": ("none",),
        "train.eval_steps": 0,
        "data.max_tokens": 2048,
        "data.valid_share": 0.0,
        "data.sources.0.use": "train",
        "data.no_think_share": 0.0,
        "seed": 42,
    }
    assert {key: setting(config, key) for key in expected} == expected


@pytest.mark.parametrize(
    ("given", "dotted", "value"),
    [
        ({"per_device_train_batch_size": 4, "gradient_accumulation_steps": 16}, "train.examples_per_step", 64),
        ({"learning_rate": "1e-4"}, "train.learning_rate", 1e-4),
        ({"lora_rank": 16}, "train.adapter.alpha", 32.0),
        ({"lora_rank": 16, "lora_alpha": 8}, "train.adapter.alpha", 8.0),
        ({"lora_rank": 16, "use_rslora": True}, "train.adapter.alpha", 32.0),
        ({"use_rslora": True}, "train.adapter.rslora", True),
        ({"use_dora": True}, "train.adapter.dora", True),
        ({"additional_target": "embed_tokens,lm_head"}, "train.adapter.modules_to_save", ("embed_tokens", "lm_head")),
        ({"quantization_bit": 4}, "train.adapter.quantise", "nf4"),
        ({"quantization_bit": 4, "quantization_type": "fp4"}, "train.adapter.quantise", "fp4"),
        ({"quantization_bit": 4, "double_quantization": False}, "train.adapter.double_quantise", False),
        ({"quantization_type": "fp4"}, "train.adapter.quantise", None),
        ({"label_smoothing_factor": 0.1}, "train.label_smoothing", 0.1),
        ({"neftune_noise_alpha": 5}, "train.neftune_alpha", 5.0),
        (
            {"early_stopping_steps": 3, "eval_strategy": "epoch", "load_best_model_at_end": True},
            "train.early_stopping_patience",
            3,
        ),
        ({"fsdp": "full_shard auto_wrap"}, "train.fsdp", {}),
        ({"fsdp": True, "fsdp_config": {"fsdp_version": 2}}, "train.fsdp", {"fsdp_version": 2}),
        ({"fsdp": ""}, "train.fsdp", None),
        ({"use_cpu": True}, "train.device", "cpu"),
        ({"no_cuda": True}, "train.device", "cpu"),
        ({"use_cpu": False}, "train.device", "auto"),
        ({"lora_dropout": 0.05}, "train.adapter.dropout", 0.05),
        ({"lora_target": "q_proj, v_proj"}, "train.adapter.targets", ("q_proj", "v_proj")),
        ({"finetuning_type": "full"}, "train.adapter", None),
        ({"lr_scheduler_type": "constant", "warmup_ratio": 0.1}, "train.warmup_share", 0.0),
        ({"lr_scheduler_type": "constant_with_warmup", "warmup_ratio": 0.1}, "train.warmup_share", 0.1),
        ({"lr_scheduler_type": "constant_with_warmup"}, "train.schedule", "constant"),
        ({"warmup_steps": 20}, "train.warmup_steps", 20),
        ({"warmup_steps": 0.05}, "train.warmup_share", 0.05),
        ({"warmup_steps": 20, "warmup_ratio": 0.2}, "train.warmup_share", 0.2),
        (
            {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": 0.1}},
            "train.final_lr_share",
            0.1,
        ),
        (
            {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": '{"min_lr": 5e-6}'},
            "train.final_lr_share",
            0.1,
        ),
        ({"num_train_epochs": 0.5, "max_steps": 40}, "train.max_steps", 40),
        ({"max_steps": -1}, "train.max_steps", 0),
        ({"weight_decay": 0.1}, "train.weight_decay", 0.1),
        ({"max_grad_norm": 0.3}, "train.max_grad_norm", 0.3),
        ({"seed": 7}, "seed", 7),
        ({"bf16": False}, "train.precision", "float32"),
        ({"disable_gradient_checkpointing": True}, "train.gradient_checkpointing", False),
        ({"gradient_checkpointing": False}, "train.gradient_checkpointing", False),
        ({"gradient_checkpointing": True}, "train.gradient_checkpointing", True),
        ({"save_strategy": "epoch"}, "train.save_steps", 0),
        ({"save_strategy": False}, "train.save_steps", 0),
        ({"save_total_limit": 3}, "train.keep_checkpoints", 3),
        ({"eval_strategy": "steps", "logging_steps": 7}, "train.eval_steps", 7),
        ({"eval_strategy": "epoch", "eval_steps": 7}, "train.eval_steps", 0),
        ({"eval_strategy": "epoch", "load_best_model_at_end": True}, "train.keep", "best"),
        ({"report_to": ["wandb", "tensorboard"]}, "train.report_to", ("wandb", "tensorboard")),
        ({"run_name": "lora: first try"}, "train.name", "lora-first-try"),
        ({"eval_dataset": "held_out"}, "data.sources.1.use", "valid"),
        ({"eval_dataset": "held_out"}, "data.sources.0.use", "train"),
        ({"eval_dataset": "held_out", "max_samples": 9}, "data.sources.1.max_rows", 9),
        ({"dataset_dir": "ONLINE"}, "data.sources.0.hub", "identity"),
        ({"dataset": ["a", "b"]}, "data.sources.1.name", "b"),
        ({"dataset": "a,b", "mix_strategy": "interleave_under"}, "data.mix", "interleave_under"),
        (
            {"dataset": "a,b", "mix_strategy": "interleave_over", "interleave_probs": "0.7,0.3"},
            "data.sources.1.weight",
            0.3,
        ),
        ({"dataset": "a,b", "mix_strategy": "interleave_once"}, "data.mix", "concatenate"),
        ({"mask_history": True}, "data.train_on", "last"),
        ({"enable_thinking": False}, "data.no_think_share", 1.0),
        ({"enable_thinking": None}, "data.no_think_share", 0.0),
        ({"cutoff_len": 4096}, "data.max_tokens", 4096),
        ({"cutoff_len": 4096, "packing": True}, "data.max_tokens", 4095),
        ({"cutoff_len": 8192}, "train.max_pack_tokens", 8192),
        ({"cutoff_len": 512}, "train.max_pack_tokens", 4096),
        ({"cutoff_len": 512, "per_device_train_batch_size": 2}, "train.max_pack_tokens", 1024),
    ],
)
def test_a_key_becomes_this_setting(tmp_path, given, dotted, value):
    found = setting(load(tmp_path, LEAST | given), dotted)
    assert found == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rate": "fast"}, "FILE:3: learning_rate is 'fast'; expected a number"),
        ({"learning_rate": -1}, "FILE:3: learning_rate (train.learning_rate) is -1.0; input should be greater than 0"),
        ({"num_train_epochs": 2.5}, "FILE:3: num_train_epochs is 2.5; epochs are whole here: set max_steps"),
        ({"num_train_epochs": 0}, "FILE:3: num_train_epochs is 0; expected a number above 0"),
        ({"lora_rank": 0}, "FILE:3: lora_rank (train.adapter.rank) is 0; input should be greater than or equal to 1"),
        ({"lora_rank": 1.5}, "FILE:3: lora_rank is 1.5; expected a whole number"),
        ({"bf16": "yes"}, "FILE:3: bf16 is 'yes'; expected true or false"),
        ({"fp16": True}, "FILE:3: fp16 is True: half precision is bfloat16 here; write bf16: true"),
        ({"stage": "sff"}, "FILE:3: stage is 'sff'; expected sft, pt or dpo"),
        (
            {"finetuning_type": "freeze"},
            "FILE:3: finetuning_type is 'freeze', which names what is trained; train.freeze",
        ),
        ({"finetuning_type": "oft"}, "FILE:3: finetuning_type is 'oft', which is not there yet"),
        ({"fsdp": "hybrid_shard"}, "FILE:3: fsdp names 'hybrid_shard'; there are auto_wrap and full_shard"),
        ({"fsdp": "full_shard", "fsdp_config": "a.json"}, "FILE:4: fsdp_config is 'a.json'; write its keys"),
        ({"quantization_bit": 8}, "FILE:3: quantization_bit is 8; there is 4"),
        ({"quantization_bit": 4, "quantization_method": "hqq"}, "FILE:4: quantization_method is 'hqq'; there is bnb"),
        ({"finetuning_type": "full", "quantization_bit": 4}, "FILE:4: quantization_bit is for finetuning_type lora"),
        ({"early_stopping_steps": 3}, "FILE:3: early_stopping_steps needs load_best_model_at_end"),
        ({"train_on_prompt": True}, "FILE:3: train_on_prompt is True: only what the assistant says is trained"),
        (
            {"image_max_pixels": 262144},
            "FILE:3: image_max_pixels is 262144: training on images, video or sound is not there",
        ),
        ({"val_size": 500.5}, "FILE:3: val_size is 500.5; expected a share below 1 or a whole number of rows"),
        ({"val_size": 0.1, "eval_dataset": "x"}, "FILE:3: val_size and eval_dataset are both set"),
        ({"interleave_probs": "1"}, "FILE:3: interleave_probs is for interleaving; set mix_strategy"),
        (
            {"interleave_probs": "a", "mix_strategy": "interleave_under"},
            "FILE:3: interleave_probs is 'a'; expected 1 numbers",
        ),
        (
            {"dataset_dir": "REMOTE:org/repo"},
            "FILE:3: dataset_dir is 'REMOTE:org/repo'; a registry on the hub is not read yet",
        ),
        ({"max_samples": 0}, "FILE:3: max_samples is 0; expected a number of rows above 0"),
        ({"max_grad_norm": 0}, "FILE:3: max_grad_norm is 0, which stands for no limit; write a large number"),
        ({"logging_steps": 0.1}, "FILE:3: logging_steps is 0.1, a share of the run; expected a number of steps"),
        ({"lr_scheduler_type": "polynomial"}, "FILE:3: lr_scheduler_type is 'polynomial'; there are linear, cosine"),
        (
            {"lr_scheduler_kwargs": {"num_cycles": 3}},
            "FILE:3: lr_scheduler_kwargs.num_cycles has no counterpart with linear",
        ),
        ({"report_to": "swanlab"}, "FILE:3: report_to names 'swanlab'; there are tensorboard, wandb, mlflow, none"),
        ({"load_best_model_at_end": True}, "FILE:3: load_best_model_at_end needs eval_strategy"),
        ({"eval_strategy": "often"}, "FILE:3: eval_strategy is 'often'; expected one of no, steps, epoch"),
        ({"output_dir": "saves/${dataset}"}, "FILE:3: output_dir is 'saves/${dataset}'; references are not resolved"),
        ({"cutoff_lenn": 1}, "FILE:3: unknown key 'cutoff_lenn'; did you mean 'cutoff_len'?"),
        ({"evaluation_strategy": "no"}, "FILE:3: unknown key 'evaluation_strategy'; did you mean 'eval_strategy'?"),
        ({"qqqqqq": 1}, "FILE:3: unknown key 'qqqqqq'; LLaMA-Factory 0.9.5 has no such key either"),
        ({"cutoff_len": 8}, "FILE:3: cutoff_len (data.max_tokens) is 8; input should be greater than or equal to 16"),
        ({"template": 3}, "FILE:3: template is 3; expected text"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_line(tmp_path, given, message):
    assert message in refusal(tmp_path, LEAST | given)


def test_everything_wrong_is_told_of_at_once_and_unknown_keys_first(tmp_path):
    told = refusal(tmp_path, LEAST | {"pure_bf16": True, "fp16": True, "lora_rnk": 4})
    assert told.startswith("FILE:5: unknown key 'lora_rnk'; did you mean 'lora_rank'? (and 2 more: ")
    assert told.endswith("pure_bf16 on line 3, fp16 on line 4)")


def test_model_and_data_are_asked_for(tmp_path):
    assert "FILE: model_name_or_path is missing" in refusal(tmp_path, {"stage": "sft", "dataset": "x"})
    assert "FILE: dataset is missing" in refusal(tmp_path, {"stage": "sft", "model_name_or_path": "x"})


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path):
    told = refusal(tmp_path, LEAST | {"hf_hub_token": "hf_abcdef"})
    assert "FILE:3: hf_hub_token: keys are read from the environment alone" in told
    assert "abcdef" not in told


def test_no_key_has_two_fates():
    named = Counter(word for _, words in keys._ACCEPTED for word in words.split())
    assert [key for key, count in named.items() if count > 1] == []
    assert not MAPPED & ACCEPTED.keys()
    assert not MAPPED & REFUSED.keys()
    assert not ACCEPTED.keys() & REFUSED.keys()
    assert KNOWN >= keys.MARKS


@pytest.mark.parametrize("key", sorted(MAPPED))
def test_no_mapped_key_is_passed_over(tmp_path, key):
    assert f"{key}" in refusal(tmp_path, LEAST | {key: {"nonsense": 1}})


def test_every_accepted_key_is_noted_with_its_line_and_a_reason(tmp_path):
    config = load(tmp_path, LEAST | dict.fromkeys(ACCEPTED, "x"))
    lines = {note.key: note.place.rpartition(":")[2] for note in config.notes if note.text == ACCEPTED.get(note.key)}
    assert lines == {key: str(line) for line, key in enumerate(ACCEPTED, start=3)}


def test_an_accepted_key_that_is_switched_off_needs_no_note(tmp_path):
    noted = {note.key for note in load(tmp_path, LEAST | dict.fromkeys(ACCEPTED, False)).notes}
    assert not noted & ACCEPTED.keys()


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_key_is_an_error_unless_it_asks_for_nothing(tmp_path, key):
    assert refusal(tmp_path, LEAST | {key: "something"}).startswith(f"FILE:3: {key}")
    for neutral in (*REFUSED[key].neutral, "none"):
        load(tmp_path, LEAST | {key: neutral})


def test_every_key_of_its_argument_classes_is_known():
    """Against the installed LLaMA-Factory, where there is one."""
    import ast

    # where `make bench` installs it, or as told
    environments = Path(__file__).parents[3] / "benchmarks/.cache/environments"
    told = [Path(place) for place in [os.environ.get("LLAMAFACTORY_SITE_PACKAGES")] if place]
    places = [*told, *environments.glob("*/lib/python3*/site-packages")]
    root = next((place for place in places if (place / "llamafactory").is_dir()), None)
    if root is None:
        pytest.skip("LLaMA-Factory is not installed here")
    files = [*(root / "llamafactory/hparams").glob("*_args.py"), root / "transformers/training_args.py"]
    files.append(root / "transformers/training_args_seq2seq.py")
    found = set()
    for path in files:
        if path.name == "evaluation_args.py":
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Arguments", "Argument")):
                found |= {
                    item.target.id
                    for item in node.body
                    if isinstance(item, ast.AnnAssign)
                    and isinstance(item.target, ast.Name)
                    and "init=False" not in ast.unparse(item)
                }
    assert len(found) > 300
    assert found - KNOWN == set()


def test_a_file_is_of_one_kind(tmp_path):
    told = refusal(tmp_path, {"model_name_or_path": "x", "train": {"epochs": 3}})
    assert told.startswith(
        "FILE:2: 'train' is a section of groundtune, and 'model_name_or_path' (line 1) is a key of LLaMA-"
    )
    told = refusal(tmp_path, {"stage": "sft", "dataset": {"max_tokens": 100}})
    assert told.startswith("FILE:2: 'dataset' is a section of groundtune")


def test_a_file_of_its_next_trainer_is_told_apart(tmp_path):
    told = refusal(tmp_path, {"model": "some/model", "model_class": "llm", "output_dir": "x"})
    assert told.startswith(
        "FILE:2: 'model_class' is a key of LLaMA-Factory's new trainer (v1), whose files are not read"
    )


def test_relative_paths_start_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "models" / "small").mkdir(parents=True)
    configs = tmp_path / "examples" / "lora"
    configs.mkdir(parents=True)
    values = LEAST | {"model_name_or_path": "models/small", "dataset_dir": "sets", "output_dir": "saves/x"}
    config = load(configs, values)
    assert config.model.path == "../../models/small"
    assert config.data.registry == "../../sets"
    assert config.work == tmp_path.resolve() / "saves" / "x"
    (configs / "sets").mkdir()
    config = load(configs, values)
    assert config.data.registry == "sets"
    assert "beside the file" in next(note.text for note in config.notes if note.key == "dataset_dir")


@pytest.mark.parametrize(
    ("tokenizer", "template", "native", "words"),
    [
        ('{"chat_template": "x"}', "llama3", None, "if it has none, set model.chat_template: llama3"),
        ("{}", "llama3", "llama3", "has no chat template; groundtune's llama3 is used"),
        ("{}", "qwen3", None, "not LLaMA-Factory's copy of it"),
        ("{broken", "llama3", None, "if it has none"),
    ],
)
def test_a_template_of_ours_is_used_only_where_the_tokenizer_has_none(tmp_path, tokenizer, template, native, words):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer_config.json").write_text(tokenizer, encoding="utf-8")
    config = load(tmp_path, LEAST | {"model_name_or_path": "model", "template": template})
    assert (config.model.path, config.model.chat_template) == ("./model", native)
    assert words in next(note.text for note in config.notes if note.key == "template")


def test_its_steps_grow_with_the_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert load(tmp_path, SFT).train.examples_per_step == 1 * 8 * 4


def test_overrides_may_be_of_either_kind(tmp_path):
    config = load(tmp_path, SFT, ["learning_rate=2e-5", "train.epochs=1", "workdir=elsewhere", "seed=5"])
    assert config.train.learning_rate == pytest.approx(2e-5)
    assert (config.train.epochs, config.workdir, config.seed) == (1, "elsewhere", 5)
    told = refusal(tmp_path, SFT, ["learning_rate=fast"])
    assert told == "--set learning_rate=fast: learning_rate is 'fast'; expected a number"
    told = refusal(tmp_path, SFT, ["train.epochs=0"])
    assert told.startswith("--set train.epochs=0: ")


def test_rows_tokenised_by_it_are_not_read(tmp_path):
    values = LEAST | {"tokenized_path": "cache"}
    assert "tokenized_path" in {note.key for note in load(tmp_path, values).notes}
    (tmp_path / "cache").mkdir()
    assert "FILE:3: tokenized_path holds LLaMA-Factory's tokenised rows" in refusal(tmp_path, values)


def test_a_val_size_of_rows_stays_a_number_of_rows(tmp_path):
    path = tmp_path / "sft.yaml"
    path.write_text(yaml.safe_dump(SFT | {"val_size": 500}), encoding="utf-8")
    config = load_config(path)
    assert config.data.valid_rows == 500
    assert config.data.valid_share == 0
    assert {source.use for source in config.data.sources} == {"split"}
