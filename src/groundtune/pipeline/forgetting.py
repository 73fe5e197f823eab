"""The stage `forgetting`: what the model could do before it was tuned and can do after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import ConfigError
from groundtune.files import parse_record, write_json, write_records
from groundtune.pipeline.engine import hash_input
from groundtune.pipeline.learning import model_files
from groundtune.pipeline.measured import MeasuredModel, key_of
from groundtune.pipeline.workspace import Workspace
from groundtune.types import StageResult

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.evaluation.forgetting import BenchmarkResult, GeneralTask, GeneralText, Scored, Windows
    from groundtune.training.corpus import Source

MOST_WINDOW_TOKENS = 2048
"""A model that has room for more is measured over this much: what lies further back hardly helps to predict plain text."""

CUT = "text of which evaluation.forgetting.max_tokens left room for the beginning only"
TOO_LONG = "general task longer than the model or train.max_pack_tokens takes"
SHORTENED = "benchmark prompt longer than the model takes, its beginning cut off"
UNREAD = "file of text that evaluation.forgetting.max_tokens left no room for"


def wanted(workspace: Workspace) -> bool:
    config = workspace.config.evaluation.forgetting
    return config.tasks or bool(config.texts or config.benchmarks)


def inputs(workspace: Workspace) -> dict[str, Path]:
    files = {"tuned": workspace.tuned} | model_files("base", workspace.base_source)
    files |= {f"text {source.name}": source.path for source in _sources(workspace)}
    folder = _task_folder(workspace)
    return files | ({} if folder is None else {"benchmark tasks": folder})


def settings(workspace: Workspace) -> dict[str, Any]:
    """Where texts and tasks lie is nothing to what is measured; what they hold is an input."""
    config = workspace.config
    asked = config.evaluation.forgetting
    return {
        "ForgettingConfig": asked.model_dump(mode="json", exclude={"texts", "benchmark_tasks"}),
        "seed": config.seed,
        "most_tokens": min(MOST_WINDOW_TOKENS, config.train.max_pack_tokens),
        **(_harness() if asked.benchmarks else {}),
    }


def _harness() -> dict[str, str]:
    """Another version asks other questions."""
    from groundtune.evaluation.forgetting import harness_version

    return {"lm_eval": harness_version()}


def check_early(workspace: Workspace) -> None:
    """Raises `ConfigError` or `EvaluationError` for what would be found out only after a training."""
    config = workspace.config.evaluation.forgetting
    _sources(workspace)
    if config.benchmarks:
        from groundtune.evaluation.forgetting import check_harness

        check_harness()
    folder = _task_folder(workspace)
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"evaluation.forgetting.benchmark_tasks: {folder} is no folder; correct it, or take it out")


def check_ahead(workspace: Workspace) -> None:
    """Raises `ConfigError` for a benchmark that lm_eval does not know: takes seconds."""
    config = workspace.config.evaluation.forgetting
    if config.benchmarks:
        from groundtune.evaluation.forgetting import check_tasks

        check_tasks(config.benchmarks, _task_folder(workspace))


def forget(workspace: Workspace) -> StageResult:
    """Measure both models, one after the other, and compare.

    Raises:
        DataError: a text that cannot be read.
        EvaluationError: weights that give no numbers, or a benchmark that cannot be run.
    """
    from groundtune.models import load_tokenizer

    tokenizer = load_tokenizer(workspace.tuned)
    tuned = MeasuredModel("tuned", str(workspace.tuned), tokenizer, workspace)
    asked = _gather(workspace, tokenizer, _room(workspace, tuned))
    after = _measure(tuned, asked, workspace)
    # one model in memory at a time
    del tuned
    before = _measure(MeasuredModel("base", workspace.base_source, tokenizer, workspace), asked, workspace)
    return _compare(workspace, asked, before, after)


def _room(workspace: Workspace, measured: MeasuredModel) -> int:
    """Tokens of the longest sequence that can be measured."""
    from groundtune.models import position_limit

    most = workspace.config.train.max_pack_tokens
    return min(most, position_limit(measured.model) or most)


@dataclass(frozen=True, slots=True)
class Asked:
    """What both models are measured on."""

    texts: list[GeneralText]
    windows: Windows
    window_tokens: int
    tasks: list[GeneralTask]
    task_sequences: list[Scored]
    skips: dict[str, int]
    places: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured of one model."""

    text_nats: list[float]
    task_nats: list[float]
    benchmarks: list[BenchmarkResult]


