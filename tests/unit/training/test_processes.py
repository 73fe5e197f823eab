"""What processes say to one another between trainings, which devices they get, and how a model is spread over them."""

import os
import runpy
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributed import HashStore

from groundtune.config import ComputingConfig
from groundtune.errors import ConfigError
from groundtune.models import cpu_threads, sharing_cores
from groundtune.prefix import Owners
from groundtune.training.distribution import check_computing, check_device, spreading_arguments, unspread_note
from groundtune.training.processes import Meeting, OtherFailed, Processes, is_lost_touch
from groundtune.training.steps import Batch, own_batches


def meeting(count=2):
    store = HashStore()
    return [Meeting(store, count, index) for index in range(count)]


def test_what_is_told_is_heard_though_it_is_told_later():
    first, second = meeting()
    timer = threading.Timer(0.3, first.tell, ("call", "train"))
    timer.start()
    assert second.hear("call") == "train"
    timer.join()


def test_one_of_several_failures_is_told_and_the_others_learn_its_status():
    first, second = meeting()
    assert second.is_first_to_fail(2)
    assert not first.is_first_to_fail(70)
    with pytest.raises(OtherFailed) as failed:
        first.hear("what is never told")
    assert failed.value.status == 2
    assert first.hears_of_failure()


def test_errors_of_the_exchange_are_known_behind_those_they_were_turned_into():
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:553] Connection closed by peer")
    turned = ValueError("cannot write")
    turned.__cause__ = lost
    assert is_lost_touch(lost)
    assert is_lost_touch(turned)
    assert not is_lost_touch(RuntimeError("shapes do not match"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_named_and_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"train\.device is cuda, and PyTorch finds no GPU here"):
        check_device(ComputingConfig(device="cuda"))
    assert check_device(ComputingConfig(device="auto"), 4) == "cpu"
    assert check_device(ComputingConfig(device="cpu")) == "cpu"


def test_spreading_is_passed_on_only_where_there_is_something_to_spread_over(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    asked = ComputingConfig(fsdp={"fsdp_reshard_after_forward": False})
    assert spreading_arguments(asked) == {}
    [alone] = unspread_note(asked, Processes(1, 0, torch.device("cpu")))
    assert "had no effect" in alone
    assert "one process" in alone
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert unspread_note(asked, Processes(2, 0, torch.device("cpu"), spread=True)) == ()
    assert "there is none" in unspread_note(asked, Processes(2, 0, torch.device("cpu")))[0]
    wanted = {"fsdp": True, "fsdp_config": {"version": 2, "reshard_after_forward": False}}
    assert spreading_arguments(asked) == wanted


@pytest.mark.parametrize(
    ("computing", "environment", "quantised", "told"),
    [
        (ComputingConfig(deepspeed="zero3.json"), {}, False, "zero3.json cannot be read"),
        (
            ComputingConfig(),
            {"ACCELERATE_USE_DEEPSPEED": "true"},
            False,
            "accelerate's configuration asks for DeepSpeed",
        ),
        (ComputingConfig(fsdp={"version": 1}), {}, False, "version is 1; expected 2"),
        (ComputingConfig(), {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, False, "version is 1; expected 2"),
        (ComputingConfig(fsdp={}), {}, True, "a base in 4 bits"),
    ],
)
def test_what_cannot_be_spread_is_refused_before_any_work(computing, environment, quantised, told, monkeypatch):
    for name, value in ({"WORLD_SIZE": "2"} | environment).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=told):
        check_computing(computing, quantised=quantised)


def test_processes_of_a_spread_model_get_as_many_batches_each():
    def make(number):
        return lambda: {"input_ids": torch.full((1, 2), number), "edge_weights": torch.ones(3)}

    nobody = np.zeros(0, np.int64)
    batches = [Batch(size, size, make(size), Owners(nobody, nobody)) for size in (9, 4, 3)]
    for spread, counts in ((False, [1, 2]), (True, [2, 2])):
        hands = [own_batches(batches, Processes(2, index, torch.device("cpu"), spread)) for index in range(2)]
        assert [len(hand) for hand in hands] == counts
        weights = [float(batch.make()["edge_weights"].sum()) for hand in hands for batch in hand]
        assert sum(weights) == 9


def test_threads_are_divided_between_the_processes_of_a_machine(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("groundtune.models.threads.usable_cores", lambda: 8)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    for processes, wanted, explicit in ((1, 8, 6), (2, 4, 3), (16, 1, 1)):
        with sharing_cores(processes) if processes > 1 else nullcontext():
            with cpu_threads() as found:
                assert found == wanted
            with cpu_threads(6) as found:
                assert found == explicit
    assert "LOCAL_WORLD_SIZE" not in os.environ


SPREAD = """
import sys
from pathlib import Path
import torch
from accelerate.state import DistributedType, PartialState
sys.path.insert(0, {here!r})
from groundtune.training import running
from groundtune.training.distribution import whole_weights
from test_laws import model_of_doubles, train

made = running.training_arguments
def on_gpus(*given, **named):
    # accelerate spreads over GPUs alone; torch's FSDP2 itself computes on CPUs as well
    arguments = made(*given, **named)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    return arguments
running.training_arguments = on_gpus

folder = Path({folder!r})
model = model_of_doubles(tie_word_embeddings={tied})
record, processes = train(model, folder, max_pack_tokens=64, fsdp={{}})
assert processes.spread
assert type(model).__name__.startswith("FSDP")
with whole_weights(model, processes):
    if processes.first:
        torch.save({{name: weight.clone() for name, weight in model.state_dict().items()}}, folder / "final.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
def test_a_model_spread_over_two_processes_takes_the_steps_of_one(tied, tmp_path):
    laws = runpy.run_path(str(Path(__file__).parent / "test_laws.py"))
    model = laws["model_of_doubles"](tie_word_embeddings=tied)
    laws["train"](model, tmp_path / "one", max_pack_tokens=64)
    spread = tmp_path / "spread"
    laws["on_two_processes"](SPREAD.format(here=str(Path(__file__).parent), folder=str(spread), tied=tied))
    weights = torch.load(spread / "final.pt", weights_only=True)
    laws["assert_same"](laws["losses"](spread), laws["losses"](tmp_path / "one"), weights, model.state_dict())
