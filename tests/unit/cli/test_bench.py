import pytest
from typer.testing import CliRunner

from groundtune.cli.bench_tables import comparison_lines, measured_lines, plan_lines
from groundtune.cli.main import app
from groundtune.errors import ConfigError

PLAN = {
    "sharing": "tree", "examples": 194, "dataset_tokens": 105_389, "unique_tokens": 9_422, "computed_tokens": 10_000,
    "supervised_tokens": 846, "longest_example": 1_100, "examples_per_step": 8, "steps_per_epoch": 25, "epochs": 3,
    "rows": 30, "max_pack_tokens": 4096, "row_fill": 0.0814, "padding_share": 0.0, "expected_saving": 10.5389,
}  # fmt: skip
MEASURED = {
    "speeds": {
        "steps": 12, "seconds": 6.0, "dataset_tokens_per_second": 12_345.6, "computed_tokens_per_second": 1_234.5,
        "supervised_tokens_per_second": 99.4, "step_seconds_median": 0.5, "step_seconds_quartiles": (0.45, 0.6),
        "expected_epoch_seconds": 12.5, "expected_training_seconds": 3725.0, "operations_per_second": 2.5e11,
        "share_of_matrix_rate": 0.614,
    },
    "memory": {"before": 2**29, "now": 2**30, "peak": 3 * 2**29, "cuda_peak": None},
    "matrix_rates_before": {"torch": 3e11, "best": 4e11},
    "matrix_rates_after": {"torch": 2.8e11, "best": 4.2e11},
}  # fmt: skip
COMPUTING = {"model": "LlamaForCausalLM", "sizes": {"parameters": 67_600_000}}


def named(lines):
    return {name: (figure, note) for name, figure, note in lines if name}


def test_the_plan_names_every_figure_with_what_it_means() -> None:
    lines = named(plan_lines(PLAN))
    assert lines["examples"] == ("194", "the longest has 1,100 tokens")
    assert lines["computed tokens"] == ("10,000", "6.1% more: repeated between steps and rows")
    assert lines["expected saving"][0] == "10.54 times"
    assert "tokens" in lines["expected saving"][1]
    assert lines["rows"] == ("30", "filled to 8% of 4,096 tokens")
    assert lines["sharing"][0] == "tree"


def test_the_plan_of_plain_batches_claims_no_sharing_and_tells_its_padding() -> None:
    lines = named(plan_lines(PLAN | {"sharing": "plain", "padding_share": 0.12}))
    assert "nothing is shared" in lines["computed tokens"][1]
    assert lines["batches"][1].endswith("12% padding")
    assert "rows" not in lines


def test_what_was_measured_names_speed_memory_and_the_share_of_the_machine() -> None:
    lines = named(measured_lines(MEASURED, COMPUTING))
    assert lines["dataset tokens"][0] == "12,346 /s"
    assert lines["a step"] == ("500 ms", "median of 12; half took 450 ms to 600 ms")
    assert (lines["an epoch"][0], lines["the training"][0]) == ("12.5 s", "1 h 2 min")
    assert lines["memory"] == ("1.6 GB", "at most; 537 MB before, 1.1 GB now")
    assert lines["useful work"] == ("250.0 GFLOP/s", "LlamaForCausalLM, 67.6M parameters")
    assert lines["of the machine"] == ("61%", "its best product 400 and 420 GFLOP/s")
    assert "GPU memory" not in lines


def test_a_single_step_claims_no_spread() -> None:
    single = MEASURED | {"speeds": MEASURED["speeds"] | {"steps": 1}}
    assert named(measured_lines(single, COMPUTING))["a step"] == ("500 ms", "a single one")


def test_memory_of_a_gpu_is_told_where_there_is_one() -> None:
    on_gpu = MEASURED | {"memory": MEASURED["memory"] | {"cuda_peak": 5 * 2**30}}
    assert named(measured_lines(on_gpu, COMPUTING))["GPU memory"][0] == "5.4 GB"


def test_a_comparison_without_added_memory_leaves_the_ratio_out() -> None:
    comparison = {"steps_compared": 1, "time_ratio": 8.512, "computed_tokens_ratio": 10.5, "added_memory_ratio": None}
    lines = named(comparison_lines(comparison))
    assert lines["time"] == ("8.51 times", "less, measured on the same 1 step")
    assert lines["memory"][0] == "–"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compare", "trees"], "--compare 'trees': expected plain"),
        (["--out", "."], "--out .: is a folder"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(arguments, said) -> None:
    refused = CliRunner().invoke(app, ["bench", *arguments], catch_exceptions=True)
    assert isinstance(refused.exception, ConfigError)
    assert said in str(refused.exception)
