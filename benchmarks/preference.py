"""Preference tuning (DPO): groundtune against TRL's `DPOTrainer`, side by side on one machine.

Both sides get the same token ids of the same pairs in the same order, the same model of some 25 million parameters (Llama's
layout, made on the spot with a tokenizer trained on the pairs), float32, AdamW with the same settings and a constant learning
rate, and measure the reference once before training (TRL: `precompute_ref_log_probs`). Timed is what turns tokens into a tuned
model: the trainer made, the reference measured, one epoch of steps; imports, loading the model and tokenising are on neither side.
Memory is the peak of the process above what it had when the clock began.

Every setting of both sides runs once (scouts); the faster one of each then runs `--runs` times, in turns, who begins alternating.
Every measurement is a process of its own. The losses of all steps are compared: they are the same to rounding.

    OMP_NUM_THREADS=2 .venv/bin/python benchmarks/preference.py --data dpo_en_demo.json --runs 3
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import sides
from sides import say

LEARNING_RATE, BETA, SEED = 5e-5, 0.1, 7
SHAPE = {"layers": 12, "width": 384, "heads": 6, "kv_heads": 2, "feed_forward": 1024}


def main() -> None:
    sides.run(read_options(), SIDES, make_material=make_material, compare=compare, show=show)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="LLaMA-Factory's dpo_en_demo.json")
    parser.add_argument("--pairs", type=int, default=24, help="the first ones that fit in --max-tokens")
    parser.add_argument("--pairs-per-step", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=448, help="longest prompt with its answer")
    parser.add_argument("--entries", type=int, default=16_000, help="of the tokenizer")
    parser.add_argument("--rows", type=int, nargs="+", default=[2048], help="max_pack_tokens tried by groundtune")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4], help="pairs in a forward pass tried by TRL")
    sides.add_arguments(parser, SIDES)
    return parser.parse_args()


# --- material ---------------------------------------------------------------------------------------------------------


def make_material(options: argparse.Namespace) -> None:
    """The model, and the pairs as token ids in the order of the steps, in the work folder."""
    from groundtune.chat import LLAMA3_TEMPLATE
    from groundtune.config import ModelConfig
    from groundtune.models import build_llama, quiet_transformers, train_tokenizer

    rows = json.loads(options.data.read_text(encoding="utf-8"))
    texts = [turn["value"] for row in rows for turn in (*row["conversations"], row["chosen"], row["rejected"])]
    tokenizer = train_tokenizer(texts, vocab_size=options.entries, chat_template=LLAMA3_TEMPLATE)
    config = ModelConfig(**SHAPE, context_tokens=options.max_tokens, copying_start=False)
    with quiet_transformers():
        build_llama(config, tokenizer, seed=SEED).save_pretrained(options.work / "model")
        tokenizer.save_pretrained(options.work / "model")
    pairs: list[dict[str, list[int]]] = []
    for row in rows:
        pair = tokenised(tokenizer, row)
        longest = len(pair["prompt_ids"]) + max(len(pair["chosen_ids"]), len(pair["rejected_ids"]))
        if longest <= options.max_tokens and len(pairs) < options.pairs:
            pairs.append(pair)
    options.pairs = len(pairs)
    write_pairs(options, pairs)
    # TRL takes them one after the other
    write_pairs(options, [pairs[number] for step in planned(options) for number in step])


def tokenised(tokenizer: Any, row: dict[str, Any]) -> dict[str, list[int]]:
    roles = {"human": "user", "gpt": "assistant", "system": "system"}
    turns = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in row["conversations"]]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    answers = (f"{row[side]['value']}<|eot_id|>" for side in ("chosen", "rejected"))
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, *answers)]
    return dict(zip(("prompt_ids", "chosen_ids", "rejected_ids"), ids, strict=True))


def write_pairs(options: argparse.Namespace, pairs: list[dict[str, list[int]]]) -> None:
    (options.work / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")


def read_pairs(options: argparse.Namespace) -> list[dict[str, list[int]]]:
    found: list[dict[str, list[int]]] = json.loads((options.work / "pairs.json").read_text(encoding="utf-8"))
    return found


def in_columns(pairs: list[dict[str, list[int]]]) -> Any:
    from groundtune.prefix import TokenisedExamples
    from groundtune.training.preference import interleave

    sides = []
    for side in ("chosen_ids", "rejected_ids"):
        ids = [pair["prompt_ids"] + pair[side] for pair in pairs]
        trained = [[False] * len(pair["prompt_ids"]) + [True] * len(pair[side]) for pair in pairs]
        sides.append(TokenisedExamples.from_sequences(ids, trained))
    return interleave(*sides)


def make_steps(options: argparse.Namespace, max_pack_tokens: int) -> Any:
    import torch

    from groundtune.training.preference import PreferenceSteps
    from groundtune.training.processes import Processes
    from groundtune.training.steps import Packer

    packer = Packer(in_columns(read_pairs(options)), sharing="tree", max_pack_tokens=max_pack_tokens, keep_owners=True)
    processes = Processes.joined(torch.device("cpu"))
    return PreferenceSteps(packer, examples_per_step=options.pairs_per_step, seed=SEED, processes=processes)


def planned(options: argparse.Namespace) -> list[list[int]]:
    """The pairs of each step. Raises `SystemExit` where TRL could not take the same steps."""
    steps = make_steps(options, options.max_tokens * 2)
    plan = [steps.indices(number).tolist() for number in range(len(steps))]
    if any(len(step) != options.pairs_per_step for step in plan):
        raise SystemExit(
            f"steps of {[len(step) for step in plan]} pairs; give --pairs as a multiple of --pairs-per-step"
        )
    return plan


# --- the two sides ----------------------------------------------------------------------------------------------------


class Watch:
    """Seconds, and the peak of the process's memory meanwhile above what it began with."""

    def __enter__(self) -> Watch:
        self._began_with = self._peak = resident_bytes()
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self._ended.set()
        self._sampler.join()
        self.peak_bytes = self._peak - self._began_with

    def _sample(self) -> None:
        while not self._ended.wait(0.01):
            self._peak = max(self._peak, resident_bytes())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tune_with_groundtune(options: argparse.Namespace) -> dict[str, Any]:
    import torch
    from transformers import TrainerCallback
    from transformers.trainer_utils import SaveStrategy

    from groundtune.config import PreferenceConfig, TrainConfig
    from groundtune.models import load_model, quiet_transformers
    from groundtune.prefix import PreparedModel
    from groundtune.training.plan import Occasions
    from groundtune.training.preference import PreferenceTrainer
    from groundtune.training.records import Journal
    from groundtune.training.schedule import Schedule
    from groundtune.training.trainer import training_arguments

    losses: list[float] = []

    class Losses(TrainerCallback):  # type: ignore[misc]
        def on_log(self, *_args: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                losses.append(logs["loss"])

    torch.set_num_threads(threads())
    model = load_model(options.work / "model", dropout=0.0)
    train = TrainConfig(
        learning_rate=LEARNING_RATE, schedule="constant", warmup_share=0.0, max_pack_tokens=int(options.setting)
    )
    with tempfile.TemporaryDirectory(dir=options.work) as folder, quiet_transformers():
        arguments = training_arguments(train, train, epochs=1, seed=SEED, folder=Path(folder), validate=False)
        arguments.save_strategy = SaveStrategy.NO
        steps = make_steps_in_order(options, train.max_pack_tokens)
        with Watch() as watch, PreparedModel(model) as prepared:
            trainer = PreferenceTrainer(
                prepared, arguments, steps, valid=None, processes=steps._processes, bfloat16=False, folder=Path(folder), fingerprint="",
                journal=Journal(), schedule=Schedule.of(train), occasions=Occasions(), callbacks=[Losses()],
                preference=PreferenceConfig(beta=BETA),
            )  # fmt: skip
            trainer.train()
    return figures(watch, losses, model, "torch", "transformers")


def make_steps_in_order(options: argparse.Namespace, max_pack_tokens: int) -> Any:
    """The pairs on file are in the order of the steps already."""
    import numpy as np

    steps = make_steps(options, max_pack_tokens)
    plan, size = steps._plan(), options.pairs_per_step
    plan.steps[:] = [np.arange(begin, begin + size) for begin in range(0, len(plan.steps) * size, size)]
    return steps


def tune_with_trl(options: argparse.Namespace) -> dict[str, Any]:
    import datasets
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM
    from trl import DPOConfig, DPOTrainer

    datasets.disable_progress_bars()
    torch.set_num_threads(threads())
    losses: list[float] = []

    class InOrder(DPOTrainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        def _compute_loss(self, model: Any, inputs: Any, return_outputs: bool) -> Any:
            loss = super()._compute_loss(model, inputs, return_outputs)
            losses.append(float((loss[0] if return_outputs else loss).detach()))
            return loss

    tokenizer = AutoTokenizer.from_pretrained(options.work / "model")
    model = LlamaForCausalLM.from_pretrained(options.work / "model", dtype=torch.float32)
    data = datasets.Dataset.from_list(read_pairs(options))
    batch = int(options.setting)
    parts = options.pairs_per_step // batch
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        config = DPOConfig(
            output_dir=folder, beta=BETA, learning_rate=LEARNING_RATE, lr_scheduler_type="constant", weight_decay=0.01, num_train_epochs=1,
            per_device_train_batch_size=batch, gradient_accumulation_steps=parts, precompute_ref_log_probs=True, max_length=None,
            gradient_checkpointing=False, use_cpu=True, bf16=False, report_to="none", save_strategy="no", disable_tqdm=True,
            train_sampling_strategy="sequential", logging_steps=1,
        )  # fmt: skip
        with Watch() as watch:
            InOrder(model, args=config, train_dataset=data, processing_class=tokenizer).train()
    # of a step, the mean of its parts
    means = [statistics.fmean(losses[begin : begin + parts]) for begin in range(0, len(losses), parts)]
    return figures(watch, means, model, "torch", "transformers", "trl")


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))


