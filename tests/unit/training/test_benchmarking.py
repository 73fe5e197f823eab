import os

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import MambaConfig, MambaForCausalLM, MistralConfig, MistralForCausalLM

from groundtune.config import AdapterConfig, ModelConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.files import sha256_file
from groundtune.models import build_llama, load_model, quiet_transformers, train_tokenizer
from groundtune.prefix import plan_steps
from groundtune.training import Tokenised
from groundtune.training.adapting import attach_adapter
from groundtune.training.benchmarking import Benchmark
from groundtune.training.examples import in_columns
from groundtune.training.speeds import Measured, growth_ratio, speeds_of, time_ratio
from groundtune.training.steps import Packer
from groundtune.training.stopwatch import Limit, Memory, MemoryWatch
from groundtune.training.work import MatrixRates, MatrixTrial, ModelSizes, Work, measure_matrix_rates, step_work

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=96, copying_start=False)
QUICK = MatrixTrial(size=64, seconds=0.02)
CPU = torch.device("cpu")


def example(ids, trained):
    """The last `trained` of the tokens count."""
    return Tokenised(tuple(ids), tuple(place >= len(ids) - trained for place in range(len(ids))))


# two questions on one context of four tokens, and a stranger; a final target is not computed: 5 + 5 + 2 tokens alone
TINY = [example([21, 22, 23, 24, 31, 32], 2), example([21, 22, 23, 24, 41, 42], 2), example([25, 26, 27], 1)]


def questions(contexts=6, each=4, length=20):
    """`each` questions on every context; 1 token asks and 3 answer."""
    return [
        example(
            [20 + (context * 7 + place) % 200 for place in range(length)] + [220 + ask, 230 + context, 240 + ask, 3], 3
        )
        for context in range(contexts)
        for ask in range(each)
    ]


def settings(**changes):
    return TrainConfig(**({"examples_per_step": 8, "max_pack_tokens": 128, "threads": 1, "epochs": 5} | changes))


@pytest.fixture
def base(tmp_path):
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def benchmark_of(examples=None, **changes):
    return Benchmark(examples or questions(), settings(**changes), seed=7, trial=QUICK)


def measure(benchmark, sharing, limit, base):
    plan = benchmark.plan(sharing)
    return benchmark.measure(plan, limit, base=base, tokenizer=TOKENIZER)


# the plan


def test_the_plan_of_a_tiny_set_is_what_a_person_counts() -> None:
    plan = benchmark_of(TINY, max_pack_tokens=64).plan("tree")
    assert (plan.examples, plan.dataset_tokens, plan.supervised_tokens, plan.longest_example) == (3, 15, 5, 6)
    # the shared four once, one more of each question, and two of the stranger
    assert plan.unique_tokens == plan.computed_tokens == 4 + 1 + 1 + 2
    assert (plan.steps_per_epoch, plan.rows, plan.epochs, plan.padding_share) == (1, 1, 5, 0.0)
    assert plan.row_fill == 8 / 64
    assert plan.expected_saving == 15 / 8


def test_without_sharing_everything_needed_is_computed_and_padding_is_told_apart() -> None:
    plan = benchmark_of(TINY, max_pack_tokens=64, sharing="plain").plan("plain")
    assert plan.unique_tokens == 8
    assert plan.computed_tokens == 5 + 5 + 2
    # one batch of three, as long as its longest
    assert plan.rows == 1
    assert plan.padding_share == pytest.approx(3 / 15)
    assert plan.expected_saving == 15 / 12


def test_examples_dealt_to_steps_of_their_own_share_nothing_and_the_plan_shows_it() -> None:
    plan = benchmark_of(TINY, max_pack_tokens=64, examples_per_step=1).plan("tree")
    assert plan.steps_per_epoch == plan.rows == 3
    assert plan.unique_tokens == 8
    assert plan.computed_tokens == 12


@pytest.mark.parametrize("examples_per_step", [2, 3, 7, 24])
def test_computed_tokens_lie_between_the_unique_ones_and_those_of_plain_batches(examples_per_step) -> None:
    benchmark = benchmark_of(examples_per_step=examples_per_step, max_pack_tokens=64)
    shared, plain = benchmark.plan("tree"), benchmark.plan("plain")
    assert shared.unique_tokens <= shared.computed_tokens <= plain.computed_tokens
    assert plain.computed_tokens == 24 * 23
    assert shared.rows >= shared.steps_per_epoch == plain.steps_per_epoch
    assert shared.computed_tokens <= shared.rows * 64


