"""Two sides of a benchmark, each measurement in a process of its own: the benchmark calls itself again with ``--side``."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Measured = dict[str, Any]
Side = Callable[[argparse.Namespace], Measured]

OFFLINE = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}


def add_arguments(parser: argparse.ArgumentParser, sides: Mapping[str, Side]) -> None:
    """Those that every benchmark of two sides has."""
    parser.add_argument("--peer", default=sys.executable, help="the interpreter of an environment with trl")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", type=Path, help="where the material is put; a temporary folder by default")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--side", choices=list(sides), help=argparse.SUPPRESS)
    parser.add_argument("--setting", default="", help=argparse.SUPPRESS)


def run(
    options: argparse.Namespace,
    sides: Mapping[str, Side],
    *,
    make_material: Callable[[argparse.Namespace], None],
    compare: Callable[[argparse.Namespace], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> None:
    """The whole benchmark; with ``--side`` that one measurement, as JSON on the last line."""
    if options.side:
        say(json.dumps(sides[options.side](options)))
        return
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as kept:
        options.work = options.work or Path(kept)
        make_material(options)
        results = compare(options)
    show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def measure(script: str, options: argparse.Namespace, side: str, setting: str, *further: str) -> Measured:
    """One side with one setting, and the machine's load before it."""
    load = os.getloadavg()[0]
    command = [options.peer if side == "trl" else sys.executable, "-W", "ignore", str(Path(script).resolve())]
    command += ["--side", side, "--setting", setting, "--work", str(options.work), *further]
    kept = {name: value for name, value in os.environ.items() if name != "TOKENIZERS_PARALLELISM"}
    ended = subprocess.run(command, env=kept | OFFLINE, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{side} {setting} ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    measured: Measured = json.loads(ended.stdout.strip().splitlines()[-1])
    return measured | {"load_before": round(load, 2)}


def fastest(scouts: Mapping[str, Mapping[str, Measured]]) -> dict[str, str]:
    """By side, the setting that took the fewest seconds."""
    return {side: min(found, key=lambda setting: found[setting]["seconds"]) for side, found in scouts.items()}


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
