"""Every verb with --json on a finished run: one JSON object on standard output, and all else on standard error."""

import json

import pytest
import typer.main

from groundtune.cli.main import app

pytestmark = pytest.mark.slow

VERBS = {
    "init": ("docs", "--output", "other.yaml"),
    "run": (),
    "ingest": (),
    "group": (),
    "generate": ("--estimate",),
    "pilot": ("--models", "offline/one,offline/two"),
    "dataset build": (),
    "dataset preview": ("-n", "1"),
    "dataset audit": (),
    "dataset stats": (),
    "dataset convert": ("rows.jsonl", "made.jsonl"),
    "tokenizer build": (),
    "tokenizer train": ("docs", "--out", "made-tokenizer", "--vocab-size", "400"),
    "tokenizer compare": ("out/tokenizer/files", "--on", "docs"),
    "pretrain": (),
    "train": (),
    "evaluate": (),
    "judge": (),
    "rate": ("--summary",),
    "trace": (),
    "chat": ("groundtune.yaml", "--question", "Sayım nedir?"),
    "bench": ("--steps", "1"),
    "models inspect": (),
    "models convert": ("old.pt", "--tokenizer", "out/tokenizer/files", "--preset", "tiny-v1", "--out", "made-model"),
    "doctor": (),
    "config show": (),
    "config convert": ("theirs.yaml",),
}
"""What each verb is given beside what the run has made."""

REFUSED = {"pilot", "judge", "models convert"}
"""Nothing to ask and no such checkpoint: the error is the one object."""


def registered():
    found = []
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        found += [f"{name} {word}" for word in inner] if inner else [name]
    return found


def test_no_verb_is_left_out():
    assert sorted(VERBS) == sorted(registered())


def test_json_is_one_object_and_alone(copy):
    (copy.folder / "rows.jsonl").write_text('{"instruction": "a", "output": "b"}\n', encoding="utf-8")
    (copy.folder / "theirs.yaml").write_text(
        "model_name_or_path: some/model\nstage: sft\ndataset: alpaca_en_demo\n", encoding="utf-8"
    )
    answers = (copy.run / "evaluation" / "answers.jsonl").read_text(encoding="utf-8")
    made = {"trace": json.loads(answers.partition("\n")[0])["question_id"], "models inspect": str(copy.run / "best")}
    for name, words in VERBS.items():
        done = copy.call(*name.split(), *([made[name]] if name in made else []), *words, "--json")
        assert ("error" in done.json) == (name in REFUSED), (name, done.out, done.err)
        assert done.status == (2 if name in REFUSED else 0), (name, done.err)
