"""When a run ends, validates, notes, saves and keeps; and that all of it survives being interrupted, to the last bit."""

import json
from pathlib import Path

import pytest

from groundtune.config import AdapterConfig, ModelConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, load_model, quiet_transformers, train_tokenizer
from groundtune.training import SamplePrompt, Tokenised, fine_tune, measure_loss
from groundtune.training.trainer import SupervisedTrainer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False)


def make_examples(number: int, start: int = 0) -> list[Tokenised]:
    rows = []
    for place in range(start, start + number):
        ids = tuple(20 + (place + step) % 50 for step in range(6 + place % 9))
        rows.append(Tokenised(ids, tuple(step >= len(ids) // 2 for step in range(len(ids)))))
    return rows


TRAIN, VALID = make_examples(30), make_examples(6, start=25)
# counting down where training counts up: the more is learnt, the worse it gets
CONTRARY = [Tokenised(each.input_ids[::-1], each.trained) for each in VALID]
PROMPTS = [SamplePrompt("?", (20, 21), "22")]
PHASES = [int(len(example.input_ids) > 9) for example in TRAIN]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(folder)
    return folder


def run(base, folder, valid=VALID, phases=None, prompts=(), checkpoint_seconds=1e9, **changes):
    # 30 examples in steps of 4 are 8 steps an epoch
    settings = {"epochs": 2, "examples_per_step": 4, "learning_rate": 3e-3, "threads": 1} | changes
    names = ("short ones", "long ones") if phases else ()
    return fine_tune(
        TRAIN, valid, base=base, tokenizer=TOKENIZER, config=TrainConfig(**settings), seed=7, run_folder=folder,
        phases=phases, phase_names=names, sample_prompts=prompts, sample_tokens=3,
        checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory):
    """The folder of a run of two epochs to which nothing happened."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    run(base, folder)
    return folder


def metrics(folder, kind=None):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if kind in (None, line["kind"])]


def results(folder: Path) -> dict[str, bytes]:
    """Every file of a finished run that holds no clock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.json" and "tensorboard" not in path.parts
    }


class Killed(BaseException):
    pass


def kill_before_step(monkeypatch, number):
    original = SupervisedTrainer.training_step
    calls = []

    def step(self, *args, **kwargs):
        if self.state.global_step + 1 == number and not calls:
            calls.append(number)
            raise Killed
        return original(self, *args, **kwargs)

    monkeypatch.setattr(SupervisedTrainer, "training_step", step)


# what is interrupted: LoRA with dropout, questions asked, phases, validation inside epochs with an end inside an epoch, several steps a note
EVERYTHING = {
    "dropout": 0.1,
    "eval_steps": 3,
    "max_steps": 13,
    "log_steps": 2,
    "schedule": "linear",
    "prompts": PROMPTS,
}


@pytest.mark.parametrize(
    ("changes", "saved_every", "killed_before"),
    [
        pytest.param({"adapter": AdapterConfig(rank=2, dropout=0.2)}, 1, 6, marks=pytest.mark.slow),
        pytest.param({"phases": PHASES}, 1, 5, marks=pytest.mark.slow),
        pytest.param({"eval_steps": 3, "dropout": 0.1}, 3, 8, marks=pytest.mark.slow),
        ({"eval_steps": 3, "keep": "last", "schedule": "constant"}, 2, 15),
        (EVERYTHING | {"phases": PHASES, "adapter": AdapterConfig(rank=2, dropout=0.1)}, 1, 12),
        pytest.param(EVERYTHING | {"phases": PHASES, "gradient_checkpointing": True}, 2, 10, marks=pytest.mark.slow),
        # rows and batches that are cut, in the second epoch
        pytest.param(
            {"adapter": AdapterConfig(rank=2, dropout=0.2), "max_pack_tokens": 64}, 1, 14, marks=pytest.mark.slow
        ),
        ({"sharing": "plain", "dropout": 0.1, "max_pack_tokens": 64}, 1, 13),
    ],
)
def test_an_interrupted_run_ends_with_the_bytes_of_an_unbroken_one(
    base, tmp_path, monkeypatch, changes, saved_every, killed_before
) -> None:
    whole = run(base, tmp_path / "whole", **changes)
    with monkeypatch.context() as patch:
        kill_before_step(patch, killed_before)
        with pytest.raises(Killed):
            run(base, tmp_path / "killed", save_steps=saved_every, **changes)
    assert list((tmp_path / "killed" / "checkpoints").iterdir())
    continued = run(base, tmp_path / "killed", save_steps=saved_every, **changes)
    assert 0 < continued.resumed_from_step < killed_before
    assert whole.resumed_from_step == 0
    assert results(tmp_path / "whole") == results(tmp_path / "killed")
    for part in ("best_step", "best_epoch", "evaluations", "steps", "unique_tokens_per_epoch"):
        assert getattr(whole, part) == getattr(continued, part)


@pytest.mark.slow
@pytest.mark.parametrize("sharing", ["tree", "plain"])
@pytest.mark.parametrize("adapter", [None, AdapterConfig(rank=2, dropout=0.2)])
@pytest.mark.parametrize("max_pack_tokens", [64, 4096])
def test_killed_before_any_step_of_two_epochs_a_run_ends_with_the_same_bytes(
    base, tmp_path, monkeypatch, sharing, adapter, max_pack_tokens
) -> None:
    changes = {
        "sharing": sharing,
        "adapter": adapter,
        "max_pack_tokens": max_pack_tokens,
        "dropout": 0.1,
        "eval_steps": 3,
    }
    assert run(base, tmp_path / "whole", **changes).steps == 16
    for number in range(1, 17):
        folder = tmp_path / str(number)
        with monkeypatch.context() as patch:
            kill_before_step(patch, number)
            with pytest.raises(Killed):
                run(base, folder, save_steps=2, **changes)
        continued = run(base, folder, save_steps=2, **changes)
        assert continued.resumed_from_step == 2 * ((number - 1) // 2)
        assert results(tmp_path / "whole") == results(folder), f"killed before step {number}"


def test_max_steps_end_a_run_wherever_they_fall(base, tmp_path) -> None:
    inside = run(base, tmp_path / "inside", max_steps=11, valid=[])
    assert inside.steps == 11
    assert [(row.epoch, row.step) for row in inside.epochs] == [(1, 8), (2, 11)]
    assert (inside.best_epoch, inside.best_step) == (2, 11)
    beyond = run(base, tmp_path / "beyond", max_steps=20)
    assert [(row.epoch, row.step) for row in beyond.epochs] == [(0, 0), (1, 8), (2, 16), (3, 20)]
    # the schedule ends there too
    rates = [line["learning_rate"] for line in metrics(tmp_path / "beyond", "step")]
    assert rates[-1] == pytest.approx(3e-4)
    assert inside.tokens_per_epoch == beyond.tokens_per_epoch
    # an epoch computes what it does, however many of them there are
    assert inside.unique_tokens_per_epoch == pytest.approx(beyond.unique_tokens_per_epoch, rel=0.1)
    edge = run(base, tmp_path / "edge", max_steps=16, valid=[])
    whole = run(base, tmp_path / "epochs", valid=[])
    assert results(tmp_path / "edge") == results(tmp_path / "epochs")
    assert edge.best_step == whole.best_step == 16


def test_validation_inside_an_epoch_can_hold_the_best_weights(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", CONTRARY, eval_steps=2, learning_rate=0.03, epochs=1)
    assert [row.step for row in record.evaluations] == [2, 4, 6]
    rows = [*record.evaluations, *record.epochs[1:]]
    lowest = min(rows, key=lambda row: row.valid_loss)
    assert record.best_step == lowest.step
    assert record.best_step < 8, "the best was to lie inside the epoch"
    assert record.best_epoch == 1
    assert not record.epochs[-1].best
    model = load_model(tmp_path / "run" / "best")
    assert measure_loss(model, CONTRARY, max_pack_tokens=64, threads=1) == pytest.approx(lowest.valid_loss, abs=1e-5)
    kinds = [line["kind"] for line in metrics(tmp_path / "run")]
    assert kinds == ["epoch", *["step", "step", "evaluation"] * 3, "step", "step", "epoch"]
    assert metrics(tmp_path / "run", "evaluation")[0] == {
        "kind": "evaluation", "step": 2, "epoch": 0.25, "valid_loss": record.evaluations[0].valid_loss, "best": True,
    }  # fmt: skip


def test_validating_more_often_changes_nothing_that_is_learnt(base, tmp_path) -> None:
    for name, every in (("often", 1), ("seldom", 0)):
        run(base, tmp_path / name, eval_steps=every, keep="last", dropout=0.1)
    often, seldom = (metrics(tmp_path / name, "step") for name in ("often", "seldom"))
    assert often == seldom
    weights = [(tmp_path / name / "best" / "model.safetensors").read_bytes() for name in ("often", "seldom")]
    assert weights[0] == weights[1]


def test_the_last_weights_are_kept_where_they_are_wanted(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", CONTRARY, keep="last", learning_rate=0.03, epochs=3, eval_steps=4)
    assert (record.best_epoch, record.best_step) == (3, 24)
    assert not record.epochs[-1].best, "the last epoch was to be worse than another"
    model = load_model(tmp_path / "run" / "best")
    last = record.epochs[-1].valid_loss
    assert measure_loss(model, CONTRARY, max_pack_tokens=64, threads=1) == pytest.approx(last, abs=1e-5)


def test_notes_of_several_steps_hold_their_mean_and_the_last_step_is_always_noted(base, plain, tmp_path) -> None:
    record = run(base, tmp_path / "some", log_steps=3)
    each, some = (metrics(folder, "step") for folder in (plain, tmp_path / "some"))
    assert [line["step"] for line in some] == [3, 6, 9, 12, 15, 16]
    assert record.steps == 16
    assert some[1]["learning_rate"] == each[5]["learning_rate"]
    assert (
        min(line["train_loss"] for line in each[:3])
        < some[0]["train_loss"]
        < max(line["train_loss"] for line in each[:3])
    )
    assert some[-1]["train_loss"] == pytest.approx(each[-1]["train_loss"], rel=1e-12)
    # what is noted changes nothing that is learnt
    assert metrics(plain, "epoch") == metrics(tmp_path / "some", "epoch")


def test_phases_are_named_in_the_metrics_and_come_in_their_order(base, plain, tmp_path) -> None:
    run(base, tmp_path / "run", phases=PHASES)
    names = [line["phase"] for line in metrics(tmp_path / "run", "step")]
    first = -(-PHASES.count(0) // 4)
    second = -(-PHASES.count(1) // 4)
    assert names == (["short ones"] * first + ["long ones"] * second) * 2
    assert all("phase" not in line for line in metrics(plain, "step"))


def test_other_phases_do_not_continue_a_foreign_checkpoint(base, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        kill_before_step(patch, 4)
        with pytest.raises(Killed):
            run(base, tmp_path / "run", phases=PHASES, save_steps=1)
    assert run(base, tmp_path / "run", phases=[1 - number for number in PHASES]).resumed_from_step == 0


def test_as_many_checkpoints_are_kept_as_wanted_while_a_run_lasts(base, tmp_path, monkeypatch) -> None:
    for keep, wanted in ((1, [8]), (3, [4, 6, 8])):
        folder = tmp_path / str(keep)
        with monkeypatch.context() as patch:
            kill_before_step(patch, 10)
            with pytest.raises(Killed):
                run(base, folder, save_steps=2, keep_checkpoints=keep)
        found = sorted(int(path.name.rpartition("-")[2]) for path in (folder / "checkpoints").iterdir())
        assert found == wanted
        # other occasions to save do not make it another run
        assert run(base, folder, save_steps=5).resumed_from_step == 8
        assert not (folder / "checkpoints").exists()


def test_validation_that_cannot_be_is_said(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", eval_steps=2, valid=[], epochs=1)
    assert record.notes == ("train.eval_steps 2 had no effect: there are no validation examples",)


def test_phases_that_do_not_fit_are_refused_before_any_work(base, tmp_path) -> None:
    with pytest.raises(TrainingError, match="1 phases come with 30 training examples"):
        run(base, tmp_path / "run", phases=[0])
    assert not (tmp_path / "run").exists()
