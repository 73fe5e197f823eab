import json

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM
from typer.testing import CliRunner

from groundtune.chat import BUILTIN_TEMPLATES
from groundtune.cli.models import models_app, template_record
from groundtune.cli.models_tables import memory_row, model_lines, tokenizer_lines
from groundtune.config import ModelConfig
from groundtune.errors import ConfigError, GroundtuneError, TrainingError
from groundtune.models import build_llama, load_model, quiet_transformers, train_tokenizer
from groundtune.models.inspecting import MemoryNeed, inspect_model

TEXTS = ["Stok ekranı, stok ekranı."] * 3
TOKENIZER = train_tokenizer(TEXTS, vocab_size=300, chat_template=BUILTIN_TEMPLATES["llama3"])
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=64, copying_start=False)


@pytest.fixture
def folder(tmp_path):
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(tmp_path / "model")
    TOKENIZER.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def recurrent(tmp_path):
    """A model that carries a state along its sequence, without a tokenizer."""
    config = MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, state_size=4)
    with quiet_transformers():
        MambaForCausalLM(config).save_pretrained(tmp_path / "mamba")
    return tmp_path / "mamba"


def told(*arguments):
    return CliRunner().invoke(models_app, ["inspect", *map(str, arguments)], catch_exceptions=True)


def named(lines):
    return {name: (figure, note) for name, figure, note in lines if name}


def test_json_has_every_figure_the_template_and_the_formula(folder) -> None:
    done = told(folder, "--json", "--rank", 4, "--tokens", 100, "--precision", "float32")
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert record["sizes"]["layers"] == 2
    assert (record["rank"], record["memory_tokens"], record["memory_precision"]) == (4, 100, "float32")
    assert record["memory"][0]["total"] == 16 * record["sizes"]["parameters"] + record["memory"][0]["activations"]
    assert record["chat_template"]["handled"] is True
    assert record["chat_template"]["stop_ids"] == [6, 1]
    assert "gradients 4" in record["memory_formula"]
    assert "CUDA context" in record["memory_leaves_out"]


def test_without_a_terminal_the_tables_are_plain_text(folder) -> None:
    done = told(folder)
    assert done.exit_code == 0
    assert "\x1b" not in done.stdout
    for word in ("LlamaForCausalLM", "byte-level BPE", "full fine-tuning", "QLoRA", "Prefix sharing: yes", "not told"):
        assert word in done.stdout


def test_what_keeps_a_model_from_being_trained_is_told_and_the_status_is_1(folder) -> None:
    (folder / "model.safetensors").unlink()
    done = told(folder)
    assert done.exit_code == 1
    assert "problem: no weights" in done.stdout
    assert json.loads(told(folder, "--json").stdout)["problems"] == ["no weights: there is nothing to train from"]


def test_the_probe_asks_the_model_itself(folder) -> None:
    sharing = json.loads(told(folder, "--probe", "--json").stdout)["sharing"]
    assert (sharing["applies"], sharing["probed"]) == (True, True)
    assert json.loads(told(folder, "--json").stdout)["sharing"]["probed"] is False


def test_a_model_with_a_state_shares_nothing_by_its_architecture_and_when_asked(recurrent) -> None:
    by_architecture = json.loads(told(recurrent, "--json").stdout)["sharing"]
    asked = json.loads(told(recurrent, "--probe", "--json").stdout)["sharing"]
    assert (by_architecture["applies"], asked["applies"], asked["probed"]) == (False, False, True)
    assert "linear attention" in by_architecture["why"]


def test_a_preset_is_told_and_can_be_asked() -> None:
    done = told("tiny-v1", "--probe", "--json")
    record = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (record["sizes"]["parameters"], record["sharing"]["probed"], record["sharing"]["applies"]) == (
        24_697_088, True, True,
    )  # fmt: skip
    assert named(model_lines(inspect_model("tiny-v1")))["weights"][0] == "none yet"


def test_a_template_is_told_with_what_it_knows_and_its_stops(folder) -> None:
    record = template_record(inspect_model(str(folder)))
    assert record["handled"]
    assert record["knows"] == ["system prompt", "several turns"]
    lines = named(tokenizer_lines(inspect_model(str(folder)), record))
    assert lines["stop ids"] == ("6, 1", "")
    assert lines["eos"] == ("1", "<|end_of_text|>")
    assert lines["chat template"] == ("yes", "handled exactly")


