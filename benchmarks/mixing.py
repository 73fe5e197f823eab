"""Whether keeping examples of a context together in optimizer steps costs quality, against plain shuffled training.

XQuAD Turkish, each question over its paragraph and over its whole article, answers supervised with their end of turn; a
small model from scratch, the same first weights and learning rates in every run. Arms: `shuffled` deals the examples of an
epoch to steps of E at random, which *is* plain shuffled training: the gradient of a step does not depend on how its
examples are laid out in rows (measured once at the beginning, against one example at a time); `together` is `plan_steps`.
Seeds change the order of examples and nothing else; further first weights are a second measure of noise.

    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE .venv/bin/python benchmarks/mixing.py --json mixing.json

Runs are kept in the JSON as they end; the same command goes on where it stopped. What this module does not do: judge
speed on an idle machine (engine.py does); seconds are of `--processes` runs side by side with a thread each.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import numpy.typing as npt
import torch
import transformers
from torch import nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from groundtune.chat import LLAMA3_TEMPLATE, render_many
from groundtune.config import TURKISH_PROMPT, ModelConfig
from groundtune.models import build_llama, train_tokenizer
from groundtune.prefix import (
    PrefixTree,
    PreparedModel,
    TokenisedExamples,
    build_tree,
    pack_rows,
    plan_steps,
    row_tensors,
)
from groundtune.types import Message

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SYSTEM = "Sorulan soruyu, verilen metindeki sözlerle kısaca yanıtla."
LEAST_QUESTIONS, MOST_QUESTIONS = 15, 30
"""Articles with fewer or more are left out: a few would be most of an epoch."""
MAX_PACK_TOKENS = 4096
WARMUP_SHARE, FINAL_SHARE, WEIGHT_DECAY, MAX_NORM = 0.1, 0.1, 0.01, 1.0
CONFIDENCE = 0.95

Indices = npt.NDArray[np.int64]
Article = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """What all arms have in common."""

    data: str
    articles: int
    held_out: int
    article_characters: int
    vocabulary: int
    layers: int
    width: int
    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class Run:
    """One training."""

    arm: str
    examples_per_step: int
    seed: int
    first_weights: int

    @property
    def name(self) -> str:
        return f"{self.arm}, E={self.examples_per_step}, seed {self.seed}, weights {self.first_weights}"


# --- data -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    tokenizer: PreTrainedTokenizerBase
    train: PrefixTree
    valid: PrefixTree


@cache
def make_material(setting: Setting) -> Material:
    """The same in every process."""
    data = Path(setting.data)
    articles = _xquad(data)
    chosen = [
        article
        for article in articles
        if LEAST_QUESTIONS <= _questions(article) <= MOST_QUESTIONS
        and len(_whole(article)) <= setting.article_characters
    ]
    wanted = setting.articles + setting.held_out
    if len(chosen) < wanted:
        raise SystemExit(
            f"{len(chosen)} articles of at most {setting.article_characters} characters; {wanted} are wanted"
        )
    step = wanted // setting.held_out
    valid = chosen[step - 1 : wanted : step][: setting.held_out]
    train = [article for article in chosen if article not in valid][: setting.articles]
    texts = _pages(data) + [_whole(article) for article in articles if article not in valid]
    tokenizer = train_tokenizer(texts, vocab_size=setting.vocabulary, chat_template=LLAMA3_TEMPLATE)
    return Material(tokenizer, _tree(tokenizer, train), _tree(tokenizer, valid))


def _tree(tokenizer: PreTrainedTokenizerBase, articles: Sequence[Article]) -> PrefixTree:
    conversations = [
        (
            Message("system", SYSTEM),
            Message("user", _asked(context, pair["question"])),
            Message("assistant", _answer(pair)),
        )
        for article in articles
        for paragraph in article["paragraphs"]
        for pair in paragraph["qas"]
        for context in (paragraph["context"], _whole(article))
    ]
    rendered = render_many(tokenizer, conversations)
    return build_tree(TokenisedExamples(rendered.token_ids, rendered.trained.astype(np.float32), rendered.offsets))


def _asked(context: str, question: str) -> str:
    labels = TURKISH_PROMPT
    return f"{labels.context_label}:\n{context}\n\n{labels.question_label}:\n{question}"


def _answer(pair: dict[str, Any]) -> str:
    return str(pair["answers"][0]["text"])


def _whole(article: Article) -> str:
    return "\n\n".join(paragraph["context"] for paragraph in article["paragraphs"])


def _questions(article: Article) -> int:
    return sum(len(paragraph["qas"]) for paragraph in article["paragraphs"])


def _xquad(data: Path) -> list[Article]:
    articles: list[Article] = json.loads((data / "qa_xquad/xquad.tr.json").read_text(encoding="utf-8"))["data"]
    return articles


def _pages(data: Path) -> list[str]:
    """Turkish pages of software documentation."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((data / "docs_tr_d365projops").rglob("*.md"))]
    with (data / "tr_text_react/docs.jsonl").open(encoding="utf-8") as lines:
        return texts + [json.loads(line)["text"] for line in lines]


