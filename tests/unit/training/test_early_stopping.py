"""A training stops where validation no longer gets better: cleanly, and at the same step however it was interrupted."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import ModelConfig, TrainConfig
from groundtune.models import build_llama, load_model, quiet_transformers, train_tokenizer
from groundtune.training import Tokenised, fine_tune, measure_loss
from groundtune.training.records import EpochRow, EvaluationRow, Journal
from groundtune.training.stopping import EarlyStopping, losses_of
from groundtune.training.trainer import SupervisedTrainer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False)


def make_examples(number: int) -> list[Tokenised]:
    rows = []
    for place in range(number):
        ids = tuple(20 + (place + step) % 50 for step in range(6 + place % 9))
        rows.append(Tokenised(ids, tuple(step >= len(ids) // 2 for step in range(len(ids)))))
    return rows


TRAIN = make_examples(30)
# counting down where training counts up: after a while the more is learnt, the worse it gets
CONTRARY = [Tokenised(each.input_ids[::-1], each.trained) for each in make_examples(6)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(folder)
    return folder


def run(base, folder, valid=CONTRARY, patience=2, checkpoint_seconds=1e9, **changes):
    # 30 examples in steps of 4 are 8 steps an epoch
    settings = {
        "epochs": 6,
        "examples_per_step": 4,
        "learning_rate": 0.03,
        "threads": 1,
        "report_to": ["none"],
    } | changes
    return fine_tune(
        TRAIN, valid, base=base, tokenizer=TOKENIZER, seed=7, run_folder=folder, checkpoint_seconds=checkpoint_seconds,
        config=TrainConfig(early_stopping_patience=patience, **settings),
    )  # fmt: skip


def metrics(folder, kind=None):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if kind in (None, line["kind"])]


def results(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.json"
    }


def kept_loss(folder):
    return measure_loss(load_model(folder / "best"), CONTRARY, max_pack_tokens=64, threads=1)


def stopped_note(record):
    [note] = [note for note in record.notes if note.startswith("stopped after step")]
    return note


def test_it_stops_inside_an_epoch_and_keeps_the_best_weights(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", eval_steps=3)
    by_step = {row.step: row.valid_loss for row in (*record.epochs, *record.evaluations)}
    measured = [by_step[step] for step in sorted(by_step)]
    assert record.steps % 8, "it was to stop inside an epoch"
    assert measured[-3] < min(measured[-2:]), "two validations without a lower loss, and no more"
    assert record.epochs[-1].step == record.evaluations[-1].step == record.steps
    assert record.epochs[-1].valid_loss == record.evaluations[-1].valid_loss
    assert record.epochs[-1].epoch == -(-record.steps // 8)
    steps = metrics(tmp_path / "run", "step")
    assert [line["step"] for line in steps] == list(range(1, record.steps + 1))
    assert steps[-1]["epoch"] == record.steps / 8
    assert stopped_note(record) == (
        f"stopped after step {record.steps} of 48: validation loss had not fallen under {measured[-3]:.4f} for 2 validations "
        "(train.early_stopping_patience)"
    )
    assert kept_loss(tmp_path / "run") == pytest.approx(measured[-3], abs=1e-5)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert record.unique_tokens_per_epoch == pytest.approx(record.tokens_per_epoch, rel=0.3)


def test_it_stops_behind_an_epoch_where_that_is_when_it_is_measured(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", patience=1, learning_rate=0.05)
    losses = [row.valid_loss for row in record.epochs]
    assert record.steps == 8 * (len(losses) - 1) < 48
    assert losses[-1] > min(losses)
    assert f"after step {record.steps} of 48" in stopped_note(record)
    assert metrics(tmp_path / "run")[-1]["kind"] == "epoch"


def test_the_last_weights_are_kept_where_they_are_wanted(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", eval_steps=3, keep="last")
    assert record.best_step == record.steps
    assert kept_loss(tmp_path / "run") == pytest.approx(record.epochs[-1].valid_loss, abs=1e-5)


def test_too_small_a_gain_is_none(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", eval_steps=2, early_stopping_delta=100.0, epochs=2)
    assert record.steps == 4
    assert "more than 100 under" in stopped_note(record)
    # the lowest loss is kept all the same
    assert record.best_step in (2, 4)


def test_without_patience_or_validation_it_goes_to_the_end(base, tmp_path) -> None:
    assert run(base, tmp_path / "without", patience=0, epochs=2).steps == 16
    record = run(base, tmp_path / "blind", valid=[], epochs=1)
    assert record.steps == 8
    assert record.notes == ("train.early_stopping_patience 2 had no effect: there are no validation examples",)


@pytest.mark.parametrize("eval_steps", [3, pytest.param(0, marks=pytest.mark.slow)])
def test_a_run_killed_around_its_stop_ends_with_the_same_bytes(base, tmp_path, monkeypatch, eval_steps) -> None:
    settings = {"eval_steps": eval_steps, "save_steps": 1, "dropout": 0.1}
    whole = run(base, tmp_path / "whole", **settings)
    assert whole.steps < 48

    class KilledError(BaseException):
        pass

    def kill(*args):
        raise KilledError

    original = SupervisedTrainer.training_step

    def kill_before_last(self, *args, **kwargs):
        if self.state.global_step + 1 == whole.steps:
            raise KilledError
        return original(self, *args, **kwargs)

    killed = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(SupervisedTrainer, "training_step", kill_before_last)
        with pytest.raises(KilledError):
            run(base, killed, **settings)
    # once more: behind the stop, before anything is finished
    with monkeypatch.context() as patch:
        patch.setattr("groundtune.training.finetuning.finish_training", kill)
        with pytest.raises(KilledError):
            run(base, killed, **settings)
    continued = run(base, killed, **settings)
    assert 0 < continued.resumed_from_step < whole.steps
    assert results(tmp_path / "whole") == results(killed)
    assert continued.notes == whole.notes
    assert continued.epochs == tuple(
        row.__class__(**{name: getattr(row, name) for name in row.__slots__} | {"seconds": other.seconds})
        for row, other in zip(whole.epochs, continued.epochs, strict=True)
    )


LOSSES = st.lists(st.floats(0, 5) | st.just(float("nan")), min_size=1, max_size=30)


@given(losses=LOSSES, patience=st.integers(1, 5), delta=st.floats(0, 1))
def test_the_rule_waits_for_patience_and_no_longer(losses, patience, delta) -> None:
    rule = EarlyStopping(patience, delta)
    stops = [place for place in range(len(losses)) if rule.waited(losses[: place + 1])[0] >= patience]
    if not stops:
        return
    stop = stops[0]
    assert stop >= patience
    count, lowest = rule.waited(losses[: stop + 1])
    assert count == patience
    # none of those waited for is low enough, and the one waited from was the first or was
    assert not any(loss < lowest - delta for loss in losses[stop - patience + 1 : stop + 1])
    assert losses[stop - patience] == lowest or math.isnan(lowest)


def test_a_validation_that_closes_an_epoch_counts_once() -> None:
    journal = Journal(
        epochs=[EpochRow(0, 0, None, 3.0, False, 0.0), EpochRow(1, 5, 1.0, 2.0, True, 0.0)],
        evaluations=[EvaluationRow(3, 0.6, 2.5, True), EvaluationRow(5, 1.0, 2.0, True)],
    )
    assert losses_of(journal) == [3.0, 2.5, 2.0]
