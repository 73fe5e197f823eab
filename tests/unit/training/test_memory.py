"""A training that runs out of memory goes on in shorter rows, learns the same, and says so."""

import gc
import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from groundtune.config import ComputingConfig, OptimizerConfig, PreferenceConfig
from groundtune.errors import StorageError, TrainingError
from groundtune.training import Tokenised
from groundtune.training.checkpoints import saving
from groundtune.training.examples import in_columns
from groundtune.training.memory import (
    Remedies,
    RowBudget,
    available_bytes,
    control_group_room,
    explaining,
    is_out_of_memory,
)
from groundtune.training.plan import Occasions, Plan
from groundtune.training.preference.pairs import interleave
from groundtune.training.processes import Processes
from groundtune.training.records import Journal
from groundtune.training.running import run_training
from groundtune.training.steps import Packer

SAME = 1e-9
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 61}
LONGEST = 70
"""Tokens computed of the longest example."""

ROOM = 80
"""Less than the first step takes."""


def refuse_on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB")


def refuse_on_a_cpu():
    torch.empty(1 << 55, dtype=torch.uint8)


def refuse_in_numpy():
    raise MemoryError("Unable to allocate 4.00 GiB for an array")


class CrampedNorm(nn.RMSNorm):
    """Has room for `most` tokens, in training or in validation."""

    def __init__(self, width, most=10**9, *, refuse=refuse_on_a_gpu, when=(True, False)):
        super().__init__(width, 1e-6)
        self.most = most
        self.refuse = refuse
        self.when = when
        self.refused = 0
        self.rows = []

    def forward(self, hidden):
        tokens = hidden.shape[0] * hidden.shape[1]
        if self.training:
            self.rows.append(tokens)
        if tokens > self.most and self.training in self.when:
            self.refused += 1
            self.refuse()
        return super().forward(hidden)


def make_model(most=10**9, *, dropout=0.0, **cramped):
    torch.manual_seed(3)
    config = LlamaConfig(
        **SIZES, num_key_value_heads=2, pad_token_id=None, bos_token_id=1, eos_token_id=2, attention_dropout=dropout
    )
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        # transformers' own norms are in float32 whatever the model is
        layer.input_layernorm, layer.post_attention_layernorm = nn.RMSNorm(32, 1e-6), nn.RMSNorm(32, 1e-6)
    model.model.norm = CrampedNorm(32, most, **cramped)
    return model.double()


def make_examples():
    examples = []
    for context in range(5):
        shared = tuple((7 * context + 3 * place) % 50 + 5 for place in range(12 + 4 * context))
        for question in range(5):
            ids = (*shared, 56, (11 * question + context) % 50 + 5, 57, (question * question) % 50 + 5, 2)
            examples.append(Tokenised(ids, tuple(place > len(shared) for place in range(len(ids)))))
    ids = tuple((9 * step) % 55 + 3 for step in range(LONGEST + 1))
    return [*examples, Tokenised(ids, (*(False,) * 4, *(True,) * (len(ids) - 4)))]


EXAMPLES = make_examples()


def train(model, folder, *, sharing="tree", valid=4, checkpoint_seconds=1e9, occasions=None, examples=None, **changes):
    settings = {"preflight": False, "threads": 1} | changes
    preference = PreferenceConfig() if examples is not None else None
    plan = Plan(
        label="cramped", config=OptimizerConfig(learning_rate=3e-3), computing=ComputingConfig(**settings), epochs=2,
        examples_per_step=12, sharing=sharing, probe=False, seed=11, folder=folder, checkpoint_seconds=checkpoint_seconds,
        occasions=occasions or Occasions(report_to=("none",)), preference=preference,
    )  # fmt: skip
    learnt = examples or EXAMPLES
    return run_training(plan, model, learnt, learnt[:valid] if examples is None else (), lambda: None)[0]


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["train_loss"] for line in lines if line["kind"] == "step"]


def assert_same(model, wanted, within):
    for name, weight in wanted.state_dict().items():
        gap = float((model.state_dict()[name] - weight).abs().max() / weight.abs().max())
        assert gap <= within, f"{name} differs by {gap:.1e}"


