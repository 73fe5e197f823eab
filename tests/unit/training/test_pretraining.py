import json
import math

import pytest

from groundtune.config import ModelConfig, PretrainConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, load_model, load_tokenizer, train_tokenizer
from groundtune.training import measure_loss, pack_documents, pretrain

TEXT = "Makara kartı açılır. Lot numarası girilir ve kaydedilir.\n"
TOKENIZER = train_tokenizer([TEXT] * 3, vocab_size=320, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=64, copying_start=False)


def run(folder, texts=(TEXT * 12,), **changes):
    settings = {"sequence_tokens": 32, "batch_sequences": 4, "epochs": 3, "learning_rate": 3e-3} | changes
    model = build_llama(SMALL, TOKENIZER, seed=1)
    return pretrain(
        texts, TOKENIZER, model, config=PretrainConfig(**settings), seed=2, out=folder, computing=TrainConfig(threads=1)
    )


def test_pretraining_learns_the_text_and_leaves_a_model_that_loads(tmp_path) -> None:
    record = run(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "findings.json",
        "model",
        "metrics.jsonl",
        "timings.json",
        "tensorboard",
        "samples.json",
    }
    losses = [row.train_loss for row in record.epochs]
    assert losses[-1] < math.log(320)
    assert losses == sorted(losses, reverse=True)
    assert record.best_epoch == 3
    model = load_model(tmp_path / "model", tokenizer=load_tokenizer(tmp_path / "model"))
    sequences = pack_documents([TEXT * 12], TOKENIZER, sequence_tokens=32)
    assert measure_loss(model, sequences, max_pack_tokens=128, threads=1) < losses[-1]


def test_no_epochs_leave_the_model_as_it_was(tmp_path) -> None:
    record = run(tmp_path, epochs=0)
    assert record.epochs == ()
    assert record.steps == 0
    assert (tmp_path / "metrics.jsonl").read_text() == ""
    assert json.loads((tmp_path / "timings.json").read_text())["epochs"] == []
    fresh = build_llama(SMALL, TOKENIZER, seed=1)
    saved = load_model(tmp_path / "model")
    assert all(one.equal(other) for one, other in zip(fresh.parameters(), saved.parameters(), strict=True))


def test_another_seed_or_text_does_not_continue_a_foreign_checkpoint(tmp_path) -> None:
    first = run(tmp_path / "a")
    run(tmp_path / "b", texts=(TEXT * 5,))
    # as after a kill: checkpoints of another training lie in the folder
    (tmp_path / "b" / "checkpoints" / "checkpoint-9").mkdir(parents=True)
    (tmp_path / "b" / "checkpoints" / "checkpoint-9" / "fingerprint").write_text("another")
    (tmp_path / "b" / "checkpoints" / ".partial-half").mkdir()
    (tmp_path / "b" / ".partial-half.jsonl").write_text("{")
    again = run(tmp_path / "b")
    assert again.resumed_from_step == 0
    assert [row.train_loss for row in again.epochs] == [row.train_loss for row in first.epochs]
    for name in ("model/model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {path.name for path in (tmp_path / "b").iterdir()} == {path.name for path in (tmp_path / "a").iterdir()}


def test_empty_documents_are_refused(tmp_path) -> None:
    with pytest.raises(TrainingError, match="every document is empty"):
        run(tmp_path, texts=("", " \n"))
