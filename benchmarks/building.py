"""How long a prefix tree of N examples takes to build, an epoch of it to plan, and rows of its steps to pack.

Half of the examples are plain (about 340 tokens), half stand in tens on shared contexts of 577 tokens with questions of
about 20 and answers of about 60 tokens; all begin with the same prompt, answers alone are supervised, ids are drawn
with few frequent and many rare ones. Each N runs in a process of its own, so that its peak memory is its own.

    .venv/bin/python benchmarks/building.py --examples 50000 100000 1000000 --json building.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from groundtune.prefix.examples import TokenisedExamples
from groundtune.prefix.rows import pack_rows, row_fill
from groundtune.prefix.steps import plan_steps
from groundtune.prefix.tree import build_tree

VOCABULARY = 64_000
PROMPT_TOKENS = 20
CONTEXT_TOKENS = 577
PER_CONTEXT = 10
CHUNK = 5_000


@dataclass(frozen=True)
class Measured:
    """Seconds and MiB; `pack_seconds` is of the whole epoch, from a sample of its steps."""

    examples: int
    tokens: int
    unique_tokens: int
    build_seconds: float
    plan_seconds: float
    pack_seconds: float
    computed_per_unique: float
    fill: float
    data_mib: float
    peak_mib: float


def synthetic(count: int, seed: int) -> TokenisedExamples:
    """Plain examples and examples in tens on a context, one kind after the other, as files hold them."""
    chance = np.random.default_rng(seed)
    grounded = np.arange(count) < count // 2
    question = np.where(grounded, chance.integers(10, 31, count), chance.integers(10, 111, count))
    answer = np.where(grounded, chance.integers(30, 91, count), chance.integers(50, 471, count))
    before = np.where(grounded, CONTEXT_TOKENS, PROMPT_TOKENS)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(before + question + answer)])
    ids, weights = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float32)
    contexts = chance.integers(0, 1 << 62, count // PER_CONTEXT + 1)
    for start in range(0, count, CHUNK):
        chunk = np.arange(start, min(start + CHUNK, count))
        owner = np.repeat(chunk, np.diff(offsets)[chunk])
        begin, end = offsets[chunk[0]], offsets[chunk[-1] + 1]
        place = np.arange(begin, end) - offsets[owner]
        drawn = (VOCABULARY * chance.random(len(place), np.float32) ** 3).astype(np.int32)
        of_context = grounded[owner] & (place < CONTEXT_TOKENS)
        drawn[of_context] = _mixed(contexts[owner[of_context] // PER_CONTEXT] + place[of_context]) % VOCABULARY
        drawn[place < PROMPT_TOKENS] = place[place < PROMPT_TOKENS]
        ids[begin:end] = drawn
        weights[begin:end] = place >= (before + question)[owner]
    return TokenisedExamples(ids, weights, offsets)


def _mixed(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    mixed = keys.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.uint64(29))) >> np.uint64(20)


def measure(count: int, seed: int, examples_per_step: int, max_pack_tokens: int, sampled_steps: int) -> Measured:
    examples = synthetic(count, seed)
    data = (examples.token_ids.nbytes + examples.weights.nbytes + examples.offsets.nbytes) / 2**20
    began = time.perf_counter()
    tree = build_tree(examples)
    built = time.perf_counter()
    steps = plan_steps(tree, examples_per_step=examples_per_step, seed=seed, epoch=0)
    planned = time.perf_counter()
    sample = steps[: max(1, min(sampled_steps, len(steps)))]
    packed = [pack_rows(tree, step, max_pack_tokens=max_pack_tokens) for step in sample]
    done = time.perf_counter()
    rows = [row for step in packed for row in step]
    whole = len(steps) / len(sample)
    return Measured(
        examples=count,
        tokens=tree.statistics.tokens,
        unique_tokens=tree.statistics.unique_tokens,
        build_seconds=built - began,
        plan_seconds=planned - built,
        pack_seconds=(done - planned) * whole,
        computed_per_unique=sum(len(row.input_ids) for row in rows) * whole / tree.statistics.unique_tokens,
        fill=row_fill(rows, max_pack_tokens),
        data_mib=data,
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def table(measured: list[Measured]) -> str:
    heads = ["examples", "tokens", "unique", "build s", "plan s", "pack s, epoch", "computed / unique", "fill"]
    heads += ["data MiB", "peak MiB"]
    lines = [heads, ["---"] * len(heads)]
    for one in measured:
        values = zip(
            asdict(one).values(), (",d", ",d", ",d", ".2f", ".2f", ".1f", ".3f", ".3f", ",.0f", ",.0f"), strict=True
        )
        lines.append([format(value, form) for value, form in values])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--examples-per-step", type=int, default=32)
    parser.add_argument("--max-pack-tokens", type=int, default=4096)
    parser.add_argument("--sampled-steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sizes = (arguments.examples_per_step, arguments.max_pack_tokens, arguments.sampled_steps)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        measured = pool.starmap(measure, [(count, arguments.seed, *sizes) for count in arguments.examples], chunksize=1)
    sys.stdout.write(table(measured))
    if arguments.json:
        about = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()}
        report = {
            "about": about,
            "settings": {name: value for name, value in vars(arguments).items() if name != "json"},
            "measured": [asdict(one) for one in measured],
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
