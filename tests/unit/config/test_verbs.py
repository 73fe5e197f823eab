"""`groundtune config`: the native form of LLaMA-Factory's YAML, and what a configuration comes to."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from groundtune.cli.main import app
from groundtune.config import load_config

THEIRS = """\
### model
model_name_or_path: some/model

stage: sft
finetuning_type: lora
use_rslora: true
dataset: identity, alpaca_en_demo
eval_dataset: held_out
mix_strategy: interleave_under
interleave_probs: 0.7,0.3
template: llama3
max_samples: 1000
plot_loss: true
output_dir: "saves/a: b"
learning_rate: 1e-4
warmup_steps: 20
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "theirs.yaml"
    path.write_text(THEIRS, encoding="utf-8")
    return path


def run(*words):
    return CliRunner().invoke(app, ["config", *map(str, words)], catch_exceptions=False)


@pytest.mark.parametrize(
    "more", ["", "finetuning_type: full\n", "stage: pt\n", "neat_packing: true\ncutoff_len: 8192\n"]
)
def test_the_native_file_is_the_same_configuration(theirs, more):
    if more:
        kept = [line for line in THEIRS.splitlines() if line.partition(":")[0] != more.partition(":")[0]]
        theirs.write_text("\n".join(kept) + "\n" + more, encoding="utf-8")
    assert run("convert", theirs, "--out", "native.yaml").exit_code == 0
    assert load_config(Path("native.yaml")) == load_config(theirs)
    assert load_config(Path("native.yaml")).notes == ()


def test_every_line_says_where_it_comes_from(theirs):
    text = run("convert", theirs).stdout
    lines = {line.strip().partition(":")[0]: line for line in text.splitlines() if not line.startswith("#")}
    assert lines["learning_rate"].endswith("  learning_rate: 0.0001  # learning_rate (line 15)")
    assert lines["weight_decay"].endswith("weight_decay: 0.0  # LLaMA-Factory's default of weight_decay")
    assert (
        "{name: identity, max_rows: 1000, weight: 0.7, use: train}  # dataset (line 7), max_samples (line 12)" in text
    )
    assert lines["rslora"].endswith("rslora: true  # use_rslora (line 6)")
    assert "#   plot_loss (line 13): the report shows the loss curve in any case" in text
    settings = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert all("  # " in line for line in settings if not line.endswith(":"))


def test_a_native_file_elsewhere_names_the_same_places(theirs, tmp_path):
    assert run("convert", theirs, "--out", "deep/er/native.yaml").exit_code == 0
    config = load_config(Path("deep/er/native.yaml"))
    assert config.work == load_config(theirs).work
    assert config.resolve(config.data.registry) == tmp_path.resolve() / "data"


def test_its_own_keys_may_be_overridden_and_processes_named(theirs):
    text = run("convert", theirs, "--set", "learning_rate=2e-5", "--processes", "2").stdout
    assert "learning_rate: 2.0e-05  # learning_rate (--set learning_rate=2e-5)" in text
    assert yaml.safe_load(text)["train"]["examples_per_step"] == 16


def test_json_holds_the_values_the_notes_and_the_text(theirs):
    record = json.loads(run("convert", theirs, "--json").stdout)
    assert record["config"]["train"]["warmup_steps"] == 20
    assert {
        "place": f"{theirs}:13",
        "key": "plot_loss",
        "text": "the report shows the loss curve in any case",
    } in record["notes"]
    assert yaml.safe_load(record["yaml"]) == record["config"]


def test_nothing_is_overwritten_and_a_native_file_is_not_converted(theirs, tmp_path):
    from groundtune.errors import ConfigError

    (tmp_path / "native.yaml").write_text("seed: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"native.yaml: exists already"):
        run("convert", theirs, "--out", "native.yaml")
    with pytest.raises(ConfigError, match=r"native.yaml: no file of LLaMA-Factory"):
        run("convert", "native.yaml")
    with pytest.raises(ConfigError, match=r"--set train.epochs=1: no key of LLaMA-Factory"):
        run("convert", theirs, "--set", "train.epochs=1")


def test_show_prints_what_loads_to_the_same_configuration(theirs, tmp_path):
    shown = run("show", theirs, "--set", "train.epochs=1")
    (tmp_path / "shown.yaml").write_text(shown.stdout, encoding="utf-8")
    assert load_config(tmp_path / "shown.yaml") == load_config(theirs, ["train.epochs=1"])
    assert f"{theirs}:13: plot_loss: the report shows the loss curve in any case" in shown.stderr


def test_show_tells_json_too(theirs):
    record = json.loads(run("show", theirs, "--json").stdout)
    assert record["config"]["train"]["schedule"] == "linear"
    assert record["notes"]
