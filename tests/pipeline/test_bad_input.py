"""What a person can do wrong: exit status 2, one line that says where and what, and nothing half-written left behind."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

PROGRESS = re.compile(r"[●✓·✎] \w+: |    left out: |    and \d+ more reasons|  \w[\w ]*: \d+/\d+ ")
"""Lines on standard error that tell of progress."""


def message_of(done: Any) -> str:
    """The one line that says what is wrong."""
    assert done.status == 2, f"status {done.status}:\n{done.err}"
    assert "Traceback" not in done.err
    lines = [line for line in done.err.splitlines() if line and not PROGRESS.match(line)]
    assert len(lines) == 1, f"expected one line of message:\n{done.err}"
    assert lines[0].startswith("groundtune: ")
    return lines[0].removeprefix("groundtune: ")


def written(folder: Path) -> list[str]:
    """Files below `folder`, without the lock, which holds nothing."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"
    )


@pytest.fixture
def documents(project: Any) -> Path:
    """The documents folder, emptied."""
    docs: Path = project.folder / "docs"
    for path in docs.rglob("*.md"):
        path.unlink()
    return docs


# documents


def test_a_folder_without_documents_is_named_with_what_was_looked_for(project, documents):
    message = message_of(project.call("run"))
    assert str(documents) in message
    assert "**/*.md" in message
    assert not written(project.work)


def test_a_documents_folder_that_is_not_there_is_named(project):
    message = message_of(project.call("run", "--set", "documents.path=elsewhere"))
    assert str(project.folder / "elsewhere") in message
    assert not written(project.work)


def test_a_target_that_is_not_there_is_named_with_what_to_do(project):
    message = message_of(project.call_cold("run", "missing.yaml"))
    assert "missing.yaml" in message
    assert "groundtune init" in message
    assert not project.work.exists()


@pytest.mark.parametrize(
    "junk",
    [
        b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 20,
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"# Ba\xc5\x9fl\xc4",
        b"# \xfe\xff\x80 no UTF-8",
    ],
    ids=["program", "picture", "cut in a character", "no UTF-8"],
)
def test_binary_junk_named_md_is_named_with_its_first_wrong_byte(junk, project):
    (project.folder / "docs" / "stok" / "junk.md").write_bytes(junk)
    message = message_of(project.call("ingest"))
    assert str(project.folder / "docs" / "stok" / "junk.md") in message
    assert re.search(r"byte \d+", message)
    assert not written(project.work)


def test_a_file_that_goes_bad_later_leaves_what_was_made_before(copy):
    chunks = (copy.work / "documents" / "chunks.jsonl").read_bytes()
    (copy.folder / "docs" / "stok" / "depo.md").write_bytes(b"\x00\x01\x02")
    before = written(copy.work)
    message_of(copy.call("run"))
    assert (copy.work / "documents" / "chunks.jsonl").read_bytes() == chunks
    assert written(copy.work) == before


GOOD = {"chunk_id": "c-1", "text": "Mal kabul, malzemenin depoya alınmasıdır."}


@pytest.mark.parametrize(
    ("content", "line", "record", "field"),
    [
        ([GOOD, {"chunk_id": "c-2"}], 2, "'c-2'", "'text'"),
        ([GOOD, {"chunk_id": "c-2", "text": 5}], 2, "'c-2'", "'text'"),
        ([GOOD, GOOD], 2, "'c-1'", "'chunk_id'"),
        ([GOOD, {"chunk_id": "c-2", "text": "Metin.", "token_count": "many"}], 2, "'c-2'", "'token_count'"),
        ([GOOD, {"chunk_id": "c-2", "text": "Metin.", "language": "xx"}], 2, "'c-2'", "'language'"),
    ],
    ids=["without text", "text that is a number", "same id twice", "count that is a word", "unknown language"],
)
def test_a_malformed_chunk_file_is_named_with_record_and_field(content, line, record, field, project):
    chunks = project.folder / "chunks.jsonl"
    chunks.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in content), encoding="utf-8")
    message = message_of(project.call("ingest", "--set", "documents.path=chunks.jsonl"))
    assert message.startswith(f"{chunks}:{line}: ")
    assert record in message
    assert field in message
    assert not written(project.work)


