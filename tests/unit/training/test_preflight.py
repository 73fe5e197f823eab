"""The largest batch of a training is computed before its first step: without a trace where it fits, with advice where not."""

import gc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from groundtune.config import AdapterConfig, ComputingConfig, OptimizerConfig, PreferenceConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.prefix import TokenisedExamples
from groundtune.training import Tokenised
from groundtune.training.examples import in_columns
from groundtune.training.memory import Remedies, available_bytes
from groundtune.training.plan import Occasions, Plan
from groundtune.training.preference.pairs import interleave
from groundtune.training.preflight import _MemoryWatch, largest_batch
from groundtune.training.processes import Processes
from groundtune.training.running import run_training
from groundtune.training.steps import OptimizerSteps, Packer

ALONE = Processes(1, 0, torch.device("cpu"))


class Looking(nn.RMSNorm):
    """Looks at each row that is trained; has room for `most` tokens."""

    def __init__(self, most):
        super().__init__(32, 1e-6)
        self.most = most
        self.rows = []
        self.counts = False
        self.alive = []

    def forward(self, hidden):
        if self.training:
            self.rows.append(hidden.shape[0] * hidden.shape[1])
            if self.counts:
                # of the shape of embedding and head, but no weight
                self.alive.append(
                    sum(type(each) is torch.Tensor and each.shape == (61, 32) for each in gc.get_objects())
                )
            if self.rows[-1] > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")
        return super().forward(hidden)


def make_model(most=10**9, **changes):
    torch.manual_seed(3)
    settings = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4} | changes
    config = LlamaConfig(**settings, vocab_size=61, num_key_value_heads=2, pad_token_id=None, attention_dropout=0.3)
    model = LlamaForCausalLM(config)
    if settings["hidden_size"] == 32:
        model.model.norm = Looking(most)
    return model


def make_examples(number=20):
    examples = []
    for place in range(number):
        ids = tuple(
            (place % 4 + 3 * step) % 50 + 5 if step < 8 else (place + 7 * step) % 50 + 5 for step in range(12 + place)
        )
        examples.append(Tokenised(ids, tuple(step > 7 for step in range(len(ids)))))
    return examples


def train(
    model, folder, *, examples=None, config=None, sharing="tree", checkpoint_seconds=1e9, preference=None, **changes
):
    plan = Plan(
        label="trying", config=config or OptimizerConfig(learning_rate=3e-3), epochs=2, examples_per_step=5, sharing=sharing,
        computing=ComputingConfig(**({"threads": 1, "max_pack_tokens": 64} | changes)), probe=False, seed=11, folder=folder,
        checkpoint_seconds=checkpoint_seconds, occasions=Occasions(report_to=("none",)), preference=preference,
    )  # fmt: skip
    learnt = make_examples() if examples is None else examples
    return run_training(plan, model, learnt, [] if preference else make_examples(3), lambda: None)[0]


# of peft, which asks a model of newer transformers by an older name
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "kind",
    [
        "adapter",
        "preference",
        pytest.param("tree", marks=pytest.mark.slow),
        pytest.param("plain", marks=pytest.mark.slow),
        pytest.param("checkpointing", marks=pytest.mark.slow),
    ],
)
def test_what_is_learnt_is_the_same_with_and_without_it(kind, tmp_path) -> None:
    weights, records = {}, {}
    for preflight in (True, False):
        model = make_model()
        changes = {"sharing": "plain"} if kind == "plain" else {"gradient_checkpointing": kind == "checkpointing"}
        if kind == "adapter":
            from peft import LoraConfig, get_peft_model

            model = get_peft_model(model, LoraConfig(r=2, lora_dropout=0.2, target_modules=["q_proj", "up_proj"]))
        if kind == "preference":
            columns = in_columns(make_examples())
            changes |= {"examples": interleave(columns, columns.subset(np.roll(np.arange(20), 1)))}
            changes |= {"preference": PreferenceConfig()}
        records[preflight] = train(model, tmp_path / str(preflight), preflight=preflight, **changes)
        weights[preflight] = model.state_dict()
        assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(weights[True][name], weight) for name, weight in weights[False].items())
    assert records[True].notes == records[False].notes
    lines = [(tmp_path / str(each) / "metrics.jsonl").read_bytes() for each in (True, False)]
    assert lines[0] == lines[1]


def test_it_comes_first_and_holds_as_much_as_the_middle_of_a_training(tmp_path) -> None:
    model = make_model()
    looked = model.model.norm
    looked.counts = True
    train(model, tmp_path / "run", max_pack_tokens=4096)
    steps = len(looked.rows) // 2
    assert looked.rows[0] == max(looked.rows[1 : steps + 1])
    # of embedding and head two moments each, and the place of the gradient, which is there only in the backward pass
    assert looked.alive[0] == 6
    assert looked.alive[1] == 0
    # later on the moments are the optimizer's
    assert looked.alive[-1] == 4


@settings(max_examples=tries(120), deadline=None)
@given(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=30), shared=st.integers(0, 20),
    sharing=st.sampled_from(["tree", "plain"]), most=st.integers(40, 200), processes=st.integers(1, 2),
)  # fmt: skip
def test_it_is_the_largest_batch_of_the_first_epoch(lengths, shared, sharing, most, processes) -> None:
    ids = [
        tuple(step % 50 if step < shared else (place * step) % 50 for step in range(n))
        for place, n in enumerate(lengths)
    ]
    examples = TokenisedExamples.from_sequences(ids, [[0.0] + [1.0] * (len(each) - 1) for each in ids])
    packer = Packer(examples, sharing=sharing, max_pack_tokens=most)
    steps = OptimizerSteps(packer, examples_per_step=4, seed=3, processes=ALONE)
    found = largest_batch(steps, processes=processes, source_places=0.0)
    every = [
        batch.places for number in range(len(steps)) for batch in packer.pack(steps.members(number), at_least=processes)
    ]
    assert found.places == max(every)
    assert found.tensors["input_ids"].numel() == found.places


