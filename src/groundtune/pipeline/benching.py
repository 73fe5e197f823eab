"""`groundtune bench`: a training planned and timed on its own dataset and base model, and then not done.

Brings the work folder up to where `train` would begin. After that nothing in it changes but ``bench.json``.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from groundtune import __version__
from groundtune.errors import ConfigError
from groundtune.files import make_folder, write_json
from groundtune.pipeline.engine import Outcome, Stage
from groundtune.pipeline.material import gather
from groundtune.pipeline.stages import run_up_to
from groundtune.pipeline.tokenizers import load_workspace_tokenizer
from groundtune.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from groundtune.training.benchmarking import EpochPlan
    from groundtune.training.speeds import Measured

SCHEMA_VERSION = 1
NAME = "bench.json"
CPU_INFORMATION = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class BenchOptions:
    """How long to measure, and what."""

    seconds: float | None
    """In all; None: as long as `steps` take."""
    steps: int | None
    compare_plain: bool
    """Whether the same steps are also measured without sharing, in half of the time."""


def bench(
    workspace: Workspace,
    options: BenchOptions,
    *,
    out: Path | None = None,
    on_start: Callable[[Stage], None] = lambda _: None,
    on_end: Callable[[Outcome], None] = lambda _: None,
    on_plan: Callable[[EpochPlan], None] = lambda _: None,
) -> dict[str, Any]:
    """Plan, tell the plan to `on_plan`, measure, and write the record to `out` (``bench.json`` in the run's folder).

    Raises:
        ConfigError: a comparison of plain batches with plain batches, preference pairs, or several processes.
        GroundtuneError: of whichever stage could not be done, of examples or model that cannot be trained.
    """
    _check(workspace, options)
    if out is not None:
        # found out now rather than after the measurement
        make_folder(out.parent)
    run_up_to(
        workspace,
        "pretrain" if workspace.makes_base else "prepare" if workspace.has_data else "dataset",
        on_start=on_start,
        on_end=on_end,
    )

    from groundtune.training.benchmarking import Benchmark
    from groundtune.training.stopwatch import Limit
    from groundtune.training.work import FORMULA

    config = workspace.config
    tokenizer = load_workspace_tokenizer(workspace)
    benchmark = Benchmark(gather(workspace, tokenizer).train, config.train, seed=config.seed)
    plan = benchmark.plan(config.train.sharing)
    on_plan(plan)
    load_before = os.getloadavg()[0]
    parts = 2 if options.compare_plain else 1
    limit = Limit(None if options.seconds is None else options.seconds / parts, options.steps)
    measured, setting = benchmark.measure(plan, limit, base=workspace.base_source, tokenizer=tokenizer)
    record = {
        "schema_version": SCHEMA_VERSION,
        "hardware": _hardware(setting.device) | {"load_before": load_before},
        "versions": _versions(),
        "settings": {"train": config.train.model_dump(mode="json"), "seed": config.seed}
        | {"measuring": asdict(options)},
        "computing": asdict(setting) | {"formula_of_operations": FORMULA},
        "plan": asdict(plan),
        "measured": asdict(measured),
    }
    if options.compare_plain:
        plain_plan = benchmark.plan("plain")
        limit = Limit(limit.seconds, measured.speeds.steps)
        plain, _ = benchmark.measure(plain_plan, limit, base=workspace.base_source, tokenizer=tokenizer)
        record["plain"] = {"plan": asdict(plain_plan), "measured": asdict(plain)}
        record["comparison"] = _comparison(plan, plain_plan, measured, plain)
    write_json(out or workspace.run / NAME, record)
    return record


def _check(workspace: Workspace, options: BenchOptions) -> None:
    if options.compare_plain and workspace.config.train.sharing == "plain":
        raise ConfigError(
            "--compare plain: train.sharing is plain already, so both sides would be the same; leave --compare out"
        )
    if workspace.config.train.preference is not None:
        raise ConfigError(
            "bench measures training on answers, and train.preference is set, whose steps take two passes; set train.preference to "
            "null to measure the rest"
        )
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("bench measures one process; start it by itself, without torchrun or accelerate")


def _comparison(plan: EpochPlan, plain_plan: EpochPlan, measured: Measured, plain: Measured) -> dict[str, Any]:
    """What sharing changes: promised by the tokens, and as it came out."""
    from groundtune.training.speeds import growth_ratio, time_ratio

    return {
        "steps_compared": min(measured.speeds.steps, plain.speeds.steps),
        "time_ratio": time_ratio(measured, plain),
        "computed_tokens_ratio": plain_plan.computed_tokens / plan.computed_tokens,
        "added_memory_ratio": growth_ratio(measured, plain),
    }


def _versions() -> dict[str, str]:
    names = ("torch", "transformers", "accelerate", "numpy")
    return {"groundtune": __version__, "python": platform.python_version()} | {name: version(name) for name in names}


def _hardware(device: str) -> dict[str, Any]:
    from groundtune.models import usable_cores

    gpu = None
    if device.startswith("cuda"):
        import torch

        gpu = torch.cuda.get_device_name(torch.device(device))
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpu": gpu,
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
    }


def _processor() -> str:
    try:
        lines = CPU_INFORMATION.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
