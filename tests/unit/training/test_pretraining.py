import json
import math
import os
import signal
import time
from pathlib import Path

import pytest

from groundtune.config import ModelConfig, PretrainConfig, RoundConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, load_model, load_tokenizer, train_tokenizer
from groundtune.prefix import TokenisedExamples
from groundtune.training import measure_loss, pack_documents, pretrain
from groundtune.training.corpus import Source, store_corpus
from groundtune.training.rounds import rounds_of

TEXT = "Makara kartı açılır. Lot numarası girilir ve kaydedilir.\n"
TOKENIZER = train_tokenizer([TEXT] * 3, vocab_size=320, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=64, copying_start=False)


def run(folder, texts=(TEXT * 12,), **changes):
    settings = {"sequence_tokens": 32, "batch_sequences": 4, "epochs": 3, "learning_rate": 3e-3} | changes
    model = build_llama(SMALL, TOKENIZER, seed=1)
    return pretrain(
        texts, TOKENIZER, model, config=PretrainConfig(**settings), seed=2, out=folder, computing=TrainConfig(threads=1),
        recall_share=changes.get("recall_share", 0.0),
    )  # fmt: skip


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
    first = run(tmp_path / "a", epochs=2)
    run(tmp_path / "b", texts=(TEXT * 5,), epochs=1)
    # as after a kill: checkpoints of another training lie in the folder
    (tmp_path / "b" / "checkpoints" / "checkpoint-9").mkdir(parents=True)
    (tmp_path / "b" / "checkpoints" / "checkpoint-9" / "fingerprint").write_text("another")
    (tmp_path / "b" / "checkpoints" / ".partial-half").mkdir()
    (tmp_path / "b" / ".partial-half.jsonl").write_text("{")
    again = run(tmp_path / "b", epochs=2)
    assert again.resumed_from_step == 0
    assert [row.train_loss for row in again.epochs] == [row.train_loss for row in first.epochs]
    for name in ("model/model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {path.name for path in (tmp_path / "b").iterdir()} == {path.name for path in (tmp_path / "a").iterdir()}


def test_empty_documents_are_refused(tmp_path) -> None:
    with pytest.raises(TrainingError, match="every document is empty"):
        run(tmp_path, texts=("", " \n"))


TWO_ROUNDS = (
    RoundConfig(sequence_tokens=32, dropout=0.2),
    RoundConfig(sequence_tokens=64, epochs=2, learning_rate=1e-3),
)


def corpus_of(folder, *, valid_share=0.0, count=60):
    folder.mkdir(exist_ok=True)
    rows = "".join(json.dumps({"text": f"{number}. {TEXT * 2}"}) + "\n" for number in range(count))
    (folder / "t.jsonl").write_text(rows)
    (folder / "g.txt").write_text("Kitap okumak zihni dinlendirir.\n" * 20)
    texts, general = ([Source(name, folder / name)] for name in ("t.jsonl", "g.txt"))
    return store_corpus(
        folder / "c", TOKENIZER, documents=[TEXT * 20], texts=texts, general=general, valid_share=valid_share
    )


def test_what_a_round_does_not_say_is_as_in_the_whole() -> None:
    config = PretrainConfig(sequence_tokens=512, warmup_share=0.2, dropout=0.1, rounds=(RoundConfig(), *TWO_ROUNDS))
    first, second, third = rounds_of(config)
    assert (first.sequence_tokens, first.dropout, first.warmup_share) == (512, 0.1, 0.2)
    assert (second.sequence_tokens, second.dropout, second.learning_rate) == (32, 0.2, config.learning_rate)
    assert (third.sequence_tokens, third.epochs, third.warmup_share) == (64, 2, 0.2)
    assert rounds_of(PretrainConfig(texts=("a",)))[0] == PretrainConfig()


def test_rounds_go_on_from_each_other_with_settings_of_their_own(tmp_path) -> None:
    record = run(tmp_path, texts=corpus_of(tmp_path / "text"), epochs=1, rounds=TWO_ROUNDS)
    table = json.loads((tmp_path / "rounds.json").read_text())
    assert [(row["sequence_tokens"], row["dropout"], row["epochs"]) for row in table] == [(32, 0.2, 1), (64, 0.0, 2)]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, record.steps + 1))
    assert sum(line["round"] == 1 for line in steps) == table[0]["steps"]
    assert [row.epoch for row in record.epochs] == [1, 2, 3]
    # a schedule of its own: each round warms up again and peaks at its own rate
    rates = [max(line["learning_rate"] for line in steps if line["round"] == number) for number in (1, 2)]
    assert rates == pytest.approx([3e-3, 1e-3])
    losses = [row.train_loss for row in record.epochs]
    assert losses[1] < losses[0]
    assert json.loads((tmp_path / "model" / "config.json").read_text())["attention_dropout"] == 0.0
    assert {path.name for path in tmp_path.iterdir()} == {
        "metrics.jsonl", "model", "round-1", "round-2", "rounds.json", "samples.json", "text", "timings.json"
    }  # fmt: skip
    for name in ("round-1", "round-2"):
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            "findings.json", "metrics.jsonl", "samples.json", "tensorboard", "timings.json"
        }  # fmt: skip
    [first, second] = json.loads((tmp_path / "samples.json").read_text())
    assert first["before"] != first["after"]
    assert first["question"] + first["reference"] in TEXT * 20
    assert [row["step"] for row in second["rounds"]] == [0, *(row.step for row in record.epochs)]