def test_among_rows_of_one_length_it_is_the_one_with_more_to_predict() -> None:
    ids = [tuple((place + 3 * step) % 50 for step in range(20)) for place in range(8)]
    weights = [[0.0] * (19 - place) + [1.0] * (1 + place) for place in range(8)]
    packer = Packer(TokenisedExamples.from_sequences(ids, weights), sharing="plain", max_pack_tokens=64)
    steps = OptimizerSteps(packer, examples_per_step=1, seed=3, processes=ALONE)
    assert largest_batch(steps, processes=1, source_places=0.5).sources == 8


def test_a_plan_of_many_steps_is_looked_through_quickly() -> None:
    import time

    ids = np.random.default_rng(1).integers(5, 50, 40 * 100_000).astype(np.int32)
    examples = TokenisedExamples(ids, np.ones(len(ids), np.float32), np.arange(0, len(ids) + 1, 40))
    packer = Packer(examples, sharing="tree", max_pack_tokens=4096)
    steps = OptimizerSteps(packer, examples_per_step=8, seed=3, processes=ALONE)
    assert len(steps) == 12_500
    began = time.process_time()
    assert largest_batch(steps, processes=1, source_places=0.1).places > 300
    assert time.process_time() - began < 3


def test_what_does_not_fit_is_refused_before_the_first_step_with_what_to_change(tmp_path) -> None:
    with pytest.raises(TrainingError) as caught:
        train(make_model(50), tmp_path / "run", max_pack_tokens=128)
    told = str(caught.value)
    assert told.startswith("the largest batch of this training (")
    assert " of them supervised) does not fit into memory: " in told
    assert "(2.00 GiB more were asked for)" in told
    assert "lower train.max_pack_tokens (now 128; at least 30, the longest example), then try " in told
    assert not list((tmp_path / "run").glob("checkpoints/*"))


def test_the_advice_names_only_what_is_not_set_yet() -> None:
    def advice(**changes):
        config = TrainConfig(**changes)
        return Remedies.of(config, config, bfloat16=config.precision == "bfloat16").text(row=900, longest=100)

    assert advice() == (
        "lower train.max_pack_tokens (now 4096; at least 100, the longest example), then try train.gradient_checkpointing: "
        "true, train.precision: bfloat16, train.adapter (LoRA), train.adapter.quantise: nf4, a smaller model"
    )
    done = {"gradient_checkpointing": True, "precision": "bfloat16"}
    assert advice(adapter=AdapterConfig(), **done).endswith("try train.adapter.quantise: nf4, a smaller model")
    assert advice(adapter=AdapterConfig(quantise="nf4"), **done).endswith("then try a smaller model")


def test_a_continued_run_is_tried_again_only_with_other_settings(tmp_path) -> None:
    def interrupted(folder):
        model = make_model()
        original = model.model.norm.forward
        calls = []

        def die(hidden):
            calls.append(model.training)
            if sum(calls) == 7:
                raise KeyboardInterrupt
            return original(hidden)

        model.model.norm.forward = die
        with pytest.raises(KeyboardInterrupt):
            train(model, folder, checkpoint_seconds=0.0, max_pack_tokens=4096)

    rows = {}
    for name, changes in (("same", {"max_pack_tokens": 4096}), ("other", {"max_pack_tokens": 4000})):
        interrupted(tmp_path / name)
        model = make_model()
        record = train(model, tmp_path / name, checkpoint_seconds=0.0, **changes)
        assert record.resumed_from_step == 5
        rows[name] = model.model.norm.rows
    assert len(rows["other"]) == len(rows["same"]) + 1
    assert rows["other"][1:] == rows["same"]


def test_on_a_cpu_what_cannot_fit_is_refused_before_it_is_computed(tmp_path) -> None:
    model = make_model(hidden_size=64, intermediate_size=2048, num_hidden_layers=8)
    # a token keeps 8 layers of (6 + 3 + 1) * 64 + 4 * 2048 numbers of 4 bytes, about 280 KB
    tokens = 2 * available_bytes() // (8 * 8_800 * 4)
    ids = np.arange(tokens, dtype=np.int32) % 50
    examples = TokenisedExamples(ids, np.ones(tokens, np.float32), np.array([0, tokens]))
    with pytest.raises(
        TrainingError, match=r"does not fit into memory: gradients and optimizer take .*\(estimated\)"
    ) as caught:
        train(model, tmp_path / "run", examples=examples, sharing="plain", max_pack_tokens=tokens)
    assert "lower dataset.max_tokens" in str(caught.value)
    assert "to try it all the same, set train.preflight: false" in str(caught.value)


def test_on_a_cpu_a_layer_is_not_begun_with_too_little_left(tmp_path) -> None:
    (tmp_path / "memory.max").write_text("100000000")
    (tmp_path / "memory.stat").write_text("inactive_file 0")
    (tmp_path / "memory.current").write_text("20000000")
    watch = _MemoryWatch(10_000_000, tmp_path)
    model = make_model()
    ids = torch.arange(9)[None]
    with watch.over(model):
        model(input_ids=ids)
        (tmp_path / "memory.current").write_text("95000000")
        with pytest.raises(MemoryError, match="76 MiB were available, and only 5 MiB were left"):
            model(input_ids=ids)
    model(input_ids=ids)
