"""Greedy answers to many prompts: groundtune against a loop over `model.generate`, and against it in left-padded batches.

All sides have the same model, the same prompts as token ids, the same limit of new tokens and the same stop tokens, in one
process and on the same number of threads. The loop asks one prompt at a time with its key-value cache on; the batches hold
prompts of like length. In each round the sides take turns, who begins alternating. Every answer is compared with the
loop's, token for token; where one differs, the gap between the two likeliest tokens there is told: rounding turns near ties.

Workloads: `paragraphs`, the questions of XQuAD Turkish on their paragraphs with a model of 25 million parameters (Llama's
layout, random weights, so every answer has all its tokens), and `example`, the test questions of a finished run of the example
(`make demo`) with its tuned model and stop tokens; and for each `--evaluation CONFIG` the questions that `groundtune evaluate`
asks there of the tuned model with the passages it finds, with the limits of that configuration. There "groundtune" is the
stage's own way of asking, every answer written to the disk as it ends.

    OMP_WAIT_POLICY=PASSIVE .venv/bin/python benchmarks/answering.py --data shared/data/qa_xquad/xquad.tr.json \
        --evaluation examples/cable-erp/groundtune.yaml
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SHAPE = {"layers": 12, "width": 384, "heads": 6, "kv_heads": 2, "feed_forward": 1024, "context_tokens": 4096}
ENTRIES = 16_000
EXAMPLE = Path("examples/cable-erp/groundtune-out")
SYSTEM = "Belgelere dayanarak yanıt ver. Yanıt metinde yoksa bilmediğini söyle."
WIDER = 3.0
"""Random weights are made so many times wider: untrained logits lie so near together that rounding decides between them."""

Prompts = Sequence[Sequence[int]]
Answers = list[list[int]]


def main() -> None:
    options = read_options()
    import torch

    torch.set_num_threads(options.threads)
    workloads: dict[str, Callable[[argparse.Namespace], tuple[Any, Any, Prompts, set[int]]]] = {}
    if options.data:
        workloads["paragraphs"] = paragraphs
    if (options.example / "runs").is_dir():
        workloads["example"] = example
    results = {name: compare(options, *make(options)) for name, make in workloads.items()}
    for config in options.evaluation:
        results[f"evaluation of {config}"] = compare_evaluation(options, config)
    for name, result in results.items():
        show(name, result, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, help="xquad.tr.json")
    parser.add_argument("--example", type=Path, default=EXAMPLE, help="the work folder of a finished run")
    parser.add_argument("--evaluation", type=Path, action="append", default=[], help="configuration of a finished run")
    parser.add_argument("--prompts", type=int, default=60, help="the first so many of each workload")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--batch-questions", type=int, default=32, help="answers in flight")
    parser.add_argument("--padded-batch", type=int, default=16, help="prompts of a left-padded batch")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def paragraphs(options: argparse.Namespace) -> tuple[Any, Any, Prompts, set[int]]:
    """Model, tokenizer, prompts and stop tokens."""
    import torch

    from groundtune.config import ModelConfig
    from groundtune.models import build_llama, train_tokenizer

    articles = json.loads(options.data.read_text(encoding="utf-8"))["data"]
    asked = [paragraph for article in articles for paragraph in article["paragraphs"]]
    tokenizer = train_tokenizer((each["context"] for each in asked), vocab_size=ENTRIES, chat_template="x")
    model = build_llama(ModelConfig(**SHAPE, copying_start=False), tokenizer, seed=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(WIDER if parameter.dim() > 1 else 1.0)
    texts = [
        f"{SYSTEM}\n\n{each['context']}\n\nSoru: {question['question']}\nYanıt:"
        for each in asked
        for question in each["qas"]
    ]
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts[: options.prompts]]
    return model, tokenizer, prompts, set()


def example(options: argparse.Namespace) -> tuple[Any, Any, Prompts, set[int]]:
    """As `paragraphs`."""
    from groundtune.chat import render_prompt, stop_token_ids
    from groundtune.files import read_records
    from groundtune.models import load_model, load_tokenizer
    from groundtune.types import Example

    [best] = sorted((options.example / "runs").glob("*/best"))[:1]
    tokenizer = load_tokenizer(best)
    examples = read_records(options.example / "dataset" / "test.jsonl", Example)[: options.prompts]
    prompts = [render_prompt(tokenizer, each.messages[:-1]) for each in examples]
    return load_model(best, tokenizer=tokenizer), tokenizer, prompts, set(stop_token_ids(tokenizer))


def compare_evaluation(options: argparse.Namespace, config: Path) -> dict[str, Any]:
    """The tuned model with passages, asked as the stage asks it."""
    from groundtune.chat import stop_token_ids
    from groundtune.config import load_config
    from groundtune.evaluation import SYSTEMS
    from groundtune.evaluation.asking.sampling import choose_questions
    from groundtune.files import read_records
    from groundtune.models import load_model, load_tokenizer
    from groundtune.pipeline import Workspace
    from groundtune.pipeline.answers import AnswerFile
    from groundtune.pipeline.asking import AskedModel
    from groundtune.pipeline.held_out import gather_questions
    from groundtune.pipeline.prompting import Prompting
    from groundtune.types import Chunk

    workspace = Workspace(load_config(config, [f"train.threads={options.threads}"]))
    tokenizer = load_tokenizer(workspace.tuned)
    model = load_model(str(workspace.tuned), tokenizer=tokenizer)
    chunks = {chunk.chunk_id: chunk for chunk in read_records(workspace.chunks, Chunk)}
    settings, system = workspace.config.evaluation, SYSTEMS["tuned_context"]
    prompting = Prompting(workspace.config, tokenizer, chunks)
    every = gather_questions(workspace, list(chunks.values())).questions
    chosen = choose_questions(every, max_questions=settings.max_questions, seed=workspace.config.seed)[
        : options.prompts
    ]
    asked = [(question, prompt) for question in chosen if (prompt := prompting.prompt(question, system)).token_ids]
    questions, prompts = [question for question, _ in asked], [prompt for _, prompt in asked]

    def ours() -> Answers:
        with TemporaryDirectory() as folder:
            kept = AnswerFile(Path(folder) / "answered.jsonl")
            answered = AskedModel(str(workspace.tuned), model, tokenizer, workspace, kept).answer(
                questions, prompts, system
            )
        return [list(each.token_ids) for each in answered]

    limits = {"new_tokens": settings.max_new_tokens, "batch_questions": settings.batch_questions}
    options = argparse.Namespace(**vars(options) | limits)
    stop_ids = set(stop_token_ids(tokenizer))
    return compare(options, model, tokenizer, [prompt.token_ids for prompt in prompts], stop_ids, ours)


def compare(
    options: argparse.Namespace,
    model: Any,
    tokenizer: Any,
    prompts: Prompts,
    stop_ids: set[int],
    ours: Callable[[], Answers] | None = None,
) -> dict[str, Any]:
    """All sides in turn; `ours` is groundtune's, where it is more than the bare engine."""
    from groundtune.models import AnsweringWork, generate_answers

    work = AnsweringWork()

    def shared() -> Answers:
        nonlocal work
        work = AnsweringWork()
        wishes = {"max_new_tokens": options.new_tokens, "batch_questions": options.batch_questions, "work": work}
        return [
            list(each.token_ids) for each in generate_answers(model, tokenizer, prompts, stop_ids=stop_ids, **wishes)
        ]

    def loop() -> Answers:
        return [generate(model, [prompt], options.new_tokens, stop_ids)[0] for prompt in prompts]

    def padded() -> Answers:
        order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))
        answers: Answers = [[] for _ in prompts]
        for start in range(0, len(order), options.padded_batch):
            places = order[start : start + options.padded_batch]
            batch = generate(model, [prompts[place] for place in places], options.new_tokens, stop_ids)
            for place, ids in zip(places, batch, strict=True):
                answers[place] = ids
        return answers

    sides = {"groundtune": ours or shared, "generate, one at a time": loop, "generate, padded batches": padded}
    generate_answers(model, tokenizer, prompts[:2], max_new_tokens=2, batch_questions=2, stop_ids=stop_ids)
    if ours is not None:
        # what is computed of the prompts, which the stage does not tell
        shared()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    answers: dict[str, Answers] = {}
    for run in range(options.runs):
        for name in list(sides) if run % 2 == 0 else list(sides)[::-1]:
            began = time.perf_counter()
            answers[name] = sides[name]()
            seconds[name].append(time.perf_counter() - began)
    alone = answers["generate, one at a time"]
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "prompts": len(prompts),
        "prompt_tokens": sum(map(len, prompts)),
        "answer_tokens": sum(map(len, alone)),
        "seconds": seconds,
        "same": {
            name: sum(one == other for one, other in zip(found, alone, strict=True)) for name, found in answers.items()
        },
        "gaps": [
            gap(model, prompt, one, other)
            for prompt, one, other in zip(prompts, answers["groundtune"], alone, strict=True)
            if one != other
        ],
        "work": asdict(work),
    }


