"""Reading the configuration file: what it accepts, and how it says what is wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import Config, default_config, load_config
from groundtune.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "groundtune.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_is_every_default(tmp_path):
    config = load_config(written(tmp_path, ""))
    assert config == Config()
    assert config.work == tmp_path.resolve() / "groundtune-out"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train:\n  epoch: 3\n", ":2: unknown key 'train.epoch'; did you mean 'epochs'?"),
        ("trian:\n  epochs: 3\n", ":1: unknown key 'trian'; did you mean 'train'?"),
        ("seed: 1\n\nprompts:\n  tr:\n    sistem: x\n", ":5: unknown key 'prompts.tr.sistem'; did you mean 'system'?"),
        (
            "grouping:\n  relations:\n    flows:\n      - {name: a, stps: [x, y], steps: [x, y]}\n",
            ":4: unknown key 'grouping.relations.flows.0.stps'; did you mean 'steps'?",
        ),
        ("train:\n  epochs: many\n", ":2: train.epochs is 'many'; input should be a valid integer"),
        ("train:\n  report_to: wandb\n", ":2: train.report_to is 'wandb'; input should be a list"),
        ("train:\n  name: üç\n", ":2: train.name is 'üç'; string should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'"),
        ("train:\n  epochs: 0\n", ":2: train.epochs is 0; input should be greater than or equal to 1"),
        ("seed: 1\nseed: 2\n", ":2: seed is set twice (first on line 1); keep one"),
        ("train: [\n", ":2: not valid YAML"),
        ("- a\n- b\n", "found a list, expected sections"),
        ("model:\n  heads: 6\n  width: 256\n", ":1: width (256) must be an even multiple of heads (6)"),
        (
            "model:\n  heads: 16\n",
            "copying_start needs 2 layers, 2 heads and a head size (width / heads) that is a multiple of 8",
        ),
        ("documents:\n  languages: [tr, de]\n", "prompts.de (system, refusal, labels) is missing"),
        ("dataset:\n  max_tokens: 4096\n", "dataset.max_tokens (4096) is above model.context_tokens (1024)"),
        ("train:\n  batch_examples: 4\n", ":2: unknown key 'train.batch_examples'"),
        ("train:\n  vocabulary: 4\n", ":2: unknown key 'train.vocabulary'; known keys: adapter"),
        (
            "train:\n  max_pack_tokens: 1000\n",
            "dataset.max_tokens (1024) is above train.max_pack_tokens (1000), and an example is computed in one piece",
        ),
        (
            "pretrain:\n  sequence_tokens: 5000\n",
            "pretrain.sequence_tokens (5000) is above train.max_pack_tokens (4096)",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_expected(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match=r"no such file; `groundtune init` writes one"):
        load_config(tmp_path / "none.yaml")


def test_an_override_wins_over_the_file_and_is_typed_like_it(tmp_path):
    path = written(tmp_path, "train:\n  epochs: 3\n")
    config = load_config(path, ["train.epochs=7", "documents.languages=[en]", "generation.unanswerable_share=0.2"])
    assert config.train.epochs == 7
    assert config.documents.languages == ("en",)
    assert config.generation.unanswerable_share == 0.2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epochs", "expected section.key=value"),
        ("trian.epochs=2", "--set trian.epochs=2: unknown key 'trian'; did you mean 'train'?"),
        ("train.epochz=2", "--set train.epochz=2: unknown key 'train.epochz'; did you mean 'epochs'?"),
        ("train.epochs=x", "--set train.epochs=x: train.epochs is 'x'"),
        ("seed.x=1", "'seed' is not a section"),
        ("data.sources.2.path=a.json", "'sources' is a list of 2, and '2' is none of its places from 0"),
        ("data.sources.first.path=a.json", "'sources' is a list of 2, and 'first' is none of its places from 0"),
    ],
)
def test_a_wrong_override_names_itself(tmp_path, override, message):
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, "seed: 3\ndata:\n  sources: [{path: a.json}, {path: b.json}]\n"), [override])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "where", "told"),
    [
        (
            ["then.0.train.freeze=['']", "then.0.train.epochs=1"],
            "--set then.0.train.freeze=['']: ",
            "then.0.train.freeze has an empty name",
        ),
        (["then.0.train.weight_decay=0", "train.freeze=['']", "train.epochs=1"], "--set train.freeze=['']: ", "train.freeze has"),
        (["train.adapter={dropout: 0.1}", "train.preference={}", "train.epochs=1"], "--set train.preference={}: ", "train.preference"),
        (["then.0.train.adapter={}", "then.0.train.epochs=1"], "--set then.0.train.adapter={}: ", "then.0.train.freeze (norms)"),
        (["then.0.train.preference={label_smoothing: 0.1, loss: hinge}", "then.0.train.epochs=1"],
         "--set then.0.train.preference={label_smoothing: 0.1, loss: hinge}: ", "then.0.train.preference.label_smoothing is 0.1"),
        (["then.0.data.valid_share=0.9", "then.0.data.strict=true"], "--set then.0.data.valid_share=0.9: ", "then.0.data.valid_share +"),
        (["then.0.train.adapter={dropout: 0.1}", "then.0.train.freeze=[]", "then.1.train.freeze=['']"],
         "--set then.1.train.freeze=['']: ", "then.1.train.freeze has an empty name"),
    ],
)  # fmt: skip
def test_a_check_of_a_section_blames_the_override_it_names(tmp_path, overrides, where, told):
    then = "then:\n- {data: {}, train: {name: second, freeze: [norms]}}\n- {data: {}, train: {name: third}}\n"
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, then), overrides)
    assert str(caught.value).startswith(f"{where}{told}")


def test_what_the_file_has_wrong_is_not_blamed_on_an_override_beside_it(tmp_path):
    text = "then:\n- data: {}\n  train:\n    name: second\n    freeze: ['']\n"
    with pytest.raises(ConfigError, match=r"groundtune\.yaml:5: then\.0\.train\.freeze has an empty name"):
        load_config(written(tmp_path, text), ["then.0.train.epochs=1"])


def test_an_override_reaches_into_a_list(tmp_path):
    text = "documents: {path: null}\nmodel: {path: small}\ndata:\n  sources: [{path: a.json}, {path: b.json}]\n"
    config = load_config(written(tmp_path, text), ["data.sources.1.weight=2", "data.sources.0.path=c.json"])
    assert [(source.path, source.weight) for source in config.data.sources] == [("c.json", 1.0), ("b.json", 2.0)]


def test_a_preset_of_training_fills_what_is_not_given(tmp_path):
    train = load_config(
        written(tmp_path, "train:\n  preset: aggressive\n  epochs: 1\n  adapter: {dropout: 0.1}\n")
    ).train
    assert (train.learning_rate, train.epochs, train.examples_per_step) == (1e-4, 1, 32)
    assert (train.adapter.rank, train.adapter.dropout) == (64, 0.1)
    assert load_config(written(tmp_path, "train:\n  preset: balanced\n")).train.adapter is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {preset: bold}", "train.preset is 'bold'"),
        ("train: {freeze: [embeddings], adapter: {}}", "train.freeze (embeddings) has no meaning with train.adapter"),
        ("train: {freeze: [embeddings, '']}", "train.freeze has an empty name, which would mean every weight"),
        ("train: {fsdp: {}, deepspeed: a.json}", "fsdp and deepspeed both spread"),
        ("pretrain: {rounds: [{sequence_tokens: 8}]}", "pretrain.rounds.0.sequence_tokens is 8"),
    ],
)
def test_settings_that_do_not_go_together_are_told_with_their_line(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert message in str(caught.value)
    assert "groundtune.yaml:1" in str(caught.value)


def test_one_prompt_field_may_be_set_and_the_rest_stay(tmp_path):
    config = load_config(written(tmp_path, "prompts:\n  tr:\n    refusal: Bilmiyorum.\n"))
    assert config.prompts["tr"].refusal == "Bilmiyorum."
    assert "ERP sistemi asistanısın" in config.prompts["tr"].system
    assert config.prompts["en"] == Config().prompts["en"]


def test_a_head_too_small_to_copy_is_fine_when_copying_is_not_asked_for(tmp_path):
    text = "model:\n  heads: 16\n  kv_heads: 4\n  copying_start: false\n"
    assert load_config(written(tmp_path, text)).model.heads == 16


def test_a_folder_without_a_configuration_gets_the_defaults(tmp_path):
    config = default_config(tmp_path, ["seed=5"])
    assert config.seed == 5
    assert config.resolve(config.documents.path) == tmp_path.resolve()


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_no_unknown_key_is_ever_accepted(key):
    if key in Config.model_fields:
        return
    with pytest.raises(ConfigError, match="unknown key"):
        default_config(Path(), [f"{key}=1"])


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("model: {preset: tiny-v1}\n", 64_000),
        ("model: {preset: tiny-v1}\ntokenizer: {}\n", 64_000),
        ("model: {preset: tiny-v1}\ntokenizer: {vocab_size: 500}\n", 500),
        ("model: {layers: 3}\n", 6000),
    ],
)
def test_a_preset_has_the_tokenizer_of_its_known_size_unless_the_file_says_otherwise(text, entries, tmp_path):
    assert load_config(written(tmp_path, text)).tokenizer.vocab_size == entries
