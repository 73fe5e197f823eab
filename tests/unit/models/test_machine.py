import os
import signal

import pytest
import torch

from groundtune.errors import TrainingError
from groundtune.models import best_matrix_rate, matrix_rate, safe_bfloat16, thread_rates_apart
from groundtune.models import machine as module
from groundtune.models.machine import WITHOUT_AMX, has_onednn_product, judge_bfloat16, run_probe, thread_rates

DIES_OF_SIGILL = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"
DIES_OF_AMX = f"import os\nif 'ONEDNN_MAX_CPU_ISA' not in os.environ:\n    {DIES_OF_SIGILL}"


def test_a_rate_is_one_that_a_processor_can_have_and_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    rate = matrix_rate(1, 0.01, size=256)
    # one core: at least a few operations a cycle, at most two AVX-512 or matrix units' worth
    assert 1e9 < rate < 1e13
    assert torch.get_num_threads() == before


def test_the_rate_in_float64_is_lower_than_in_float32() -> None:
    """Half as many numbers fit a register; measured, so the type really is the one asked for. Three tries: cores are shared."""
    assert any(
        matrix_rate(1, 0.05, torch.float64, size=512) < 0.8 * matrix_rate(1, 0.05, torch.float32, size=512)
        for _ in range(3)
    )


def test_the_best_rate_is_at_least_that_of_the_plain_product() -> None:
    assert any(best_matrix_rate(1, 0.05, size=512) > 0.8 * matrix_rate(1, 0.05, size=512) for _ in range(3))


def test_onednns_product_computes_what_it_should() -> None:
    if not has_onednn_product():
        pytest.skip("this torch has no oneDNN product")
    left, right = torch.randn(64, 32), torch.randn(48, 32)
    assert torch.allclose(
        torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""), left @ right.T, atol=1e-4
    )


def test_thread_numbers_take_turns_and_each_gets_a_rate() -> None:
    rates = thread_rates([1, 2], rounds=1, seconds=0.0)
    assert list(rates) == [1, 2]
    assert min(rates.values()) > 1e9


def test_a_process_that_cannot_measure_says_how_it_failed(monkeypatch) -> None:
    monkeypatch.setattr(module.sys, "executable", "/nowhere/python")
    with pytest.raises(TrainingError, match="could not be measured: the process could not be started"):
        thread_rates_apart([1])


@pytest.mark.slow
def test_bfloat16_is_really_tried_here_and_the_verdict_is_kept() -> None:
    works, why = safe_bfloat16()
    assert works == why.startswith("bfloat16 products, forward and backward, work")
    assert safe_bfloat16.cache_info().currsize == 1
    assert safe_bfloat16() is safe_bfloat16()


@pytest.mark.slow
def test_the_trial_is_large_enough_for_amx_and_goes_backward() -> None:
    """Seen through torch's own profiler: bfloat16 products of 512 x 512 x 512, and as many more for the gradients."""
    script = (
        "from groundtune.models.machine import BFLOAT16_PROBE\n"
        "from torch.profiler import profile\n"
        "with profile(record_shapes=True) as seen:\n"
        "    exec(BFLOAT16_PROBE, {})\n"
        "print(sum(each.name == 'aten::mm' and each.input_shapes[:2] == [[512, 512], [512, 512]]"
        " and not each.is_user_annotation for each in seen.events()))\n"
        "print(any('backward' in each.name.lower() for each in seen.events()))"
    )
    end = run_probe(script)
    assert end.well, end.how
    products, backward = end.output.split()
    # a product and its two gradients, in bfloat16 and in float32
    assert int(products) >= 6
    assert backward == "True"


def test_an_illegal_instruction_is_named_and_float32_advised() -> None:
    works, why = judge_bfloat16(DIES_OF_SIGILL)
    assert not works
    assert "killed by SIGILL (illegal instruction)" in why
    assert "AMX" in why
    assert why.endswith("stay with float32")


def test_the_setting_that_avoids_the_illegal_instruction_is_advised_only_after_it_was_tried() -> None:
    works, why = judge_bfloat16(DIES_OF_AMX)
    assert not works
    assert " ".join(f"{name}={value}" for name, value in WITHOUT_AMX.items()) in why
    assert "tried" in why
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("raise SystemExit('bfloat16 is wrong by 40% in a product')", "bfloat16 is wrong by 40% in a product"),
        ("import sys; sys.exit(3)", "exit status 3"),
    ],
)
def test_other_ends_are_told_apart_and_not_taken_for_an_illegal_instruction(script, how) -> None:
    works, why = judge_bfloat16(script)
    assert not works
    assert how in why
    assert "SIGILL" not in why


def test_a_trial_that_hangs_is_ended() -> None:
    end = run_probe("import time; time.sleep(60)", timeout_seconds=0.5)
    assert (end.well, end.how) == (False, "did not end within 0.5 seconds")


def test_the_judge_knows_an_illegal_instruction_by_the_real_exit_of_a_child() -> None:
    assert run_probe(DIES_OF_SIGILL).illegal_instruction
    assert not run_probe(DIES_OF_SIGILL.replace("SIGILL", "SIGSEGV")).illegal_instruction
    assert signal.SIGILL.name in run_probe(DIES_OF_SIGILL).how
