"""The fixed questions, asked while a model is trained."""

import json

import pytest

from groundtune.config import AdapterConfig, ModelConfig, TrainConfig
from groundtune.models import build_llama, quiet_transformers, train_tokenizer
from groundtune.training import SamplePrompt, Tokenised, fine_tune
from groundtune.training.diagnosis import Diagnosis, Sample
from groundtune.training.trainer import SupervisedTrainer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False)
PROMPTS = [SamplePrompt("Sayı?", (20, 21, 22), "23"), SamplePrompt("Öteki?", (30, 31), "32")]


def make_examples(number: int) -> list[Tokenised]:
    rows = []
    for place in range(number):
        ids = tuple(20 + (place + step) % 50 for step in range(6 + place % 9))
        rows.append(Tokenised(ids, tuple(step >= len(ids) // 2 for step in range(len(ids)))))
    return rows


TRAIN, VALID = make_examples(30), make_examples(6)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(folder)
    return folder


def run(base, folder, prompts=PROMPTS, checkpoint_seconds=1e9, **changes):
    # 30 examples in steps of 4 are 8 steps an epoch
    settings = {"epochs": 2, "examples_per_step": 4, "learning_rate": 3e-3, "threads": 1, "preflight": False} | changes
    return fine_tune(
        TRAIN, VALID, base=base, tokenizer=TOKENIZER, config=TrainConfig(**settings), seed=7, run_folder=folder,
        sample_prompts=prompts, sample_tokens=4, checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


def samples(folder):
    return json.loads((folder / "samples.json").read_text())


def test_questions_are_asked_before_in_between_and_after_each_epoch(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", sample_steps=3)
    first, second = samples(tmp_path / "run")
    assert [(each["step"], each["epoch"]) for each in first["rounds"]] == [
        (0, 0), (3, 0.375), (6, 0.75), (8, 1), (9, 1.125), (12, 1.5), (15, 1.875), (16, 2),
    ]  # fmt: skip
    assert [each["kept"] for each in first["rounds"]] == [each["step"] == record.best_step for each in first["rounds"]]
    for sample in (first, second):
        assert sample["before"] == sample["rounds"][0]["answer"]
        # the kept weights, read from the disk, say what they said while they were trained
        assert sample["after"] == next(each["answer"] for each in sample["rounds"] if each["kept"])
    assert len({each["answer"] for each in first["rounds"]}) > 1


@pytest.mark.parametrize("changes", [{"dropout": 0.2}, {"adapter": AdapterConfig(rank=2, dropout=0.2)}])
def test_asking_changes_nothing_of_what_is_learnt(base, tmp_path, changes) -> None:
    run(base, tmp_path / "asked", sample_steps=1, epochs=1, **changes)
    run(base, tmp_path / "silent", prompts=[], epochs=1, **changes)
    weights = "adapter_model.safetensors" if "adapter" in changes else "model.safetensors"
    for name in (f"best/{weights}", "metrics.jsonl"):
        assert (tmp_path / "asked" / name).read_bytes() == (tmp_path / "silent" / name).read_bytes()
    if "adapter" in changes:
        # it is the adapter that answers, not the model without it
        rounds = samples(tmp_path / "asked")[0]["rounds"]
        kept = next(each for each in rounds if each["kept"])
        assert samples(tmp_path / "asked")[0]["after"] == kept["answer"]


class Killed(BaseException):
    pass


def test_a_continued_training_leaves_the_samples_and_findings_of_an_unbroken_one(base, tmp_path, monkeypatch) -> None:
    changes = {"sample_steps": 3, "dropout": 0.1, "save_steps": 1}
    run(base, tmp_path / "whole", **changes)
    original = SupervisedTrainer.training_step

    def step(self, *args, **kwargs):
        if self.state.global_step + 1 == 11:
            raise Killed
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(SupervisedTrainer, "training_step", step)
        with pytest.raises(Killed):
            run(base, tmp_path / "killed", **changes)
    assert [each["step"] for each in samples(tmp_path / "killed")[0]["rounds"]] == [0, 3, 6, 8, 9]
    assert run(base, tmp_path / "killed", **changes).resumed_from_step == 10
    for name in ("samples.json", "findings.json", "metrics.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_the_best_weights_inside_an_epoch_have_a_round_of_their_own(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", eval_steps=3, learning_rate=0.2, epochs=1)
    rounds = samples(tmp_path / "run")[0]["rounds"]
    assert [each["step"] for each in rounds if each["kept"]] == [record.best_step]
    assert [each["step"] for each in rounds] == sorted({0, record.best_step, 8})


def test_tensorboard_holds_the_answers_as_text(base, tmp_path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(base, tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    told = events.Tensors("sample_2/text_summary")
    assert [each.step for each in told] == [0, 8, 16]
    assert told[0].tensor_proto.string_val[0].decode().startswith("Öteki?")


def test_supervised_and_computed_tokens_are_counted_step_by_step(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", prompts=[])
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    supervised = [line["supervised_tokens"] for line in steps]
    assert supervised == sorted(supervised)
    assert supervised[7] == record.supervised_tokens_per_epoch
    assert supervised[15] == 2 * supervised[7]
    assert steps[-1]["computed_tokens"] == pytest.approx(2 * record.unique_tokens_per_epoch, abs=1)
    speeds = json.loads((tmp_path / "run" / "timings.json").read_text())["speeds"]
    assert [row["step"] for row in speeds] == list(range(1, 17))
    assert all(0 < row["unique_tokens_per_second"] <= row["tokens_per_second"] for row in speeds)


def test_answers_that_keep_repeating_are_told_of_once() -> None:
    loop = [Sample(8, f"q{place}", "Kaydet düğmesine basın. " * 6) for place in range(3)]
    good = [Sample(16, f"q{place}", f"Press Save, then look at number {place} in the list.") for place in range(3)]
    diagnosis = Diagnosis()
    assert len(diagnosis.add_samples(loop, epoch=1)) == 1
    assert diagnosis.add_samples(loop, epoch=2) == ()
    assert diagnosis.add_samples(good, epoch=3) == ()
    assert len(diagnosis.add_samples(loop, epoch=4)) == 1
