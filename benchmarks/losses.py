"""The fused projection and cross entropy of :mod:`groundtune.prefix.loss` against torch's, side by side in one process.

    .venv/bin/python benchmarks/losses.py --sources 524 --threads 4

Forward and backward of one row's loss, float32, vocabulary 64,000, width 512; sides take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from groundtune.prefix.libraries import Library, loss_by_library
from groundtune.prefix.loss import Edges, LogitChange
from groundtune.prefix.memory import keep_freed_memory

VOCABULARY, WIDTH = 64_000, 512


def seconds_of(library: Library, hidden: torch.Tensor, weight: torch.Tensor, edges: Edges) -> float:
    hidden.grad = weight.grad = None
    start = time.perf_counter()
    loss_by_library(hidden, weight, None, edges, LogitChange(), library=library).backward()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="the loss of a row, ours and torch's")
    parser.add_argument("--sources", type=int, default=524)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    keep_freed_memory()
    weight = (torch.randn(VOCABULARY, WIDTH) * 0.05).requires_grad_()
    hidden = torch.randn(options.sources, WIDTH).requires_grad_()
    targets = torch.randint(VOCABULARY, (options.sources,))
    edges = Edges.of(torch.arange(options.sources), targets, torch.ones(options.sources))
    sides: list[Library] = ["own", "torch"]
    found: dict[Library, list[float]] = {side: [] for side in sides}
    for number in range(options.runs + 1):
        for side in sides if number % 2 else sides[::-1]:
            seconds = seconds_of(side, hidden, weight, edges)
            if number:  # the first round is warm-up
                found[side].append(seconds)
    for side, times in found.items():
        print(f"{side:6} median {statistics.median(times):.3f} s ({min(times):.3f}-{max(times):.3f}), n {len(times)}")  # noqa: T201


if __name__ == "__main__":
    main()