def test_what_cannot_be_trained_is_refused_before_any_plan() -> None:
    with pytest.raises(TrainingError, match="no training examples"):
        Benchmark([], settings(), seed=7)
    with pytest.raises(TrainingError, match="training example 0 has no trained token"):
        Benchmark([example([5, 6], 0)], settings(), seed=7)
    with pytest.raises(TrainingError, match=r"example 1 takes 69 tokens.*max_pack_tokens \(64\)"):
        Benchmark([TINY[0], example(range(20, 90), 1)], settings(max_pack_tokens=64), seed=7)


# the work


def test_the_work_of_a_step_counts_pairs_and_sources_of_what_is_computed() -> None:
    columns = in_columns(TINY)
    for sharing, tokens, sources, pairs in (
        # the trunk 1 + 2 + 3 + 4, a fifth token of each question, the stranger 1 + 2; both questions leave the trunk's end
        ("tree", 8, 4, 10 + 5 + 5 + 3),
        ("plain", 12, 5, 15 + 15 + 3),
    ):
        packer = Packer(columns, sharing=sharing, max_pack_tokens=64)
        work = step_work(packer, torch.arange(3).numpy(), (None,))
        assert work == Work(3, 15, 5, tokens, sources, pairs)


def test_a_window_bounds_the_pairs_of_its_layers() -> None:
    packer = Packer(in_columns(TINY), sharing="tree", max_pack_tokens=64)
    work = step_work(packer, torch.arange(3).numpy(), (None, 3, 3))
    assert work.attention_pairs == 23 + 2 * (1 + 2 + 3 + 3 + 3 + 3 + 1 + 2)


def test_the_operations_are_those_that_torch_counts(base) -> None:
    model = load_model(base, tokenizer=TOKENIZER)
    model.set_attn_implementation("eager")
    tokens = 24
    with FlopCounterMode(display=False) as counter:
        model(torch.arange(20, 20 + tokens)[None], use_cache=False).logits.sum().backward()
    # eager attention computes the whole square; here everything is projected and nothing narrowed
    whole = Work(computed_tokens=tokens, sources=tokens, attention_pairs=SMALL.layers * tokens**2)
    assert ModelSizes.of(model).operations(whole) == counter.get_total_flops()


def test_the_sizes_of_a_model_tell_windows_and_what_is_computed_for_sources_alone() -> None:
    config = MistralConfig(
        vocab_size=50, hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, sliding_window=5,
    )  # fmt: skip
    sizes = ModelSizes.of(MistralForCausalLM(config))
    attention, feed_forward = 16 * 32 + 2 * 16 * 16 + 32 * 16, 3 * 16 * 24
    assert sizes.matrix_parameters == 3 * attention + 2 * feed_forward
    assert sizes.source_parameters == feed_forward + 50 * 16
    assert sizes.attention_width == 32
    assert sizes.windows == (5, 5, 5)


# the measurement


@pytest.mark.parametrize("sharing", ["tree", "plain"])
def test_a_measurement_tells_of_the_steps_after_the_warm_up_and_of_no_others(base, sharing, capfd) -> None:
    benchmark = benchmark_of(sharing=sharing)
    measured, setting = measure(benchmark, sharing, Limit(steps=4), base)
    # 3 steps an epoch: the second and third of the first, and the first two of the second
    packer = Packer(in_columns(questions()), sharing=sharing, max_pack_tokens=128)
    steps = [each for epoch in (0, 1) for each in plan_steps(packer.tree, examples_per_step=8, seed=7, epoch=epoch)]
    assert measured.work == sum((step_work(packer, each, (None, None)) for each in steps[1:5]), Work())
    assert (measured.warm_up_steps, len(measured.step_seconds), measured.work.examples) == (1, 4, 32)
    speeds = measured.speeds
    assert speeds.seconds == pytest.approx(sum(measured.step_seconds))
    assert speeds.dataset_tokens_per_second * speeds.seconds == pytest.approx(32 * 24)
    assert speeds.operations_per_second * speeds.seconds == pytest.approx(setting.sizes.operations(measured.work))
    assert 0 < speeds.share_of_matrix_rate < 1.5
    assert (setting.device, setting.precision, setting.threads, setting.model) == (
        "cpu",
        "float32",
        1,
        "LlamaForCausalLM",
    )
    assert measured.memory.peak >= measured.memory.now > 2**20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("adapter", [{"dora": True}, {"quantise": "nf4"}])
def test_an_adapter_is_measured_as_it_would_be_trained(base, adapter) -> None:
    settings = AdapterConfig(rank=4, **adapter)
    _, setting = measure(benchmark_of(adapter=settings), "tree", Limit(steps=1), base)
    model = attach_adapter(load_model(base), settings.model_copy(update={"quantise": None}), seed=7)[0]
    assert setting.sizes == ModelSizes.of(model.get_base_model())
    told = [note for note in setting.notes if "were held in 4 bits (nf4)" in note]
    assert len(told) == ("quantise" in adapter)


