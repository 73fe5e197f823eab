"""What every side has in common: its job, the clock, memory, the loss afterwards and the one line it prints.

Runs in any side's environment: needs torch and transformers only. A side is called as ``SIDE.py JOB.json`` and prints one
JSON object as its last line. All sides are measured by this code.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IGNORED = -100
JUDGED_EXAMPLES = 16
"""After training, the loss is taken over this many examples, evenly spread, one at a time: the same sum on every side."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a side is to do."""

    workload: str
    """JSONL of input_ids and labels."""
    model: str
    """Folder of the model and its tokenizer."""
    scratch: str
    """An empty folder for what a trainer must write."""
    setting: dict[str, Any] = field(default_factory=dict)
    """The side's own options."""
    examples_per_step: int = 32
    learning_rate: float = 1e-4
    seed: int = 1
    threads: int = 0
    device: str = "cpu"
    bf16: bool = False


def read_job() -> Job:
    """The job named on the command line; sets the number of threads."""
    import torch

    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    if job.threads:
        torch.set_num_threads(job.threads)
    return job


def read_examples(job: Job) -> list[dict[str, list[int]]]:
    """The workload's rows."""
    with open(job.workload, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def fresh_model(job: Job) -> Any:
    """The model every side starts from, with transformers' SDPA attention, on the job's device."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32)
    return model.to(job.device)


def timed(work: Callable[[], Any], device: str) -> dict[str, Any]:
    """Run `work`; its seconds, the memory before and at the peak in MiB (on a GPU: also that of the device)."""
    import torch

    on_gpu = device.startswith("cuda")
    before = resident_mib()
    with suppress(OSError):  # resets the kernel's high-water mark, so that the peak is that of training alone
        Path("/proc/self/clear_refs").write_text("5")
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start, busy = time.perf_counter(), time.process_time()
    value = work()
    if on_gpu:
        torch.cuda.synchronize()
    result = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - busy,
        "rss_before_mib": before,
        "peak_training_rss_mib": _status_mib("VmHWM"),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "value": value,
    }
    if on_gpu:
        result["peak_device_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return result


def resident_mib() -> float:
    """Resident memory of this process now."""
    return _status_mib("VmRSS")


def _status_mib(name: str) -> float:
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name + ":"))


def loss_afterwards(model: Any, rows: Sequence[dict[str, list[int]]]) -> float:
    """Mean cross entropy of the trained tokens of JUDGED_EXAMPLES examples, in plain PyTorch, one example at a time."""
    import torch

    kept = min(JUDGED_EXAMPLES, len(rows))
    total, targets = 0.0, 0
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        for row in (rows[number * len(rows) // kept] for number in range(kept)):
            ids, labels = (torch.tensor(row[name], device=device) for name in ("input_ids", "labels"))
            hidden = model.base_model(input_ids=ids[None], use_cache=False).last_hidden_state[0, :-1]
            wanted = labels[1:] != IGNORED
            logits = torch.nn.functional.linear(hidden[wanted], model.get_output_embeddings().weight).float()
            total += torch.nn.functional.cross_entropy(logits, labels[1:][wanted], reduction="sum").item()
            targets += int(wanted.sum())
    return total / targets


def report(
    job: Job,
    rows: Sequence[dict[str, list[int]]],
    *,
    measured: dict[str, Any],
    prepare_seconds: float,
    losses: Sequence[float],
    steps: int,
    judged_loss: float,
    packages: Sequence[str],
    **more: Any,
) -> None:
    """Print the side's line."""
    import torch

    tokens = sum(len(row["input_ids"]) for row in rows)
    measured = {name: value for name, value in measured.items() if name != "value"}
    line = {
        **measured,
        "prepare_seconds": prepare_seconds,
        "examples": len(rows),
        "dataset_tokens": tokens,
        "tokens_per_second": tokens / measured["seconds"],
        "steps": steps,
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "loss_afterwards": judged_loss,
        "threads": torch.get_num_threads(),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"),
        "device": torch.cuda.get_device_name() if job.device.startswith("cuda") else "cpu",
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        **more,
    }
    sys.stdout.write("\n" + json.dumps(line) + "\n")
    sys.stdout.flush()