def generate(model: Any, batch: Prompts, new_tokens: int, stop_ids: set[int]) -> Answers:
    """transformers' own, greedy, padded on the left; answers without the stop token."""
    import torch
    from transformers import GenerationConfig

    filler = min(stop_ids, default=0)
    longest = max(map(len, batch))
    asked = torch.tensor([[filler] * (longest - len(ids)) + list(ids) for ids in batch])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in batch])
    wishes = GenerationConfig(
        do_sample=False, max_new_tokens=new_tokens, eos_token_id=sorted(stop_ids) or None, pad_token_id=filler
    )
    made = model.generate(asked, attention_mask=mask, generation_config=wishes)[:, longest:].tolist()
    ends = [next((place for place, token in enumerate(ids) if token in stop_ids), len(ids)) for ids in made]
    return [ids[:end] for ids, end in zip(made, ends, strict=True)]


def gap(model: Any, prompt: Sequence[int], one: list[int], other: list[int]) -> float:
    """Between the likeliest two logits at the first token in which two answers differ."""
    import torch

    same = next(
        (place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *one[:same]]])).logits[0, -1]
    first, second = logits.topk(2).values.tolist()
    return float(first - second)


def show(name: str, result: dict[str, Any], options: argparse.Namespace) -> None:
    import torch
    import transformers

    per_second = {side: [result["prompts"] / each for each in taken] for side, taken in result["seconds"].items()}
    ours = statistics.median(per_second["groundtune"])
    say(
        f"\n{name}: {result['parameters'] / 1e6:.1f} million parameters, {result['prompts']} prompts, {result['prompt_tokens']} tokens of which "
        f"{result['work']['computed_prompt_tokens']} were computed, {result['answer_tokens']} tokens of answers, "
        f"{result['work']['decode_steps']} steps, {options.threads} threads, {options.runs} runs, load {os.getloadavg()[0]:.1f}; "
        f"torch {torch.__version__}, transformers {transformers.__version__}, {platform.machine()}"
    )
    say(
        "| side | questions a second, median (least - greatest) | groundtune is faster by | answers as one at a time |\n|---|---|---|---|"
    )
    for side, rates in per_second.items():
        middle = statistics.median(rates)
        say(
            f"| {side} | {middle:.2f} ({min(rates):.2f} - {max(rates):.2f}) | {ours / middle:.1f} | {result['same'][side]} of {result['prompts']} |"
        )
    if result["gaps"]:
        say(
            f"gaps between the two likeliest logits where answers part: {', '.join(f'{each:.1e}' for each in result['gaps'])}"
        )


def say(text: str) -> None:
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