def test_a_chunk_file_that_ends_in_the_middle_is_named_with_its_line(project):
    chunks = project.folder / "chunks.json"
    chunks.write_text('{"chunks": [\n {"text": "Metin."},\n {"text": "Ya', encoding="utf-8")
    assert message_of(project.call("ingest", "--set", "documents.path=chunks.json")).startswith(f"{chunks}:")


# configuration


@pytest.mark.parametrize(
    ("key", "value", "line", "nearest"),
    [
        ("chunk_tokens", "chunk_tokns", 8, "chunk_tokens"),
        ("tokenizer:", "tokeniser:", 18, "tokenizer"),
        ("max_new_tokens", "max_new_token", 40, "max_new_tokens"),
    ],
)
def test_a_misspelt_key_is_named_with_its_line_and_the_nearest_key(key, value, line, nearest, project):
    path = project.folder / "groundtune.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(key, value), encoding="utf-8")
    assert path.read_text(encoding="utf-8").splitlines()[line - 1].strip().startswith(value.rstrip(":"))
    message = message_of(project.call("run"))
    assert message.startswith(f"groundtune.yaml:{line}: ")
    assert f"did you mean '{nearest}'" in message
    assert not project.work.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: [", "groundtune.yaml:"),
        ("- a\n- b\n", "groundtune.yaml"),
        ("seed: 1\nseed: 2\n", "groundtune.yaml:2"),
        ("train:\n  epochs: many\n", "groundtune.yaml:2"),
        ("train:\n  epochs: 0\n", "groundtune.yaml:2"),
        ("model:\n  width: 63\n", "width"),
    ],
    ids=["no YAML", "a list", "a key twice", "a word for a number", "no epochs", "widths that do not divide"],
)
def test_a_configuration_that_cannot_be_used_is_named(text, said, project):
    (project.folder / "groundtune.yaml").write_text(text, encoding="utf-8")
    assert said in message_of(project.call("run"))
    assert not project.work.exists()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("nonsense", "section.key=value"),
        ("=3", "section.key=value"),
        ("trian.epochs=1", "did you mean 'train'"),
        ("train.epoch=1", "did you mean 'epochs'"),
        ("train.epochs=many", "train.epochs"),
        ("train.epochs=[", "YAML"),
        ("seed.deeper=1", "not a section"),
        ("documents.languages=[xx]", "xx"),
    ],
)
def test_an_override_that_makes_no_sense_is_named(override, said, project):
    message = message_of(project.call("run", "--set", override))
    assert "--set" in message or "documents.languages" in message
    assert said in message
    assert not project.work.exists()


def test_with_json_an_error_is_one_object_on_standard_output_too(project):
    done = project.call("run", "--json", "--set", "trian.epochs=1")
    assert done.json == {"error": {"kind": "ConfigError", "message": message_of(done)}}


# the command line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "trian"),
        (["run", "--jsno"], "--jsno"),
        (["run", "groundtune.yaml", "too", "many"], "too"),
        (["run", "--set"], "--set"),
        (["dataset", "preview", "--count", "none"], "--count"),
        (["dataset", "preview", "--split", "exam"], "exam"),
        (["chat"], "RUN"),
    ],
    ids=" ".join,
)
def test_a_command_that_cannot_be_understood_is_one_line_too(arguments, said, project):
    assert said.lower() in message_of(project.call_cold(*arguments)).lower()
    assert not project.work.exists()


def test_a_verb_that_does_not_exist_is_told_in_json_too(project):
    done = project.call_cold("trian", "--json")
    assert done.json["error"]["message"] == message_of(done)


