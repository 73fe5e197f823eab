"""More text, several rounds and a model trained further, through the command."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

SENTENCE = "Makara kartı açılır, lot numarası girilir ve kaydedilir. "


def configure(project: Any, **changes: dict[str, Any]) -> None:
    path = project.folder / "groundtune.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section, values in changes.items():
        config[section] = config.get(section, {}) | values
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")


def write_texts(project: Any) -> None:
    folder = project.folder / "more"
    folder.mkdir()
    rows = [json.dumps({"text": f"{number}. {SENTENCE * 6}"}) for number in range(60)]
    (folder / "texts.jsonl.gz").write_bytes(gzip.compress("\n".join([*rows, "{"]).encode(), mtime=0))
    (folder / "general.txt").write_text("Kitap okumak zihni dinlendirir.\n" * 60, encoding="utf-8")


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def stages_of(done: Any) -> dict[str, Any]:
    return {stage["stage"]: stage for stage in done.json["stages"]}


@pytest.mark.slow
def test_a_model_that_is_there_is_trained_further_in_rounds_and_then_fine_tuned(copy):
    (copy.work / "base" / "model").rename(copy.folder / "given")
    write_texts(copy)
    path = copy.folder / "groundtune.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["workdir"] = "further"
    config["model"] = {"path": "given"}
    config["pretrain"] = {
        "continued": True,
        "texts": ["more/*.gz"],
        "general": ["more/general.txt"],
        "valid_share": 0.1,
        "recall_share": 0.2,
        "rounds": [{"sequence_tokens": 64}, {"sequence_tokens": 128, "dropout": 0.1}],
    }
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    done = copy.succeed("train", "--json")
    stages = stages_of(done)
    work = copy.folder / "further"
    texts = stages["texts"]
    assert texts["skips"] == {"line is not JSON": 1}
    assert texts["details"]["left_out"] == {"line is not JSON": ["more/texts.jsonl.gz:61"]}
    assert texts["counts"]["texts of pretrain.texts"] + texts["counts"]["texts held out of pretrain.texts"] == 60
    rounds = stages["pretrain"]["details"]["rounds"]
    assert [row["sequence_tokens"] for row in rounds] == [64, 128]
    assert all(row["valid_loss"] is not None for row in rounds)
    assert weights(work / "base" / "model") != weights(copy.folder / "given")
    # fine-tuning began with what came of it: its first validation is that model's
    assert not (work / "tokenizer").exists()
    started = json.loads((work / "runs" / "default" / "manifest.json").read_text(encoding="utf-8"))
    assert any(name.startswith("base") for name in started["inputs"])
    again = stages_of(copy.succeed("train", "--json"))
    assert {name for name, stage in again.items() if stage["status"] == "done"} == set()
    # other documents leave the token files of the texts as they are
    stored = (work / "texts" / "texts" / "train.tokens").stat().st_mtime_ns
    (copy.folder / "docs" / "stok" / "yeni.md").write_text(f"# Yeni\n\n{SENTENCE * 9}\n", encoding="utf-8")
    assert stages_of(copy.succeed("pretrain", "--json"))["texts"]["status"] == "done"
    assert (work / "texts" / "texts" / "train.tokens").stat().st_mtime_ns == stored


def test_text_that_is_not_there_or_of_no_use_is_refused_before_any_work(project):
    configure(project, pretrain={"texts": ["more/*.jsonl"]})
    done = project.call("pretrain")
    assert done.status == 2
    assert "pretrain.texts: more/*.jsonl: it matches no file" in done.err
    assert not (project.work / "documents").exists()
    configure(project, model={"path": "given"})
    done = project.call("pretrain")
    assert done.status == 2
    assert "no model is pretrained" in done.err