def test_tools_and_thoughts_are_known_to_a_template_that_has_them(folder) -> None:
    chatml = train_tokenizer(TEXTS, vocab_size=300, chat_template=BUILTIN_TEMPLATES["chatml"])
    chatml.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    chatml.save_pretrained(folder)
    record = template_record(inspect_model(str(folder)))
    assert record["handled"], record["why"]
    assert {"thoughts", "tools"} <= {each.partition(" (")[0] for each in record["knows"]}


def test_a_template_that_cannot_be_rendered_exactly_is_told_with_the_reason(folder) -> None:
    # answers and questions look alike, and nothing ends them
    TOKENIZER.chat_template, kept = "{% for m in messages %}{{ m.content }}{% endfor %}", TOKENIZER.chat_template
    try:
        TOKENIZER.save_pretrained(folder)
    finally:
        TOKENIZER.chat_template = kept
    record = template_record(inspect_model(str(folder)))
    assert (record["present"], record["handled"]) == (True, False)
    assert record["why"]


def test_without_a_template_the_setting_that_names_one_is_told(folder) -> None:
    (folder / "chat_template.jinja").unlink()
    record = template_record(inspect_model(str(folder)))
    assert (record["present"], record["handled"]) == (False, False)
    assert "model.chat_template" in record["why"]


def test_memory_is_told_in_sizes_a_person_reads() -> None:
    need = MemoryNeed("lora", 3 * 2**30, 2**20, 2**21, 2**10)
    assert memory_row(need) == ("LoRA", "3.2 GB", "1 MB", "2 MB", "1 kB", "3.2 GB")


def test_mistakes_are_told_before_any_work(monkeypatch) -> None:
    refused = told("tiny-v1", "--precision", "float8").exception
    assert isinstance(refused, ConfigError)
    assert "expected bfloat16 or float32" in str(refused)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    unknown = told("nobody/nothing").exception
    assert isinstance(unknown, TrainingError)
    assert "check the name, the network" in str(unknown)


@pytest.fixture
def checkpoint(folder, tmp_path):
    """A model's weights as a training program with torch.compile leaves them, in a folder without a configuration."""
    place = tmp_path / "old" / "step-100.pt"
    place.parent.mkdir()
    weights = load_model(folder).state_dict()
    torch.save({"model": {f"_orig_mod.{name}": weight for name, weight in weights.items()}, "step": 100}, place)
    return place


def converted(*arguments):
    return CliRunner().invoke(models_app, ["convert", *map(str, arguments)], catch_exceptions=True)


def test_an_old_checkpoint_becomes_a_model_folder(folder, checkpoint, tmp_path) -> None:
    given = ("--config", folder / "config.json", "--tokenizer", folder, "--out", tmp_path / "made")
    done = converted(checkpoint, *given, "--json")
    assert done.exit_code == 0, done.exception
    made, before = load_model(tmp_path / "made"), load_model(folder)
    assert json.loads(done.stdout)["parameters"] == sum(each.numel() for each in made.parameters())
    assert all(torch.equal(weight, before.state_dict()[name]) for name, weight in made.state_dict().items())
    assert made.generation_config.eos_token_id == before.generation_config.eos_token_id
    assert inspect_model(str(tmp_path / "made")).problems == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "tiny-v1"], "weights have another shape: model.embed_tokens.weight"),
        (["--preset", "tiny-v3"], "known ones: tiny-v1, tiny-v2"),
        ([], "nothing says what architecture"),
        (["--preset", "tiny-v1", "--config", "model/config.json"], "one of the two"),
        (["--config", "model"], "config.json"),
        (["--config", "other/config.json"], "the files lack: model.layers.2"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told_and_leaves_nothing(
    folder, checkpoint, tmp_path, monkeypatch, arguments, message
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    larger = json.loads((folder / "config.json").read_text("utf-8")) | {"num_hidden_layers": 3}
    (tmp_path / "other" / "config.json").write_text(json.dumps(larger), encoding="utf-8")
    done = converted("old/step-100.pt", *arguments, "--tokenizer", "model", "--out", "made")
    assert isinstance(done.exception, GroundtuneError), done.exception
    assert message in str(done.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "old", "other"]


def test_what_is_there_is_not_written_over_and_a_folder_is_no_checkpoint(folder, checkpoint, tmp_path) -> None:
    assert "exists already" in str(converted(checkpoint, "--tokenizer", folder, "--out", folder).exception)
    assert "is a folder" in str(converted(folder, "--tokenizer", folder, "--out", tmp_path / "made").exception)