@pytest.mark.parametrize("place", ["docs", "nowhere"])
def test_chat_with_a_folder_that_is_no_run_names_it(place, project):
    assert place in message_of(project.call_cold("chat", place, "--question", "Mal kabul nedir?"))


def test_chat_with_a_run_whose_model_has_gone_says_what_is_missing(copy):
    for path in sorted((copy.run / "best").iterdir()):
        path.unlink()
    (copy.run / "best").rmdir()
    assert "'best'" in message_of(copy.call_cold("chat", str(copy.run), "--question", "Mal kabul nedir?"))


def test_an_empty_question_is_refused(finished):
    assert "question" in message_of(finished.call("chat", str(finished.run), "--question", " "))


def test_json_of_chat_without_a_question_says_how_to_ask(finished):
    assert "--question" in message_of(finished.call("chat", str(finished.run), "--json"))


def test_init_does_not_overwrite_a_configuration(project):
    before = (project.folder / "groundtune.yaml").read_bytes()
    assert "exists already" in message_of(project.call_cold("init", "docs"))
    assert (project.folder / "groundtune.yaml").read_bytes() == before


def test_a_model_folder_that_is_not_there_is_named(project):
    message = message_of(project.call("train", "--set", "model.path=./no-model"))
    assert str(project.folder / "no-model") in message


def test_a_model_of_pickled_weights_is_not_loaded(finished, project):
    model = project.folder / "model"
    model.mkdir()
    for path in (finished.work / "base" / "model").iterdir():
        if path.suffix != ".safetensors":
            (model / path.name).write_bytes(path.read_bytes())
    (model / "pytorch_model.bin").write_bytes(b"pickled")
    assert "pytorch_model.bin" in message_of(project.call("train", "--set", "model.path=model"))


# models that cannot be trained: found out before the first stage


@pytest.fixture
def model(finished, project):
    """The project's own copy of a small model that could be trained."""
    shutil.copytree(finished.work / "base" / "model", project.folder / "model")
    return project.folder / "model"


def refused(project: Any, *settings: str) -> str:
    """The message, once it is sure that nothing was read, written or trained before it."""
    given = [word for setting in ("model.path=model", *settings) for word in ("--set", setting)]
    message = message_of(project.call("run", *given))
    assert not project.work.exists()
    return message


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), encoding="utf-8")


def test_a_model_folder_without_weights_is_refused(project, model):
    (model / "model.safetensors").unlink()
    message = refused(project)
    assert message.startswith(f"{model}: holds a config.json but no weights")
    assert "expected model.safetensors" in message


def test_a_model_whose_weights_are_cut_off_is_refused(project, model):
    weights = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "damaged" in refused(project)


def test_a_tokenizer_of_another_model_is_refused(project, model):
    tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))
    tokenizer["added_tokens"] += [
        dict(tokenizer["added_tokens"][0], id=1000 + number, content=f"<|more_{number}|>") for number in range(400)
    ]
    (model / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    message = refused(project)
    assert re.search(r"the tokenizer has \d+ entries, .* the model's embedding \d+ rows", message)
    assert "use the tokenizer that belongs to this model" in message


def test_a_tokenizer_far_smaller_than_the_embedding_is_refused(project, model):
    shape = json.loads((model / "config.json").read_text("utf-8"))
    rows, width = 4096, shape["hidden_size"]
    changed(model / "config.json", vocab_size=rows)
    weights = load_file(model / "model.safetensors")
    weights["model.embed_tokens.weight"] = torch.zeros(rows, width)
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    message = refused(project)
    assert "embedding 4096 rows, far more than padding explains" in message


def test_a_tokenizer_without_end_token_is_refused(project, model):
    settings = json.loads((model / "tokenizer_config.json").read_text("utf-8"))
    del settings["eos_token"]
    (model / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    message = refused(project)
    assert message == f"{model}: the tokenizer names no end token; set eos_token in its tokenizer_config.json"


def test_a_tokenizer_without_chat_template_is_refused_until_one_is_named(project, model):
    (model / "chat_template.jinja").unlink()
    message = refused(project)
    assert "chat template" in message
    assert "model.chat_template" in message


def test_a_template_whose_tokens_the_tokenizer_lacks_is_refused(project, model):
    message = refused(project, "model.chat_template=chatml")
    assert "<|im_start|>" in message


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("train.adapter={targets: [q_prj]}", "train.adapter.targets names 'q_prj', which is in no linear layer"),
        ("train.adapter={modules_to_save: [lm_hed]}", "train.adapter.modules_to_save names 'lm_hed'"),
        ("train.freeze=[layers.7]", "layers.7"),
    ],
)
def test_a_name_that_means_nothing_in_the_model_is_refused(setting, said, project, model):
    message = refused(project, setting)
    assert said in message
    assert "did you mean" in message or "expected" in message


