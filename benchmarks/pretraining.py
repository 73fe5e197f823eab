"""Pretraining by groundtune and by transformers' plain Trainer, side by side: tokens a second, and the share of this machine's
best matrix rate.

    .venv/bin/python benchmarks/pretraining.py                       # both presets, 512 and 2,048 tokens; under an hour on 4 cores
    .venv/bin/python benchmarks/pretraining.py --quick               # minutes: whether both sides work
    .venv/bin/python benchmarks/pretraining.py --steps 50 --out results.json     # on a GPU: bfloat16 and torch.compile, both sides

The models are the presets of 24.7 million parameters with their whole vocabulary of 64,000, from the same first weights. The
tokens are random ids: what they say changes no product's size, so neither side's speed; the losses mean nothing. Both sides
get the same packed sequences, as many to an optimizer step, as many to a forward pass, and AdamW. groundtune reads them from
token files with the checks of a real run (every step's loss and gradient norm is looked at); Trainer gets `input_ids` and
`labels` from memory. Each measurement is a process of its own, and the sides take turns.

The share of the matrix rate is by the formula of `groundtune.training.work`, with the useful operations of a step for both
sides, over the rate of large matrix products measured in the same process right before and after.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PRESETS = ("tiny-v1-llama", "tiny-v1")
LENGTHS = (512, 2048)
SIDES = ("groundtune", "transformers")
STEP_TOKENS, PASS_TOKENS = 16384, 4096
"""Of an optimizer step, and of a forward pass."""
VOCABULARY = 64_000
SEED = 7


def measure(side: str, preset: str, length: int, steps: int, warm_up: int, compiled: bool) -> dict[str, Any]:
    """In this process."""
    import numpy as np
    import torch

    from groundtune.models import cpu_threads, fresh_model, preset_architecture, quiet_transformers
    from groundtune.training.precision import choose_bfloat16
    from groundtune.training.work import MatrixTrial, ModelSizes, Work, measure_matrix_rates

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bfloat16, _ = choose_bfloat16("auto", device)
    torch.manual_seed(SEED)
    model = fresh_model(preset_architecture(preset, vocabulary=VOCABULARY))
    sequences = STEP_TOKENS // length
    ids = np.random.default_rng(SEED).integers(8, VOCABULARY, (sequences * (steps + warm_up), length))
    sizes = ModelSizes.of(model)
    dtype = torch.bfloat16 if bfloat16 else torch.float32
    with tempfile.TemporaryDirectory() as folder, quiet_transformers(), cpu_threads(0) as threads:
        before = measure_matrix_rates(device, dtype, threads, MatrixTrial())
        train = with_groundtune if side == "groundtune" else with_trainer
        ends, loss = train(model, ids, Path(folder), sequences, device, bfloat16=bfloat16, compiled=compiled)
        after = measure_matrix_rates(device, dtype, threads, MatrixTrial())
    seconds = [later - earlier for earlier, later in zip(ends[warm_up - 1 :], ends[warm_up:], strict=False)]
    needed = length - 1
    pairs = len(sizes.windows) * needed * (needed + 1) // 2
    work = Work(computed_tokens=sequences * needed, sources=sequences * needed, attention_pairs=sequences * pairs)
    step = statistics.median(seconds)
    return {
        "tokens_per_second": sequences * length / step,
        "share_of_matrix_rate": sizes.operations(work) / step / ((before.best + after.best) / 2),
        "matrix_rate": (before.best + after.best) / 2,
        "step_seconds": seconds,
        "first_loss": loss,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "cpu",
        "threads": threads,
        "precision": "bfloat16" if bfloat16 else "float32",
        "torch": torch.__version__,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }


def with_groundtune(
    model: Any, ids: Any, folder: Path, sequences: int, device: Any, *, bfloat16: bool, compiled: bool
) -> tuple[list[float], float]:
    """When each step ended, and the loss of the first."""
    from groundtune.config import ComputingConfig, PretrainConfig
    from groundtune.prefix import PreparedModel
    from groundtune.training.corpus import Mixture, SequencePacker, SequenceSteps
    from groundtune.training.corpus.sequences import Cut
    from groundtune.training.corpus.store import TokenFile
    from groundtune.training.plan import Occasions
    from groundtune.training.processes import Processes
    from groundtune.training.records import Journal
    from groundtune.training.schedule import Schedule
    from groundtune.training.trainer import SupervisedTrainer, training_arguments

    path = folder / "train.tokens"
    ids.astype("<u2").tofile(path)
    length = ids.shape[1]
    mixture = Mixture((Cut(TokenFile(path, ids.size, len(ids), "<u2"), length),), length, SEED)
    config = PretrainConfig(sequence_tokens=length, batch_sequences=sequences)
    computing = ComputingConfig(compile=compiled)
    arguments = training_arguments(config, computing, epochs=1, seed=SEED, folder=folder, validate=False)
    arguments.save_strategy = "no"
    processes = Processes.joined(arguments.device)
    packer = SequencePacker(mixture, max_pack_tokens=PASS_TOKENS, sequences_per_step=sequences)
    journal, clock = Journal(), clock_of(device)
    model.to(arguments.device)
    with PreparedModel(model, share=False, compiles=computing.compile) as prepared:
        SupervisedTrainer(
            prepared,
            arguments,
            SequenceSteps(packer, sequences_per_step=sequences, processes=processes),
            None,
            processes=processes,
            bfloat16=bfloat16,
            folder=folder,
            fingerprint="",
            journal=journal,
            schedule=Schedule.of(config),
            occasions=Occasions(report_to=("none",)),
            callbacks=[clock],
        ).train()
    return clock.ends, journal.steps[0].train_loss


def with_trainer(
    model: Any, ids: Any, folder: Path, sequences: int, device: Any, *, bfloat16: bool, compiled: bool
) -> tuple[list[float], float]:
    """The same by Trainer as it comes."""
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments

    rows = [{"input_ids": torch.from_numpy(row), "labels": torch.from_numpy(row)} for row in ids]
    in_pass = PASS_TOKENS // ids.shape[1]
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=in_pass,
        gradient_accumulation_steps=sequences // in_pass,
        num_train_epochs=1,
        learning_rate=1e-3,
        seed=SEED,
        bf16=bfloat16,
        torch_compile=compiled,
        use_cpu=device.type == "cpu",
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )
    clock = clock_of(device)
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[clock])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return clock.ends, next(line["loss"] for line in trainer.state.log_history if "loss" in line)


def clock_of(device: Any) -> Any:
    """A callback that notes when each step ended."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            self.ends.append(time.perf_counter())

    return Clock()


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Medians of the runs, with the least and the greatest."""

    def told(values: list[float], form: str) -> str:
        return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"

    lines = ["| model, sequence | side | tokens a second | of the matrix rate | ratio |", "|---|---|---|---|---|"]
    for case in dict.fromkeys(name.rpartition(" ")[0] for name in results):
        plain = statistics.median(run["tokens_per_second"] for run in results[f"{case} transformers"])
        for side in SIDES:
            runs = results[f"{case} {side}"]
            speeds = [run["tokens_per_second"] for run in runs]
            shares = told([run["share_of_matrix_rate"] for run in runs], ".0%")
            ratio = statistics.median(speeds) / plain
            lines.append(f"| {case} | {side} | {told(speeds, ',.0f')} | {shares} | {ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="measured, of each run")
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--presets", nargs="+", default=PRESETS, choices=PRESETS)
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS)
    parser.add_argument("--no-compile", action="store_true", help="on a GPU, where layers are compiled otherwise")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("SIDE", "PRESET", "LENGTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        import torch

        side, preset, length = options.child
        compiled = torch.cuda.is_available() and not options.no_compile
        measured = measure(side, preset, int(length), options.steps, options.warm_up, compiled)
        sys.stdout.write(json.dumps(measured) + "\n")
        return
    if options.quick:
        options.runs, options.steps, options.warm_up = 1, 2, 1
    results: dict[str, list[dict[str, Any]]] = {}
    for run in range(options.runs):
        for preset in options.presets:
            for length in options.lengths:
                # in turns, and in another order each time
                for side in SIDES if run % 2 == 0 else SIDES[::-1]:
                    found = child(side, preset, length, options)
                    results.setdefault(f"{preset}, {length} tokens {side}", []).append(found)
                    sys.stderr.write(f"{preset} {length} {side}: {found['tokens_per_second']:,.0f} tokens/s\n")
                    if options.out:
                        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(table(results) + "\n")
    one = next(iter(results.values()))[0]
    sys.stdout.write(
        f"\n{one['device']}, {one['threads']} threads, {one['precision']}, torch {one['torch']}, {options.runs} runs each\n"
    )


def child(side: str, preset: str, length: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", side, preset, str(length), "--steps", str(options.steps)]
    command += ["--warm-up", str(options.warm_up), *(["--no-compile"] if options.no_compile else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
