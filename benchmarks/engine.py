"""groundtune's training engine against the trainers people use today, side by side on one machine.

    .venv/bin/python benchmarks/engine.py --install          # the peers' environments, once (needs a package index)
    .venv/bin/python benchmarks/engine.py --runs 3           # hours; every run is kept as it ends, --continue goes on
    .venv/bin/python benchmarks/engine.py --quick            # a few examples, minutes: whether all sides work

For each workload, every setting of every peer first trains a sample of it once (the scouts); the fastest setting of each
peer, under the faster of two OpenMP environments, then trains all of it `--runs` times, in turns with groundtune. Each
measurement is a process of its own. All sides get the same token ids, labels, first weights, examples to an optimizer
step and learning rate; the time is that of training, without preparing data.

What this module does not do: compute anything itself (it loads no torch, so that its children's memory is their own) or
compare the quality of what was trained beyond one loss.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tables import render_tables

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
WORKLOADS = ("shared", "original", "plain", "turns6", "turns10")
QUICK_EXAMPLES = 8
SPINS = "50000"
"""How often an OpenMP thread looks before it sleeps, for every side: the fastest on a quiet machine (docs/decisions/0008)."""
STARTING_SECONDS = 60
"""Imports, loading and preparing: what a process may take besides training."""
PACK_LENGTHS = (1024, 2048, 4096)
PEERS = {
    "trl": ["requirements-trl.txt"],
    "llamafactory": ["requirements-llamafactory-torch.txt", "requirements-llamafactory.txt"],
}
"""Peers, and the requirement files of their environments in the order of installation."""
UNWANTED = {"llamafactory": ["torchvision"]}
"""Wheels that break text training on a CPU: the published torchvision wants the CUDA build of torch."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of training: a side with its setting and its OpenMP environment."""

    side: str
    name: str
    setting: dict[str, Any] = field(default_factory=dict)
    passive: bool = True
    """OMP_WAIT_POLICY=PASSIVE and the chosen number of threads; otherwise the environment a person has who sets nothing."""

    @property
    def title(self) -> str:
        return f"{self.side} {self.name}" + ("" if self.passive else ", OpenMP as it comes")


@dataclass(slots=True)
class Bench:
    """The options of a run and what has been measured."""

    options: argparse.Namespace
    pythons: dict[str, str]
    counts: dict[str, Any]
    results: dict[str, Any]

    def measure(
        self, kind: str, workload: str, arm: Arm, number: int = 0, limit_seconds: float = 0.0
    ) -> dict[str, Any]:
        """The line of one process (ended after `limit_seconds`, 0: the option's), from the file of results if it is there already."""
        key = f"{workload} | {arm.title} | {number}"
        kept = self.results[kind]
        if key not in kept:
            path = self.counts["sample" if kind == "scouts" else "whole"][workload]["path"]
            load = round(os.getloadavg()[0], 2)
            kept[key] = {"workload": workload, **asdict(arm), "title": arm.title, "run": number, "load_before": load}
            kept[key].update(self._run(arm, path, limit_seconds or self.options.timeout_seconds))
            self.save()
        line: dict[str, Any] = kept[key]
        said = line.get("error") or f"{line['seconds']:.1f} s, {line['tokens_per_second']:.0f} tokens/s"
        say(f"{kind} {key}: {said}")
        return line

    def save(self) -> None:
        """Write the results; a kill leaves the old file or the new one."""
        fresh = self.options.out.with_suffix(".part")
        fresh.write_text(json.dumps(self.results, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.options.out)

    def _run(self, arm: Arm, workload: str, limit_seconds: float) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="groundtune-bench-") as scratch:
            job = {
                "workload": workload,
                "model": str(CACHE / "model"),
                "scratch": scratch,
                "setting": arm.setting,
                "examples_per_step": self.options.examples_per_step,
                "learning_rate": self.options.learning_rate,
                "threads": self.options.threads if arm.passive else 0,
                "device": self.options.device,
                "bf16": self.options.bf16,
            }
            described = Path(scratch) / "job.json"
            described.write_text(json.dumps(job), encoding="utf-8")
            script = HERE / "peers" / f"{arm.side}_side.py"
            command = [self.pythons[arm.side], "-W", "ignore", str(script), str(described)]
            return last_line(command, environment(arm.passive, self.options.threads), limit_seconds)


