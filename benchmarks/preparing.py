"""Preparing instruction data (render, tokenise, mask, pack): groundtune against TRL, side by side on one machine.

Both sides get the same conversations and the same tokenizer of 64,000 entries, trained on the spot. The conversations are
those of a small instruction set again and again, each time varied: sentences in another order, and three words of a
hundred made up, so that new ones keep coming as in a large set. TRL's side is `SFTTrainer._prepare_dataset` with packing
(bfd), from a dataset on disk, without its cache; groundtune's is `render_many`, `build_tree` and `pack_rows`, from
messages in memory to rows in memory. Reading the data, imports and a first call on a few examples are timed on neither
side.

Every setting of both sides runs once (scouts); the faster one of each then runs `--runs` times, in turns. Every
measurement is a process of its own.

    .venv/bin/python benchmarks/preparing.py --data alpaca_en_demo.json --texts FOLDER --peer PEER/bin/python

`FOLDER` holds text for the tokenizer (.md, .txt, .json, .jsonl, anywhere below it).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sides
from sides import say

ENTRIES = 64_000
WARMING = 16
"""Examples of the first call, which is not timed."""
TRAINED = ("assistant", "completion")
"""TRL's two ways of training on answers alone: assistant_only_loss, and prompt and completion apart."""

GENERATION_TEMPLATE = (
    "{{- '<|begin_of_text|>' -}}{%- for message in messages -%}"
    "{{- '<|start_header_id|>' ~ message['role'] ~ '<|end_header_id|>\n\n' -}}"
    "{%- if message['role'] == 'assistant' -%}{%- generation -%}{{- message['content'] ~ '<|eot_id|>' -}}{%- endgeneration -%}"
    "{%- else -%}{{- message['content'] ~ '<|eot_id|>' -}}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%}"
)
"""What LLAMA3_TEMPLATE writes, with the marks that TRL finds answers by."""


def main() -> None:
    sides.run(read_options(), SIDES, make_material=make_material, compare=compare, show=show)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="alpaca-style JSON: instruction, input, output")
    parser.add_argument("--texts", type=Path, help="a folder of text to train the tokenizer on")
    parser.add_argument("--examples", type=int, default=50_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4], help="tried on both sides")
    parser.add_argument("--max-pack-tokens", type=int, default=2048)
    sides.add_arguments(parser, SIDES)
    return parser.parse_args()


# --- material ---------------------------------------------------------------------------------------------------------


def make_material(options: argparse.Namespace) -> None:
    """The tokenizer and the varied examples, in the work folder."""
    from groundtune.chat import LLAMA3_TEMPLATE
    from groundtune.models import train_tokenizer

    if not (options.work / "tokenizer").is_dir():
        texts = (line for path in text_files(options.texts) for line in path.read_text("utf-8", "replace").split("\n"))
        tokenizer = train_tokenizer(texts, vocab_size=ENTRIES, chat_template=LLAMA3_TEMPLATE)
        tokenizer.save_pretrained(str(options.work / "tokenizer"))
    rows = json.loads(options.data.read_text(encoding="utf-8"))
    examples = list(varied(rows, options.examples))
    (options.work / "examples.json").write_text(json.dumps(examples), encoding="utf-8")


def text_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".txt", ".json", ".jsonl"))


def varied(rows: list[dict[str, str]], count: int) -> Iterator[tuple[str, str]]:
    """Questions and answers: the rows as they are, then varied, no two the same."""
    chance = random.Random("preparing")
    for index in range(count):
        row = rows[index % len(rows)]
        question = row["instruction"] + ("\n" + row["input"] if row.get("input") else "")
        sentences = row["output"].split(". ")
        if index >= len(rows):
            chance.shuffle(sentences)
            question = with_new_words(question, chance) + f" ({index})"
            sentences = [with_new_words(sentence, chance) for sentence in sentences]
        yield question, ". ".join(sentences)