def make_model(setting: Setting, tokenizer: PreTrainedTokenizerBase, first_weights: int) -> LlamaForCausalLM:
    config = ModelConfig(
        layers=setting.layers, width=setting.width, feed_forward=2 * setting.width, context_tokens=MAX_PACK_TOKENS
    )
    return build_llama(config, tokenizer, seed=first_weights, copying_start=True)


# --- arms -------------------------------------------------------------------------------------------------------------


def shuffled(tree: PrefixTree, *, examples_per_step: int, seed: int, epoch: int) -> list[Indices]:
    """Examples in random order, cut into steps: as few as hold them, as equal as can be."""
    count = len(tree.order)
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return np.array_split(order, -(-count // examples_per_step))


ARMS: dict[str, Callable[..., list[Indices]]] = {"shuffled": shuffled, "together": plan_steps}


# --- training ---------------------------------------------------------------------------------------------------------


def train(setting: Setting, run: Run) -> dict[str, Any]:
    """The run's validation losses (before training, then after each epoch) and what it computed."""
    torch.set_num_threads(1)
    material = make_material(setting)
    model = make_model(setting, material.tokenizer, run.first_weights)
    plans = [
        ARMS[run.arm](material.train, examples_per_step=run.examples_per_step, seed=run.seed, epoch=epoch)
        for epoch in range(setting.epochs)
    ]
    optimizer = torch.optim.AdamW(model.parameters(), lr=setting.learning_rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(sum(map(len, plans))))
    tokens, seconds = 0, 0.0
    with PreparedModel(model) as prepared:
        valid, losses = [mean_loss(prepared, material.valid)], []
        for plan in plans:
            began = time.perf_counter()
            summed = 0.0
            for indices in plan:
                loss, computed = backward(prepared, material.train, indices)
                nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
                summed, tokens = summed + loss, tokens + computed
            seconds += time.perf_counter() - began
            losses.append(summed / len(plan))
            valid.append(mean_loss(prepared, material.valid))
    return {
        **asdict(run),
        "valid": valid,
        "train": losses,
        "steps": sum(map(len, plans)),
        "computed_tokens": tokens,
        "seconds": seconds,
    }


def backward(prepared: PreparedModel, tree: PrefixTree, indices: Indices) -> tuple[float, int]:
    """Gradients of the mean loss of a step's supervised tokens; returns it, and the tokens computed."""
    weight = float(tree.examples.total_weights[indices].sum())
    total, computed = 0.0, 0
    for row in pack_rows(tree, indices, max_pack_tokens=MAX_PACK_TOKENS):
        loss = prepared.row_loss(row_tensors(row)) / weight
        loss.backward()
        total, computed = total + float(loss.detach()), computed + len(row.input_ids)
    return total, computed


@torch.no_grad()
def mean_loss(prepared: PreparedModel, tree: PrefixTree) -> float:
    rows = pack_rows(tree, np.arange(len(tree.order)), max_pack_tokens=MAX_PACK_TOKENS)
    return sum(float(prepared.row_loss(row_tensors(row))) for row in rows) / float(tree.examples.total_weights.sum())


def cosine(steps: int) -> Callable[[int], float]:
    """Share of the highest learning rate at each step: a straight rise, then a cosine that ends at `FINAL_SHARE`."""
    warmup = max(1, round(steps * WARMUP_SHARE))

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, steps - warmup)
        return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done))

    return share