def _gather(workspace: Workspace, tokenizer: PreTrainedTokenizerBase, room: int) -> Asked:
    from groundtune.evaluation.forgetting import cut_windows, read_tasks, sequences_of, take_texts
    from groundtune.training.corpus import LeftOut, read_texts
    from groundtune.training.documents import encode_text

    config = workspace.config.evaluation.forgetting

    def encode(text: str) -> list[int]:
        return encode_text(tokenizer, text)

    # as lm_eval does it: where there is no begin token, a text comes after the end of another
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    front = () if first is None else (int(first),)
    left_out = LeftOut()

    def texts_of(source: Source) -> Iterator[Iterator[str]]:
        return (pieces() for pieces in read_texts(source, left_out))

    taken = take_texts([texts_of(source) for source in _sources(workspace)], encode, max_tokens=config.max_tokens)
    window_tokens = min(room, MOST_WINDOW_TOKENS)
    sequences = [(task, sequences_of(task, encode, front)) for task in (read_tasks() if config.tasks else ())]
    fitting = [(task, some) for task, some in sequences if max(len(each.input_ids) for each in some) <= room]
    skips = {CUT: taken.cut, UNREAD: taken.unread, TOO_LONG: len(sequences) - len(fitting)}
    return Asked(
        texts=taken.texts,
        windows=cut_windows(taken.texts, front, window_tokens=window_tokens),
        window_tokens=window_tokens,
        tasks=[task for task, _ in fitting],
        task_sequences=[each for _, some in fitting for each in some],
        skips=dict(left_out.skips.most_common()) | {reason: count for reason, count in skips.items() if count},
        places=left_out.places,
    )


def _measure(measured: MeasuredModel, asked: Asked, workspace: Workspace) -> Found:
    return Found(
        text_nats=_nats(measured, asked.windows.sequences, "texts", workspace),
        task_nats=_nats(measured, asked.task_sequences, "tasks", workspace),
        benchmarks=[
            _benchmark(measured, name, workspace) for name in workspace.config.evaluation.forgetting.benchmarks
        ],
    )


def _nats(measured: MeasuredModel, sequences: Sequence[Scored], what: str, workspace: Workspace) -> list[float]:
    if not sequences:
        return []
    train = workspace.config.train
    told = ([(each.input_ids, each.start) for each in sequences], train.sharing, train.max_pack_tokens)
    found: list[float] = measured.known(what, told, lambda: measured.nats(sequences, f"general {what}"))
    return found


def _benchmark(measured: MeasuredModel, name: str, workspace: Workspace) -> BenchmarkResult:
    from groundtune.evaluation.forgetting import BenchmarkResult, harness_version, run_benchmark
    from groundtune.models import cpu_threads

    config = workspace.config.evaluation.forgetting
    folder = _task_folder(workspace)
    own = None if folder is None else hash_input(folder)
    told = (name, own, config.benchmark_limit, harness_version())
    journal = measured.folder / f"benchmark-{key_of(told)[:16]}.jsonl"

    def score() -> BenchmarkResult:
        with cpu_threads(workspace.config.train.threads):
            return run_benchmark(
                measured.model,
                measured.tokenizer,
                name,
                folder=folder,
                limit=config.benchmark_limit,
                batch_size=workspace.config.evaluation.batch_questions,
                journal=journal,
                label=f"{name}, {measured.label}",
            )

    found = parse_record(measured.known("benchmark", told, score), BenchmarkResult, where=f"benchmark {name}")
    journal.unlink(missing_ok=True)
    return found


def _compare(workspace: Workspace, asked: Asked, before: Found, after: Found) -> StageResult:
    from groundtune.evaluation.forgetting import (
        GeneralSummary,
        TaskRecord,
        compare_benchmarks,
        compare_tasks,
        compare_texts,
    )

    seed = workspace.config.seed
    texts = tasks = None
    records: list[TaskRecord] = []
    if asked.texts:
        texts = compare_texts(
            asked.texts,
            asked.windows,
            before.text_nats,
            after.text_nats,
            window_tokens=asked.window_tokens,
            seed=seed,
        )
    if asked.tasks:
        tasks, records = compare_tasks(asked.tasks, before.task_nats, after.task_nats)
    summary = GeneralSummary(
        texts=texts,
        tasks=tasks,
        benchmarks=compare_benchmarks(before.benchmarks, after.benchmarks, seed=seed),
        harness=before.benchmarks[0].harness if before.benchmarks else "",
    )
    write_json(workspace.general_summary, summary)
    write_records(workspace.general_tasks, records)
    write_json(workspace.general_benchmarks, {"before": before.benchmarks, "after": after.benchmarks})
    counts = {
        "general texts": texts.texts if texts else 0,
        "general text tokens": texts.tokens if texts else 0,
        "general tasks": len(records),
        "benchmark questions": sum(score.before.n for score in summary.benchmarks),
    }
    shortened = sum(result.shortened for result in after.benchmarks)
    return StageResult(
        {name: count for name, count in counts.items() if count},
        asked.skips | ({SHORTENED: shortened} if shortened else {}),
        {
            **({"perplexity": [texts.before.perplexity.value, texts.after.perplexity.value]} if texts else {}),
            **({"tasks": [tasks.whole.before.value, tasks.whole.after.value]} if tasks else {}),
            **(
                {"benchmarks": {each.task: [each.before.value, each.after.value] for each in summary.benchmarks}}
                if summary.benchmarks
                else {}
            ),
            **({"left_out": asked.places} if asked.places else {}),
        },
    )


def _sources(workspace: Workspace) -> list[Source]:
    config = workspace.config
    patterns = config.evaluation.forgetting.texts
    if not patterns:
        return []
    from groundtune.training.corpus import find_sources

    return find_sources(patterns, config.folder, setting="evaluation.forgetting.texts")


def _task_folder(workspace: Workspace) -> Path | None:
    folder = workspace.config.evaluation.forgetting.benchmark_tasks
    return None if folder is None else workspace.config.resolve(folder)
