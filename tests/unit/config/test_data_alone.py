"""Configurations without documents: what has to be there, and what no longer has to hold."""

from pathlib import Path

import pytest

from groundtune.config import Config, DataConfig, SourceConfig, load_config
from groundtune.errors import ConfigError

ALONE = "data:\n  sources:\n    - path: rows.jsonl\nmodel:\n  path: some/model\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "groundtune.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, overrides=()) -> str:
    path = written(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value).replace(str(path), "FILE")


def test_a_file_with_sources_that_says_nothing_of_documents_has_none(tmp_path):
    config = load_config(written(tmp_path, ALONE))
    assert config.documents.path is None
    assert config.train.max_pack_tokens == 4096


def test_a_file_that_says_something_of_documents_has_them(tmp_path):
    text = ALONE + "documents:\n  languages: [en]\n"
    assert load_config(written(tmp_path, text)).documents.path == "docs"
    assert load_config(written(tmp_path, ALONE), ["documents.path=manual"]).documents.path == "manual"


def test_the_same_holds_for_a_configuration_made_in_code():
    data = DataConfig(sources=(SourceConfig(path="rows.jsonl"),))
    made = Config.model_validate({"data": data, "model": {"path": "some/model"}})
    assert made.documents.path is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "documents:\n  path: null\n",
            "FILE:2: documents.path is null and data.sources is empty: there is nothing to train on",
        ),
        (
            "documents:\n  path: null\ndata:\n  sources:\n    - path: rows.jsonl\n",
            "FILE:2: model.path is null, which makes a model from the documents' text, and documents.path is null",
        ),
        (ALONE + "  context_tokens: 64\ndata2: 1\n", "FILE:7: unknown key 'data2'; did you mean 'data'?"),
        (
            ALONE.replace("data:\n", "data:\n  share: 0.2\n"),
            "FILE:2: data.share (0.2) is a share beside grounded pairs, and there are none",
        ),
        (
            ALONE.replace("path: rows.jsonl", "name: identity"),
            "FILE:2: data.sources names 'identity', an entry of a registry; set data.registry",
        ),
        (
            ALONE.replace("data:\n", "data:\n  max_tokens: 8192\n"),
            "FILE:2: data.max_tokens (8192) is above train.max_pack_tokens (4096)",
        ),
        (
            "documents:\n  path: docs\ndata:\n  sources:\n    - path: rows.jsonl\n",
            "FILE: data.max_tokens (2048) is above model.context_tokens (1024); lower the first or raise the second",
        ),
        (
            "data:\n  sources:\n    - name: a\n      path: b\n",
            "FILE:3: a data source names name and path; give exactly one of name, path, hub",
        ),
    ],
)
def test_what_does_not_fit_together_is_named_with_its_line(tmp_path, text, message):
    assert message in refusal(tmp_path, text)


def test_limits_of_documents_do_not_bind_where_there_are_none(tmp_path):
    text = ALONE + "dataset:\n  max_tokens: 100000\nevaluation:\n  max_new_tokens: 200000\n"
    text += "prompts: {}\ntrain:\n  max_pack_tokens: 2048\npretrain:\n  sequence_tokens: 9000\n"
    assert load_config(written(tmp_path, text)).dataset.max_tokens == 100000


def test_limits_of_data_do_not_bind_where_there_is_none(tmp_path):
    config = load_config(written(tmp_path, "documents:\n  path: docs\ndata:\n  max_tokens: 100000\n"))
    assert config.data.max_tokens == 100000


def test_an_override_that_does_not_fit_is_named_itself(tmp_path):
    told = refusal(tmp_path, ALONE, ["train.epochs=1", "data.max_tokens=9000"])
    assert told.startswith("--set data.max_tokens=9000: data.max_tokens (9000) is above train.max_pack_tokens")


def test_off_is_understood_where_yaml_makes_it_false(tmp_path):
    text = ALONE.replace("data:\n", "data:\n  filters:\n    duplicates: off\n")
    assert load_config(written(tmp_path, text)).data.filters.duplicates == "off"