def packed_against_single(setting: Setting, examples_per_step: int) -> float:
    """Largest difference between gradients of a shuffled step in rows and one example at a time, in parts of the largest
    gradient of the same weight matrix. In float64, so that what is left is rounding."""
    torch.set_num_threads(1)
    material = make_material(setting)
    model = make_model(setting, material.tokenizer, 0).double()
    _keep_norms_double(model)
    indices = shuffled(material.train, examples_per_step=examples_per_step, seed=0, epoch=0)[0]
    with PreparedModel(model) as prepared:
        backward(prepared, material.train, indices)
    packed = [parameter.grad for parameter in model.parameters()]
    model.zero_grad()
    examples = material.train.examples
    weight = float(examples.total_weights[indices].sum())
    for index in indices.tolist():
        part = slice(int(examples.offsets[index]), int(examples.offsets[index + 1]))
        ids = torch.from_numpy(examples.token_ids[part].astype(np.int64))
        trained = torch.from_numpy(examples.weights[part][1:] > 0)
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1][trained]
        (nn.functional.cross_entropy(logits, ids[1:][trained], reduction="sum") / weight).backward()
    return max(
        float((one - parameter.grad).abs().max() / parameter.grad.abs().max())
        for one, parameter in zip(packed, model.parameters(), strict=True)
    )


def _keep_norms_double(model: LlamaForCausalLM) -> None:
    """Llama's own norms, here as fresh as the model, round to float32 by name."""
    for module in list(model.modules()):
        for name, norm in module.named_children():
            if isinstance(norm, LlamaRMSNorm):
                setattr(module, name, nn.RMSNorm(norm.weight.shape, norm.variance_epsilon, dtype=torch.float64))


# --- what is told -----------------------------------------------------------------------------------------------------


def tables(report: dict[str, Any]) -> str:
    runs: list[dict[str, Any]] = list(report["runs"].values())
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for run in sorted(runs, key=lambda run: (run["examples_per_step"], run["first_weights"] > 0)):
        groups.setdefault((run["examples_per_step"], run["arm"]), []).append(run)
    epochs = len(runs[0]["valid"]) - 1
    heads = ["E", "arm", "runs", "steps", *(f"valid loss, epoch {epoch}" for epoch in range(1, epochs + 1))]
    heads += ["computed tokens", "seconds", "minus shuffled, 95%"]
    lines = [heads, ["---"] * len(heads)]
    for (size, arm), some in groups.items():
        cells = [str(size), arm, str(len(some)), "-".join(map(str, sorted({run["steps"] for run in some})))]
        cells += [_mean_and_spread([run["valid"][epoch] for run in some]) for epoch in range(1, epochs + 1)]
        cells.append(f"{statistics.mean(run['computed_tokens'] for run in some):,.0f}")
        cells.append(f"{statistics.mean(run['seconds'] for run in some):.0f}")
        cells.append(_difference(some, groups.get((size, "shuffled"), [])) if arm != "shuffled" else "")
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _mean_and_spread(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}"


