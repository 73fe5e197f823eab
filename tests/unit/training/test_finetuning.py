import json
import math
import resource

import pytest
from transformers import MambaConfig, MambaForCausalLM

from groundtune.config import ModelConfig, TrainConfig
from groundtune.errors import StorageError, TrainingError
from groundtune.models import (
    build_llama,
    load_model,
    load_tokenizer,
    quiet_transformers,
    safe_bfloat16,
    train_tokenizer,
)
from groundtune.training import SamplePrompt, Tokenised, fine_tune, measure_loss

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=96, copying_start=False)


def make_examples(number: int, start: int = 0) -> list[Tokenised]:
    """Rows of counting tokens of different lengths; the second half of each is trained."""
    rows = []
    for place in range(start, start + number):
        ids = tuple(20 + (place + step) % 50 for step in range(6 + place % 9))
        rows.append(Tokenised(ids, tuple(step >= len(ids) // 2 for step in range(len(ids)))))
    return rows


TRAIN, VALID = make_examples(30), make_examples(6, start=25)


PROMPTS = [SamplePrompt("Sayı?", (20, 21, 22), "23")]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    """The folder of a run to which nothing happened, and its record."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, run(base, folder, prompts=PROMPTS)


def run(base, folder, train=TRAIN, valid=VALID, prompts=(), **changes):
    settings = {"epochs": 3, "examples_per_step": 4, "learning_rate": 3e-3, "threads": 1} | changes
    return fine_tune(
        train, valid, base=base, tokenizer=TOKENIZER, config=TrainConfig(**settings), seed=7, run_folder=folder,
        sample_prompts=prompts, sample_tokens=5,
    )  # fmt: skip


def metrics(folder, kind):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_a_run_leaves_the_best_weights_metrics_timings_samples_and_nothing_else(base, tmp_path, capfd) -> None:
    record = run(base, tmp_path / "run", prompts=PROMPTS)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {"best", "findings.json", "metrics.jsonl", "timings.json", "samples.json", "tensorboard"}
    assert any((tmp_path / "run" / "tensorboard").iterdir())
    # 30 examples in batches of 4 are 8 steps an epoch
    assert record.steps == 24
    assert [row.epoch for row in record.epochs] == [0, 1, 2, 3]
    assert record.epochs[0].train_loss is None
    assert record.epochs[-1].valid_loss < record.epochs[0].valid_loss
    assert len(metrics(tmp_path / "run", "step")) == 24
    assert "seconds" not in (tmp_path / "run" / "metrics.jsonl").read_text()
    assert json.loads((tmp_path / "run" / "samples.json").read_text())[0]["before"] == record.samples[0].before
    assert capfd.readouterr() == ("", "")


def test_best_holds_the_weights_whose_validation_loss_is_reported_lowest(base, tmp_path) -> None:
    # so high a learning rate that later epochs are worse than earlier ones
    record = run(base, tmp_path / "run", learning_rate=0.03, epochs=4)
    trained = [row for row in record.epochs if row.epoch]
    lowest = min(trained, key=lambda row: row.valid_loss)
    assert record.best_epoch == lowest.epoch
    assert [row.best for row in record.epochs if row.epoch == lowest.epoch] == [True]
    model = load_model(tmp_path / "run" / "best", tokenizer=load_tokenizer(tmp_path / "run" / "best"))
    assert measure_loss(model, VALID, max_pack_tokens=64, threads=1) == pytest.approx(lowest.valid_loss, abs=1e-5)
    assert model.config.use_cache
    # nothing of the preparation for training is left in what is saved
    assert "groundtune_tree" not in (tmp_path / "run" / "best" / "config.json").read_text()
    assert model.config._attn_implementation == "sdpa"


def test_the_same_run_twice_gives_the_same_bytes(base, tmp_path) -> None:
    for name in ("first", "second"):
        run(base, tmp_path / name, prompts=PROMPTS, dropout=0.2, epochs=2)
    for name in ("best/model.safetensors", "metrics.jsonl", "samples.json", "best/config.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_gradient_checkpointing_and_small_batches_give_the_same_training(base, whole, tmp_path) -> None:
    run(base, tmp_path / "checkpointed", gradient_checkpointing=True, max_pack_tokens=64)
    steps = [metrics(folder, "step") for folder in (whole[0], tmp_path / "checkpointed")]
    for one, other in zip(*steps, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
        assert one["learning_rate"] == other["learning_rate"]


def test_the_record_counts_what_was_computed_beside_what_the_dataset_holds(base, tmp_path) -> None:
    shared = [Tokenised((*range(20, 50), 60 + place, 70), (*(False,) * 30, True, True)) for place in range(8)]
    record = run(base, tmp_path / "tree", train=shared, examples_per_step=8)
    assert record.tokens_per_epoch == 8 * 32
    # the 30 tokens before the questions once, the 8 questions, and no forward for the last token of each
    assert record.unique_tokens_per_epoch == 30 + 8
    assert record.unique_tokens_per_second < record.tokens_per_second
    plain = run(base, tmp_path / "plain", train=shared, examples_per_step=8, sharing="plain")
    assert plain.unique_tokens_per_epoch == 8 * 31
    timings = json.loads((tmp_path / "tree" / "timings.json").read_text())
    assert timings["unique_tokens_per_second"] == record.unique_tokens_per_second


@pytest.mark.parametrize("sharing", ["tree", pytest.param("plain", marks=pytest.mark.slow)])
def test_bfloat16_is_used_where_it_works_and_its_refusal_is_in_the_record(base, tmp_path, sharing) -> None:
    works, why = safe_bfloat16()
    record = run(base, tmp_path / "run", precision="bfloat16", max_steps=3, sharing=sharing)
    if works:
        assert record.notes == ()
        run(base, tmp_path / "float32", precision="float32", max_steps=3, sharing=sharing)
        one, other = (metrics(tmp_path / name, "step")[-1]["train_loss"] for name in ("run", "float32"))
        assert one == pytest.approx(other, rel=0.02)
        assert one != other
    else:
        assert record.notes == (f"train.precision: bfloat16 was asked for and float32 used: {why}",)


def test_a_model_that_sharing_is_wrong_for_is_refused_with_the_setting_that_helps(tmp_path) -> None:
    with quiet_transformers():
        config = MambaConfig(vocab_size=320, hidden_size=16, state_size=4, num_hidden_layers=1, eos_token_id=1)
        MambaForCausalLM(config).save_pretrained(tmp_path / "mamba")
    with pytest.raises(TrainingError, match=r"train\.sharing: plain"):
        run(tmp_path / "mamba", tmp_path / "run")
    assert not (tmp_path / "run" / "best").exists()
    record = run(tmp_path / "mamba", tmp_path / "run", sharing="plain")
    assert record.epochs[-1].valid_loss < record.epochs[0].valid_loss


def test_an_example_longer_than_a_batch_may_be_is_refused_before_any_work(base, tmp_path) -> None:
    long = Tokenised(tuple(range(20, 90)), (False,) * 69 + (True,))
    with pytest.raises(TrainingError, match=r"example 1 takes 69 tokens.*train.max_pack_tokens \(64\)"):
        run(base, tmp_path / "run", train=[TRAIN[0], long], max_pack_tokens=64)


def test_the_learning_rate_warms_up_and_ends_at_its_final_share(base, tmp_path) -> None:
    run(base, tmp_path / "run", warmup_share=0.25, final_lr_share=0.1)
    rates = [line["learning_rate"] for line in metrics(tmp_path / "run", "step")]
    assert 0 < rates[0] < rates[1] < rates[5]
    assert max(rates) <= 3e-3
    assert rates[-1] == pytest.approx(3e-4, rel=0.01)


def test_the_first_losses_are_those_of_the_base_model(whole) -> None:
    folder, record = whole
    uniform = math.log(320)
    assert record.epochs[0].valid_loss == pytest.approx(uniform, rel=0.02)
    assert metrics(folder, "step")[0]["train_loss"] == pytest.approx(uniform, rel=0.02)


def test_dropout_that_the_architecture_lacks_is_said(base, tmp_path) -> None:
    assert run(base, tmp_path / "plain", epochs=1).notes == ()
    assert "attention weights only" in run(base, tmp_path / "dropped", epochs=1, dropout=0.1).notes[0]


def test_without_validation_the_last_epoch_is_kept(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", valid=[])
    assert [(row.epoch, row.valid_loss) for row in record.epochs] == [(1, None), (2, None), (3, None)]
    assert record.best_epoch == 3
    load_model(tmp_path / "run" / "best")


def test_a_diverging_run_stops_with_step_and_remedy(base, tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"step \d+: .* is (nan|inf).*learning rate"):
        run(base, tmp_path / "run", learning_rate=1e20, max_grad_norm=1e30)
    assert not list((tmp_path / "run").glob("**/model.safetensors"))


def test_examples_that_cannot_be_trained_on_are_refused_before_any_work(base, tmp_path) -> None:
    with pytest.raises(TrainingError, match="no training examples"):
        run(base, tmp_path / "run", train=[])
    with pytest.raises(TrainingError, match="validation example 1 has no trained token"):
        run(base, tmp_path / "run", valid=[VALID[0], Tokenised((5, 6), (True, False))])
    with pytest.raises(TrainingError, match="2 token ids and 1 marks"):
        Tokenised((5, 6), (True,))


def test_a_place_that_cannot_be_written_is_a_storage_error(base, tmp_path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(StorageError):
        run(base, tmp_path / "run")


@pytest.mark.parametrize("limit", [20_000, 70_000], ids=["while keeping the best", "while writing a checkpoint"])
def test_a_disk_that_fills_during_a_save_is_a_storage_error_and_the_run_goes_on_later(
    base, whole, tmp_path, limit
) -> None:
    """A limit on the size of files stands in for the disk: weights have 60 kB, optimizer states twice that."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            run(base, tmp_path / "run", prompts=PROMPTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert not list((tmp_path / "run").glob("checkpoints/checkpoint-*"))
    run(base, tmp_path / "run", prompts=PROMPTS)
    for name in ("best/model.safetensors", "metrics.jsonl", "samples.json"):
        assert (tmp_path / "run" / name).read_bytes() == (whole[0] / name).read_bytes()


# what is wrong with a run


def test_a_run_that_runs_away_is_told_and_stopped_where_that_is_asked_for(base, tmp_path, capfd) -> None:
    wild = {"epochs": 8, "learning_rate": 2.0, "warmup_share": 0.3, "schedule": "constant", "keep": "last"}
    record = run(base, tmp_path / "told", **wild)
    [finding] = json.loads((tmp_path / "told" / "findings.json").read_text())
    assert (finding["kind"], finding["severity"]) == ("learning_rate_too_high", "fatal")
    assert any("lower train.learning_rate" in note for note in record.notes)
    assert "the training has diverged" in capfd.readouterr().err
    with pytest.raises(TrainingError, match=rf"step {finding['step']} .*diverged.*train\.stop_when_lost"):
        run(base, tmp_path / "stopped", stop_when_lost=True, **wild)