@pytest.mark.parametrize(
    ("sharing", "refuse"),
    [
        ("tree", refuse_on_a_gpu),
        ("plain", refuse_on_a_cpu),
        pytest.param("tree", refuse_in_numpy, marks=pytest.mark.slow),
    ],
)
def test_a_step_that_does_not_fit_is_computed_again_in_shorter_rows(sharing, refuse, tmp_path) -> None:
    roomy, cramped = make_model(), make_model(ROOM, refuse=refuse)
    train(roomy, tmp_path / "roomy", sharing=sharing)
    record = train(cramped, tmp_path / "cramped", sharing=sharing)
    assert max(roomy.model.norm.rows) > ROOM, "no halving would be needed"
    assert cramped.model.norm.refused == len(record.notes) > 0
    assert record.notes[0].startswith("out of memory in step 1")
    assert "train.max_pack_tokens is 4096" in record.notes[0]
    assert losses(tmp_path / "cramped") == pytest.approx(losses(tmp_path / "roomy"), rel=SAME)
    assert_same(cramped, roomy, SAME)


def test_a_failed_try_leaves_no_trace_in_random_numbers(tmp_path) -> None:
    # dropout depends on how rows are cut: the rows of the last try alone may decide
    cramped, small, roomy = make_model(ROOM, dropout=0.3), make_model(dropout=0.3), make_model(dropout=0.3)
    record = train(cramped, tmp_path / "cramped")
    cut = int(record.notes[-1].split("at most ")[1].split()[0])
    assert cramped.model.norm.refused == len(record.notes) > 0
    train(small, tmp_path / "small", max_pack_tokens=cut)
    assert small.model.norm.refused == 0
    assert_same(small, cramped, 0)
    train(roomy, tmp_path / "roomy")
    assert losses(tmp_path / "roomy")[0] != pytest.approx(losses(tmp_path / "cramped")[0], rel=1e-6)


def test_validation_that_does_not_fit_is_cut_too(tmp_path) -> None:
    roomy, cramped = make_model(), make_model(ROOM, when=(False,))
    wanted = train(roomy, tmp_path / "roomy", valid=20)
    found = train(cramped, tmp_path / "cramped", valid=20)
    assert found.notes[0].startswith("out of memory in the validation behind step 0")
    for row, other in zip(found.epochs, wanted.epochs, strict=True):
        assert row.valid_loss == pytest.approx(other.valid_loss, rel=1e-6)


def test_preference_pairs_that_do_not_fit_are_cut_in_all_their_passes(tmp_path) -> None:
    columns = in_columns(EXAMPLES[:24])
    order = list(range(24))
    pairs = interleave(columns, columns.subset(order[1:] + order[:1]))
    roomy, cramped = make_model(), make_model(ROOM)
    train(roomy, tmp_path / "roomy", examples=pairs)
    record = train(cramped, tmp_path / "cramped", examples=pairs)
    # the reference is measured without training
    assert record.notes[0].startswith("out of memory while the reference was measured")
    assert losses(tmp_path / "cramped") == pytest.approx(losses(tmp_path / "roomy"), rel=SAME)
    assert_same(cramped, roomy, SAME)


def test_rows_that_cannot_be_cut_end_the_run_with_what_to_change(tmp_path) -> None:
    with pytest.raises(TrainingError, match="cannot be shorter than the longest example, 70 tokens") as caught:
        train(make_model(60), tmp_path / "run")
    assert "out of memory in step 1" in str(caught.value)
    assert "train.gradient_checkpointing: true, train.precision: bfloat16" in str(caught.value)


def test_a_continued_run_begins_with_the_rows_it_was_cut_to(tmp_path) -> None:
    whole = make_model(ROOM)
    train(whole, tmp_path / "whole", checkpoint_seconds=0.0)
    first = make_model(ROOM)
    original = first.model.norm.forward
    calls = []

    def die(hidden):
        calls.append(1)
        if len(calls) == 14:
            raise KeyboardInterrupt
        return original(hidden)

    first.model.norm.forward = die
    with pytest.raises(KeyboardInterrupt):
        train(first, tmp_path / "run", checkpoint_seconds=0.0)
    second = make_model(ROOM)
    record = train(second, tmp_path / "run", checkpoint_seconds=0.0)
    assert record.resumed_from_step > 0
    assert second.model.norm.refused == 0
    assert any("out of memory in step 1" in note for note in record.notes)
    assert_same(second, whole, 0)


def budget(packer, processes):
    said = []
    journal = Journal()
    remedies = Remedies(64, (), ("a smaller model",))
    return RowBudget([packer], processes=processes, journal=journal, remedies=remedies, say=said.append), journal, said


