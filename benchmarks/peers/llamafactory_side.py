"""LLaMA-Factory's supervised fine-tuning on one workload: ``llamafactory_side.py JOB.json`` in an environment of its own.

Settings: `batch`, `packing` (cutoff_len of neat_packing), `checkpointing`. Its own code packs, collates and trains. Only
the rendering is replaced, because it accepts no token ids that are not packed already: each row of the data set it reads
is a number, and encoding it gives the workload's tokens and labels of that number.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

os.environ.setdefault("DISABLE_VERSION_CHECK", "1")  # its pins are checked at import; the versions used are reported
try:
    import torchaudio  # noqa: F401
except (ImportError, OSError):  # the published wheel wants CUDA; LLaMA-Factory imports it whatever the data are
    sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)

from llamafactory.data.processor.processor_utils import greedy_knapsack
from llamafactory.data.processor.supervised import SupervisedDatasetProcessor
from llamafactory.hparams import get_train_args
from llamafactory.train.sft import workflow
from measured import Job, loss_afterwards, read_examples, read_job, report, timed


def run(job: Job) -> None:
    """Prepare, train one epoch, report."""
    rows = read_examples(job)
    _encode_by_number(rows)
    arguments = get_train_args(_arguments(job, rows))
    model_args, data_args, training_args, finetuning_args, generating_args = arguments
    seen: dict[str, Any] = {}
    _measure_training(seen, job)
    start = time.perf_counter()
    workflow.run_sft(model_args, data_args, training_args, finetuning_args, generating_args, [])
    trainer = seen["trainer"]
    measured = seen["measured"]
    report(
        job,
        rows,
        measured=measured,
        prepare_seconds=seen["begun"] - start,
        losses=[entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        steps=trainer.state.global_step,
        judged_loss=loss_afterwards(trainer.model, rows),
        packages=("torch", "transformers", "llamafactory", "datasets", "accelerate"),
        batch=training_args.per_device_train_batch_size,
        accumulation=training_args.gradient_accumulation_steps,
        attention=trainer.model.config._attn_implementation,
        batches=len(trainer.train_dataset),
    )


def _encode_by_number(rows: list[dict[str, list[int]]]) -> None:
    def encode(_: Any, prompt: list[dict[str, str]], **__: Any) -> tuple[list[int], list[int]]:
        row = rows[int(prompt[0]["content"])]
        return list(row["input_ids"]), list(row["labels"])

    SupervisedDatasetProcessor._encode_data_example = encode  # type: ignore[method-assign, assignment]


def _measure_training(seen: dict[str, Any], job: Job) -> None:
    whole = workflow.CustomSeq2SeqTrainer

    class Measured(whole):  # type: ignore[misc, valid-type]
        """The trainer with a clock; its weights are not saved."""

        def train(self, *positional: Any, **named: Any) -> Any:
            _check_nothing_is_lost(self.train_dataset, seen["rows"])
            seen["begun"] = time.perf_counter()
            seen["measured"] = timed(lambda: super(Measured, self).train(*positional, **named), job.device)
            seen["trainer"] = self
            return seen["measured"]["value"]

        def save_model(self, *_: Any, **__: Any) -> None:
            return

    seen["rows"] = read_examples(job)
    workflow.CustomSeq2SeqTrainer = Measured


def _arguments(job: Job, rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    setting = job.setting
    lengths = [len(row["input_ids"]) for row in rows]
    packing, batch, per_step = setting.get("packing", 0), setting.get("batch", 1), job.examples_per_step
    if packing:
        if packing < max(lengths):
            raise SystemExit(f"packs of {packing} tokens would leave out examples of up to {max(lengths)}")
        packs = len(greedy_knapsack(sorted(lengths), packing))
        per_step = max(1, round(packs * job.examples_per_step / len(rows)))
    batch = min(batch, per_step)
    folder = Path(job.scratch) / "data"
    folder.mkdir(exist_ok=True)
    numbered = [{"instruction": str(number), "input": "", "output": "-"} for number in range(len(rows))]
    (folder / "numbers.json").write_text(json.dumps(numbered), encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps({"numbers": {"file_name": "numbers.json"}}), encoding="utf-8")
    return {
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "model_name_or_path": job.model,
        "template": "empty",
        "dataset": "numbers",
        "dataset_dir": str(folder),
        "overwrite_cache": True,
        "output_dir": str(Path(job.scratch) / "out"),
        "cutoff_len": packing or max(lengths),
        "packing": bool(packing),
        "neat_packing": bool(packing),
        "flash_attn": "sdpa",
        "disable_gradient_checkpointing": not setting.get("checkpointing", False),
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": max(1, round(per_step / batch)),
        "num_train_epochs": 1,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused",
        "bf16": job.bf16,
        "use_cpu": job.device == "cpu",
        "dataloader_pin_memory": job.device != "cpu",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": job.seed,
    }


def _check_nothing_is_lost(prepared: Any, rows: list[dict[str, list[int]]]) -> None:
    for name in ("input_ids", "labels"):
        before = sorted(value for row in rows for value in row[name] if name == "input_ids" or value >= 0)
        after = sorted(value for row in prepared for value in row[name] if name == "input_ids" or value >= 0)
        padding = len(after) - len(before)
        if padding < 0 or (name == "labels" and after != before):
            raise SystemExit(f"LLaMA-Factory lost tokens while preparing: {len(before)} {name} became {len(after)}")


if __name__ == "__main__":
    run(read_job())