def test_a_base_that_needs_code_of_its_own_is_refused_and_the_code_not_run(project, model):
    (model / "modeling_own.py").write_text("open('ran', 'w')", encoding="utf-8")
    changed(
        model / "config.json",
        model_type="own",
        auto_map={"AutoConfig": "modeling_own.Config", "AutoModelForCausalLM": "modeling_own.Model"},
    )
    message = refused(project)
    assert message.startswith(f"{model}: needs code of its own to load")
    assert not list(project.folder.rglob("ran"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hidden_size": 128}, "have another shape: model.embed_tokens.weight"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "a checkpoint of another one"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "does not write text token by token"),
        ({"model_type": "llamo"}, "llamo"),
    ],
    ids=["other sizes", "another architecture", "no decoder alone", "unknown"],
)
def test_weights_of_another_architecture_are_refused(settings, said, project, model):
    changed(model / "config.json", **settings)
    message = refused(project)
    assert message.startswith(f"{model}: ")
    assert said in message


def test_an_adapter_of_another_model_is_refused(project, model):
    adapter = project.folder / "adapter"
    adapter.mkdir()
    shutil.copyfile(model / "tokenizer.json", adapter / "tokenizer.json")
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(model / name, adapter / name)
    settings = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "base_model_name_or_path": "../model"}
    (adapter / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    save_file(
        {f"{layer}.lora_A.weight": torch.zeros(2, 999), f"{layer}.lora_B.weight": torch.zeros(999, 2)},
        adapter / "adapter_model.safetensors",
    )
    message = refused(project, "model.path=adapter")
    assert "an adapter of another model" in message
    assert "base_model_name_or_path" in message


def test_a_checkpoint_file_is_no_model_yet_and_the_way_to_one_is_told(project, model):
    torch.save(load_file(model / "model.safetensors"), project.folder / "old.pt")
    assert "groundtune models convert" in refused(project, "model.path=old.pt")


def test_an_old_checkpoint_of_another_preset_is_refused_with_its_names_and_leaves_nothing(project, model):
    torch.save(load_file(model / "model.safetensors"), project.folder / "old.pt")
    given = ("--preset", "tiny-v1", "--tokenizer", "model", "--out", "made")
    message = message_of(project.call("models", "convert", "old.pt", *given))
    assert "model.embed_tokens.weight" in message
    assert sorted(path.name for path in project.folder.iterdir()) == ["docs", "groundtune.yaml", "model", "old.pt"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_told_before_anything_is_done(project):
    message = message_of(project.call("run", "--set", "train.device=cuda"))
    assert message.startswith("train.device is cuda, and PyTorch finds no GPU here")
    assert "auto or cpu" in message
    assert not project.work.exists()


# where it is written


def test_a_work_folder_that_cannot_be_made_is_named(project):
    (project.folder / "file").write_text("a file where a folder is wanted", encoding="utf-8")
    message = message_of(project.call("run", "--set", "workdir=file/out"))
    assert str(project.folder / "file") in message
    assert "--set workdir=" in message


NO_ROOM = """
from groundtune.language import detect_language
for order in (("tr", "en"), ("en", "tr")):
    detect_language("mal kabul kaydı", order)
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
"""
"""No file may grow beyond 2,000 bytes, less than any stage writes: to a program the same as a full disk.

Standard error is a file here too, and shorter than that. The detector of languages unpacks its model into a file of its own.
"""

MANIFESTS = {
    "ingest": "documents",
    "group": "grouping",
    "generate": "generation",
    "tokenizer": "tokenizer",
    "dataset": "dataset",
    "pretrain": "base",
    "train": "runs/default",
    "evaluate": "runs/default/evaluation",
    "run": ".",
}


@pytest.mark.parametrize(
    "verb",
    [
        verb if verb in ("ingest", "generate", "tokenizer", "train") else pytest.param(verb, marks=pytest.mark.slow)
        for verb in MANIFESTS
    ],
)
def test_a_stage_that_finds_no_room_says_so_in_one_line_and_is_done_again_when_there_is_some(verb, copy):
    manifest = copy.work / MANIFESTS[verb] / "manifest.json"
    outputs = json.loads(manifest.read_text(encoding="utf-8"))["outputs"]
    manifest.unlink()
    if verb == "generate":
        # else every answer is there already, and hardly anything is to be written
        (copy.work / "generation" / "ledger.sqlite").unlink()
    message = message_of(copy.call(verb, first=NO_ROOM))
    assert message.startswith(f"cannot write {copy.work}")
    assert not manifest.exists()
    assert not list(copy.work.rglob(".partial-*"))
    copy.succeed(verb)
    again = json.loads(manifest.read_text(encoding="utf-8"))["outputs"]
    # the report shows seconds
    assert again == outputs or verb == "run"


AFTER_THE_FIRST_CHECKPOINT = """
import resource, sys

def watch(event, arguments):
    if event == "os.rename" and "/checkpoints/checkpoint-" in str(arguments[1]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

sys.addaudithook(watch)
"""
"""From then on the disk has no room for weights; for what is said of them it has."""

NOTING_CHECKPOINTS = """
import sys

def watch(event, arguments):
    if event == "os.rename" and "/checkpoints/checkpoint-" in str(arguments[1]):
        with open("written", "a") as stream:
            stream.write(arguments[1].rpartition("-")[2] + chr(10))

sys.addaudithook(watch)
"""


def test_a_disk_that_fills_while_training_leaves_the_last_checkpoint_which_the_run_goes_on_from(copy):
    unbroken = (copy.run / "best" / "model.safetensors").read_bytes()
    shutil.rmtree(copy.run)
    often = ("train", "--set", "train.save_steps=1")
    message = message_of(copy.call(*often, first=AFTER_THE_FIRST_CHECKPOINT))
    assert message.startswith(f"cannot write {copy.run}")
    assert not list(copy.work.rglob(".partial-*"))
    assert not (copy.run / "manifest.json").exists()
    assert [path.name for path in (copy.run / "checkpoints").glob("checkpoint-*")] == ["checkpoint-1"]
    done = copy.call(*often, first=NOTING_CHECKPOINTS)
    assert done.status == 0, done.err
    steps = [int(step) for step in (copy.folder / "written").read_text("utf-8").split()]
    # the first step is not done again
    assert steps[0] == 2
    assert (copy.run / "best" / "model.safetensors").read_bytes() == unbroken


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("train.adapter={targets: [nope]}", "train.adapter.targets names 'nope'"),
        ("train.freeze=[nope]", "train.freeze"),
    ],
)
def test_what_is_in_no_layer_of_a_model_yet_to_be_made_is_refused_before_it_is_made(project, setting, told):
    message = message_of(project.call("train", "--set", setting))
    assert told in message
    assert not (project.work / "base").exists()


def test_a_deepspeed_file_that_is_not_there_is_told_before_anything_is_made(project):
    message = message_of(project.call("train", "--set", "train.deepspeed=zero3.json"))
    assert message.startswith("train.deepspeed: zero3.json cannot be read")
    assert not (project.work / "documents").exists()