def test_a_process_of_several_ends_and_says_what_to_set() -> None:
    packer = Packer(in_columns(EXAMPLES), sharing="tree", max_pack_tokens=200)
    rows, journal, said = budget(packer, Processes(2, 1, torch.device("cpu")))

    def compute(again):
        packer.pack_all()
        refuse_on_a_gpu()

    with pytest.raises(TrainingError, match=r"process 2 of 2.*set train\.max_pack_tokens to") as caught:
        rows.within(compute, packer, "in step 3")
    assert "2.00 GiB more were asked for" in str(caught.value)
    assert not said
    assert not journal.max_pack_tokens


def test_other_errors_are_left_alone_and_nothing_of_a_failed_try_is_kept() -> None:
    packer = Packer(in_columns(EXAMPLES), sharing="tree", max_pack_tokens=200)
    rows, _, said = budget(packer, Processes(1, 0, torch.device("cpu")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        rows.within(lambda again: (_ for _ in ()).throw(RuntimeError("shapes differ")), packer, "in step 3")

    def compute(again):
        packer.pack_all()
        if not again:
            kept = torch.full((7, 7, 7), 7.0)
            assert kept is not None
            refuse_on_a_cpu()
        return [each for each in gc.get_objects() if type(each) is torch.Tensor and each.shape == (7, 7, 7)]

    assert rows.within(compute, packer, "in step 3") == []
    assert len(said) == 1


def test_running_out_of_memory_elsewhere_is_told_as_such(tmp_path) -> None:
    packer = Packer(in_columns(EXAMPLES), sharing="tree", max_pack_tokens=200)
    packer.pack_all()
    with pytest.raises(TrainingError, match=r"outside of the rows of examples; lower train\.max_pack_tokens"):  # noqa: SIM117
        with explaining(Remedies(200, (), ("a smaller model",)), packer):
            refuse_on_a_cpu()
    # a refused block while a checkpoint is written is no refusal of the disk
    with pytest.raises(RuntimeError, match="allocate memory") as caught, saving(tmp_path):
        refuse_on_a_cpu()
    assert is_out_of_memory(caught.value)
    assert not isinstance(caught.value, StorageError)
    assert not is_out_of_memory(TrainingError("out of memory"))


def test_a_control_group_counts_with_its_cache_as_free(tmp_path) -> None:
    assert control_group_room(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 250\n")
    assert control_group_room(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert control_group_room(tmp_path) == 550
    assert available_bytes(tmp_path) == 550
    older = tmp_path / "older" / "memory"
    older.mkdir(parents=True)
    (older / "memory.limit_in_bytes").write_text("1000\n")
    (older / "memory.usage_in_bytes").write_text("900\n")
    (older / "memory.stat").write_text("total_inactive_file 50\n")
    assert control_group_room(older.parent) == 150


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from groundtune.config import ComputingConfig, OptimizerConfig
from groundtune.training import Tokenised
from groundtune.training.plan import Occasions, Plan
from groundtune.training.running import run_training
import transformers.trainer

torch.manual_seed(1)
model = LlamaForCausalLM(LlamaConfig(
    hidden_size=64, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=4, num_key_value_heads=2, vocab_size=100))
examples = [Tokenised(tuple((place * step) % 90 + 5 for step in range(400)), (True,) * 400) for place in range(1, 65)]
plan = Plan(
    label="limited", config=OptimizerConfig(), epochs=1, examples_per_step=32, sharing="plain", probe=False, seed=1,
    computing=ComputingConfig(threads=1, max_pack_tokens=13000, preflight=sys.argv[2] == "preflight"),
    folder=Path(sys.argv[1]), checkpoint_seconds=1e9, occasions=Occasions(report_to=("none",)))
held = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData"))
# a row of 12,768 tokens keeps about 2 GB for its backward pass
resource.setrlimit(resource.RLIMIT_DATA, (held + 1200 * 2**20,) * 2)
record, _ = run_training(plan, model, examples, (), lambda: None)
print(record.steps, *record.notes, sep=chr(10))
"""


@pytest.mark.slow
def test_under_a_real_limit_of_memory_a_training_goes_on_in_shorter_rows_or_says_so_at_once(tmp_path) -> None:
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run([*command, str(tmp_path / "cut"), "without"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps, *notes = done.stdout.splitlines()
    assert steps == "2"
    assert notes[0].startswith("out of memory in step 1")
    refused = subprocess.run(
        [*command, str(tmp_path / "refused"), "preflight"], capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "TrainingError: the largest batch of this training (12768 tokens, " in refused.stderr
    assert "lower train.max_pack_tokens (now 13000; at least 399" in refused.stderr
