"""Examples as objects and as arrays are the same training, weights reach the loss, and arrays stay arrays.

That tree and plain take the same steps with weights too is among the laws (`test_laws`).
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import groundtune
from groundtune.config import ModelConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, load_model, quiet_transformers, train_tokenizer
from groundtune.prefix import TokenisedExamples
from groundtune.training import Tokenised, fine_tune, measure_loss
from groundtune.training.examples import in_columns

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False)


def make_examples(number: int, start: int = 0, *, weighted: bool = True) -> list[Tokenised]:
    """Two to three questions on each context; trained tokens weigh differently, from turn to turn."""
    rows = []
    for place in range(start, start + number):
        context = tuple(20 + (7 * (place // 3) + step) % 60 for step in range(14))
        ids = (*context, 90 + place % 3, 100, 110 + place % 5, 91, 100, 120 + place % 4, 1)
        trained = (*(False,) * 15, True, True, False, True, True, True)
        weights = (*(0.0,) * 15, 0.5, 0.25, 0.0, 1.5, 1.0, 2.0 + place % 2) if weighted else ()
        rows.append(Tokenised(ids, trained, weights))
    return rows


TRAIN, VALID = make_examples(20), make_examples(6, start=30)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(folder)
    return folder


def run(base, folder, train, valid, **changes):
    settings = {"epochs": 2, "examples_per_step": 4, "learning_rate": 3e-3, "threads": 1} | changes
    return fine_tune(
        train, valid, base=base, tokenizer=TOKENIZER, config=TrainConfig(**settings), seed=7, run_folder=folder
    )


def step_losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["train_loss"], line["grad_norm"]) for line in lines if line["kind"] == "step"]


def test_arrays_and_objects_give_the_same_training_bit_by_bit(base, tmp_path) -> None:
    # as memory-mapped shards are: not to be written to
    columns = [in_columns(examples) for examples in (TRAIN, VALID)]
    for each in columns:
        for array in (each.token_ids, each.weights, each.offsets):
            array.setflags(write=False)
    records = [run(base, tmp_path / "objects", TRAIN, VALID), run(base, tmp_path / "arrays", *columns)]
    for name in ("best/model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "objects" / name).read_bytes() == (tmp_path / "arrays" / name).read_bytes()
    assert [row.valid_loss for row in records[0].epochs] == [row.valid_loss for row in records[1].epochs]
    assert in_columns(columns[0]) is columns[0]


def test_a_token_without_a_mark_has_no_weight_and_a_weight_of_nothing_trains_nothing() -> None:
    example = Tokenised((5, 6, 7, 8), (True, False, True, True), (1.0, 9.0, 0.5, 0.0))
    assert example.target_weights == (1.0, 0.0, 0.5, 0.0)
    # the first is never a target, the last weighs nothing
    assert example.supervised_tokens == 1
    assert in_columns([example]).total_weights.tolist() == [0.5]
    with pytest.raises(TrainingError, match="2 token ids and 3 weights"):
        Tokenised((5, 6), (True, True), (1.0, 1.0, 1.0))


def test_examples_without_a_trained_token_are_counted(base, tmp_path) -> None:
    empty = Tokenised((5, 6), (False, True), (0.0, 0.0))
    with pytest.raises(TrainingError, match="training example 1 has no trained token, and 1 more have none"):
        run(base, tmp_path / "run", [TRAIN[0], empty, TRAIN[1], empty], [])


def test_the_loss_of_weighted_examples_is_what_a_person_computes(base) -> None:
    model = load_model(base)
    total = weight = 0.0
    for example in TRAIN:
        with torch.no_grad():
            logits = model(torch.tensor([example.input_ids])).logits[0].double().log_softmax(-1)
        for place, share in enumerate(example.target_weights):
            if place and share:
                total -= share * float(logits[place - 1, example.input_ids[place]])
                weight += share
    for sharing in ("tree", "plain"):
        found = measure_loss(model, TRAIN, max_pack_tokens=256, sharing=sharing, threads=1)
        assert found == pytest.approx(total / weight, rel=1e-6)
    # weights matter: without them it is another number
    without = measure_loss(model, make_examples(20, weighted=False), max_pack_tokens=256, threads=1)
    assert without != pytest.approx(total / weight, rel=1e-4)


def test_a_weight_counts_like_as_many_equal_examples(base, tmp_path) -> None:
    twice = [example for example in make_examples(4, weighted=False) for _ in range(2)]
    double = [
        Tokenised(each.input_ids, each.trained, tuple(2.0 * mark for mark in each.trained))
        for each in make_examples(4, weighted=False)
    ]
    run(base, tmp_path / "twice", twice, [], examples_per_step=8, epochs=3)
    run(base, tmp_path / "double", double, [], examples_per_step=4, epochs=3)
    for one, other in zip(step_losses(tmp_path / "twice"), step_losses(tmp_path / "double"), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("sharing", ["tree", "plain"])
def test_raw_text_is_trained_on_all_of_its_tokens(base, tmp_path, sharing) -> None:
    texts = [[20 + (place + 3 * step) % 70 for step in range(5 + place)] for place in range(12)]
    examples = TokenisedExamples.from_sequences(texts, [[1.0] * len(text) for text in texts])
    record = run(base, tmp_path / sharing, examples, examples.subset([0, 5]), sharing=sharing, epochs=4)
    # nothing comes before the first token
    assert record.supervised_tokens_per_epoch == sum(len(text) - 1 for text in texts)
    assert record.epochs[-1].valid_loss < record.epochs[0].valid_loss


def many_examples(count: int) -> TokenisedExamples:
    chance = np.random.default_rng(5)
    lengths = chance.integers(30, 50, count)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ids = chance.integers(20, 300, offsets[-1]).astype(np.int32)
    weights = np.ones(len(ids), np.float32)
    # all of them begin with the same system prompt
    for place in range(4):
        ids[offsets[:-1] + place] = 20 + place
        weights[offsets[:-1] + place] = 0.0
    return TokenisedExamples(ids, weights, offsets)


def lines_of_python(work) -> int:
    """Lines of groundtune's own code that `work` runs."""
    own = str(Path(groundtune.__file__).parent)
    count = 0

    def on_line(frame, event, argument):
        nonlocal count
        count += event == "line"
        return on_line

    def on_call(frame, event, argument):
        return on_line if frame.f_code.co_filename.startswith(own) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_fifty_thousand_examples_cost_no_python_of_their_own(base, tmp_path) -> None:
    """A fine-tuning of two steps: what else it does with its examples is sorting, planning and hashing of arrays."""

    def lines(count):
        examples = many_examples(count)
        phases = np.arange(count) % 3
        config = TrainConfig(max_steps=2, examples_per_step=8, threads=1, report_to=("none",), keep="last")

        def work():
            fine_tune(
                examples, [], base=base, tokenizer=TOKENIZER, config=config, seed=7, run_folder=tmp_path / str(count),
                phases=phases,
            )  # fmt: skip

        return lines_of_python(work)

    few, many = lines(1_000), lines(50_000)
    # some lines for each of 6,250 steps (8 examples each), none for the examples
    assert (many - few) / 49_000 < 1