def _difference(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> str:
    one, other = ([run["valid"][-1] for run in runs] for runs in (ours, theirs))
    if min(len(one), len(other)) < 2:
        return ""
    difference, half = welch(one, other)
    return f"{difference:+.4f} ({difference - half:+.4f} to {difference + half:+.4f})"


def welch(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Difference of the means, and half the width of its `CONFIDENCE` interval, variances not taken to be equal.

    >>> difference, half = welch([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    >>> difference, round(half, 3)
    (0.0, 2.267)
    """
    parts = [statistics.variance(values) / len(values) for values in (one, other)]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True)
    )
    return statistics.mean(one) - statistics.mean(other), _student(freedom) * math.sqrt(sum(parts))


def _student(freedom: float) -> float:
    """The quantile of Student's t that leaves half of 1 - `CONFIDENCE` above it, by halving on its integrated density."""
    constant = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        at = np.linspace(0.0, middle, 20_001)
        inside = 2 * constant * np.trapezoid((1 + at**2 / freedom) ** (-(freedom + 1) / 2), at)
        low, high = (middle, high) if inside < CONFIDENCE else (low, middle)
    return low


# --- running ----------------------------------------------------------------------------------------------------------


def _work(task: tuple[Setting, Run]) -> tuple[str, dict[str, Any]]:
    return task[1].name, train(*task)


def main() -> None:
    arguments = _arguments()
    setting = Setting(**{name: getattr(arguments, name) for name in Setting.__dataclass_fields__})
    report: dict[str, Any] = {"setting": asdict(setting), "runs": {}}
    if arguments.json.exists():
        report = json.loads(arguments.json.read_text(encoding="utf-8"))
        if report["setting"] != asdict(setting):
            sys.exit(f"{arguments.json} is of another setting; give another file, or remove it")
    if "packed_against_single" not in report:
        report["about"] = _about(setting)
        report["packed_against_single"] = packed_against_single(setting, arguments.examples_per_step[0])
    runs = [
        Run(arm, size, seed, first_weights)
        for size in arguments.examples_per_step
        for seed, first_weights in [*((seed, 0) for seed in range(arguments.seeds)), *_others(arguments)]
        for arm in arguments.arms
    ]
    todo = [(setting, run) for run in runs if run.name not in report["runs"]]
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for name, result in pool.imap_unordered(_work, todo):
            report["runs"][name] = result
            arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            losses = " ".join(f"{loss:.4f}" for loss in result["valid"])
            sys.stderr.write(f"{name}: valid loss {losses}, {result['seconds']:.0f} s\n")
    about = report["about"]
    sys.stdout.write(
        f"{about['train_examples']} examples of {about['train_tokens']:,} tokens, {about['train_unique']:,} of them unique; "
        f"held out: {about['valid_examples']} examples of other articles, {about['valid_supervised']:,} supervised tokens. "
        f"Gradients of a step packed against one example at a time: {report['packed_against_single']:.0e}.\n\n"
    )
    sys.stdout.write(tables(report))


def _others(arguments: argparse.Namespace) -> list[tuple[int, int]]:
    return [(weights, weights) for weights in range(1, arguments.other_weights + 1)]


def _about(setting: Setting) -> dict[str, Any]:
    material = make_material(setting)
    train, valid = material.train.statistics, material.valid.statistics
    return {
        "train_examples": train.examples,
        "train_tokens": train.tokens,
        "train_unique": train.unique_tokens,
        "valid_examples": valid.examples,
        "valid_supervised": valid.supervised_tokens,
        "entries": len(material.tokenizer),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where runs are kept; an existing file is continued")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--examples-per-step", type=int, nargs="+", default=[32])
    parser.add_argument("--seeds", type=int, default=3, help="orders of examples, first weights being the same")
    parser.add_argument(
        "--other-weights", type=int, default=0, help="further runs with other first weights, and orders"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--data", default=str(DATA))
    parser.add_argument("--articles", type=int, default=14)
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--article-characters", type=int, default=3500, help="longer articles are left out")
    parser.add_argument("--vocabulary", type=int, default=6000)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    return parser.parse_args()


if __name__ == "__main__":
    main()