def test_the_dropout_of_a_round_is_computed_with(tmp_path) -> None:
    texts = corpus_of(tmp_path / "text")
    losses = {}
    for dropout in (0.0, 0.5):
        rounds = (RoundConfig(max_steps=1), RoundConfig(dropout=dropout, max_steps=3))
        out = tmp_path / str(dropout)
        losses[dropout] = [row.train_loss for row in run(out, texts=texts, rounds=rounds).epochs]
    assert losses[0.0][0] == losses[0.5][0]
    assert losses[0.0][1] != losses[0.5][1]


def test_texts_held_out_are_measured_and_the_best_weights_kept(tmp_path) -> None:
    corpus = corpus_of(tmp_path / "text", valid_share=0.3)
    # a rate that spoils the model in the end
    record = run(tmp_path, texts=corpus, epochs=3, learning_rate=0.1, warmup_share=0.0)
    losses = {row.epoch: row.valid_loss for row in record.epochs}
    assert record.best_epoch == min((1, 2, 3), key=losses.get)
    model = load_model(tmp_path / "model", tokenizer=TOKENIZER)
    stored = [ids.tolist() for store in corpus.own for ids in store.valid.first_texts(99)]
    held_out = [token for ids in stored for token in ids]
    sequences = [held_out[start : start + 32] for start in range(0, len(held_out), 32)]
    examples = TokenisedExamples.from_sequences(sequences, [[1] * len(ids) for ids in sequences])
    loss = measure_loss(model, examples, max_pack_tokens=128, sharing="plain", threads=1)
    assert loss == pytest.approx(losses[record.best_epoch], rel=1e-4)


def test_documents_in_memory_can_be_held_out_too(tmp_path) -> None:
    texts = [f"{number}. {TEXT * 3}" for number in range(40)]
    record = run(tmp_path, texts=texts, valid_share=0.2)
    assert record.valid_examples > 0
    assert all(row.valid_loss is not None for row in record.epochs)


def test_general_texts_gone_through_more_than_once_are_noted(tmp_path) -> None:
    record = run(tmp_path, texts=corpus_of(tmp_path / "text", count=20), epochs=2, general_share=0.8)
    assert any("they were gone through" in note for note in record.notes)


def test_recall_sequences_that_there_are_no_documents_for_are_noted(tmp_path) -> None:
    for documents, told in ((["Lot " * 200], False), ([], True)):
        source = Source("t.txt", tmp_path / "t.txt")
        source.path.write_text(TEXT * 20)
        corpus = store_corpus(tmp_path / f"{told}", TOKENIZER, documents=documents, texts=[source], general=[])
        record = run(tmp_path / f"of-{told}", texts=corpus, recall_share=0.25, max_steps=1)
        assert any(note.startswith("pretrain.recall_share 0.25 had no effect") for note in record.notes) == told


def test_sequences_that_nothing_can_take_are_refused_before_any_work(tmp_path) -> None:
    rounds = (RoundConfig(), RoundConfig(sequence_tokens=128))
    with pytest.raises(
        TrainingError, match=r"pretrain\.rounds, number 2: sequence_tokens is 128, and the model takes 64"
    ):
        run(tmp_path / "a", rounds=rounds)
    assert not (tmp_path / "a").exists()
    model = build_llama(SMALL, TOKENIZER, seed=1)
    # a configuration takes no less than 64
    tight = TrainConfig().model_copy(update={"max_pack_tokens": 63})
    with pytest.raises(TrainingError, match=r"pretrain\.sequence_tokens is 64, above train\.max_pack_tokens \(63\)"):
        pretrain(
            [TEXT], TOKENIZER, model, config=PretrainConfig(sequence_tokens=64), seed=1, out=tmp_path, computing=tight
        )
    with pytest.raises(
        TrainingError, match=r"has \d+ tokens, fewer than one sequence \(pretrain.sequence_tokens: 64\)"
    ):
        run(tmp_path / "b", texts=("Lot",), sequence_tokens=64)


def attempt(folder: Path, corpus, limit: float) -> bool:
    """Pretrain in a child; kill it after `limit` seconds. Returns whether it came to its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            config = PretrainConfig(
                sequence_tokens=32, batch_sequences=4, dropout=0.1, rounds=TWO_ROUNDS, valid_share=0.2
            )
            model = build_llama(SMALL, TOKENIZER, seed=1, dropout=0.2)
            pretrain(
                corpus, TOKENIZER, model, config=config, seed=5, out=folder, recall_share=0.3,
                computing=TrainConfig(threads=1), checkpoint_seconds=0.0,
            )  # fmt: skip
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.json" and "tensorboard" not in path.parts
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_rounds_killed_again_and_again_end_with_the_same_bytes(tmp_path) -> None:
    corpus = corpus_of(tmp_path / "text", valid_share=0.2)
    started = time.monotonic()
    assert attempt(tmp_path / "whole", corpus, 100.0)
    length = time.monotonic() - started
    kills = 0
    for share in (0.35, 0.4, 0.45, 0.5, 0.55):
        if attempt(tmp_path / "killed", corpus, length * share):
            break
        kills += 1
    else:
        assert attempt(tmp_path / "killed", corpus, 100.0)
    assert kills >= 2
    whole, killed = files(tmp_path / "whole"), files(tmp_path / "killed")
    assert list(whole) == list(killed)
    assert [name for name in whole if whole[name] != killed[name]] == []