def figures(watch: Watch, losses: list[float], model: Any, *packages: str) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "seconds": watch.seconds,
        "peak_bytes": watch.peak_bytes,
        "losses": losses,
        "parameters": sum(each.numel() for each in model.parameters()),
        "versions": {package: version(package) for package in packages},
    }


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Scouts, then the best of both sides in turns."""
    tried = {
        "groundtune": [str(rows) for rows in options.rows],
        "trl": [str(size) for size in options.batches if options.pairs_per_step % size == 0],
    }
    scouts = {side: {setting: measure(options, side, setting) for setting in tried[side]} for side in SIDES}
    best = sides.fastest(scouts)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for number in range(options.runs):
        for side in list(SIDES)[:: 1 if number % 2 == 0 else -1]:
            runs[side].append(measure(options, side, best[side]))
    pairs = read_pairs(options)
    return {
        "pairs": len(pairs),
        "pairs_per_step": options.pairs_per_step,
        "tokens": sum(
            2 * len(pair["prompt_ids"]) + len(pair["chosen_ids"]) + len(pair["rejected_ids"]) for pair in pairs
        ),
        "unique_tokens": int(make_steps(options, options.max_tokens * 2).packer.tree.statistics.unique_tokens),
        "machine": {"platform": platform.platform(), "cores": os.cpu_count(), "threads": threads()},
        "best": best,
        "scouts": scouts,
        "runs": runs,
    }


def measure(options: argparse.Namespace, side: str, setting: str) -> dict[str, Any]:
    """One side with one setting, in a process of its own."""
    further = ("--pairs-per-step", str(options.pairs_per_step), "--max-tokens", str(options.max_tokens))
    measured = sides.measure(__file__, options, side, setting, *further)
    memory, load = measured["peak_bytes"] / 2**20, measured["load_before"]
    say(f"{side:<10} {setting:>5} {measured['seconds']:7.2f} s {memory:7.0f} MiB   (load before {load:.1f})")
    return measured


def show(results: dict[str, Any]) -> None:
    runs = results["runs"]
    say(
        f"\n{results['pairs']} pairs, {results['tokens']} tokens ({results['unique_tokens']} computed once), "
        f"{runs['groundtune'][0]['parameters']:,} parameters, {results['machine']['threads']} threads"
    )
    say("| side | setting | median s | lowest to highest | median MiB | lowest to highest |\n|---|---|---|---|---|---|")
    middle = {}
    for side in SIDES:
        seconds = [run["seconds"] for run in runs[side]]
        memory = [run["peak_bytes"] / 2**20 for run in runs[side]]
        middle[side] = statistics.median(seconds), statistics.median(memory)
        say(
            f"| {side} | {results['best'][side]} | {middle[side][0]:.2f} | {min(seconds):.2f} to {max(seconds):.2f} "
            f"| {middle[side][1]:.0f} | {min(memory):.0f} to {max(memory):.0f} |"
        )
    faster, smaller = (theirs / ours for theirs, ours in zip(middle["trl"], middle["groundtune"], strict=True))
    say(f"groundtune is {faster:.2f} times faster and takes {1 / smaller:.2f} of the memory")
    gaps = [
        abs(ours - theirs) / theirs
        for ours, theirs in zip(runs["groundtune"][0]["losses"], runs["trl"][0]["losses"], strict=True)
    ]
    say(f"losses of {len(gaps)} steps differ by {max(gaps):.1e} at most (of the loss)")


SIDES: dict[str, sides.Side] = {"groundtune": tune_with_groundtune, "trl": tune_with_trl}

if __name__ == "__main__":
    main()
