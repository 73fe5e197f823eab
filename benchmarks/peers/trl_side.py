"""TRL's SFTTrainer on one workload: ``trl_side.py JOB.json`` in an environment with trl.

Settings: `batch` (examples on the device at once), `packing` (length of a pack, best-fit decreasing), `padding_free`,
`grouped` (by length), `checkpointing`, `compile`. Labels come with the data, so the loss is on them alone; preparation is TRL's own and is
timed apart; nothing may be truncated, which is checked. An optimizer step takes the job's examples, or, packed, as many
packs as hold about that many.
"""

from __future__ import annotations

import time
from typing import Any

from datasets import Dataset
from measured import Job, fresh_model, loss_afterwards, read_examples, read_job, report, timed
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer
from trl.data_utils import pack_dataset


def run(job: Job) -> None:
    """Prepare, train one epoch, report."""
    rows = read_examples(job)
    longest = max(len(row["input_ids"]) for row in rows)
    data = Dataset.from_list(rows)
    config = _config(job, data, longest)
    model, tokenizer = fresh_model(job), AutoTokenizer.from_pretrained(job.model)
    start = time.perf_counter()
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    prepare_seconds = time.perf_counter() - start
    _check_nothing_is_lost(trainer.train_dataset, rows)
    measured = timed(trainer.train, job.device)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    report(
        job,
        rows,
        measured=measured,
        prepare_seconds=prepare_seconds,
        losses=losses,
        steps=trainer.state.global_step,
        judged_loss=loss_afterwards(trainer.model, rows),
        packages=("torch", "transformers", "trl", "datasets", "accelerate"),
        batch=config.per_device_train_batch_size,
        accumulation=config.gradient_accumulation_steps,
        attention=model.config._attn_implementation,
        batches=len(trainer.train_dataset),
    )


def _config(job: Job, data: Dataset, longest: int) -> SFTConfig:
    setting = job.setting
    packing = setting.get("packing", 0)
    batch = setting.get("batch", 1)
    per_step = job.examples_per_step
    if packing:
        if packing < longest:
            raise SystemExit(f"packs of {packing} tokens would cut examples of up to {longest}")
        packs = len(pack_dataset(data, packing, "bfd"))
        per_step = max(1, round(packs * job.examples_per_step / len(data)))
    batch = min(batch, per_step)
    more: dict[str, Any] = {"max_length": packing, "packing": True} if packing else {"max_length": None}
    return SFTConfig(
        output_dir=job.scratch,
        num_train_epochs=1,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=max(1, round(per_step / batch)),
        learning_rate=job.learning_rate,
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        gradient_checkpointing=setting.get("checkpointing", False),
        padding_free=setting.get("padding_free", False),
        train_sampling_strategy="group_by_length" if setting.get("grouped") else "random",
        torch_compile=setting.get("compile", False),
        bf16=job.bf16,
        use_cpu=job.device == "cpu",
        dataloader_pin_memory=job.device != "cpu",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=job.seed,
        **more,
    )


def _check_nothing_is_lost(prepared: Dataset, rows: list[dict[str, list[int]]]) -> None:
    for name in ("input_ids", "labels"):
        before = sum(value for row in rows for value in row[name])
        after = sum(value for row in prepared for value in row[name])
        if before != after:
            raise SystemExit(f"TRL changed {name} while preparing: their sum was {before} and is {after}")


if __name__ == "__main__":
    run(read_job())
