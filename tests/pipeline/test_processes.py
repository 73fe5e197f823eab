"""Several processes of one command: what one process makes, two make too; whatever ends one ends all, and says so once."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1", "COLUMNS": "200"}

TWO = ("--num-processes", "2")
LONG = ("--set", "train.epochs=300", "--set", "train.samples=0")
"""A training that lasts until it is ended."""


class Started:
    """``python -m groundtune ARGUMENTS`` from nothing, or another command."""

    def __init__(self, project, *arguments, command=(sys.executable, "-m", "groundtune"), environment=None):
        self.files = [project.folder / f"said-{time.monotonic_ns()}.{kind}" for kind in ("out", "err")]
        with self.files[0].open("w") as out, self.files[1].open("w") as err:
            self.process = subprocess.Popen(
                [*command, *arguments],
                cwd=project.folder,
                env=os.environ | ENVIRONMENT | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def said(self):
        return self.files[1].read_text(encoding="utf-8")

    @property
    def out(self):
        return self.files[0].read_text(encoding="utf-8")

    def end(self):
        return self.process.wait(timeout=200)

    def workers(self):
        return children(self.process.pid)


def children(process):
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process and fields[0] != "Z":
            found.append(int(status.parent.name))
    return sorted(found)


def lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def started_training(project, *more):
    """A long training in two processes, with a checkpoint written."""
    started = Started(project, "train", *TWO, *LONG, "--set", "train.save_steps=2", *more)
    until = time.monotonic() + 120
    while not list((project.run / "checkpoints").glob("checkpoint-*")):
        assert started.process.poll() is None, started.said
        assert time.monotonic() < until, started.said
        time.sleep(0.05)
    return started


def steps(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        (line["kind"], line["step"], line.get("train_loss") or 0.0, line.get("valid_loss") or 0.0) for line in lines
    ]


def assert_same_training(run, other, within):
    found, wanted = steps(run), steps(other)
    assert [line[:2] for line in found] == [line[:2] for line in wanted]
    for here, there in zip(found, wanted, strict=True):
        assert here[2:] == pytest.approx(there[2:], rel=within)
    weights, reference = (load_file(each / "best" / "model.safetensors") for each in (run, other))
    assert list(weights) == list(reference)
    for name, wanted_weight in reference.items():
        gap = float((weights[name] - wanted_weight).abs().max() / wanted_weight.abs().max())
        assert gap < within, f"{name} differs by {gap:.1e}"


def train_again(project, *arguments):
    (project.run / "manifest.json").unlink(missing_ok=True)
    started = Started(project, "train", *arguments)
    assert started.end() == 0, started.said
    return started


@pytest.mark.slow
def test_two_processes_learn_and_leave_what_one_does(copy, finished):
    started = train_again(copy, *TWO, "--json")
    record = json.loads(started.out)
    assert {stage["stage"]: stage["status"] for stage in record["stages"]}["train"] == "done"
    assert_same_training(copy.run, finished.run, within=1e-3)
    assert sorted(path.name for path in copy.run.iterdir()) == sorted(path.name for path in finished.run.iterdir())
    # what was trained is there to be used
    copy.succeed("evaluate")


@pytest.mark.slow
def test_two_processes_pretrain_in_rounds_and_then_fine_tune(copy):
    (copy.work / "base" / "manifest.json").unlink()
    rounds = "pretrain.rounds=[{max_steps: 2}, {max_steps: 2}]"
    started = Started(copy, "train", *TWO, "--set", rounds, "--json")
    assert started.end() == 0, started.said
    stages = {stage["stage"]: stage for stage in json.loads(started.out)["stages"]}
    assert [row["steps"] for row in stages["pretrain"]["details"]["rounds"]] == [2, 2]
    assert stages["train"]["status"] == "done"


@pytest.mark.slow
def test_killed_and_continued_two_processes_end_with_the_same_bits(copy):
    settings = ("--set", "train.epochs=10", "--set", "train.save_steps=2", "--set", "train.samples=0")
    train_again(copy, *TWO, *settings)
    weights, metrics = ((copy.run / name).read_bytes() for name in ("best/model.safetensors", "metrics.jsonl"))
    (copy.run / "manifest.json").unlink()
    started = Started(copy, "train", *TWO, *settings)
    while not list((copy.run / "checkpoints").glob("checkpoint-*")):
        assert started.process.poll() is None, started.said
        time.sleep(0.01)
    os.kill(started.workers()[1], signal.SIGKILL)
    assert started.end() == 137
    train_again(copy, *TWO, *settings)
    timings = json.loads((copy.run / "timings.json").read_text(encoding="utf-8"))
    assert timings["resumed_from_step"] > 0
    assert (copy.run / "metrics.jsonl").read_bytes() == metrics
    assert (copy.run / "best" / "model.safetensors").read_bytes() == weights


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whom", "number", "status", "sentence"),
    [
        ("launcher", signal.SIGTERM, 143, "stopped by SIGTERM; the same command continues where it was"),
        ("launcher", signal.SIGINT, 130, "stopped; the same command continues where it was"),
        ("launcher", signal.SIGKILL, -9, None),
        (0, signal.SIGKILL, 137, "process 0 of 2 was ended by SIGKILL"),
        (1, signal.SIGKILL, 137, "process 1 of 2 was ended by SIGKILL"),
        (1, signal.SIGINT, 130, "stopped; the same command continues where it was"),
    ],
)
def test_whatever_is_ended_ends_all_with_one_sentence(whom, number, status, sentence, copy):
    started = started_training(copy)
    workers = started.workers()
    assert len(workers) == 2
    os.kill(started.process.pid if whom == "launcher" else workers[whom], number)
    assert started.end() == status
    until = time.monotonic() + 10
    while any(map(lives, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(lives, workers))
    told = [line for line in started.said.splitlines() if line.startswith("groundtune:")]
    if sentence:
        [only] = told
        assert sentence in only
    else:
        # nobody is left to tell it, but one that dies after its neighbour may say that it lost touch
        assert len(told) < 2, started.said
        assert all("lost touch with another process of the training" in line for line in told)
    assert "Traceback" not in started.said


@pytest.mark.slow
def test_an_error_in_two_processes_is_told_once_and_as_one_json_object(copy):
    started = Started(copy, "train", *TWO, "--json", "--set", "train.max_pack_tokens=64")
    assert started.end() == 2
    [told] = [line for line in started.said.splitlines() if line.startswith("groundtune:")]
    assert "train.max_pack_tokens" in told
    assert json.loads(started.out)["error"]["message"] in told


def test_a_gpu_that_is_not_there_is_told_before_any_work(project):
    done = project.call("train", *TWO, "--set", "train.device=cuda")
    assert done.status == 2
    assert "train.device is cuda, and PyTorch finds no GPU here" in done.err
    assert not project.work.exists()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def node(project, rank, port, *arguments):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    place = ["--node-rank", str(rank), "--master-addr", "127.0.0.1", "--master-port", str(port)]
    return Started(project, *arguments, command=(*torchrun, *place, "-m", "groundtune"))


@pytest.mark.slow
def test_two_machines_by_torchrun_learn_what_one_process_does(copy, finished):
    (copy.run / "manifest.json").unlink()
    port = free_port()
    nodes = [node(copy, rank, port, "train", "groundtune.yaml") for rank in range(2)]
    assert [each.end() for each in nodes] == [0, 0], [each.said for each in nodes]
    assert_same_training(copy.run, finished.run, within=1e-3)
    assert "train" in nodes[0].said
    assert nodes[1].out == ""


@pytest.mark.slow
def test_machines_that_do_not_share_the_work_folder_are_told_so(copy, make_project):
    port = free_port()
    apart = make_project("apart")
    nodes = [node(copy, 0, port, "train"), node(apart, 1, port, "train")]
    assert all(each.end() for each in nodes)
    [told] = [line for each in nodes for line in each.said.splitlines() if line.startswith("groundtune:")]
    assert "put workdir on a file system that they share" in told