def last_line(command: list[str], variables: dict[str, str], timeout_seconds: float) -> dict[str, Any]:
    """Run a side and read the JSON of its last line; a failure becomes {"error": ...}, so that it is seen in the tables."""
    try:
        ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        return {"error": f"ran longer than {timeout_seconds:.0f} s"}
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        return {"error": f"exit {ended.returncode}: " + " / ".join(ended.stderr.strip().splitlines()[-3:])}
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def environment(passive: bool, threads: int) -> dict[str, str]:
    """The variables of a side: none of OpenMP's that the caller happens to have."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "KMP_", "MKL_", "GOMP_"))}
    kept |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "WANDB_DISABLED": "true", "TQDM_DISABLE": "1"}
    tuned = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPINS, "OMP_NUM_THREADS": str(threads)}
    return kept | tuned if passive else kept


def settings(peer: str, longest: int, quick: bool) -> Iterator[Arm]:
    """What a person could choose for this peer without cutting an example; the first is its default. Quick: two of them."""
    if quick:
        yield Arm(peer, "batch 1", {"batch": 1})
        yield Arm(peer, f"packs of {PACK_LENGTHS[1]}", {"packing": PACK_LENGTHS[1]})
        return
    lengths = sorted({-(-longest // 64) * 64, *(length for length in PACK_LENGTHS if length >= longest)})
    yield Arm(peer, "as it comes (batch 4, checkpointing)", {"batch": 4, "checkpointing": True})
    yield Arm(peer, "batch 4", {"batch": 4})
    yield Arm(peer, "batch 1", {"batch": 1})
    if peer == "trl":
        yield Arm(peer, "batch 4 by length", {"batch": 4, "grouped": True})
        yield Arm(peer, "batch 4 without padding", {"batch": 4, "padding_free": True})
    for length in lengths:
        yield Arm(peer, f"packs of {length}", {"packing": length})


def best_arms(bench: Bench, workload: str) -> list[Arm]:
    """The fastest settings of each peer on a sample of the workload, the first in the faster environment.

    Failures stay in the results.
    """
    best = []
    for peer in bench.options.peers:
        longest = bench.counts["whole"][workload]["longest"]
        wanted = bench.options.settings
        arms = [
            arm
            for arm in settings(peer, longest, bench.options.quick)
            if not wanted or any(part in arm.name for part in wanted)
        ]
        if len(arms) == 1:
            best += arms
            continue
        tried = [(bench.measure("scouts", workload, arm), arm) for arm in arms]
        ran = [(line["seconds"], number, arm) for number, (line, arm) in enumerate(tried) if "error" not in line]
        if not ran:
            say(f"{peer} ran on no setting of {workload}; it is left out")
            continue
        seconds, _, arm = min(ran)
        best += [other for _, _, other in sorted(ran)[1 : bench.options.finalists]]
        if bench.options.device == "cpu" and not bench.options.quick:
            spinning = Arm(arm.side, arm.name, arm.setting, passive=False)
            line = bench.measure("scouts", workload, spinning, limit_seconds=STARTING_SECONDS + 2 * seconds)
            arm = spinning if line.get("seconds", seconds) < seconds else arm
        best.append(arm)
    return best


def compare(bench: Bench) -> None:
    """Scouts and runs of every workload; the order of the sides turns with every run."""
    rows = {"max_pack_tokens": bench.options.max_pack_tokens}
    ours = [Arm("groundtune", f"packs of {bench.options.max_pack_tokens}", rows)]
    if bench.options.checkpointing:
        ours.append(Arm("groundtune", f"{ours[0].name}, checkpointing", rows | {"checkpointing": True}))
    for workload in bench.options.workloads:
        arms = [*ours, *best_arms(bench, workload)]
        for number in range(bench.options.runs):
            turn = number % len(arms)
            for arm in arms[turn:] + arms[:turn]:
                bench.measure("runs", workload, arm, number)


def make_materials(options: argparse.Namespace) -> dict[str, Any]:
    """Tokenizer, model and workloads, whole and as the scouts' samples; counts by workload."""
    made = {}
    for name, wanted in (
        ("whole", QUICK_EXAMPLES if options.quick else options.examples),
        ("sample", options.scout_examples),
    ):
        command = [sys.executable, str(HERE / "peers/materials.py"), str(CACHE), str(options.data), str(wanted)]
        command += ["first"] if name == "whole" and options.examples else []
        made[name] = last_line(command, environment(True, options.threads), options.timeout_seconds)
        if "error" in made[name]:
            raise SystemExit(f"the workloads could not be made: {made[name]['error']}")
    return {"model": made["whole"]["model"], **{name: answer["workloads"] for name, answer in made.items()}}


def install(peers: list[str]) -> None:
    """An environment for each peer, under the ignored cache folder."""
    for peer in peers:
        folder = CACHE / "environments" / peer
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip"]
        for requirements in PEERS[peer]:
            subprocess.run([*pip, "install", "--quiet", "--requirement", str(HERE / requirements)], check=True)
        if unwanted := UNWANTED.get(peer):
            subprocess.run([*pip, "uninstall", "--quiet", "--yes", *unwanted], check=True)


