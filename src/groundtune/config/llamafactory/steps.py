"""What LLaMA-Factory's keys mean in native settings: how long is trained, in which steps, at which learning rate.

The defaults are those of LLaMA-Factory 0.9.5 and of transformers' TrainingArguments.
"""

from __future__ import annotations

import json
import math
from typing import Any

from groundtune.config.llamafactory.converting import Converting

SCHEDULES = ("linear", "cosine", "constant", "constant_with_warmup", "cosine_with_min_lr", "cosine_warmup_with_min_lr")


def map_steps(work: Converting) -> None:
    """How long and in which steps: epochs, examples in a step, learning rate and its schedule."""
    epochs = work.number("num_train_epochs", 3.0)
    max_steps = work.whole("max_steps", -1)
    if epochs <= 0 and max_steps <= 0:
        work.problem("num_train_epochs", f"num_train_epochs is {epochs:g}; expected a number above 0")
    elif epochs != int(epochs) and max_steps <= 0:
        work.problem(
            "num_train_epochs",
            f"num_train_epochs is {epochs:g}; epochs are whole here: set max_steps for a part of one",
        )
    work.set("train.epochs", max(1, math.ceil(epochs)), "num_train_epochs")
    work.set("train.max_steps", max(0, max_steps), "max_steps")
    examples = rows_of_a_step(work)
    why = f"and {work.processes} processes" if work.processes > 1 else ""
    work.set("train.examples_per_step", examples, "per_device_train_batch_size", "gradient_accumulation_steps", why=why)
    if work.processes == 1:
        work.note(
            "per_device_train_batch_size",
            f"a step is {examples} examples, as on one GPU; LLaMA-Factory's grows with the GPUs, so on several of them "
            f"set train.examples_per_step to {examples} times their number",
        )
    work.set("train.learning_rate", work.number("learning_rate", 5e-5), "learning_rate")
    _map_schedule(work)
    work.set("train.weight_decay", work.number("weight_decay", 0.0), "weight_decay")
    norm = work.number("max_grad_norm", 1.0)
    if norm == 0:
        work.problem(
            "max_grad_norm", "max_grad_norm is 0, which stands for no limit; write a large number such as 1.0e+9"
        )
    work.set("train.max_grad_norm", norm or 1.0, "max_grad_norm")


def rows_of_a_step(work: Converting) -> int:
    """What LLaMA-Factory puts into one optimizer step: examples, or packs of them."""
    return work.whole("per_device_train_batch_size", 8) * work.whole("gradient_accumulation_steps", 1) * work.processes


def _map_schedule(work: Converting) -> None:
    name = work.text("lr_scheduler_type", "linear")
    if name not in SCHEDULES:
        work.problem("lr_scheduler_type", f"lr_scheduler_type is {name!r}; there are {', '.join(SCHEDULES)}")
        name = "linear"
    work.set("train.schedule", name.split("_")[0], "lr_scheduler_type")
    work.set("train.final_lr_share", _final_share(work, name), "lr_scheduler_type", "lr_scheduler_kwargs")
    if name == "constant":
        work.set("train.warmup_share", 0.0, "lr_scheduler_type", why="it has no warm-up")
        for key in ("warmup_steps", "warmup_ratio"):
            if work.has(key):
                work.note(key, "lr_scheduler_type constant has no warm-up; constant_with_warmup has")
        return
    # a number below one is a share of all steps under either name, and warmup_ratio goes before warmup_steps
    key = "warmup_ratio" if work.has("warmup_ratio") else "warmup_steps"
    warmup = work.number(key, 0.0)
    if warmup >= 1:
        work.set("train.warmup_steps", int(warmup), key)
    else:
        work.set("train.warmup_share", warmup, key)


def _final_share(work: Converting, schedule: str) -> float:
    """What `lr_scheduler_kwargs` say of the learning rate's end; 0 when they do not."""
    given: Any = work.values.get("lr_scheduler_kwargs") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, dict):
        work.problem("lr_scheduler_kwargs", "lr_scheduler_kwargs: expected keys and values")
        return 0.0
    known = {"min_lr", "min_lr_rate"} if "min_lr" in schedule else set()
    for key, value in given.items():
        if key not in known and not (key == "num_cycles" and value == 0.5):
            work.problem(
                "lr_scheduler_kwargs", f"lr_scheduler_kwargs.{key} has no counterpart with {schedule}; take it out"
            )
    rate = given.get("min_lr_rate")
    if rate is None and given.get("min_lr") is not None:
        rate = float(given["min_lr"]) / work.number("learning_rate", 5e-5)
    return float(rate or 0.0) if known else 0.0
