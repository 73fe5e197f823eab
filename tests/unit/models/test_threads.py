import os

import psutil
import pytest
import torch

from groundtune.models import cpu_threads, safe_threads, usable_cores
from groundtune.models import threads as module


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Pretends a machine: logical processors, physical cores, those allowed, and the container's quota."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)

    def pretend(logical: int, physical: int, allowed: int, quota: str = "max 100000") -> None:
        (tmp_path / "cpu.max").write_text(quota)
        monkeypatch.setattr(module, "CGROUP_LIMIT", tmp_path / "cpu.max")
        monkeypatch.setattr(os, "cpu_count", lambda: logical)
        monkeypatch.setattr(psutil, "cpu_count", lambda logical: physical)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)))

    return pretend


@pytest.mark.parametrize(
    ("logical", "physical", "allowed", "quota", "cores", "threads"),
    [
        (4, 4, 4, "max 100000", 4, 3),
        (2, 2, 2, "max 100000", 2, 2),
        (1, 1, 1, "max 100000", 1, 1),
        (16, 8, 16, "max 100000", 8, 7),
        (16, 8, 4, "max 100000", 2, 2),
        (16, 16, 16, "400000 100000", 4, 3),
        (16, 16, 16, "50000 100000", 1, 1),
    ],
)
def test_cores_are_physical_allowed_and_within_the_quota(
    machine, logical, physical, allowed, quota, cores, threads
) -> None:
    machine(logical, physical, allowed, quota)
    assert usable_cores() == cores
    assert safe_threads() == threads


def test_the_users_own_choice_wins(machine, monkeypatch) -> None:
    machine(16, 16, 16)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert safe_threads() == 5


def test_the_old_number_of_threads_comes_back() -> None:
    before = torch.get_num_threads()
    with cpu_threads(before + 1) as chosen:
        assert torch.get_num_threads() == chosen == before + 1
    assert torch.get_num_threads() == before


def test_threads_that_sleep_while_they_wait_may_use_every_core(machine, monkeypatch) -> None:
    machine(4, 4, 4)
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    assert safe_threads() == 4