def describe_machine(options: argparse.Namespace) -> dict[str, Any]:
    """Processor, memory, and how fast this machine multiplies matrices in this very run."""
    rate = [sys.executable, str(HERE / "peers/matrix_rate.py"), str(options.threads)]
    processor = next(_lines_of("/proc/cpuinfo", "model name"), platform.processor())
    memory = next(_lines_of("/proc/meminfo", "MemTotal"), "0 kB")
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "threads": options.threads,
        "memory_gib": round(int(memory.split()[0]) / 2**20, 1),
        "system": platform.platform(),
        "rates": last_line(rate, environment(True, options.threads), options.timeout_seconds),
    }


def _lines_of(path: str, name: str) -> Iterator[str]:
    if Path(path).exists():
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                yield line.split(":", 1)[1].strip()


def find_pythons(options: argparse.Namespace) -> dict[str, str]:
    """The interpreter of each side; a peer without one is said and left out."""
    found = {"groundtune": sys.executable}
    for peer in list(options.peers):
        given = getattr(options, f"{peer}_python") or str(CACHE / "environments" / peer / "bin/python")
        if Path(given).exists():
            found[peer] = given
        else:
            say(f"{peer} is left out: no {given}; engine.py --install makes it, --{peer}-python names another")
            options.peers.remove(peer)
    return found


def find_data(given: Path | None) -> Path:
    """The folder of third-party texts: as told, or shared/data of this checkout or beside it."""
    tried = [given] if given else [HERE.parent / "shared/data", HERE.parents[1] / "shared/data"]
    for folder in tried:
        if (folder / "qa_xquad/xquad.tr.json").exists():
            return folder.resolve()
    raise SystemExit(
        f"no qa_xquad/xquad.tr.json under {', '.join(map(str, tried))}; --data names the folder of the texts"
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="groundtune's training engine against its peers")
    parser.add_argument("--install", action="store_true", help="make the peers' environments and stop")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--finalists", type=int, default=1, help="settings of a peer that train the whole workload")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_EXAMPLES} examples of each workload and two settings a peer: figures mean little",
    )
    parser.add_argument("--continue", dest="go_on", action="store_true", help="keep what --out has of the same options")
    parser.add_argument(
        "--examples",
        type=int,
        default=0,
        help="train the first so many examples of each workload, or the last with a minus (0: all)",
    )
    parser.add_argument("--settings", nargs="+", help="scout only settings whose name has one of these in it")
    parser.add_argument("--scout-examples", type=int, help="examples on which settings are compared (32)")
    parser.add_argument("--examples-per-step", type=int, help="examples to an optimizer step (32)")
    parser.add_argument("--max-pack-tokens", type=int, default=2048, help="groundtune's rows")
    parser.add_argument(
        "--checkpointing", action="store_true", help="groundtune also with gradient checkpointing, for its memory"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true", help="mixed precision on all sides")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, default=CACHE / "results.json")
    parser.add_argument("--timeout-seconds", type=float, default=3600)
    for peer in PEERS:
        parser.add_argument(f"--{peer}-python", help=f"interpreter of an environment with {peer}")
    options = parser.parse_args()
    options.examples_per_step = options.examples_per_step or (4 if options.quick else 32)
    options.scout_examples = options.scout_examples or (QUICK_EXAMPLES if options.quick else 32)
    return options


def start_results(options: argparse.Namespace, counts: dict[str, Any]) -> dict[str, Any]:
    """Empty results, or those of --out when --continue is given and what they depend on is the same."""
    rests_on = ("quick", "scout_examples", "examples_per_step", "learning_rate", "threads", "device", "bf16")
    settled = {**{name: getattr(options, name) for name in rests_on}, "counts": counts}
    if options.go_on and options.out.exists():
        old: dict[str, Any] = json.loads(options.out.read_text(encoding="utf-8"))
        if old["settled"] != settled:
            raise SystemExit(f"{options.out} was measured with other options or workloads; name another --out")
        return old
    return {"settled": settled, "scouts": {}, "runs": {}, "command": " ".join(sys.argv)}


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> None:
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # an exception, so that the child ends and the scratch folder goes
    options = read_options()
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n", encoding="utf-8")
    if options.install:
        install(options.peers)
        return
    options.data = find_data(options.data)
    pythons = find_pythons(options)
    counts = make_materials(options)
    results = start_results(options, counts)
    results["machine"] = describe_machine(options)
    bench = Bench(options, pythons, counts, results)
    compare(bench)
    results["rates_afterwards"] = describe_machine(options)["rates"]
    bench.save()
    sys.stdout.write(render_tables(results))


if __name__ == "__main__":
    main()
