import gzip
import json

import pytest
from typer.testing import CliRunner

from groundtune.cli.tokenizer import tokenizer_app
from groundtune.errors import ConfigError, DataError, TemplateError, TrainingError
from groundtune.models import load_tokenizer

TURKISH = "Mal kabul, tedarikçiden gelen malzemenin depoya alınmasıdır. İş emri Depo'ya gider.\n"
ENGLISH = "A goods receipt is the step in which material of a supplier enters the warehouse.\n"


@pytest.fixture
def text(tmp_path):
    """Text in every form, in a folder."""
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "a.md").write_text(TURKISH * 20, encoding="utf-8")
    (folder / "b.txt").write_text(ENGLISH * 20, encoding="utf-8")
    with gzip.open(folder / "c.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write(json.dumps({"text": TURKISH}) + "\n" + json.dumps({"body": ENGLISH}) + "\n")
    return folder


def told(*arguments):
    return CliRunner().invoke(tokenizer_app, [*map(str, arguments)], catch_exceptions=True)


def test_a_tokenizer_is_trained_on_files_of_several_kinds_and_fits_what_it_saw(text, tmp_path) -> None:
    done = told("train", text, "--out", tmp_path / "made", "--vocab-size", 400, "--json")
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    made = load_tokenizer(tmp_path / "made")
    summary = record["tokenizers"]["made"]
    assert summary["entries"] == len(made) <= 400
    assert (made.bos_token_id, made.eos_token_id, made.pad_token_id) == (0, 1, 2)
    assert made.chat_template
    assert summary["changed_texts"] == 0
    assert list(summary["by_language"]) == ["tr", "en"]
    assert summary["by_language"]["tr"]["tokens"] == 20 * len(made(TURKISH)["input_ids"]) + len(
        made(TURKISH)["input_ids"]
    )
    assert [name.rpartition("/")[2] for name in record["files"]] == ["a.md", "b.txt", "c.jsonl.gz"]
    # counted once, though the files are read twice
    assert sum(record["left_out"]["reasons"].values()) == 1


def test_the_same_files_give_the_same_tokenizer(text, tmp_path) -> None:
    for name in ("one", "two"):
        assert told("train", text, "--out", tmp_path / name, "--vocab-size", 400).exit_code == 0
    for file in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_tokenizers_are_told_side_by_side_on_the_same_text(text, tmp_path) -> None:
    for name, entries in (("small", 300), ("large", 500)):
        assert told("train", text / "a.md", "--out", tmp_path / name, "--vocab-size", entries).exit_code == 0
    done = told(
        "compare", tmp_path / "small", tmp_path / "large", "--on", text / "a.md", "--on", text / "b.txt", "--json"
    )
    assert done.exit_code == 0, done.output
    small, large = json.loads(done.stdout)["tokenizers"].values()
    assert small["by_language"]["tr"]["tokens_per_word"] > large["by_language"]["tr"]["tokens_per_word"]
    # it never saw English
    assert large["by_language"]["en"]["tokens_per_word"] > large["by_language"]["tr"]["tokens_per_word"]
    assert 0 < large["unused_entries"] < large["entries"]
    table = told("compare", tmp_path / "small", tmp_path / "large", "--on", text / "a.md", "--languages", "")
    assert table.exit_code == 0
    assert [line.split()[0].rpartition("/")[2] for line in table.stdout.splitlines()[1:]] == ["small", "large"]
    assert "a word, tr" not in table.stdout


def test_what_is_left_out_is_told_by_reason_and_place(text, tmp_path) -> None:
    done = told("train", text, "--out", tmp_path / "made", "--vocab-size", 400)
    assert done.exit_code == 0
    assert "left out:" in done.stderr
    assert "c.jsonl.gz:2" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["train", "nowhere", "--out", "made"], ConfigError, "nowhere"),
        (["train", "text", "--out", "text"], ConfigError, "exists already"),
        (["train", "text", "--out", "made", "--chat-template", "lama3"], TemplateError, "did you mean 'llama3'"),
        (["train", "text", "--out", "made", "--languages", "xx"], ConfigError, "--languages 'xx'"),
        (["train", "empty.txt", "--out", "made"], DataError, "no text"),
        (["compare", "text", "--on", "text"], TrainingError, "holds no tokenizer"),
        (["compare", "no/where/at/all", "--on", "text"], TrainingError, "no such folder"),
        (["compare", "text", "--on", "*.pdf"], ConfigError, "--on"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(text, tmp_path, monkeypatch, arguments, error, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text(" \n", encoding="utf-8")
    done = told(*arguments)
    assert isinstance(done.exception, error), done.exception
    assert message in str(done.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt", "text"]


def test_text_of_which_nothing_can_be_read_is_told_by_reason_and_place(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text('{"metin": "x"}\n', encoding="utf-8")
    done = told("train", tmp_path, "--out", tmp_path / "made")
    assert isinstance(done.exception, DataError)
    assert "left out: 1 × row has no column text that is a string (" in str(done.exception)
    assert "a.jsonl:1)" in str(done.exception)