def test_the_operations_of_an_adapter_are_at_most_those_that_torch_counts(base) -> None:
    peft = attach_adapter(load_model(base, tokenizer=TOKENIZER), AdapterConfig(rank=4), seed=7)[0]
    model = peft.get_base_model()
    model.set_attn_implementation("eager")
    tokens = 24
    with FlopCounterMode(display=False) as counter:
        model(torch.arange(20, 20 + tokens)[None], use_cache=False).logits.sum().backward()
    whole = Work(computed_tokens=tokens, sources=tokens, attention_pairs=SMALL.layers * tokens**2)
    sizes = ModelSizes.of(model)
    assert sizes.spared_matrices + sizes.spared_sources > sizes.matrix_parameters / 2
    # the inner gradients of the lowest layer are left out, which is one of two here
    assert 0.8 * counter.get_total_flops() < sizes.operations(whole) <= counter.get_total_flops()


def test_nothing_is_written_and_the_weights_stay(base, tmp_path, monkeypatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.chdir(scratch)
    before = {path.name: sha256_file(path) for path in base.iterdir()}
    measure(benchmark_of(), "tree", Limit(steps=4), base)
    assert {path.name: sha256_file(path) for path in base.iterdir()} == before
    assert os.listdir(scratch) == []


def test_the_clock_ends_a_measurement_but_not_before_one_step(base) -> None:
    measured, _ = measure(benchmark_of(), "tree", Limit(seconds=1e-6), base)
    assert measured.speeds.steps == 1
    assert measured.speeds.step_seconds_quartiles == (measured.step_seconds[0],) * 2


def test_a_model_that_sharing_is_wrong_for_is_refused_and_measured_plainly(tmp_path) -> None:
    config = MambaConfig(vocab_size=320, hidden_size=16, num_hidden_layers=1, state_size=4)
    with quiet_transformers():
        MambaForCausalLM(config).save_pretrained(tmp_path / "mamba")
    benchmark = benchmark_of()
    with pytest.raises(TrainingError, match="plain"):
        measure(benchmark, "tree", Limit(steps=1), tmp_path / "mamba")
    measured, _ = measure(benchmark, "plain", Limit(steps=1), tmp_path / "mamba")
    assert measured.work.computed_tokens == 8 * 23


# the figures

MODEST = Memory(before=100, now=150, peak=200, cuda_peak=None)


def measured_of(seconds, memory=MODEST):
    sizes = ModelSizes(0, matrix_parameters=1000, source_parameters=0, attention_width=0, windows=())
    work = Work(dataset_tokens=900, supervised_tokens=30, computed_tokens=300)
    speeds = speeds_of(seconds, work, sizes, best_rate=1_800_000, epoch_tokens=3000, epochs=2)
    rates = MatrixRates(1.0, 1.0)
    return Measured("tree", 1, speeds, memory, rates, rates, work, tuple(seconds))


def test_speeds_and_expected_times_follow_from_seconds_and_work() -> None:
    speeds = measured_of([1.0, 2.0, 3.0]).speeds
    assert (speeds.seconds, speeds.step_seconds_median, speeds.step_seconds_quartiles) == (6.0, 2.0, (1.5, 2.5))
    assert (speeds.dataset_tokens_per_second, speeds.computed_tokens_per_second) == (150, 50)
    assert speeds.supervised_tokens_per_second == 5
    assert (speeds.expected_epoch_seconds, speeds.expected_training_seconds) == (60, 120)
    # 6 x 1000 x 300 operations in 6 seconds
    assert speeds.operations_per_second == 300_000
    assert speeds.share_of_matrix_rate == pytest.approx(1 / 6)


def test_the_ratio_is_taken_over_the_steps_that_both_measured() -> None:
    assert time_ratio(measured_of([1.0, 2.0, 50.0]), measured_of([4.0, 5.0])) == 3.0


def test_added_memory_is_compared_and_nothing_is_said_where_there_was_none() -> None:
    assert growth_ratio(measured_of([1.0]), measured_of([1.0], Memory(100, 350, 400, None))) == 3.0
    assert growth_ratio(measured_of([1.0], Memory(100, 100, 100, None)), measured_of([1.0])) is None


def test_the_best_matrix_rate_is_at_least_that_of_torch() -> None:
    rates = measure_matrix_rates(CPU, torch.float32, 1, QUICK)
    assert rates.best >= rates.torch > 0


def test_memory_that_was_held_and_freed_before_is_not_in_the_peak() -> None:
    held = torch.ones(40 * 2**20)
    del held
    watch = MemoryWatch(CPU)
    quiet = watch.read()
    held = torch.ones(40 * 2**20)
    assert held.sum() > 0
    loud = watch.read()
    assert loud.peak - quiet.peak > 120 * 2**20
    assert quiet.cuda_peak is None
