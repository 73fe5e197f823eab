import json

import pytest
from typer.testing import CliRunner

from groundtune.cli.doctor import judge_threads
from groundtune.cli.main import app
from groundtune.models import safe_bfloat16, safe_threads, usable_cores


@pytest.fixture
def environment(monkeypatch):
    """Sets what OpenMP would read; nothing set unless named."""

    def choose(**variables: str) -> None:
        for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    choose()
    return choose


def test_a_last_thread_that_slows_the_others_down_is_found_and_the_setting_named(environment) -> None:
    environment(OMP_WAIT_POLICY="PASSIVE")
    check = judge_threads({3: 180e9, 4: 111e9}, cores=4, chosen=4)
    assert check.state == "note"
    assert "training uses 4 of 4, every core, because OMP_WAIT_POLICY=PASSIVE" in check.found
    assert "180 GFLOP/s on 3, 111 GFLOP/s on 4 (threads sleep while they wait)" in check.found
    assert (
        check.remedy == "4 threads are slower than 3: other work shares the cores; set train.threads=3 if that stays so"
    )


def test_training_that_already_leaves_a_core_free_is_well(environment) -> None:
    check = judge_threads({3: 180e9, 4: 41e9}, cores=4, chosen=3)
    assert check.state == "ok"
    assert "one fewer than there are, because waiting threads would take the core" in check.found
    assert "threads spin" in check.found
    assert "already leaves one free" in check.remedy


def test_where_threads_spin_on_every_core_sleeping_is_advised_too(environment) -> None:
    environment(OMP_NUM_THREADS="4")
    check = judge_threads({3: 180e9, 4: 41e9}, cores=4, chosen=4)
    assert "because OMP_NUM_THREADS=4" in check.found
    assert "set OMP_WAIT_POLICY=PASSIVE in the environment, or train.threads=3" in check.remedy


def test_a_choice_far_below_the_best_is_named(environment) -> None:
    environment(OMP_NUM_THREADS="1")
    check = judge_threads({1: 95e9, 3: 270e9, 4: 280e9}, cores=4, chosen=1)
    assert check.state == "note"
    assert "train.threads=4" in check.remedy


@pytest.mark.parametrize("rates", [{3: 200e9, 4: 260e9}, {3: 200e9, 4: 190e9}])
def test_noise_between_measurements_is_no_finding(environment, rates) -> None:
    environment(OMP_WAIT_POLICY="PASSIVE")
    check = judge_threads(rates, cores=4, chosen=4)
    assert (check.state, check.remedy) == ("ok", "")


def test_a_single_core_has_nothing_to_choose(environment) -> None:
    check = judge_threads({1: 95e9}, cores=1, chosen=1)
    assert check.state == "ok"
    assert "there are fewer than three" in check.found


@pytest.mark.slow
def test_doctor_measures_this_machine_and_tells_what_training_picks() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    threads = checks["threads"]["found"]
    assert threads.startswith(f"training uses {safe_threads()} of {usable_cores()}, ")
    for count in {max(usable_cores() - 1, 1), usable_cores(), safe_threads()}:
        assert f"GFLOP/s on {count}" in threads
    works, why = safe_bfloat16()
    assert checks["bf16"]["found"].startswith(why)
    assert checks["bf16"]["state"] == ("ok" if works else "note")
