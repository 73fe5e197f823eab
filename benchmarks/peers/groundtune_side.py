"""groundtune's prefix tree on one workload: ``groundtune_side.py JOB.json`` in groundtune's environment.

Settings: `max_pack_tokens`, `checkpointing`. The loop is the bare one, on the public names of :mod:`groundtune.prefix`. Building the tree counts as preparation;
planning steps and packing rows count as training, because every epoch does them again. Nothing here is known of the
workload but its ids and labels.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from measured import IGNORED, Job, fresh_model, loss_afterwards, read_examples, read_job, report, timed

from groundtune.prefix.batch import row_tensors
from groundtune.prefix.examples import TokenisedExamples
from groundtune.prefix.model import PreparedModel
from groundtune.prefix.rows import pack_rows
from groundtune.prefix.steps import plan_steps
from groundtune.prefix.tree import PrefixTree, build_tree

MAX_PACK_TOKENS = 4096
WEIGHT_DECAY = 0.0
"""As in transformers' TrainingArguments."""
MAX_GRADIENT_NORM = 1.0


def run(job: Job) -> None:
    """Prepare, train one epoch, report."""
    rows = read_examples(job)
    model = fresh_model(job)
    start = time.perf_counter()
    tree = build_tree(
        TokenisedExamples.from_sequences(
            [row["input_ids"] for row in rows], [[label != IGNORED for label in row["labels"]] for row in rows]
        )
    )
    prepare_seconds = time.perf_counter() - start
    measured = timed(lambda: _train(job, model, tree), job.device)
    losses, computed = measured["value"]
    report(
        job,
        rows,
        measured=measured,
        prepare_seconds=prepare_seconds,
        losses=losses,
        steps=len(losses),
        judged_loss=loss_afterwards(model, rows),
        packages=("torch", "transformers", "groundtune"),
        unique_tokens=tree.statistics.unique_tokens,
        **computed,
    )


def _train(job: Job, model: Any, tree: PrefixTree) -> tuple[list[float], dict[str, Any]]:
    """One epoch; the losses by step and what was computed."""
    losses: list[float] = []
    computed = {"batches": 0, "computed_tokens": 0, "computed_pairs": 0, "computed_sources": 0, "planning_seconds": 0.0}
    optimizer = torch.optim.AdamW(model.parameters(), lr=job.learning_rate, weight_decay=WEIGHT_DECAY, fused=True)
    model.train()
    if job.setting.get("checkpointing"):
        model.gradient_checkpointing_enable({"use_reentrant": False})
    with PreparedModel(model) as prepared:
        start = time.perf_counter()
        steps = plan_steps(tree, examples_per_step=job.examples_per_step, seed=job.seed, epoch=0)
        computed["planning_seconds"] += time.perf_counter() - start
        for indices in steps:
            start = time.perf_counter()
            rows = pack_rows(tree, indices, max_pack_tokens=job.setting.get("max_pack_tokens", MAX_PACK_TOKENS))
            computed["planning_seconds"] += time.perf_counter() - start
            for row in rows:
                computed["batches"] += 1
                computed["computed_tokens"] += len(row.input_ids)
                computed["computed_pairs"] += int(np.sum(row.position_ids + 1))
                computed["computed_sources"] += len(np.unique(row.edge_sources))
            losses.append(_step(job, prepared, rows, float(tree.examples.total_weights[indices].sum())))
            torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            optimizer.zero_grad()
    return losses, computed


def _step(job: Job, prepared: PreparedModel, rows: list[Any], weight: float) -> float:
    """Gradients of the step's mean loss over its trained tokens; that loss."""
    precision = torch.autocast(job.device, dtype=torch.bfloat16) if job.bf16 else nullcontext()
    total = 0.0
    for row in rows:
        batch = {name: tensor.to(job.device) for name, tensor in row_tensors(row).items()}
        with precision:
            loss = prepared.row_loss(batch) / weight
        loss.backward()
        total += loss.item()
    return total


if __name__ == "__main__":
    run(read_job())