def with_new_words(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    for place, word in enumerate(words):
        if word.isalpha() and chance.random() < 0.03:
            words[place] = "".join(
                chance.choice("bcdfghklmnprstvwz") + chance.choice("aeiou") + chance.choice(["", "n", "r", "s", "l"])
                for _ in range(chance.randint(2, 3))
            )
    return " ".join(words)


# --- the two sides ----------------------------------------------------------------------------------------------------


def prepare_with_groundtune(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from groundtune.chat import render_many
    from groundtune.models import load_tokenizer
    from groundtune.prefix.examples import TokenisedExamples
    from groundtune.prefix.rows import pack_rows, row_fill
    from groundtune.prefix.tree import build_tree
    from groundtune.types import Message

    tokenizer = load_tokenizer(options.work / "tokenizer")
    conversations = [(Message("user", asked), Message("assistant", told)) for asked, told in read_examples(options)]
    seconds: dict[str, float] = {}

    def prepare(some: list[tuple[Message, ...]]) -> list[Any]:
        start, used = time.perf_counter(), cpu_seconds()
        rendered = render_many(tokenizer, some, processes=int(options.setting))
        seconds["render, tokenise, mask"] = time.perf_counter() - start
        examples = TokenisedExamples(rendered.token_ids, rendered.trained.astype(np.float32), rendered.offsets)
        tree = build_tree(examples)
        rows = pack_rows(tree, np.arange(len(tree.order)), max_pack_tokens=options.max_pack_tokens)
        seconds["all"] = time.perf_counter() - start
        seconds["pack"] = seconds["all"] - seconds["render, tokenise, mask"]
        seconds["cpu"] = cpu_seconds() - used
        return rows

    prepare(conversations[:WARMING])  # type: ignore[arg-type]
    rows = prepare(conversations)  # type: ignore[arg-type]
    return {
        "seconds": seconds.pop("all"),
        "cpu_seconds": seconds.pop("cpu"),
        "parts": seconds,
        "tokens": sum(row.dataset_tokens for row in rows),
        "supervised": sum(int(row.edge_weights.sum()) for row in rows),
        "packs": len(rows),
        "fill": row_fill(rows, options.max_pack_tokens),
        "versions": versions("torch", "transformers", "tokenizers"),
    }


def prepare_with_trl(options: argparse.Namespace) -> dict[str, Any]:
    import datasets
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    datasets.disable_caching()
    datasets.disable_progress_bars()
    trained, processes = options.setting.split()
    tokenizer = AutoTokenizer.from_pretrained(options.work / "tokenizer")
    if trained == "assistant":
        tokenizer.chat_template = GENERATION_TEMPLATE
    with tempfile.TemporaryDirectory(dir=options.work) as kept:
        datasets.Dataset.from_list(list(trl_rows(options, trained))).save_to_disk(kept + "/raw")
        data = datasets.load_from_disk(kept + "/raw")
        shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        model = LlamaForCausalLM(LlamaConfig(**shape, num_key_value_heads=1, vocab_size=len(tokenizer)))
        config = SFTConfig(
            output_dir=kept + "/out",
            packing=True,
            packing_strategy="bfd",
            max_length=options.max_pack_tokens,
            assistant_only_loss=trained == "assistant",
            use_cpu=True,
            bf16=False,
            report_to="none",
        )
        trainer = SFTTrainer(
            model=model, args=config, train_dataset=data.select(range(WARMING)), processing_class=tokenizer
        )
        config.dataset_num_proc = int(processes) if int(processes) > 1 else None
        start, used = time.perf_counter(), cpu_seconds()
        packed = trainer._prepare_dataset(data, tokenizer, config, True, None, "train")
        seconds, used = time.perf_counter() - start, cpu_seconds() - used
        lengths = [len(ids) for ids in packed["input_ids"]]
        supervised = sum(label != -100 for labels in packed["labels"] for label in labels)
    return {
        "seconds": seconds,
        "cpu_seconds": used,
        "tokens": sum(lengths),
        "supervised": supervised,
        "packs": len(lengths),
        "fill": sum(lengths) / (len(lengths) * options.max_pack_tokens),
        "versions": versions("torch", "transformers", "tokenizers", "trl", "datasets"),
    }


def trl_rows(options: argparse.Namespace, trained: str) -> Iterator[dict[str, Any]]:
    for asked, told in read_examples(options):
        user, assistant = {"role": "user", "content": asked}, {"role": "assistant", "content": told}
        if trained == "assistant":
            yield {"messages": [user, assistant]}
        else:
            yield {"prompt": [user], "completion": [assistant]}


def read_examples(options: argparse.Namespace) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = json.loads((options.work / "examples.json").read_text(encoding="utf-8"))
    return found


def cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    return sum(os.times()[:4])


def versions(*packages: str) -> dict[str, str]:
    from importlib.metadata import version

    return {package: version(package) for package in packages}


# --- comparing --------------------------------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Scouts, then the best of both sides in turns."""
    tried = {
        "trl": [f"{trained} {number}" for trained in TRAINED for number in options.processes],
        "groundtune": [str(number) for number in options.processes],
    }
    scouts = {side: {setting: measure(options, side, setting) for setting in tried[side]} for side in tried}
    best = sides.fastest(scouts)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in tried}
    for _ in range(options.runs):
        for side, setting in best.items():
            runs[side].append(measure(options, side, setting))
    return {
        "examples": options.examples,
        "max_pack_tokens": options.max_pack_tokens,
        "machine": {"platform": platform.platform(), "cores": os.cpu_count(), "python": platform.python_version()},
        "best": best,
        "scouts": scouts,
        "runs": runs,
    }


def measure(options: argparse.Namespace, side: str, setting: str) -> dict[str, Any]:
    """One side with one setting, in a process of its own."""
    measured = sides.measure(__file__, options, side, setting, "--max-pack-tokens", str(options.max_pack_tokens))
    say(f"{side:<10} {setting:<14} {measured['seconds']:7.2f} s   (load before {measured['load_before']:.1f})")
    return measured


def show(results: dict[str, Any]) -> None:
    middle = {}
    say(f"\n{results['examples']} examples, {results['runs']['groundtune'][0]['tokens']} tokens")
    say(
        "| side | setting | median s | lowest to highest | processor s | tokens | supervised | packs | fill |\n|---|---|---|---|---|---|---|---|---|"
    )
    for side, runs in results["runs"].items():
        seconds = [run["seconds"] for run in runs]
        middle[side] = statistics.median(seconds)
        last = runs[-1]
        say(
            f"| {side} | {results['best'][side]} | {middle[side]:.2f} | {min(seconds):.2f} to {max(seconds):.2f} "
            f"| {statistics.median(run['cpu_seconds'] for run in runs):.1f} "
            f"| {last['tokens']} | {last['supervised']} | {last['packs']} | {last['fill']:.3f} |"
        )
    parts = [run["parts"] for run in results["runs"]["groundtune"]]
    for name in parts[0]:
        say(f"groundtune, {name}: {statistics.median(part[name] for part in parts):.2f} s")
    say(f"groundtune is {middle['trl'] / middle['groundtune']:.2f} times faster")


SIDES: dict[str, sides.Side] = {"groundtune": prepare_with_groundtune, "trl": prepare_with_trl}

if __name__ == "__main__":
    main()
